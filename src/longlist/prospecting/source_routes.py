"""Saved searches and lead lists of Sales Navigator, as the provider has them (contract 7.3).

The provider is asked outside any transaction, and for a bounded time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec

from longlist.context import Context
from longlist.db import DatabaseAway
from longlist.errors import UpstreamError
from longlist.operations import AG, Operation, Work
from longlist.prospecting import source_store as sources
from longlist.prospecting.source_tokens import TokenUnreadable
from longlist.prospecting.sources import registry
from longlist.prospecting.sources.providers import (
    Listed,
    ListsNavigator,
    ProviderFailed,
    SetUp,
)
from longlist.prospecting.start import not_configured
from longlist.telemetry import log, place_of

TIMEOUT_S: Final = 20.0
_KIND: Final = "sales_navigator"
_MOST_ID: Final = 128
"""Characters of `savedSearchId` and `leadListId`: what is longer could not be sent back."""


class SalesNavigatorSource(msgspec.Struct):
    """A saved search or a lead list: `id` is the provider's, and feeds a `sales_navigator` job."""

    id: Annotated[str, msgspec.Meta(pattern=f"^.{{1,{_MOST_ID}}}$")]
    name: str


class SalesNavigatorList(msgspec.Struct):
    """All of them."""

    items: list[SalesNavigatorSource]


async def list_saved_searches(ctx: Context) -> SalesNavigatorList:
    """The saved searches that a sales_navigator job can be started from."""
    provider, set_up = await _provider(ctx)
    return await _ask(ctx, provider.saved_searches, set_up)


async def list_lead_lists(ctx: Context) -> SalesNavigatorList:
    """The lead lists that a sales_navigator job can be started from."""
    provider, set_up = await _provider(ctx)
    return await _ask(ctx, provider.lead_lists, set_up)


async def _provider(ctx: Context) -> tuple[ListsNavigator, SetUp]:
    """Who lists them for this group. Raises Unprocessable (SOURCE_NOT_CONFIGURED)."""
    try:
        found = await ctx.read(sources.set_ups, _KIND)
    except TokenUnreadable:
        log.error("source token unreadable", trace_id=ctx.trace_id)
        raise UpstreamError from None
    provider = registry.find(found[0].provider) if found else None
    if not isinstance(provider, ListsNavigator):
        raise not_configured()
    return provider, found[0]


async def _ask(
    ctx: Context, call: Callable[..., Awaitable[list[Listed]]], set_up: SetUp
) -> SalesNavigatorList:
    context: dict[str, Any] = {"provider": set_up.provider}
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await call(ctx.installation, ctx.group, set_up)
    except DatabaseAway:
        raise
    except ProviderFailed as failed:
        headers = {}
        if failed.retry_after_s is not None:
            context["retryAfterSeconds"] = wait_s = max(1, failed.retry_after_s)
            headers["Retry-After"] = str(wait_s)
        log.warning("provider failed", trace_id=ctx.trace_id, provider=set_up.provider)
        raise UpstreamError(context=context, headers=headers) from None
    except Exception as error:
        log.error(
            "provider broke",
            trace_id=ctx.trace_id,
            provider=set_up.provider,
            error=place_of(error),
        )
        raise UpstreamError(context=context) from None
    usable = [one for one in found if 0 < len(one.id) <= _MOST_ID]
    return SalesNavigatorList([SalesNavigatorSource(one.id, one.name) for one in usable])


def _operation(path: str, summary: str, handler: Any) -> Operation:
    return Operation(
        method="GET",
        path=f"{AG}/sales-navigator/{path}",
        section="7.3",
        summary=summary,
        handler=handler,
        permission="prospecting:read",
        answer=SalesNavigatorList,
        answer_name="SalesNavigatorList",
        work=Work.NONE,
        errors={422: ("SOURCE_NOT_CONFIGURED",), 502: ("UPSTREAM_ERROR",)},
    )


OPERATIONS: Final = (
    _operation("saved-searches", "Saved searches of Sales Navigator", list_saved_searches),
    _operation("lead-lists", "Lead lists of Sales Navigator", list_lead_lists),
)
