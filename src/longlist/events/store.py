"""The record of every change (contract 8.1), written in the change's own transaction."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from longlist.context import Context
from longlist.db.events import INSERT
from longlist.ids import new_id

_encode: Final = msgspec.json.Encoder().encode


async def record(ctx: Context, type_: str, resource_id: bytes, data: Any) -> None:
    """Write one event. `data` is the object after the change, `{"id": ...}` for a deletion.

    A write that is one guarded statement takes `tx.change` instead, which writes its event along.
    """
    await ctx.tx.run(
        INSERT, ctx.group, new_id(), type_, ctx.now, resource_id, _encode(data).decode()
    )


async def forget_expired_everywhere(ctx: Context) -> int:
    """Delete events older than the setting keeps them; how many."""
    oldest = ctx.now - ctx.settings.event_keep_days * 86_400_000
    return await ctx.tx.run("DELETE FROM events WHERE created_at < $1", oldest)
