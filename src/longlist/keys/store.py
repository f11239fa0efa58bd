"""API keys: permissions, account groups, expiry, last use, revocation.

Keys belong to the operator and reach several account groups, so the functions here cross groups.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from longlist.context import Context
from longlist.db import Row, Transaction
from longlist.ids import new_id
from longlist.keys import secret
from longlist.limits import Rate

PERMISSIONS: Final = (
    "audiences:read", "audiences:write",
    "prospects:read", "prospects:write",
    "prospecting:read", "prospecting:write",
    "suppressions:read", "suppressions:write",
    "events:read",
    "webhooks:read", "webhooks:write",
    "signals:read", "signals:write",
    "templates:read", "templates:write",
    "campaigns:read", "campaigns:write", "campaigns:execute", "campaigns:delete",
    "messages:read", "messages:write",
)  # fmt: skip
"""Every permission of contract 1.2. There are no wildcards, and write does not include read."""


class Key(msgspec.Struct, frozen=True):
    """A stored key. Times are milliseconds since 1970; `prefix` is what may be shown of it."""

    id: bytes
    prefix: str
    name: str
    permissions: frozenset[str]
    groups: frozenset[bytes]
    rate: Rate
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None

    def is_valid(self, now: int) -> bool:
        """True unless revoked or expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_COLUMNS: Final = (
    "id, prefix, name, permissions, rate_limit_per_minute, rate_limit_burst, created_at,"
    " expires_at, last_used_at, revoked_at"
)


async def _key(tx: Transaction, row: Row, default: Rate) -> Key:
    groups = await tx.all(
        "SELECT account_group_id FROM api_key_groups WHERE api_key_id = $1", row[0]
    )
    return Key(
        id=row[0],
        prefix=row[1],
        name=row[2],
        permissions=frozenset(row[3].split()),
        groups=frozenset(group[0] for group in groups),
        rate=Rate(row[4] or default.per_minute, row[5] or default.burst),
        created_at=row[6],
        expires_at=row[7],
        last_used_at=row[8],
        revoked_at=row[9],
    )


async def find_by_hash_everywhere(tx: Transaction, hash_: bytes, default: Rate) -> Key | None:
    """The key with this hash, or None. `default` is the rate of a key without its own."""
    row = await tx.one(f"SELECT {_COLUMNS} FROM api_keys WHERE hash = $1", hash_)
    return None if row is None else await _key(tx, row, default)


async def list_all_everywhere(ctx: Context) -> list[Key]:
    """Every key of the installation, newest first, also revoked ones."""
    rows = await ctx.tx.all(f"SELECT {_COLUMNS} FROM api_keys ORDER BY id DESC")
    settings = ctx.settings
    default = Rate(settings.rate_limit_per_minute, settings.rate_limit_burst)
    return [await _key(ctx.tx, row, default) for row in rows]


async def create_everywhere(
    ctx: Context,
    *,
    name: str,
    permissions: Collection[str],
    groups: Sequence[bytes],
    expires_at: int | None = None,
    rate: Rate | None = None,
) -> tuple[bytes, str]:
    """Make a key; its id and the key itself, which is not stored and cannot be shown again."""
    key, id_ = secret.new_key(), new_id()
    await ctx.tx.run(
        "INSERT INTO api_keys (id, hash, prefix, name, permissions, rate_limit_per_minute,"
        " rate_limit_burst, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id_,
        secret.hash_of(key),
        key[: secret.SHOWN_CHARS],
        name,
        " ".join(sorted(permissions)),
        rate and rate.per_minute,
        rate and rate.burst,
        ctx.now,
        expires_at,
    )
    for group in groups:
        await ctx.tx.run(
            "INSERT INTO api_key_groups (api_key_id, account_group_id) VALUES ($1, $2)", id_, group
        )
    return id_, key


async def revoke_everywhere(ctx: Context, id_: bytes) -> bool:
    """Revoke a key for good; False where there is none. Every process stops taking it in 1 s."""
    return (
        await ctx.tx.run(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1", id_, ctx.now
        )
        > 0
    )


async def rotate_everywhere(ctx: Context, id_: bytes) -> str | None:
    """Give a key a new secret, all else unchanged; None where there is no such valid key."""
    key = secret.new_key()
    changed = await ctx.tx.run(
        "UPDATE api_keys SET hash = $2, prefix = $3 WHERE id = $1 AND revoked_at IS NULL",
        id_,
        secret.hash_of(key),
        key[: secret.SHOWN_CHARS],
    )
    return key if changed else None


async def touch_everywhere(tx: Transaction, id_: bytes, used_at: int) -> None:
    """Remember when a key was last used."""
    await tx.run(
        "UPDATE api_keys SET last_used_at = $2 WHERE id = $1"
        " AND (last_used_at IS NULL OR last_used_at < $2)",
        id_,
        used_at,
    )
