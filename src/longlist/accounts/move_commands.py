"""What `longlist accounts move` does: opens both databases and tells how it goes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from longlist import startup
from longlist.accounts import move_target
from longlist.accounts.move import Move, Report, Side
from longlist.accounts.move_back import take_back
from longlist.console import Trouble, load_settings, need_database, opened
from longlist.db import DatabaseAway
from longlist.front import directory, directory_store
from longlist.front.switch import Switch

if TYPE_CHECKING:
    from longlist.settings import Settings

GRACE_MORE_S: Final = 1.0
"""Beyond the time that a request has to arrive in: a key is believed for less."""


def _tell(text: str) -> None:
    # Not to standard output, which is for the report.
    sys.stderr.write(f"{text}\n")


def run(
    group: bytes,
    *,
    to: str,
    to_data: Path | None,
    what: Literal["move", "verify", "undo"],
    wait: bool,
    keep: bool,
    to_cluster: str = "",
) -> Report:
    """Do it. Raises Trouble, DatabaseAway, SchemaMismatch and SettingError."""
    settings = load_settings()
    need_database(settings)
    target = move_target.settings_of_target(settings, to, to_data)
    if what == "undo":
        return asyncio.run(_undo(settings, target, group))
    if what == "verify":
        return asyncio.run(_verify(settings, target, group))
    return asyncio.run(_move(settings, target, group, to_cluster, wait=wait, keep=keep))


async def _move(
    settings: Settings, target: Settings, group: bytes, to_cluster: str, *, wait: bool, keep: bool
) -> Report:
    async with (
        opened(settings) as here,
        move_target.opened(target, startup.read_secret(settings)) as there,
        _switch(settings, group, to_cluster) as switch,
    ):
        grace_s = settings.request_timeout_s + GRACE_MORE_S
        move = Move(here, there, group, grace_s=grace_s, tell=_tell, switch=switch)
        return await move.run(wait=wait, keep=keep)


async def _verify(settings: Settings, target: Settings, group: bytes) -> Report:
    async with (
        opened(settings) as here,
        move_target.opened(target, startup.read_secret(settings)) as there,
    ):
        return await Move(here, there, group, grace_s=0, tell=_tell).verify()


@asynccontextmanager
async def _switch(
    settings: Settings, group: bytes, to_cluster: str
) -> AsyncIterator[Switch | None]:
    """The group's entry in the directory of a front, None where there is no front.

    Raises Trouble where there is one and nothing was said of it.
    """
    if not to_cluster and not settings.front_directory:
        yield None
        return
    async with directory.opened(settings) as db:
        if to_cluster:
            switch = Switch(db, group, to_cluster)
            await switch.check()
            yield switch
            return
        if await db.read(directory_store.find_everywhere, group.hex()) is not None:
            raise Trouble(
                "The directory that LONGLIST_FRONT_DIRECTORY names has this account group. Name"
                " the target there too: --to-cluster NAME"
            )
        yield None


async def _undo(settings: Settings, target: Settings, group: bytes) -> Report:
    async with AsyncExitStack() as stack:
        here = Side(await stack.enter_async_context(opened(settings)), group)
        there: Side | None = None
        try:
            installation = await stack.enter_async_context(
                move_target.opened(target, startup.read_secret(settings))
            )
            there = Side(installation, group)
        except DatabaseAway as error:
            _tell(f"the target cannot be reached: {error}")
        name = move_target.name_of(startup.database(target))
        state = await take_back(here, there)
        if directory.is_there(settings) and await here.has_group():
            db = await stack.enter_async_context(directory.opened(settings))
            await Switch(db, group, "").reopen()
        return Report(group.hex(), here.name, name, state=state)


def show(report: Report) -> None:
    """Print a report for people."""
    lines = [
        f"{table.rows:>12,}  {table.digest}  {table.name}" for table in report.tables if table.rows
    ]
    if report.exports is not None:
        lines.append(
            f"{report.exports.audiences:,} audiences, exported as CSV and NDJSON:"
            f" {report.exports.size:,} equal bytes; {report.files:,} uploaded files"
        )
    lines += [
        f"The key {key} reaches other groups too and is now in both databases: revoke it in both."
        for key in report.shared_keys
    ]
    if report.events_renumbered:
        lines.append(
            "The events of the group have higher sequence numbers in the target, in the same order."
        )
    lines.append(f"{report.account_group_id}: {report.state}, {report.source} -> {report.target}")
    sys.stdout.write("\n".join(lines) + "\n")
