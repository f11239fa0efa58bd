"""`longlist doctor`: the configuration without secrets, and what is wrong with the installation.

It looks and never guesses: a worker is alive when it beats while doctor watches, a clock is off by
what was measured, and what cannot be seen from here is not said.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from longlist import schema_version, startup, workers
from longlist.console import Trouble, make_data_folder, program
from longlist.context import Installation
from longlist.db import DatabaseAway, SchemaMismatch, Transaction, checks
from longlist.db.dumps import is_missing
from longlist.health.store import FREE_BYTES
from longlist.ids import now_ms, rfc3339
from longlist.prospecting import queue_store as queue
from longlist.schema_version import HEAD
from longlist.settings import effective

if TYPE_CHECKING:
    from longlist.db import Database
    from longlist.settings import Settings

_EARLIEST_MS: Final = 1_735_689_600_000
"""The beginning of 2025: a clock before it is not set."""
_WATCH_S: Final = 3.0
"""A worker beats every second."""
_LOOK_S: Final = 0.2

State = Literal["ok", "warning", "failed"]


class Check(msgspec.Struct):
    """One thing that was looked at. Only `failed` makes the exit code 1.

    `detail` is for people. `facts` is for programs: its members stay as they are from one version
    to the next, and further ones may come.
    """

    name: str
    state: State
    detail: str
    facts: dict[str, Any] = {}


class Report(msgspec.Struct):
    """What was found."""

    ok: bool
    longlist: str
    python: str
    settings: dict[str, Any]
    checks: list[Check]


def examine(settings: Settings) -> Report:
    """Look at everything; nothing is changed but the data folder, which is made if missing."""
    found = [*_folder(settings), *asyncio.run(_database(settings, _secret(settings)))]
    return Report(
        ok=all(check.state != "failed" for check in found),
        longlist=version("longlist"),
        python=f"{platform.python_version()} on {platform.platform(terse=True)}",
        settings=effective(settings),
        checks=found,
    )


def show(report: Report) -> None:
    """Print a report for people."""
    lines = [f"Longlist {report.longlist}, Python {report.python}", ""]
    lines += [f"  LONGLIST_{name.upper()}={value}" for name, value in report.settings.items()]
    lines.append("")
    lines += [f"{check.state:<8} {check.name:<12} {check.detail}" for check in report.checks]
    sys.stdout.write("\n".join(lines) + "\n")


def _good(name: str, good: bool, detail: str, **facts: Any) -> Check:
    return Check(name, "ok" if good else "failed", detail, facts)


def _folder(settings: Settings) -> list[Check]:
    path = settings.data_path
    try:
        make_data_folder(settings)
    except Trouble as trouble:
        return [Check("data", "failed", str(trouble))]
    found = [Check("data", "ok", str(path))]
    # The files may be on a volume of their own, which all machines share.
    places = {path.stat().st_dev: path}
    if settings.files_path.is_dir():
        places.setdefault(settings.files_path.stat().st_dev, settings.files_path)
    for place in places.values():
        usage = shutil.disk_usage(place)
        found.append(
            _good(
                "disk", usage.free > FREE_BYTES,
                f"{usage.free >> 20:,} of {usage.total >> 20:,} MiB free in {place}",
                path=str(place), freeBytes=usage.free, totalBytes=usage.total,
            )
        )  # fmt: skip
    return found


def _secret(settings: Settings) -> Check:
    if settings.secret:
        return Check("secret", "ok", "from LONGLIST_SECRET")
    path = settings.data_path / startup.SECRET_FILE
    try:
        mode = path.stat().st_mode & 0o777
        path.read_bytes()
    except FileNotFoundError:
        return Check("secret", "warning", "none yet; it is made at the first start")
    except OSError as error:
        return Check("secret", "failed", f"{path}: {error.strerror}")
    if mode & 0o077:
        return Check("secret", "failed", f"others may read it: chmod 600 {path}")
    return Check("secret", "ok", f"{path}, mode {mode:o}")


async def _database(settings: Settings, secret: Check) -> list[Check]:
    db = startup.database(settings)
    if is_missing(db):
        return [secret, Check("database", "failed", f"none yet: run {program()} serve, or migrate")]
    try:
        await db.start()
    except DatabaseAway as error:
        return [secret, Check("database", "failed", str(error))]
    try:
        found = [_good(*finding) for finding in await checks.fitness(db)]
        try:
            revision = await asyncio.to_thread(schema_version.current, db)
            schema_version.check(revision)
        except SchemaMismatch as error:
            return [secret, *found, Check("schema", "failed", str(error))]
        found.append(Check("schema", "ok", HEAD, {"revision": HEAD}))
        found += [_good(*finding) for finding in await checks.soundness(db)]
        secret = await _secret_of(db, settings, secret)
        found += [await _clock(db), *await _replicas(db), *await _work(db)]
        found += await _sources(db, settings, secret)
        return [secret, *found]
    except DatabaseAway as error:
        return [secret, Check("database", "failed", str(error))]
    finally:
        await db.close()


async def _secret_of(db: Database, settings: Settings, secret: Check) -> Check:
    """The finding on the secret, now that the database can say whether it is its own."""
    kept = await db.read(startup.kept_digest)
    if secret.state == "failed" or kept is None:
        return secret
    if secret.state == "warning":
        return Check("secret", "failed", "it is missing, and this database was made with one")
    if startup.digest_of(startup.read_secret(settings)) != kept:
        return Check("secret", "failed", "it is not the one that this database was made with")
    return secret


async def _now(tx: Transaction) -> int:
    return await tx.now()


async def _clock(db: Database) -> Check:
    before = now_ms()
    theirs = await db.read(_now)
    after = now_ms()
    # Theirs was read somewhere in between: only what lies outside is known to differ.
    skew = max(theirs - after, 0) - max(before - theirs, 0)
    facts = {"skewMilliseconds": skew}
    if after < _EARLIEST_MS:
        return Check("clock", "failed", f"it is not set: {rfc3339(after)}", facts)
    said = f"{rfc3339(after)}, {abs(skew)} ms {'behind' if skew > 0 else 'ahead of'} the database's"
    good = abs(skew) <= checks.SKEW_MS
    return Check("clock", "ok" if good else "failed", said if skew else rfc3339(after), facts)


async def _replicas(db: Database) -> list[Check]:
    """The read replicas, if there are any, asked as a request would ask them."""
    until = time.monotonic() + _WATCH_S
    while True:
        await db.reads.read(_now)
        found = db.figures().replicas
        if found is None:
            return []
        unfit = {name: count for name, count in found.states.items() if count and name != "current"}
        if not unfit or time.monotonic() > until:
            break
        await asyncio.sleep(_LOOK_S)
    facts = {**found.states, "behindBytes": found.behind_bytes}
    said = f"{found.states['current']} current"
    for name, count in unfit.items():
        said += f", {count} {name}"
    if unfit:
        said += f" after {_WATCH_S:g} s of this look: what they do not answer, the primary does"
    return [Check("replicas", "warning" if unfit else "ok", said, facts)]


async def _work(db: Database) -> list[Check]:
    """Jobs that wait or run, and whether anybody is there for them."""
    depth = await db.read_long(queue.depth_everywhere)
    oldest = await db.read_long(queue.oldest_lock_everywhere)
    facts: dict[str, Any] = {
        "queued": depth.queued,
        "running": depth.running,
        "oldestLock": None if oldest is None else msgspec.to_builtins(oldest),
    }
    said = f"{depth.queued} queued, {depth.running} running"
    if oldest is not None:
        said += (
            f"; the oldest lock is {oldest.held_seconds} s old, of the {oldest.status} job"
            f" {oldest.job_id} on audience {oldest.audience_id}"
        )
    waiting = depth.queued + depth.running
    return [Check("jobs", "ok", said, facts), await _workers(db, waiting)]


async def _workers(db: Database, waiting: int) -> Check:
    """Watch the beats: a fresh one in the table may have come in with a backup."""
    first = await db.read(workers.beats)
    last, beaten = first, set[str]()
    until = time.monotonic() + _WATCH_S
    while last.at.keys() - beaten and time.monotonic() < until:
        await asyncio.sleep(_LOOK_S)
        last = await db.read(workers.beats)
        beaten |= {id_ for id_, at in last.at.items() if at != first.at.get(id_)}
    alive = last.at.keys() & beaten
    silent = {id_: ms for id_, ms in last.silent.items() if id_ not in alive}
    unheard = last.at.keys() - alive - silent.keys()
    facts = {"alive": len(alive), "unheard": len(unheard), "silent": len(silent)}
    said = [f"{len(alive)} alive" if alive else "none alive"]
    if unheard:
        said.append(f"{len(unheard)} did not beat for the {_WATCH_S:g} s of this look")
    ages = [ms // 1000 for ms in silent.values()]
    if past := [age for age in ages if age >= 0]:
        said.append(f"{len(past)} silent for up to {max(past)} s: gone, or rows from a backup")
    if ahead := [-age for age in ages if age < 0]:
        said.append(f"{len(ahead)} with a beat {max(ahead)} s ahead of the database's clock")
    if not alive:
        said.append(f"{waiting} jobs wait for longlist serve or a worker")
    return Check("workers", "ok" if alive else "warning", "; ".join(said), facts)


async def _sources(db: Database, settings: Settings, secret: Check) -> list[Check]:
    """The sources that are set up, and providers that cannot be used: those stop nothing else."""
    from longlist.prospecting import source_store
    from longlist.prospecting.source_tokens import TokenUnreadable
    from longlist.prospecting.sources import registry

    found = [
        Check(
            "provider", "warning", f"{broken.name} cannot be used: {broken.reason}",
            {"provider": broken.name},
        )
        for broken in registry.broken()
    ]  # fmt: skip
    usable = registry.names()
    sources = await db.read(source_store.list_all_everywhere)
    installation = None
    if secret.state == "ok":
        derived = startup.derived(startup.read_secret(settings))
        installation = Installation(settings, db, derived)
    bad = 0
    for source in sources:
        reason = ""
        if source.provider not in usable:
            reason = f"the provider {source.provider} is not there"
        elif installation is not None:
            try:
                source.opened(installation)
            except TokenUnreadable:
                reason = "its token cannot be decrypted: remove the source and add it again"
        if reason:
            bad += 1
            whose = {"sourceId": source.id.hex(), "accountGroupId": source.group.hex()}
            found.append(Check("source", "warning", f"{source.name}: {reason}", whose))
    said = f"{len(sources)} set up" + (f", {bad} of them broken" if bad else "")
    return [*found, Check("sources", "ok", said, {"setUp": len(sources), "broken": bad})]
