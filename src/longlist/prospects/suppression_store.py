"""The suppression list: who must not be imported, known only by keyed hashes (contract 5.7).

Erased people stay on it under every identity key they had. The key of a name with a company is no
kind the contract shows, so such entries are kept and never listed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal

import msgspec

from longlist.context import Context
from longlist.db import Row
from longlist.errors import NotFound
from longlist.events import store as events
from longlist.ids import new_id, rfc3339, time_of

SuppressionKind = Literal["email", "domain", "public_identifier", "provider_id"]
SuppressionReason = Literal["erasure", "unsubscribe", "manual"]


class Suppression(msgspec.Struct, rename="camel"):
    """An entry of the list; its value is never returned."""

    id: str
    kind: SuppressionKind
    reason: SuppressionReason
    note: str | None
    created_at: str


class Stored(msgspec.Struct):
    """An entry with its id as it is kept."""

    id: bytes
    suppression: Suppression


_COLUMNS: Final = "id, kind, reason, note, created_at"


def _stored(row: Row) -> Stored:
    shown = Suppression(row[0].hex(), row[1], row[2], row[3], rfc3339(row[4]))
    return Stored(row[0], shown)


async def list_page(
    ctx: Context, *, before: bytes, limit: int, kind: str | None, reason: str | None
) -> list[Stored]:
    """Up to `limit` entries newest first, older than `before`."""
    where, args = "", [ctx.group, before, limit]
    for column, value in (("kind", kind), ("reason", reason)):
        if value is not None:
            args.append(value)
            where += f" AND {column} = ${len(args)}"
    rows = await ctx.tx.all(
        f"SELECT {_COLUMNS} FROM suppressions WHERE account_group_id = $1 AND id < $2"
        f" AND kind <> 'name_company'{where} ORDER BY id DESC LIMIT $3",
        *args,
    )
    return [_stored(row) for row in rows]


async def find_by_keys(ctx: Context, keys: Sequence[bytes]) -> list[Stored]:
    """The entries under any of the keys, newest first, but for those that are never listed."""
    rows = await ctx.tx.all_in(
        f"SELECT {_COLUMNS} FROM suppressions WHERE account_group_id = $1"
        " AND kind <> 'name_company' AND key IN_VALUES",
        keys,
        ctx.group,
    )
    return sorted((_stored(row) for row in rows), key=lambda entry: entry.id, reverse=True)


async def create(
    ctx: Context, *, kind: str, key: bytes, reason: str, note: str | None
) -> tuple[Stored, bool]:
    """Add an entry; the entry, and whether it is new. One that is there stays as it is."""
    id_ = new_id()
    row = await ctx.tx.one(
        "INSERT INTO suppressions (account_group_id, id, kind, key, reason, note, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_group_id, key) DO NOTHING"
        f" RETURNING {_COLUMNS}",
        ctx.group, id_, kind, key, reason, note, time_of(id_),
    )  # fmt: skip
    if row is None:
        row = await ctx.tx.one(
            f"SELECT {_COLUMNS} FROM suppressions WHERE account_group_id = $1 AND key = $2",
            ctx.group,
            key,
        )
        assert row is not None
        return _stored(row), False
    found = _stored(row)
    await events.record(ctx, "suppression.created", id_, found.suppression)
    return found, True


async def add_erased(ctx: Context, keys: Collection[tuple[str, bytes]]) -> None:
    """Put an erased person's keys on the list, over what is there for another reason."""
    for kind, key in keys:
        id_ = new_id()
        await ctx.tx.run(
            "INSERT INTO suppressions (account_group_id, id, kind, key, reason, created_at)"
            " VALUES ($1, $2, $3, $4, 'erasure', $5) ON CONFLICT (account_group_id, key)"
            " DO UPDATE SET reason = 'erasure', note = NULL",
            ctx.group, id_, kind, key, time_of(id_),
        )  # fmt: skip


async def delete(ctx: Context, suppression_id: bytes) -> None:
    """Take an entry off the list. Raises NotFound."""
    deleted = await ctx.tx.run(
        "DELETE FROM suppressions WHERE account_group_id = $1 AND id = $2"
        " AND kind <> 'name_company'",
        ctx.group,
        suppression_id,
    )
    if deleted == 0:
        raise NotFound.resource("suppression")
    await events.record(ctx, "suppression.deleted", suppression_id, {"id": suppression_id.hex()})


async def suppressed(ctx: Context, keys: Sequence[bytes]) -> set[bytes]:
    """Those of the keys that are on the list."""
    any_ = await ctx.tx.one(
        "SELECT 1 FROM suppressions WHERE account_group_id = $1 LIMIT 1", ctx.group
    )
    if any_ is None:
        return set()
    rows = await ctx.tx.all_in(
        "SELECT key FROM suppressions WHERE account_group_id = $1 AND key IN_VALUES",
        keys,
        ctx.group,
    )
    return {row[0] for row in rows}


async def erased(ctx: Context, keys: Sequence[bytes]) -> set[bytes]:
    """Those of the keys that an erasure left on the list."""
    any_ = await ctx.tx.one(
        "SELECT 1 FROM suppressions WHERE account_group_id = $1 LIMIT 1", ctx.group
    )
    if any_ is None:
        return set()
    rows = await ctx.tx.all_in(
        "SELECT key FROM suppressions WHERE account_group_id = $1 AND reason = 'erasure'"
        " AND key IN_VALUES",
        keys,
        ctx.group,
    )
    return {row[0] for row in rows}
