"""The record of every change (contract 8.1), written in the change's own transaction."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from longlist.context import AT_HOME, Context
from longlist.db.events import INSERT
from longlist.ids import new_id

_encode: Final = msgspec.json.Encoder().encode
_AFTER_ALL: Final = 2**63 - 1


async def record(ctx: Context, type_: str, resource_id: bytes, data: Any) -> None:
    """Write one event. `data` is the object after the change, `{"id": ...}` for a deletion.

    A write that is one guarded statement takes `tx.change` instead, which writes its event along.
    """
    await ctx.tx.run(
        INSERT, ctx.group, new_id(), type_, ctx.now, resource_id, _encode(data).decode()
    )


class Recorded(msgspec.Struct, frozen=True):
    """An event as it is kept; `data` is JSON, `created_at` milliseconds since 1970."""

    sequence: int
    type: str
    created_at: int
    resource_id: bytes
    data: str


async def list_latest(ctx: Context, *, before: int | None, limit: int) -> list[Recorded]:
    """Up to `limit` events of the group, newest first, with a sequence below `before`.

    For people who look back. Who follows the feed and must miss nothing reads it forwards.
    """
    rows = await ctx.tx.all(
        "SELECT sequence, type, created_at, resource_id, data FROM events"
        " WHERE account_group_id = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3",
        ctx.group,
        _AFTER_ALL if before is None else before,
        limit,
    )
    return [Recorded(*row) for row in rows]


async def forget_expired_everywhere(ctx: Context) -> int:
    """Delete events older than the setting keeps them; how many."""
    oldest = ctx.now - ctx.settings.event_keep_days * 86_400_000
    return await ctx.tx.run(f"DELETE FROM events WHERE created_at < $1 AND {AT_HOME}", oldest)
