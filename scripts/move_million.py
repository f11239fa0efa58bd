"""Move an account group with many prospects to PostgreSQL and back, and measure: `--help`.

    .venv/bin/python -m scripts.move_million --rows 1000000

fills an embedded database: prospects with three identity keys each, one audience with all of them,
a job with a row for each, some events. Then `longlist accounts move` runs as a process of its own,
there and back, while a server works on the embedded database and another group's audience is
renamed. The audience is exported before, in between and after, as CSV and as NDJSON; a byte that
differs ends the run with an AssertionError. One line for each way.

PostgreSQL runs without fsync here, so its figures are no measure of a disk.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from longlist import startup
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.ids import new_id, new_ids
from longlist.prospects import export
from longlist.prospects import member_store as members
from longlist.prospects.identity import keys_of
from longlist.prospects.person import make_person
from longlist.settings import Settings
from scripts.million import Api, Renames, new_group, serving
from tests.harness.postgres import running_postgres
from tests.races.place import Group, Place, running_place

_SLICE = 10_000
_PER_SECOND = 20.0
_EVENTS = 10_000


def _people(rows: int, seed: int) -> list[dict[str, str]]:
    chance = random.Random(seed)
    return [
        {
            "firstName": f"Ada {chance.randrange(9999)}",
            "lastName": f"Sample {chance.randrange(9999)}",
            "headline": "Invented for a measurement, and nobody's headline",
            "title": "Chief Invention Officer",
            "location": "Zürich, Switzerland",
            "email": f"a{chance.getrandbits(64):x}@example.com",
            "publicIdentifier": f"ada-{chance.getrandbits(64):x}",
            "providerId": f"ACo{chance.getrandbits(64):x}",
            "company.name": f"Firm {chance.randrange(99999)}",
            "company.domain": f"firm{chance.randrange(99999)}.example.com",
        }
        for _ in range(rows)
    ]


async def fill(settings: Settings, group: bytes, audience: bytes, rows: int) -> None:
    """Put people into an audience with what an import of them would leave."""
    async with startup.installation(settings) as installation:
        ctx, job_id = Context(installation, group), new_id()
        await ctx.write(_job, audience, job_id, rows)
        for first in range(0, rows, _SLICE):
            people = [make_person(one) for one in _people(min(_SLICE, rows - first), first)]
            await ctx.write(_slice, audience, job_id, first, people)
        await ctx.write(_events)


async def _job(ctx: Context, audience: bytes, job_id: bytes, rows: int) -> None:
    await ctx.tx.run(
        "INSERT INTO prospecting_jobs (account_group_id, id, audience_id, source_kind, source,"
        " status, received, added, created_at, updated_at)"
        " VALUES ($1, $2, $3, 'file_import', '{}', 'completed', $4, $4, $5, $5)",
        ctx.group, job_id, audience, rows, ctx.now,
    )  # fmt: skip


async def _slice(
    ctx: Context, audience: bytes, job_id: bytes, first: int, people: Sequence[Any]
) -> None:
    ids = new_ids(len(people))
    both = list(zip(ids, people, strict=True))
    await members.insert_people(ctx, both)
    await members.insert_keys(
        ctx, [(key, id_) for id_, one in both for _, key in keys_of(one, ctx.hasher).all()]
    )
    await members.insert(ctx, audience, ids, job_id)
    await members.count(ctx, audience, len(ids))
    await ctx.tx.insert(
        "job_rows",
        ("account_group_id", "job_id", "position", "line", "outcome", "prospect_id"),
        [
            (ctx.group, job_id, at, at + 1, "added", id_)
            for at, id_ in enumerate(ids, first + 1)
        ],
    )  # fmt: skip


async def _events(ctx: Context) -> None:
    await ctx.tx.many(
        "INSERT INTO events (account_group_id, id, type, created_at, resource_id, data)"
        " VALUES ($1, $2, 'measured', $3, $2, '{}')",
        [(ctx.group, id_, ctx.now) for id_ in new_ids(_EVENTS)],
    )


async def exported(settings: Settings, group: bytes, audience: bytes) -> list[tuple[str, int]]:
    """SHA-256 and size of the audience's exports, CSV and NDJSON."""
    found = []
    async with startup.installation(settings) as installation:
        for chunks in (export.csv_chunks, export.ndjson_chunks):
            digest, size = hashlib.sha256(), 0
            async with installation.db.snapshot() as snapshot:
                ctx: Any = Context(installation, group)
                ctx.tx = snapshot
                async for chunk in chunks(ctx, audience):
                    digest.update(chunk)
                    size += len(chunk)
            found.append((digest.hexdigest(), size))
    return found


def moved(source: Settings, target: Settings, group: bytes, limit_s: float) -> str:
    """Run the command; what it told, its time and its memory."""
    environ = {name: value for name, value in os.environ.items() if "LONGLIST" not in name}
    environ |= {"LONGLIST_DATA": source.data, "LONGLIST_DATABASE_URL": source.database_url}
    environ["LONGLIST_SECRET"] = source.secret
    to = ["--to", target.database_url] if target.database_url else []
    began, own = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "longlist", "accounts", "move", group.hex(), *to,
             "--to-data", target.data],
            env=environ, stdout=told, stderr=told,
        )  # fmt: skip
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            own = max(own, _own_kibibytes(process.pid))
            if time.monotonic() - began > limit_s:
                process.kill()
                raise AssertionError(f"not moved after {limit_s:.0f} s")
            time.sleep(0.1)
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        text = told.read()
    assert process.returncode == 0, text
    seconds = time.monotonic() - began
    return (
        f"{text}in {seconds:.1f} s, at most {used.ru_maxrss / 1024:.0f} MiB of memory"
        f" ({own / 1024:.0f} without files)"
    )


def _own_kibibytes(pid: int) -> int:
    """The memory of a process that is no file's; 0 once it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next((int(li.split()[1]) for li in status.splitlines() if "RssAnon" in li), 0)


def _make(place: Place, rows: int) -> tuple[Group, bytes]:
    """A full group with its audience."""
    group = new_group(place)
    made: list[bytes] = []

    async def run() -> None:
        async with startup.installation(place.settings) as installation:
            ctx = Context(installation, group.id)
            found = await ctx.write(_audience)
            made.append(found.id)

    asyncio.run(run())
    began = time.monotonic()
    asyncio.run(fill(place.settings, group.id, made[0], rows))
    sys.stdout.write(f"filled with {rows} prospects in {time.monotonic() - began:.1f} s\n")
    return group, made[0]


async def _audience(ctx: Context) -> Any:
    return await audiences.create(ctx, name="Many", type_="on_demand", description=None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill, move there, move back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--limit", type=float, default=1800, help="seconds a move may take")
    args = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="longlist-move-") as folder,
        running_postgres() as postgres,
        running_place(Path(folder) / "here") as here,
        running_place(Path(folder) / "there", postgres.new_database()) as there,
    ):
        secret = {"secret": "one secret for both of these two databases"}
        here.settings = msgspec.structs.replace(here.settings, **secret)
        there.settings = msgspec.structs.replace(there.settings, **secret)
        group, audience = _make(here, args.rows)
        before = asyncio.run(exported(here.settings, group.id, audience))
        with serving(here, LONGLIST_SECRET=here.settings.secret) as server:
            other = new_group(here)
            named = Api(server.port, other)
            target = named.call("POST", "/audiences", {"name": "Other", "type": "on_demand"})
            for source, sink in ((here, there), (there, here)):
                with Renames(server.port, other, target["id"], _PER_SECOND) as renames:
                    told = moved(source.settings, sink.settings, group.id, args.limit)
                after = asyncio.run(exported(sink.settings, group.id, audience))
                assert after == before, (before, after)
                assert not renames.failures, renames.failures[:3]
                sys.stdout.write(
                    f"{source.engine} -> {sink.engine}: {told}; exports byte-equal"
                    f" ({after[0][1] + after[1][1]:,} bytes, SHA-256 {after[0][0][:16]},"
                    f" {after[1][0][:16]}); PATCH of another group p50 {renames.at(0.5):.1f}"
                    f" p99 {renames.at(0.99):.1f} max {renames.at(1):.0f} ms"
                    f" of {len(renames.taken_ms)}\n"
                )
                sys.stdout.flush()
            named.close()


if __name__ == "__main__":
    main()
