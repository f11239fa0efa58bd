"""What was changed in an account group, and what operators did to the installation."""

from __future__ import annotations

from typing import Final

from longlist import decoding, pages
from longlist.admin import store
from longlist.admin.visit import Reply, View, Visit
from longlist.context import Context
from longlist.decoding import Cursor, Limit, Query
from longlist.events import store as events
from longlist.events.store import Recorded
from longlist.pages import Page


class Activity(Query):
    """Which page of the events."""

    limit: Limit = 50
    cursor: Cursor | None = None


_query: Final = decoding.compile_query(Activity)


async def list_activity(visit: Visit) -> Reply:
    """A page of the group's events."""
    query = visit.query(_query)
    page = await visit.read(_page, query)
    values = {
        "events": page.items,
        "next_cursor": page.next_cursor,
        "is_first": query.cursor is None,
        "keep_days": visit.installation.settings.event_keep_days,
    }
    part = visit.is_htmx and query.cursor is not None
    return View("activity_rows.html" if part else "activity.html", values)


async def _page(ctx: Context, query: Activity) -> Page[Recorded]:
    position = pages.position_of(ctx, query)
    before = None if position is None else int.from_bytes(position)
    found = await events.list_latest(ctx, before=before, limit=query.limit + 1)
    return pages.page(ctx, query, found, lambda event: event.sequence.to_bytes(8))


async def list_acts(visit: Visit) -> Reply:
    """A page of what operators did: keys, users, account groups, sources, signing in."""
    query = visit.query(_query)
    page = await visit.read(_act_page, query)
    values = {"acts": page.items, "next_cursor": page.next_cursor}
    part = visit.is_htmx and query.cursor is not None
    return View("act_rows.html" if part else "audit.html", values)


async def _act_page(ctx: Context, query: Activity) -> Page[store.Act]:
    before = pages.position_of(ctx, query) or pages.LAST_ID
    found = await store.list_acts(ctx, before=before, limit=query.limit + 1)
    return pages.page(ctx, query, found, lambda act: act.id)
