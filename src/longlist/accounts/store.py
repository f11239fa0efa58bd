"""Account groups: the tenants. Each audience, prospect and job belongs to exactly one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from longlist.context import Context
from longlist.db import Row
from longlist.errors import InsufficientCredits
from longlist.ids import new_id
from longlist.prospecting import quota_store as quotas
from longlist.prospecting.quota_store import ListType

SETTINGS: Final = {
    "uniqueAudienceNames": "unique_audience_names",
    "maxResultsCap": "max_results_cap",
    "fileRowsCap": "file_rows_cap",
    "credits": "credits",
}
"""What the operator may set on a group: the contract's name (2.2) and the column."""
QUOTA: Final = "quota."
"""Before the name of a list type (7.1): the operator sets its quota, None for no limit."""


class AccountGroup(msgspec.Struct, frozen=True):
    """A stored account group. `credits` is what is left, None for unlimited."""

    id: bytes
    name: str
    unique_audience_names: bool
    max_results_cap: int
    file_rows_cap: int
    credits: int | None
    credits_reserved: int
    created_at: int


class NamesCollide(Exception):
    """`uniqueAudienceNames` cannot be switched on while audiences share a name."""


_COLUMNS: Final = (
    "id, name, unique_audience_names, max_results_cap, file_rows_cap, credits, credits_reserved,"
    " created_at"
)


def _group(row: Row) -> AccountGroup:
    return AccountGroup(row[0], row[1], bool(row[2]), *row[3:])


async def list_by_ids_everywhere(
    ctx: Context, ids: Collection[bytes], before: bytes, limit: int
) -> list[AccountGroup]:
    """Up to `limit` of the named groups, newest first, older than `before`."""
    wanted = sorted((id_ for id_ in ids if id_ < before), reverse=True)[:limit]
    return [group for group in await get_many_everywhere(ctx, wanted) if group.id in wanted]


async def get_many_everywhere(ctx: Context, ids: Sequence[bytes]) -> list[AccountGroup]:
    """The groups with these ids, newest first."""
    if not ids:
        return []
    rows = await ctx.tx.all_in(
        f"SELECT {_COLUMNS} FROM account_groups WHERE id IN_VALUES",
        ids,
    )
    return sorted({row[0]: _group(row) for row in rows}.values(), key=lambda g: g.id, reverse=True)


async def list_all_everywhere(ctx: Context) -> list[AccountGroup]:
    """Every group of the installation, newest first: for the operator."""
    rows = await ctx.tx.all(f"SELECT {_COLUMNS} FROM account_groups ORDER BY id DESC")
    return [_group(row) for row in rows]


async def get(ctx: Context) -> AccountGroup:
    """The context's own group."""
    row = await ctx.tx.one(f"SELECT {_COLUMNS} FROM account_groups WHERE id = $1", ctx.group)
    if row is None:
        raise LookupError("The account group is gone.")
    return _group(row)


async def create_everywhere(ctx: Context, name: str) -> AccountGroup:
    """Make an account group with the settings' default caps and unlimited credits."""
    settings = ctx.settings
    row = await ctx.tx.one(
        "INSERT INTO account_groups (id, name, max_results_cap, file_rows_cap, created_at)"
        f" VALUES ($1, $2, $3, $4, $5) RETURNING {_COLUMNS}",
        new_id(),
        name,
        settings.max_results_cap,
        settings.file_rows_cap,
        ctx.now,
    )
    assert row is not None
    return _group(row)


async def set_values(ctx: Context, values: dict[str, Any]) -> AccountGroup:
    """Set columns of SETTINGS, and quotas as `quota.FILE_IMPORT`, on the context's group.

    Raises NamesCollide where unique names are switched on while two audiences share one.
    """
    for member, value in values.items():
        if member == "uniqueAudienceNames":
            await _set_unique_names(ctx, bool(value))
            continue
        if member.startswith(QUOTA):
            await quotas.set_limit(ctx, msgspec.convert(member[len(QUOTA) :], ListType), value)
            continue
        column = SETTINGS[member]
        await ctx.tx.run(
            f"UPDATE account_groups SET {column} = $2 WHERE id = $1",
            ctx.group,
            value,
        )
    return await get(ctx)


async def _set_unique_names(ctx: Context, on: bool) -> None:
    # Writers of names read the flag in the statement that writes; none may be under way while it
    # changes, or its name would be missing from the unique index.
    await ctx.tx.exclusive("audiences")
    await ctx.tx.run(
        "UPDATE account_groups SET unique_audience_names = $2 WHERE id = $1", ctx.group, int(on)
    )
    if not on:
        await ctx.tx.run(
            "UPDATE audiences SET unique_name = NULL WHERE account_group_id = $1", ctx.group
        )
        return
    twice = await ctx.tx.one(
        "SELECT COUNT(*) FROM (SELECT 1 FROM audiences WHERE account_group_id = $1"
        " GROUP BY name_folded HAVING COUNT(*) > 1) AS names",
        ctx.group,
    )
    if twice is not None and twice[0]:
        raise NamesCollide(f"{twice[0]} names are used by more than one audience.")
    await ctx.tx.run(
        "UPDATE audiences SET unique_name = name_folded WHERE account_group_id = $1", ctx.group
    )


async def reserve_credits(ctx: Context, amount: int) -> None:
    """Set credits aside for a job. Raises InsufficientCredits, also in a race."""
    if amount == 0:
        return
    available = await _hold_credits(ctx)
    if available is not None and available < amount:
        raise InsufficientCredits(required=amount, available=available)
    await _add_reserved(ctx, amount)


async def reserve_more_credits(ctx: Context, wanted: int) -> int | None:
    """Set up to `wanted` further credits aside for a running job; how many, None if unlimited.

    A source may hold more rows than were expected of it, or the operator may have set credits
    after the start.
    """
    available = await _hold_credits(ctx)
    if available is None:
        return None
    more = min(wanted, available)
    if more:
        await _add_reserved(ctx, more)
    return more


async def _hold_credits(ctx: Context) -> int | None:
    """What is left, the row held to the end of the transaction; None, not held, if unlimited."""
    row = await ctx.tx.one(
        "UPDATE account_groups SET credits_reserved = credits_reserved"
        " WHERE id = $1 AND credits IS NOT NULL RETURNING credits - credits_reserved",
        ctx.group,
    )
    return None if row is None else max(0, row[0])


async def _add_reserved(ctx: Context, amount: int) -> None:
    await ctx.tx.run(
        "UPDATE account_groups SET credits_reserved = credits_reserved + $2 WHERE id = $1",
        ctx.group,
        amount,
    )


async def settle_credits(ctx: Context, reserved: int, charged: int) -> None:
    """End a reservation: charge what was used and give the rest back."""
    await ctx.tx.run(
        "UPDATE account_groups SET credits_reserved = credits_reserved - $2,"
        " credits = credits - $3 WHERE id = $1",
        ctx.group,
        reserved,
        charged,
    )
