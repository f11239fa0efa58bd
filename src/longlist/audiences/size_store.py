"""How many members audiences had in the past, hour by hour.

A row holds the last count of an hour in which it changed, so that an audience that fills for years
is told of in some thousand rows, and taking people in costs one small write a batch.
"""

from __future__ import annotations

from typing import Final

import msgspec

from longlist.context import Context
from longlist.db import Row

HOUR_MS: Final = 3_600_000


class Size(msgspec.Struct, frozen=True):
    """A count at an instant in milliseconds; None where it is not known until the next one."""

    at: int
    count: int | None


async def note(ctx: Context, audience_id: bytes, count: int) -> None:
    """Keep the count that an audience has from now on."""
    await ctx.tx.run(
        "INSERT INTO audience_sizes (account_group_id, audience_id, hour, counted_at,"
        " prospect_count) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (account_group_id, audience_id, hour) DO UPDATE"
        " SET counted_at = excluded.counted_at, prospect_count = excluded.prospect_count",
        ctx.group,
        audience_id,
        ctx.now // HOUR_MS,
        ctx.now,
        count,
    )


async def list_since(ctx: Context, audience_id: bytes, since: int) -> list[Size]:
    """The counts since an instant, oldest first, led by the one that held at that instant."""
    found = [
        *await ctx.tx.all(
            f"{_SIZES} AND hour < $3 ORDER BY hour DESC LIMIT 1",
            ctx.group,
            audience_id,
            since // HOUR_MS,
        ),
        *await ctx.tx.all(
            f"{_SIZES} AND hour >= $3 ORDER BY hour", ctx.group, audience_id, since // HOUR_MS
        ),
    ]
    return [_size(row) for row in found]


_SIZES: Final = (
    "SELECT counted_at, prospect_count FROM audience_sizes"
    " WHERE account_group_id = $1 AND audience_id = $2"
)


def _size(row: Row) -> Size:
    return Size(row[0], row[1])
