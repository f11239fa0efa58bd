"""The rows of an account group on their way from one database to another, and how far they are.

Each function works on the database of its context; a move has two of them. See `move` for the
order of things.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Literal

import msgspec

from longlist.accounts.move_tables import (
    EVENTS,
    GROUP,
    PEOPLE,
    TABLES,
    WORDS,
    Moved,
    Shifts,
)
from longlist.context import Context
from longlist.db import Row
from longlist.db.order import by_bytes, next_number, number_after
from longlist.prospecting.directory_store import GENERATIONS_LOCK

State = Literal["leaving", "releasing", "left", "arrived", "kept", "clearing", "arriving"]
"""Of the old place: `leaving` (nobody writes, everybody reads), `releasing` (given up, writers are
being let in again), `left` (nobody gets in, the parcel is in the marker), `arrived` (the rows are
to be deleted), `kept`. Of the new one: `clearing` (of what an earlier attempt left there),
`arriving`."""

_MARKER: Final = "id, state, other, parcel, event_shift, generation_shift"
_WITH_WORDS: Final = (
    f"{PEOPLE} LEFT JOIN {WORDS} ON {WORDS}.rowid = {PEOPLE}.number"
    f" AND {WORDS}.{GROUP} = {PEOPLE}.{GROUP}"
)


class MarkerGone(Exception):
    """Somebody else ended this move, or began another one of the same group."""


class Marker(msgspec.Struct, frozen=True):
    """How far a move is, as one of the two databases knows it."""

    id: bytes
    state: State
    other: str
    parcel: bytes | None
    shifts: Shifts


class Span(msgspec.Struct, frozen=True):
    """The lowest and the highest number of a group's rows."""

    first: int
    last: int


async def find_marker(ctx: Context) -> Marker | None:
    """The marker of the group's move; None where it is not moved."""
    row = await ctx.tx.one(
        f"SELECT {_MARKER} FROM account_group_moves WHERE account_group_id = $1", ctx.group
    )
    if row is None:
        return None
    return Marker(row[0], row[1], row[2], row[3], Shifts(row[4], row[5]))


_BEGIN: Final = (
    "INSERT INTO account_group_moves (account_group_id, id, state, other, created_at)"
    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_group_id) DO "
)


async def begin_leaving(ctx: Context, move_id: bytes, other: str) -> None:
    """Make the marker of the old place. Raises MarkerGone where somebody else just did."""
    if not await ctx.tx.run(_BEGIN + "NOTHING", ctx.group, move_id, "leaving", other, ctx.now):
        raise MarkerGone


async def begin_arriving(ctx: Context, move_id: bytes, other: str) -> None:
    """Make the marker of the new place, over the one of an attempt that was given up.

    Raises MarkerGone where the group has arrived meanwhile: by another process, and it is not to be
    cleared away.
    """
    await ctx.tx.run(
        _BEGIN + "UPDATE SET id = $2, state = $3, other = $4, parcel = NULL, event_shift = 0,"
        " generation_shift = 0, created_at = $5",
        ctx.group, move_id, "clearing", other, ctx.now,
    )  # fmt: skip
    # After the marker, which who arrives deletes first: one of the two sees the other.
    if await ctx.tx.one("SELECT 1 FROM account_groups WHERE id = $1", ctx.group):
        raise MarkerGone


async def hold_marker(ctx: Context, move_id: bytes, state: State) -> None:
    """Keep the move where it is until this transaction ends. Raises MarkerGone where it is not."""
    if not await ctx.tx.run(
        "UPDATE account_group_moves SET state = state"
        " WHERE account_group_id = $1 AND id = $2 AND state = $3",
        ctx.group,
        move_id,
        state,
    ):
        raise MarkerGone


async def advance(
    ctx: Context,
    move_id: bytes,
    before: State,
    after: State,
    parcel: bytes | None = None,
    shifts: Shifts | None = None,
) -> None:
    """Go on to the next state, with its parcel; shifts stay unless given. Raises MarkerGone."""
    changed = await ctx.tx.run(
        "UPDATE account_group_moves SET state = $4, parcel = $5,"
        " event_shift = COALESCE($6, event_shift),"
        " generation_shift = COALESCE($7, generation_shift)"
        " WHERE account_group_id = $1 AND id = $2 AND state = $3",
        ctx.group,
        move_id,
        before,
        after,
        parcel,
        shifts and shifts.events,
        shifts and shifts.generations,
    )
    if not changed:
        raise MarkerGone


async def end(ctx: Context, move_id: bytes, state: State) -> None:
    """Delete the marker of a move in this state. Raises MarkerGone."""
    if not await ctx.tx.run(
        "DELETE FROM account_group_moves WHERE account_group_id = $1 AND id = $2 AND state = $3",
        ctx.group,
        move_id,
        state,
    ):
        raise MarkerGone


async def live_jobs(ctx: Context) -> list[bytes]:
    """Jobs of the group that are queued or running."""
    rows = await ctx.tx.all(
        "SELECT id FROM prospecting_jobs WHERE account_group_id = $1"
        " AND status IN ('queued', 'running') ORDER BY id",
        ctx.group,
    )
    return [row[0] for row in rows]


async def span(ctx: Context, table: str, column: str) -> Span | None:
    """The numbers that the group's rows have in a column; None without rows."""
    row = await ctx.tx.one(
        f"SELECT MIN({column}), MAX({column}) FROM {table} WHERE {GROUP} = $1", ctx.group
    )
    return None if row is None or row[0] is None else Span(*row)


async def make_room(
    ctx: Context,
    move_id: bytes,
    events: Span | None,
    generations: Span | None,
    reserved: dict[str, list[tuple[Any, ...]]],
) -> Shifts:
    """Begin to take a group in: the numbers its rows will have, theirs from now on.

    Numbers are kept where nothing of another group is between the first and the last of them;
    otherwise all of them go above what there is, in the same order. `reserved` are the rows, still
    with their old numbers, that hold the place: the last event and every generation.
    """
    await ctx.tx.exclusive(EVENTS)
    await ctx.tx.lock(GENERATIONS_LOCK)
    shifts = Shifts(
        await _events_shift_everywhere(ctx, events),
        await _generations_shift_everywhere(ctx, generations),
    )
    for table in TABLES:
        if rows := reserved.get(table.name):
            await insert(ctx, table, _shifted(table, shifts, rows))
    if events is not None:
        await number_after(ctx.db, ctx.tx, EVENTS, "sequence", events.last + shifts.events)
    changed = await ctx.tx.run(
        "UPDATE account_group_moves SET state = 'arriving', event_shift = $3,"
        " generation_shift = $4 WHERE account_group_id = $1 AND id = $2 AND state = 'clearing'",
        ctx.group,
        move_id,
        shifts.events,
        shifts.generations,
    )
    if not changed:
        raise MarkerGone
    return shifts


async def _events_shift_everywhere(ctx: Context, wanted: Span | None) -> int:
    if wanted is None:
        return 0
    between = await ctx.tx.one(
        "SELECT 1 FROM events WHERE sequence >= $1 AND sequence <= $2 LIMIT 1",
        wanted.first,
        wanted.last,
    )
    if between is None:
        return 0
    return await next_number(ctx.db, ctx.tx, EVENTS, "sequence") - wanted.first


async def _generations_shift_everywhere(ctx: Context, wanted: Span | None) -> int:
    if wanted is None:
        return 0
    between = await ctx.tx.one(
        "SELECT 1 FROM directory_generations WHERE number >= $1 AND number <= $2 LIMIT 1",
        wanted.first,
        wanted.last,
    )
    if between is None:
        return 0
    top = await ctx.tx.one("SELECT MAX(number) FROM directory_generations")
    assert top is not None
    return int(top[0]) + 1 - wanted.first


def _shifted(table: Moved, shifts: Shifts, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    added = [table.shift(column, shifts) for column in table.columns]
    if not any(added):
        return [tuple(row) for row in rows]
    return [
        tuple(value + more if more else value for value, more in zip(row, added, strict=True))
        for row in rows
    ]


def stream(
    ctx: Context, table: Moved, shifts: Shifts, *, after: Row | None = None, size: int
) -> AsyncIterator[Sequence[Row]]:
    """The group's rows of a table in batches, in the order of its keys, from the open snapshot.

    With the numbers they have after `shifts`; `after` is a row's keys, with such numbers.
    """
    keys = [_key(ctx, table, key) for key in table.keys]
    past, args = "", [ctx.group]
    if after is not None:
        sign = "<" if table.backwards else ">"
        past = f" AND ({', '.join(keys)}) {sign} ({_marks(2, len(keys))})"
        args += [
            value - table.shift(key, shifts) if table.shift(key, shifts) else value
            for key, value in zip(table.keys, after, strict=True)
        ]
    order = ", ".join(f"{key} DESC" if table.backwards else key for key in keys)
    tables = _WITH_WORDS if table.name == PEOPLE else table.name
    snapshot: Any = ctx.tx
    rows: AsyncIterator[Sequence[Row]] = snapshot.stream(
        f"SELECT {_selected(ctx, table, shifts)} FROM {tables}"
        f" WHERE {table.name}.{GROUP} = $1{past} ORDER BY {order}",
        *args,
        size=size,
    )
    return rows


def _key(ctx: Context, table: Moved, key: str) -> str:
    column = f"{table.name}.{key}"
    return by_bytes(ctx.db, column) if key in table.text_keys else column


def _selected(ctx: Context, table: Moved, shifts: Shifts) -> str:
    found = []
    for column in table.columns:
        if table.name == PEOPLE and column == "words":
            found.append(ctx.db.full_text.text(WORDS))
            continue
        shift = table.shift(column, shifts)
        found.append(f"{table.name}.{column} + {shift}" if shift else f"{table.name}.{column}")
    return ", ".join(found)


async def list_all(ctx: Context, table: Moved) -> list[tuple[Any, ...]]:
    """Every row of the group in a table that has few."""
    rows = await ctx.tx.all(
        f"SELECT {_selected(ctx, table, Shifts())} FROM {table.name} WHERE {GROUP} = $1", ctx.group
    )
    return [tuple(row) for row in rows]


async def last_event(ctx: Context, table: Moved) -> list[tuple[Any, ...]]:
    """The group's last event, if it has any."""
    rows = await ctx.tx.all(
        f"SELECT {_selected(ctx, table, Shifts())} FROM events"
        f" WHERE {GROUP} = $1 ORDER BY sequence DESC LIMIT 1",
        ctx.group,
    )
    return [tuple(row) for row in rows]


async def reached(ctx: Context, table: Moved) -> Row | None:
    """The keys of the row that a copy has come to; None before the first."""
    keys = [_key(ctx, table, key) for key in table.keys]
    order = ", ".join(key if table.backwards else f"{key} DESC" for key in keys)
    return await ctx.tx.one(
        f"SELECT {', '.join(table.keys)} FROM {table.name} WHERE {GROUP} = $1"
        f" ORDER BY {order} LIMIT 1",
        ctx.group,
    )


async def insert(ctx: Context, table: Moved, rows: Sequence[Row]) -> None:
    """Store copied rows."""
    if table.name != PEOPLE:
        await ctx.tx.insert(table.name, table.columns, rows)
        return
    await ctx.tx.insert(table.name, table.columns[:-1], [row[:-1] for row in rows])
    at = table.columns.index("number")
    await ctx.tx.many(
        f"INSERT INTO {WORDS} ({GROUP}, rowid, words)"
        f" VALUES ($1, $2, {ctx.db.full_text.value('$3')})",
        [(ctx.group, row[at], row[-1]) for row in rows if row[-1] is not None],
    )


async def delete_some(ctx: Context, table: Moved, after: Row | None, most: int) -> Row | None:
    """Delete up to `most` of the group's rows after a row's keys, or from the first row on.

    The keys of the last one; None when there are none left. A caller who goes on from them is not
    slowed down by what the engine still keeps of the rows before.
    """
    keys, args = [_key(ctx, table, key) for key in table.keys], [*(after or ())]
    names, where = ", ".join(keys), f"{GROUP} = $1"
    if after is not None:
        where += f" AND ({names}) > ({_marks(2, len(keys))})"
    last = await ctx.tx.one(
        f"SELECT {', '.join(table.keys)} FROM {table.name} WHERE {where}"
        f" ORDER BY {names} LIMIT 1 OFFSET {most - 1}",
        ctx.group,
        *args,
    )
    if last is not None:
        where += f" AND ({names}) <= ({_marks(len(args) + 2, len(keys))})"
        args += last
    if table.name == PEOPLE:
        await _delete_words(ctx, after, last)
    await ctx.tx.run(f"DELETE FROM {table.name} WHERE {where}", ctx.group, *args)
    return last


def _marks(first: int, count: int) -> str:
    return ", ".join(f"${at}" for at in range(first, first + count))


async def _delete_words(ctx: Context, after: Row | None, last: Row | None) -> None:
    """Delete the words of some people: by their numbers, since the embedded engine's index knows
    no groups."""
    numbers = await span(ctx, PEOPLE, "number")
    if numbers is not None:
        await ctx.tx.run(
            f"DELETE FROM {WORDS} WHERE {GROUP} = $1 AND rowid >= $2 AND rowid <= $3",
            ctx.group,
            numbers.first if after is None else after[0] + 1,
            numbers.last if last is None else last[0],
        )


async def audience_ids(ctx: Context) -> list[bytes]:
    """Every audience of the group."""
    rows = await ctx.tx.all(
        "SELECT id FROM audiences WHERE account_group_id = $1 ORDER BY id", ctx.group
    )
    return [row[0] for row in rows]


class KeptFile(msgspec.Struct, frozen=True):
    """An uploaded file; its time is milliseconds since 1970."""

    stored_as: str
    expires_at: int


async def list_files(ctx: Context) -> list[KeptFile]:
    """The group's uploaded files."""
    rows = await ctx.tx.all(
        "SELECT stored_as, expires_at FROM files WHERE account_group_id = $1", ctx.group
    )
    return [KeptFile(*row) for row in rows]


async def list_files_everywhere(ctx: Context) -> list[KeptFile]:
    """The uploaded files of every group."""
    return [KeptFile(*row) for row in await ctx.tx.all("SELECT stored_as, expires_at FROM files")]


async def ask_for_scrub_everywhere(ctx: Context) -> None:
    """Have what was deleted made unreadable on disk, as after an erasure."""
    await ctx.tx.run(
        "INSERT INTO installation (name, value) VALUES ('scrub', '1')"
        " ON CONFLICT (name) DO UPDATE SET value = '1'"
    )
