"""Who must not be imported: the suppression list, and whether somebody is on it."""

from __future__ import annotations

from typing import Final

from longlist import decoding, pages
from longlist.admin.people_pages import keys_of_text
from longlist.admin.visit import Redirect, Reply, View, Visit
from longlist.context import Context
from longlist.decoding import Cursor, Limit, Query, Search
from longlist.pages import Page
from longlist.prospects import suppression_store as suppressions
from longlist.prospects.identity import KeyKind
from longlist.prospects.suppression_routes import CreateSuppression
from longlist.prospects.suppression_store import Stored, SuppressionReason


class SuppressionList(Query):
    """Which entries, and which page of them; or whom to look up."""

    limit: Limit = 50
    cursor: Cursor | None = None
    reason: SuppressionReason | None = None
    q: Search | None = None


_query: Final = decoding.compile_query(SuppressionList)
_create: Final = decoding.compile(CreateSuppression)


async def list_suppressions(visit: Visit) -> Reply:
    """The list, newest first, or the entries that cover the one who is looked up."""
    query = visit.query(_query)
    if query.q is not None and query.q.strip():
        page = Page(await visit.read(_look_up, query.q.strip()))
    else:
        read = visit.read if query.reason is None else visit.read_long
        page = await read(_page, query)
    values = {
        "suppressions": page.items,
        "next_cursor": page.next_cursor,
        "reason": query.reason,
        "q": query.q,
        "note": visit.parameter("note"),
    }
    part = visit.is_htmx and query.cursor is not None
    return View("suppression_rows.html" if part else "suppressions.html", values)


async def _page(ctx: Context, query: SuppressionList) -> Page[Stored]:
    found = await suppressions.list_page(
        ctx,
        before=pages.position_of(ctx, query) or pages.LAST_ID,
        limit=query.limit + 1,
        kind=None,
        reason=query.reason,
    )
    return pages.page(ctx, query, found, lambda entry: entry.id)


async def _look_up(ctx: Context, text: str) -> list[Stored]:
    """The entries that keep somebody out, also by the domain of an address."""
    domain = ctx.hasher.key(KeyKind.DOMAIN, text.rpartition("@")[2])
    return await suppressions.find_by_keys(ctx, [*keys_of_text(ctx, text), domain])


async def show_new(visit: Visit) -> Reply:
    """The form of a new entry."""
    return View("suppression_new.html")


async def create(visit: Visit) -> Reply:
    """Put somebody on the list."""
    body = _create.decode(visit.form.given("kind", "value", "reason", "note"))
    is_new = await visit.change(_add, body)
    return Redirect(f"{visit.here}/suppressions?note={'added' if is_new else 'there'}")


async def _add(ctx: Context, body: CreateSuppression) -> bool:
    key = ctx.hasher.key(KeyKind(body.kind), body.value)
    _, is_new = await suppressions.create(
        ctx, kind=body.kind, key=key, reason=body.reason, note=body.note
    )
    return is_new


async def show_remove(visit: Visit, suppression_id: bytes) -> Reply:
    """What taking an entry off the list means, before it is done."""
    return View("suppression_remove.html", {"id": suppression_id.hex()})


async def remove(visit: Visit, suppression_id: bytes) -> Reply:
    """Take an entry off the list."""
    await visit.change(suppressions.delete, suppression_id)
    return Redirect(f"{visit.here}/suppressions?note=removed")
