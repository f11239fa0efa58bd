"""Whether an account group is the same in two databases: every row, and what is exported of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec

from longlist.accounts import move_store as store
from longlist.accounts.move_tables import TABLES, Moved, Shifts
from longlist.context import Context
from longlist.prospects import export

BATCH: Final = 5_000
T = TypeVar("T")
_encode: Final = msgspec.msgpack.Encoder().encode
_FORMATS: Final = {"CSV": export.csv_chunks, "NDJSON": export.ndjson_chunks}


class Differs(Exception):
    """The two databases do not have the same; the text says where, without a value."""


class Table(msgspec.Struct, frozen=True):
    """A table that is the same on both sides, and the digest of its rows in their order."""

    name: str
    rows: int
    digest: str


class Exports(msgspec.Struct, frozen=True):
    """What was exported of all audiences, the same from both sides."""

    audiences: int
    size: int = msgspec.field(name="bytes")


@asynccontextmanager
async def reading(ctx: Context) -> AsyncIterator[Context]:
    """A context on one state of its database, for streams."""
    async with ctx.db.snapshot() as snapshot:
        found = Context(ctx.installation, ctx.group)
        found.tx = snapshot  # type: ignore[assignment]
        yield found


async def _next(batches: AsyncIterator[T]) -> T | None:
    """The next batch, None after the last; `anext` with a default is no coroutine for a task."""
    try:
        return await anext(batches)
    except StopAsyncIteration:
        return None


async def _pairs(
    left: AsyncIterator[T], right: AsyncIterator[T]
) -> AsyncIterator[tuple[T | None, T | None]]:
    """The batches of two sides, fetched side by side, to the end of the longer."""
    while True:
        coming = asyncio.create_task(_next(right))
        try:
            first = await _next(left)
        finally:
            # Also where this one fails: a connection is not closed under the other fetch.
            await asyncio.wait([coming])
        second = coming.result()
        if first is None and second is None:
            return
        yield first, second


async def ahead(batches: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """The batches, each fetched while the one before it is worked on."""

    coming = asyncio.create_task(_next(batches))
    try:
        while (batch := await coming) is not None:
            coming = asyncio.create_task(_next(batches))
            yield batch
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def compare_table(source: Context, target: Context, table: Moved, shifts: Shifts) -> Table:
    """Hold every row of a table against its copy. Raises Differs."""
    digest, count = hashlib.blake2b(digest_size=16), 0
    async with reading(source) as old, reading(target) as new:
        left = store.stream(old, table, shifts, size=BATCH)
        right = store.stream(new, table, Shifts(), size=BATCH)
        async for ours, theirs in _pairs(left, right):
            first, second = _encoded(ours), _encoded(theirs)
            if first != second:
                at = count + _first_difference(first, second)
                raise Differs(f"Row {at + 1} of {table.name}, in the order of its keys,")
            digest.update(b"".join(first))
            count += len(first)
    return Table(table.name, count, digest.hexdigest())


def _encoded(rows: Sequence[Sequence[Any]] | None) -> list[bytes]:
    return [_encode(tuple(row)) for row in rows or ()]


def _first_difference(first: list[bytes], second: list[bytes]) -> int:
    pairs = zip(first, second, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


async def compare_exports(source: Context, target: Context) -> Exports:
    """Hold the exports of every audience against each other, in every format. Raises Differs."""
    audiences: list[bytes] = await source.read(store.audience_ids)
    size = 0
    for format_, chunks in _FORMATS.items():
        for audience in audiences:
            async with reading(source) as old, reading(target) as new:
                left, right = chunks(old, audience), chunks(new, audience)
                async for ours, theirs in _pairs(left, right):
                    if ours is None or ours != theirs:
                        raise Differs(f"The {format_} export of audience {audience.hex()}")
                    size += len(ours)
    return Exports(len(audiences), size)


async def compare_tables(source: Context, target: Context, shifts: Shifts) -> list[Table]:
    """Hold every table of the group against its copy. Raises Differs."""
    return [await compare_table(source, target, table, shifts) for table in TABLES]
