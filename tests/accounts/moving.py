"""An account group with something in every table, and two installations to move it between."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longlist import startup
from longlist.accounts import move as course
from longlist.accounts.move import Move, Report, Side
from longlist.accounts.move_back import take_back
from longlist.accounts.move_tables import GROUP, PARCEL, TABLES
from longlist.events import store as events
from longlist.prospecting.sources.directory import PROVIDER as DIRECTORY
from longlist.settings import Settings
from longlist.tables import METADATA
from tests.harness.server import Longlist, settings_for
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker
from tests.prospecting import directories, scripted

SECRET = "the same secret in two installations of a test"
CSV = b"Email,First Name,Company\n" + b"".join(
    b"p%d@example.com,Person %d,Firm %d\n" % (at, at, at % 7) for at in range(40)
)


class Killed(BaseException):
    """Stands for `kill -9`: nothing of the move's own clean-up is run."""


@dataclass
class Pair:
    """Two servers with one secret; a group goes from the source to the target."""

    source: Longlist
    target: Longlist

    def back(self) -> Pair:
        """The way back."""
        return Pair(self.target, self.source)


def settings_of(folder: Path, url: str = "", **more: Any) -> Settings:
    """Settings of one of the two."""
    return settings_for(folder, database_url=url, secret=SECRET, **more)


def move(
    pair: Pair,
    group: bytes,
    *,
    step: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
    verify: bool = False,
    **more: Any,
) -> Report:
    """Move a group as the command does, with nobody to wait for at the end."""

    async def run() -> Report:
        async with (
            startup.installation(pair.source.settings) as here,
            startup.installation(pair.target.settings) as there,
        ):
            made = Move(here, there, group, grace_s=0, step=step, tell=tell)
            return await (made.verify() if verify else made.run(**more))

    return asyncio.run(run())


def undo(pair: Pair, group: bytes, *, reached: bool = True) -> str:
    """Take a move back as the command does, with the target or without."""

    async def run() -> str:
        async with (
            startup.installation(pair.source.settings) as here,
            startup.installation(pair.target.settings) as there,
        ):
            return await take_back(Side(here, group), Side(there, group) if reached else None)

    return asyncio.run(run())


def killed_at(name: str, time: int = 1) -> Callable[[str], None]:
    """A step that kills the move at one of its parts."""
    seen = 0

    def step(part: str) -> None:
        nonlocal seen
        seen += part == name
        if part == name and seen == time:
            raise Killed(name)

    return step


def steps_of(pair: Pair, group: bytes) -> list[str]:
    """The parts that a move of this group has, by moving it."""
    found: list[str] = []
    move(pair, group, step=found.append)
    return list(dict.fromkeys(found))


def on(server: Longlist, tenant: Tenant) -> Tenant:
    """The same group and key on another server."""
    there = Tenant.__new__(Tenant)
    there.server, there.group = server, tenant.group
    there.key_id, there.key = tenant.key_id, tenant.key
    return there


def fill(api: Tenant, folder: Path) -> None:
    """Put something into every table that belongs to the group."""
    audience = api.audience("Fintech CTOs")["id"]
    shelf = {"folderId": api.folder()["id"]}
    api.post(f"AG/audiences/{audience}/move-to-folder", shelf).expect(200)
    for at in range(30):
        api.prospect(
            audience,
            firstName=f"Ada {at}",
            lastName="=cmd \u00e9",
            about="one\n\ttwo",
            email=f"ada{at}@example.com",
            company={"name": f"Acme \u6771\u4eac {at}"},
        )
    gone = api.prospect(audience, email="erased@example.com", firstName="Zephyrine")
    api.delete(f"AG/prospects/{gone}").expect(200)
    entry = {"kind": "email", "value": "no@example.com", "note": "asked for it"}
    api.post("AG/suppressions", entry).expect(201)
    upload = api.send("POST", "AG/files", body=CSV, headers={"Content-Type": "text/csv"})
    start = {
        "type": "file_import",
        "fileId": upload.expect(201).data["fileId"],
        "audienceName": "Imported",
    }
    again = {"Idempotency-Key": f"start-{api.group.hex()}"}
    job_id = api.post("AG/prospecting", start, headers=again).expect(202).data["jobId"]
    assert HandWorker(api.server).run(job_id)
    api.set(credits=1000, maxResultsCap=77, **{"quota.FILE_IMPORT": 5000})
    directory = directories.loaded(api, folder / "people.csv", directories.PEOPLE)
    assert directory.provider == DIRECTORY.name
    unipile = {"base_url": "https://example.com", "account_id": "x"}
    scripted.set_up(api, "unipile", unipile, name="U")
    watched = api.audience("Watched", "monitoring")["id"]
    body = {"source": {"type": "directory_search", "query": "cto"}, "intervalMinutes": 60}
    api.send("PUT", f"AG/audiences/{watched}/monitor", json=body).expect(200)
    (event,) = api.server.rows(
        "SELECT id FROM events WHERE account_group_id = $1 LIMIT 1", api.group
    )
    api.server.write(events.note_actor, [event[0]], "ada", group=api.group)


Rows = dict[str, list[tuple[Any, ...]]]
_NOT_COPIED = {"last_used_at"}


def rows_of(server: Longlist, group: bytes) -> Rows:
    """All that a database holds of a group, read without what is under test."""
    found: Rows = {}
    for table in METADATA.sorted_tables:
        if table.name == "account_group_moves":
            continue
        columns = ", ".join(c.name for c in table.columns if c.name not in _NOT_COPIED)
        where = f"{GROUP} = $1"
        if table.name == "account_groups":
            where = "id = $1"
        elif table.name == "api_keys":
            where = "id IN (SELECT api_key_id FROM api_key_groups WHERE account_group_id = $1)"
        elif GROUP not in table.columns:
            continue
        rows = server.rows(f"SELECT {columns} FROM {table.name} WHERE {where}", group)
        found[table.name] = sorted(rows, key=repr)
    text = server.installation.db.full_text.text("directory_words")
    words = f"SELECT rowid, {text} FROM directory_words WHERE account_group_id = $1"
    found["directory_words"] = sorted(server.rows(words, group))
    return found


def levelled(rows: Rows) -> Rows:
    """The rows with the numbers that a database counts for all groups counted from zero."""
    found = dict(rows)
    for table, at, unit in (
        ("events", 0, 1),
        ("directory_generations", 2, 1),
        ("directory_people", 1, 1 << 32),
        ("directory_words", 0, 1 << 32),
    ):
        first = min((row[at] // unit for row in rows[table]), default=0) * unit
        level = [(*r[:at], r[at] - first, *r[at + 1 :]) for r in rows[table]]
        found[table] = sorted(level, key=repr)
    return found


def assert_full(rows: Rows) -> None:
    """Every table of a group has rows: nothing is moved that was not tested."""
    assert set(rows) >= {*PARCEL, "directory_words", *(table.name for table in TABLES)}
    assert [name for name, found in rows.items() if not found] == []


def nothing(rows: Rows) -> bool:
    """True where a database holds nothing of a group."""
    return not any(rows.values())


def exports(api: Tenant) -> list[bytes]:
    """The exports of every audience, in both formats, over HTTP."""
    items = api.get("AG/audiences?limit=200").expect(200).data["items"]
    return [
        api.get(f"AG/audiences/{item['id']}/export?format={format_}").expect(200).body
        for item in items
        for format_ in ("csv", "ndjson")
    ]


def kill_itself(data: str, url: str, to: str, to_url: str, group: str, part: str) -> None:
    """Move a group and be killed at a part of it: to be run in a process of its own."""
    seen = 0

    def step(name: str) -> None:
        nonlocal seen
        seen += name == part
        if seen == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    source, target = settings_of(Path(data), url), settings_of(Path(to), to_url)

    async def run() -> None:
        async with startup.installation(source) as here, startup.installation(target) as there:
            setattr(course, "BATCH", 4)  # noqa: B010 - it is final
            await Move(here, there, bytes.fromhex(group), grace_s=0, step=step).run()

    asyncio.run(run())


def triggers(server: Longlist, group: bytes) -> list[str]:
    """What keeps writers of a group out."""
    name = f"moving_{group.hex()}%"
    if server.settings.database_url:
        return [
            row[0]
            for row in server.rows(
                "SELECT tgname::text FROM pg_trigger WHERE tgname LIKE $1"
                " UNION SELECT proname::text FROM pg_proc WHERE proname LIKE $1",
                name,
            )
        ]
    sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE $1"
    found = server.rows(sql, name)
    return [row[0] for row in found]


def markers(server: Longlist, group: bytes) -> list[str]:
    """The states that a database knows of the group's moves."""
    sql = "SELECT state FROM account_group_moves WHERE account_group_id = $1"
    return [row[0] for row in server.rows(sql, group)]
