"""Account groups of a key, and what the key may do (contract 2)."""

from __future__ import annotations

from typing import Final

import msgspec

from longlist import pages
from longlist.accounts import store
from longlist.accounts.store import AccountGroup
from longlist.context import Context
from longlist.decoding import Cursor, Limit, Query
from longlist.ids import rfc3339, rfc3339_or_none
from longlist.operations import Operation
from longlist.pages import Page


class Account(msgspec.Struct, rename="camel"):
    """An account group that the key reaches."""

    id: str
    name: str
    created_at: str


class AccountSettings(msgspec.Struct, rename="camel"):
    """What the operator has set for the group."""

    unique_audience_names: bool
    max_results_cap: int
    file_rows_cap: int


class Credits(msgspec.Struct):
    """Credits of the group; the numbers are null when unlimited."""

    unlimited: bool
    available: int | None
    reserved: int | None


class MyAccountGroup(msgspec.Struct):
    """An account group that the key reaches, with its settings."""

    id: str
    name: str
    settings: AccountSettings
    credits: Credits


class MyRate(msgspec.Struct, rename="camel"):
    """The key's rate limit."""

    per_minute: int
    burst: int


class Me(msgspec.Struct, rename="camel"):
    """The key itself: its permissions, rate limit and account groups."""

    key_id: str
    name: str
    key_prefix: str
    permissions: list[str]
    rate_limit: MyRate
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    account_groups: list[MyAccountGroup]


class ListAccounts(Query):
    """Which page of the list."""

    limit: Limit = 50
    cursor: Cursor | None = None


def _credits(group: AccountGroup) -> Credits:
    if group.credits is None:
        return Credits(True, None, None)
    return Credits(False, max(0, group.credits - group.credits_reserved), group.credits_reserved)


async def list_accounts(ctx: Context, query: ListAccounts) -> Page[Account]:
    """The account groups that this key reaches."""
    assert ctx.key is not None
    found = await store.list_by_ids_everywhere(
        ctx, ctx.key.groups, pages.position_of(ctx, query) or pages.LAST_ID, query.limit + 1
    )
    page = pages.page(ctx, query, found, lambda group: group.id)
    items = [Account(g.id.hex(), g.name, rfc3339(g.created_at)) for g in page.items]
    return Page(items, page.next_cursor, page.has_more)


async def get_me(ctx: Context) -> Me:
    """What this key may do, and where."""
    key = ctx.key
    assert key is not None
    groups = await store.get_many_everywhere(ctx, list(key.groups))
    return Me(
        key_id=key.id.hex(),
        name=key.name,
        key_prefix=key.prefix,
        permissions=sorted(key.permissions),
        rate_limit=MyRate(key.rate.per_minute, key.rate.burst),
        created_at=rfc3339(key.created_at),
        expires_at=rfc3339_or_none(key.expires_at),
        last_used_at=rfc3339_or_none(key.last_used_at),
        account_groups=[
            MyAccountGroup(
                group.id.hex(),
                group.name,
                AccountSettings(
                    group.unique_audience_names, group.max_results_cap, group.file_rows_cap
                ),
                _credits(group),
            )
            for group in groups
        ],
    )


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/accounts",
        section="2.1",
        summary="List the account groups of this key",
        handler=list_accounts,
        query=ListAccounts,
        answer=Page[Account],
        answer_name="AccountList",
    ),
    Operation(
        method="GET",
        path="/v1/me",
        section="2.2",
        summary="What this key may do",
        handler=get_me,
        answer=Me,
        answer_name="Me",
    ),
)
