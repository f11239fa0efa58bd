"""Moves an account group from one database to another, whatever their engines.

The order is what makes it safe to be cut off anywhere and run again:

1. The old database holds the group: nobody writes it any more, everybody still reads it.
2. Its rows and files are copied and compared. Nobody can reach the group in the new database: the
   rows that make it reachable are not there.
3. One transaction takes these rows out of the old database, and keeps them there as a parcel.
4. One transaction puts them into the new one. Before it nobody reaches the group there, after it
   everybody; and as 3 comes first, at no time are there two that can be reached.
5. The old rows are deleted, or kept out of reach.

Before 3 a failure ends the move and lets the group be written again where it is; a process that
was killed leaves it held, and the next run goes on. After 3 a move can only go on, or be taken back
for as long as 4 was not done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, Protocol

import msgspec

from longlist.accounts import move_check as check
from longlist.accounts import move_files as files
from longlist.accounts import move_store as store
from longlist.accounts import parcel_store as parcels
from longlist.accounts import store as accounts
from longlist.accounts.move_store import KeptFile, Marker, MarkerGone, State
from longlist.accounts.move_tables import EVENTS, GENERATIONS, HELD, TABLES, Moved, Shifts
from longlist.accounts.move_target import name_of
from longlist.accounts.parcel_store import Parcel
from longlist.console import Trouble
from longlist.context import Context, Installation
from longlist.db import DatabaseAway, Row, Transaction
from longlist.db.holding import Holding, holding
from longlist.ids import new_id

BATCH: Final = 5_000
_WAIT_S: Final = 1.0
_PAUSE_MAX_S: Final = 1.0
_TURNS: Final = 2
_ANOTHER: Final = "Another process moves this account group too, or has ended this move."


class Report(msgspec.Struct, rename="camel"):
    """What a move, or a look at one, has found."""

    account_group_id: str
    source: str
    target: str
    tables: list[check.Table] = []
    exports: check.Exports | None = None
    files: int = 0
    keys: int = 0
    shared_keys: list[str] = []
    """Keys that reach other groups too: valid on both sides from now on, as `prefix name`."""
    events_renumbered: bool = False
    state: str = "moved"


class Switch(Protocol):
    """The group's entry in the directory of a front; see `front.switch`."""

    async def reopen(self) -> None:
        """Let requests through to the source, if they are not."""

    async def close(self) -> None:
        """Return once no request comes through any more."""

    async def open_there(self) -> None:
        """Let requests through to the target."""


class Side:
    """One of the two databases, for one group."""

    def __init__(self, installation: Installation, group: bytes) -> None:
        self.installation = installation
        self.db = installation.db
        self.ctx = Context(installation, group)
        self.name = name_of(installation.db)
        self.files = installation.settings.files_path
        self._began = time.monotonic()

    def held(self, move_id: bytes) -> Holding:
        """What keeps writers of the group out during a move."""
        return holding(self.db, self.ctx.group, move_id, HELD)

    async def read(self, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """What a store function returns that reads."""
        return await self.ctx.read(body, *args)

    @property
    def at_once(self) -> int:
        """Rows to be written in one transaction: fewer where somebody waited for the last one."""
        if self.db.one_writer and self.db.wanted_since(self._began):
            return min(BATCH, _TURNS * self.db.turn_rows)
        return BATCH

    async def write(self, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """What a store function returns, run in a transaction of its own, which may take long.

        Where writers take turns the database is left alone for as long after it, if somebody waits.
        """

        async def inside(tx: Transaction) -> Any:
            self._began = time.monotonic()
            ctx = Context(self.installation, self.ctx.group)
            ctx.tx = tx
            return await body(ctx, *args)

        found = await self.db.write_long(inside)
        if self.db.one_writer and self.db.wanted_since(self._began):
            await asyncio.sleep(min(time.monotonic() - self._began, _PAUSE_MAX_S))
        return found

    async def marker(self) -> Marker | None:
        """How far a move of the group is, as this side knows it."""
        found: Marker | None = await self.read(store.find_marker)
        return found

    async def release(self, move_id: bytes) -> None:
        """Let writers in again, to the end of a move that was given up."""
        await self.held(move_id).release()
        await self.write(store.end, move_id, "releasing")

    async def has_group(self) -> bool:
        """True where the group can be reached."""
        return bool(await self.read(accounts.get_many_everywhere, [self.ctx.group]))

    async def clear(
        self, move_id: bytes, state: State, step: Callable[[str], None] = lambda _: None
    ) -> None:
        """Delete the group's rows, last those that others refer to, while the move is in a state.

        Raises MarkerGone.
        """

        async def some(ctx: Context, table: Moved, after: Row | None) -> Row | None:
            await store.hold_marker(ctx, move_id, state)
            await self.held(move_id).lift(ctx.tx, deleting=True)
            return await store.delete_some(ctx, table, after, self.at_once)

        for table in reversed(TABLES):
            last = await self.write(some, table, None)
            while last is not None:
                step(f"deleting {table.name}")
                last = await self.write(some, table, last)


class Move:
    """One group's way from `source` to `target`. Everything raises Trouble and DatabaseAway.

    `grace_s`: how long after the switch requests may be under way that were admitted before it, by
    a key that was looked up before it; until then the old rows stay, and stay held. `tell` is told
    what is done, `step` before each part.
    """

    def __init__(
        self,
        source: Installation,
        target: Installation,
        group: bytes,
        *,
        grace_s: float,
        tell: Callable[[str], None] = lambda _: None,
        step: Callable[[str], None] = lambda _: None,
        switch: Switch | None = None,
    ) -> None:
        self._source, self._target = Side(source, group), Side(target, group)
        self._group = group
        self._grace_s = grace_s
        self._tell, self._step = tell, step
        self._switch = switch
        self.report = Report(group.hex(), self._source.name, self._target.name)

    async def run(self, *, wait: bool = False, keep: bool = False) -> Report:
        """Move the group, or go on with a move that was cut off.

        With `wait` live jobs are waited for, else they are a reason to refuse. With `keep` the old
        rows stay, out of reach.
        """
        try:
            return await self._run(wait=wait, keep=keep)
        except MarkerGone as error:
            raise Trouble(_ANOTHER) from error

    async def _run(self, *, wait: bool, keep: bool) -> Report:
        marker = await self._source.marker()
        if marker is not None and marker.state == "releasing":
            await self._source.release(marker.id)
            marker = None
        if marker is None and not await self._source.has_group():
            if not await self._target.has_group():
                raise Trouble(f"There is no account group {self._group.hex()}.")
            self.report.state = "there already"
            return self.report
        if marker is None or marker.state == "leaving":
            marker = await self._copy_and_switch(marker, wait=wait)
        if marker.state == "left":
            await self._arrive(marker)
        await self._tidy(marker, keep=keep)
        return self.report

    async def _copy_and_switch(self, marker: Marker | None, *, wait: bool) -> Marker:
        if marker is not None:
            await self._check_same_target(marker)
            self._tell("going on with a move that was cut off")
        move_id = new_id() if marker is None else marker.id
        await self._check_target(move_id)
        if self._switch is not None:
            await self._switch.reopen()
        try:
            await self._hold(move_id, wait=wait, anew=marker is None)
            shifts = await self._make_room(move_id)
            await self._copy(move_id, shifts)
            await self.compare(shifts)
            return await self._leave(move_id, shifts)
        except (Exception, asyncio.CancelledError):
            await self._let_go(move_id)
            raise

    async def _check_same_target(self, marker: Marker) -> None:
        theirs = await self._target.marker()
        if marker.other != self._target.name and (theirs is None or theirs.id != marker.id):
            raise Trouble(
                f"This account group is on its way to {marker.other}. Go on with that target, or"
                " take the move back with --undo."
            )

    async def _check_target(self, move_id: bytes) -> None:
        if await self._target.has_group():
            raise Trouble(f"There is an account group {self._group.hex()} in the target already.")
        theirs = await self._target.marker()
        if theirs is not None and theirs.state not in ("clearing", "arriving"):
            raise Trouble(
                "The target has rows of this account group, which was moved from there to"
                f" {theirs.other}: {theirs.state}. Run that move again there, without --keep, to"
                " its end first."
            )
        parcel: Parcel = await self._source.read(parcels.read)
        ours = {row[0]: row[1] for row in parcel.rows["api_keys"]}
        known = await self._target.read(parcels.hashes_everywhere, list(ours))
        if rotated := sorted(id_.hex() for id_, hash_ in known.items() if ours[id_] != hash_):
            raise Trouble(
                f"The key {rotated[0]} is in both databases, and was rotated in one of them."
                " Revoke it and make another one."
            )

    async def _hold(self, move_id: bytes, *, wait: bool, anew: bool) -> None:
        """Keep writers out, with no job of the group on its way."""
        while True:
            if anew:
                await self._no_live_jobs(wait=wait)
                await self._source.write(store.begin_leaving, move_id, self._target.name)
            self._step("hold")
            await self._source.held(move_id).hold()
            # One may have been started since the last look.
            if not await self._source.read(store.live_jobs):
                break
            await self._let_go(move_id)
            anew = True
        self._tell("held: until it is there, writes of this group are answered with 503")

    async def _no_live_jobs(self, *, wait: bool) -> None:
        told = False
        while jobs := await self._source.read(store.live_jobs):
            names = ", ".join(id_.hex() for id_ in jobs[:10])
            if not wait:
                raise Trouble(
                    f"{len(jobs)} jobs are queued or running: {names}. Wait for them or cancel"
                    " them, or add --wait."
                )
            if not told:
                self._tell(f"waiting for {len(jobs)} jobs: {names}")
                told = True
            await asyncio.sleep(_WAIT_S)

    async def _let_go(self, move_id: bytes) -> None:
        """Let the group be written again, if this is still the move that holds it."""
        try:
            # The marker first: who goes on with this move by mistake sees that it is over.
            await self._source.write(store.advance, move_id, "leaving", "releasing")
            await self._source.release(move_id)
            if self._switch is not None:
                await self._switch.reopen()
        except MarkerGone:
            return
        except DatabaseAway as error:
            self._tell(f"the group is still held, run this again: {error}")

    async def _make_room(self, move_id: bytes) -> Shifts:
        """The numbers that rows have in the target, which are theirs from now on."""
        theirs = await self._target.marker()
        if theirs is not None and theirs.id == move_id and theirs.state == "arriving":
            return theirs.shifts
        self._step("begin")
        await self._target.write(store.begin_arriving, move_id, self._source.name)
        await self._target.clear(move_id, "clearing", self._step)
        by_name = {table.name: table for table in TABLES}
        reserved = {
            EVENTS: await self._source.read(store.last_event, by_name[EVENTS]),
            GENERATIONS: await self._source.read(store.list_all, by_name[GENERATIONS]),
        }
        events = await self._source.read(store.span, EVENTS, "sequence")
        generations = await self._source.read(store.span, GENERATIONS, "number")
        self._step("make room")
        shifts: Shifts = await self._target.write(
            store.make_room, move_id, events, generations, reserved
        )
        return shifts

    async def _copy(self, move_id: bytes, shifts: Shifts) -> None:
        for table in TABLES:
            self._step(f"copy {table.name}")
            await self._copy_table(move_id, table, shifts)
        self._step("copy files")
        kept: list[KeptFile] = await self._source.read(store.list_files)
        old, new = self._source.files, self._target.files
        if old == new:
            # Also those of groups that have not been moved yet, for the target's server.
            everybodys = await self._source.read(store.list_files_everywhere)
            await asyncio.to_thread(files.keep_in_place, everybodys, old)
        else:
            await asyncio.to_thread(files.copy, kept, old, new)

    async def _copy_table(self, move_id: bytes, table: Moved, shifts: Shifts) -> None:
        async def insert(ctx: Context, batch: list[Row]) -> None:
            await store.hold_marker(ctx, move_id, "arriving")
            await store.insert(ctx, table, batch)

        began, count = time.monotonic(), 0
        after: Row | None = await self._target.read(store.reached, table)
        async with check.reading(self._source.ctx) as ctx:
            rows = store.stream(ctx, table, shifts, after=after, size=BATCH)
            async with aclosing(check.ahead(rows)) as batches:
                async for batch in batches:
                    at = 0
                    while part := [tuple(row) for row in batch[at : at + self._target.at_once]]:
                        await self._target.write(insert, part)
                        at += len(part)
                    count += at
                    self._step(f"copying {table.name}")
        if count:
            self._tell(f"copied {table.name}: {count:,} in {time.monotonic() - began:.1f} s")

    async def compare(self, shifts: Shifts) -> None:
        """Hold every row, file and export against its copy, and note it in the report."""
        self._step("compare")
        source, target = self._source, self._target
        began, report = time.monotonic(), self.report
        try:
            report.tables = await check.compare_tables(source.ctx, target.ctx, shifts)
            rows = sum(table.rows for table in report.tables)
            self._tell(f"compared {rows:,} rows in {time.monotonic() - began:.1f} s: equal")
            began = time.monotonic()
            report.exports = await check.compare_exports(source.ctx, target.ctx)
            self._tell(
                f"compared {report.exports.size:,} bytes of exports in"
                f" {time.monotonic() - began:.1f} s: equal"
            )
            kept: list[KeptFile] = await source.read(store.list_files)
            await asyncio.to_thread(files.check, kept, source.files, target.files)
        except (check.Differs, files.FilesDiffer) as error:
            raise Trouble(f"{error} differs between the two databases.") from error
        report.files = len(kept)
        report.events_renumbered = shifts.events != 0

    async def verify(self) -> Report:
        """Compare and change nothing: on the way, or with rows that were kept.

        What was written in the target since the switch differs.
        """
        source, target = await self._source.marker(), await self._target.marker()
        if source is None or source.state == "arrived":
            raise Trouble("There are no rows of a move here to compare with.")
        if target is None and not await self._target.has_group():
            raise Trouble("There is nothing of this account group in the target.")
        await self.compare(source.shifts if target is None else target.shifts)
        self.report.state = "equal"
        return self.report

    async def _leave(self, move_id: bytes, shifts: Shifts) -> Marker:
        """Take the group out of reach here."""
        shared = await self._source.read(parcels.shared_keys)
        self.report.shared_keys = [f"{key.prefix} {key.name}" for key in shared]
        if self._switch is not None:
            self._step("close")
            await self._switch.close()
        self._step("leave")

        async def body(ctx: Context) -> None:
            await self._source.held(move_id).lift(ctx.tx, deleting=True)
            parcel = await parcels.take(ctx)
            await store.advance(ctx, move_id, "leaving", "left", parcel.pack(), shifts)

        await self._source.write(body)
        marker = await self._source.marker()
        if marker is None:
            raise MarkerGone
        return marker

    async def _arrive(self, marker: Marker) -> None:
        """Make the group reachable there, unless it is."""
        self._step("arrive")
        assert marker.parcel is not None
        parcel = parcels.unpack(marker.parcel)

        async def body(ctx: Context) -> None:
            await store.end(ctx, marker.id, "arriving")
            await parcels.put(ctx, parcel)
            _check_parcel(parcel, await parcels.read(ctx))

        if not await self._target.has_group():
            try:
                await self._target.write(body)
            except MarkerGone as error:
                raise Trouble(
                    f"The target knows nothing of this move, which is on its way to {marker.other}."
                    " Name that target, or take the move back with --undo."
                ) from error
        if self._switch is not None:
            self._step("open")
            await self._switch.open_there()
        self.report.keys = len(parcel.rows["api_keys"])
        self._tell(f"switched: the group is in {self._target.name}")

    async def _tidy(self, marker: Marker, *, keep: bool) -> None:
        """Delete what is left in the old place, or keep it where nobody reaches it."""
        source = self._source
        self._step("tidy")
        if marker.state == "kept":
            await source.write(store.advance, marker.id, "kept", "arrived")
        elif marker.state == "left":
            await source.write(store.advance, marker.id, "left", "arrived")
        # Whoever was let in before the switch still reads all of it, and writes nothing.
        self._tell(f"waiting {self._grace_s:.0f} s for requests of before the switch to end")
        await asyncio.sleep(self._grace_s)
        if not keep:
            kept: list[KeptFile] = await source.read(store.list_files)
            if source.files != self._target.files:
                await asyncio.to_thread(files.delete, kept, source.files)
            await source.clear(marker.id, "arrived", self._step)
            await source.write(store.ask_for_scrub_everywhere)
            self._tell("deleted the old rows")
        self._step("release")
        await source.held(marker.id).release()
        if keep:
            await source.write(store.advance, marker.id, "arrived", "kept")
            self.report.state = "moved, the old rows kept"
        else:
            await source.write(store.end, marker.id, "arrived")


def _check_parcel(sent: Parcel, found: Parcel) -> None:
    """Raise Trouble unless what was sent is there. Of a key that was there before, the key."""
    for table, rows in sent.rows.items():
        width = 2 if table == "api_keys" else None
        if {row[:width] for row in rows} != {row[:width] for row in found.rows[table]}:
            raise Trouble(f"The rows of {table} differ between the two databases.")
