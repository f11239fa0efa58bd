"""The record of every change (contract 8.1), written in the change's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from longlist.context import AT_HOME, Context
from longlist.db.events import INSERT
from longlist.ids import first_id

_encode: Final = msgspec.json.Encoder().encode
_AFTER_ALL: Final = 2**63 - 1


async def record(ctx: Context, type_: str, resource_id: bytes, data: Any) -> None:
    """Write one event. `data` is the object after the change, `{"id": ...}` for a deletion.

    A write that is one guarded statement takes `tx.change` instead, which writes its event along.
    """
    await ctx.tx.run(
        INSERT, ctx.group, ctx.new_event_id(), type_, ctx.now, resource_id, _encode(data).decode()
    )


class Recorded(msgspec.Struct, frozen=True):
    """An event as it is kept; `data` is JSON, `created_at` milliseconds since 1970.

    `actor` is the operator who caused it; None for what keys, jobs and the clock did.
    """

    sequence: int
    type: str
    created_at: int
    resource_id: bytes
    data: str
    actor: str | None


async def note_actor(ctx: Context, event_ids: Sequence[bytes], actor: str) -> None:
    """Keep which operator caused the events."""
    await ctx.tx.insert(
        "event_actors",
        ("account_group_id", "event_id", "actor"),
        [(ctx.group, id_, actor) for id_ in event_ids],
    )


async def list_latest(ctx: Context, *, before: int | None, limit: int) -> list[Recorded]:
    """Up to `limit` events of the group, newest first, with a sequence below `before`.

    For people who look back. Who follows the feed and must miss nothing reads it forwards.
    """
    rows = await ctx.tx.all(
        "SELECT e.sequence, e.type, e.created_at, e.resource_id, e.data, a.actor FROM events e"
        " LEFT JOIN event_actors a ON a.account_group_id = e.account_group_id"
        " AND a.event_id = e.id"
        " WHERE e.account_group_id = $1 AND e.sequence < $2 ORDER BY e.sequence DESC LIMIT $3",
        ctx.group,
        _AFTER_ALL if before is None else before,
        limit,
    )
    return [Recorded(*row) for row in rows]


async def forget_expired_everywhere(ctx: Context) -> int:
    """Delete events older than the setting keeps them; how many."""
    oldest = ctx.now - ctx.settings.event_keep_days * 86_400_000
    await ctx.tx.run(
        f"DELETE FROM event_actors WHERE event_id < $1 AND {AT_HOME}", first_id(oldest)
    )
    return await ctx.tx.run(f"DELETE FROM events WHERE created_at < $1 AND {AT_HOME}", oldest)
