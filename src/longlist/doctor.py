"""`longlist doctor`: the configuration without secrets, and what is wrong with the installation."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from longlist import schema_version, startup, workers
from longlist.console import Trouble, make_data_folder, program
from longlist.db import DatabaseAway, SchemaMismatch, Transaction, checks
from longlist.db.dumps import is_missing
from longlist.health.store import FREE_BYTES
from longlist.ids import now_ms, rfc3339
from longlist.schema_version import HEAD
from longlist.settings import effective

if TYPE_CHECKING:
    from longlist.db import Database
    from longlist.settings import Settings

_EARLIEST_MS: Final = 1_735_689_600_000
"""The beginning of 2025: a clock before it is not set."""

State = Literal["ok", "warning", "failed"]


class Check(msgspec.Struct):
    """One thing that was looked at. Only `failed` makes the exit code 1."""

    name: str
    state: State
    detail: str


class Report(msgspec.Struct):
    """What was found."""

    ok: bool
    longlist: str
    python: str
    settings: dict[str, Any]
    checks: list[Check]


def examine(settings: Settings) -> Report:
    """Look at everything; nothing is changed but the data folder, which is made if missing."""
    found = [*_folder(settings), _secret(settings), *asyncio.run(_database(settings))]
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


def _good(name: str, good: bool, detail: str) -> Check:
    return Check(name, "ok" if good else "failed", detail)


def _folder(settings: Settings) -> list[Check]:
    path = settings.data_path
    try:
        make_data_folder(settings)
    except Trouble as trouble:
        return [Check("data", "failed", str(trouble))]
    free = shutil.disk_usage(path).free
    return [
        Check("data", "ok", str(path)),
        _good("disk", free > FREE_BYTES, f"{free >> 20:,} MiB free"),
    ]


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


async def _database(settings: Settings) -> list[Check]:
    db = startup.database(settings)
    if is_missing(db):
        return [Check("database", "failed", f"none yet: run {program()} serve, or migrate")]
    try:
        await db.start()
    except DatabaseAway as error:
        return [Check("database", "failed", str(error))]
    try:
        found = [_good(*finding) for finding in await checks.fitness(db)]
        try:
            revision = await asyncio.to_thread(schema_version.current, db)
            schema_version.check(revision)
        except SchemaMismatch as error:
            return [*found, Check("schema", "failed", str(error))]
        found.append(Check("schema", "ok", HEAD))
        found += [_good(*finding) for finding in await checks.soundness(db)]
        return [*found, await _clock(db), await _workers(db)]
    except DatabaseAway as error:
        return [Check("database", "failed", str(error))]
    finally:
        await db.close()


async def _now(tx: Transaction) -> int:
    return await tx.now()


async def _clock(db: Database) -> Check:
    theirs, ours = await db.read(_now), now_ms()
    if ours < _EARLIEST_MS:
        return Check("clock", "failed", f"it is not set: {rfc3339(ours)}")
    if abs(ours - theirs) > checks.SKEW_MS:
        return Check("clock", "failed", f"{abs(ours - theirs)} ms away from the database's")
    return Check("clock", "ok", rfc3339(ours))


async def _workers(db: Database) -> Check:
    known, silent = await db.read(workers.registered), await db.read(workers.silent)
    alive = len(known - set(silent))
    if alive:
        return Check("workers", "ok", f"{alive} alive")
    return Check("workers", "warning", "none alive: jobs wait for longlist serve or a worker")
