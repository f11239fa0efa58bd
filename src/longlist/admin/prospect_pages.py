"""The people in an audience, and one of them.

The list is read by its index from where the page before ended, so a page of a million members
costs what a page of ten does. A search is a look-up by identity keys; names have no index that
would keep a search as quick, and are not searched.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from longlist import decoding, pages
from longlist.admin.audience_pages import find_with_job
from longlist.admin.visit import Download, Reply, View, Visit
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.decoding import Cursor, Limit, Query, Search
from longlist.ids import parse_id
from longlist.pages import Page
from longlist.prospecting import store as jobs
from longlist.prospects import export as exports
from longlist.prospects import member_store as members
from longlist.prospects import store as prospects
from longlist.prospects.identity import KeyKind, read_profile_url
from longlist.prospects.store import Stored


class ProspectList(Query):
    """Which page, or whom to look up."""

    limit: Limit = 50
    cursor: Cursor | None = None
    q: Search | None = None


_query: Final = decoding.compile_query(ProspectList)


async def list_prospects(visit: Visit, audience_id: bytes) -> Reply:
    """A page of an audience's people; while a job fills it, how far that is."""
    query = visit.query(_query)
    audience, job = await visit.read(find_with_job, audience_id)
    if job is not None:
        values = {"audience": audience, "job": job, "jobs": jobs}
        return View("audience_locked.html", values)
    if query.q is not None:
        found = await visit.read(look_up, audience_id, query.q)
        page = Page(found)
    else:
        page = await visit.read(_page, audience_id, query)
    values = {
        "audience": audience,
        "prospects": page.items,
        "next_cursor": page.next_cursor,
        "is_first": query.cursor is None,
        "q": query.q,
        "note": visit.parameter("note"),
        "last_jobs": await visit.read(
            jobs.list_page, before=pages.LAST_ID, limit=3, status=None, audience_id=audience_id
        ),
    }
    part = visit.is_htmx and query.cursor is not None
    return View("prospect_rows.html" if part else "audience.html", values)


async def _page(ctx: Context, audience_id: bytes, query: ProspectList) -> Page[Stored]:
    found = await members.list_page(
        ctx,
        audience_id,
        before=pages.position_of(ctx, query) or pages.LAST_ID,
        limit=query.limit + 1,
    )
    return pages.page(ctx, query, found, lambda prospect: prospect.id)


async def look_up(ctx: Context, audience_id: bytes, text: str) -> list[Stored]:
    """The members that have an e-mail address, LinkedIn URL, provider id or id, exactly."""
    await audiences.get(ctx, audience_id)
    text = text.strip()
    wanted = await members.ids_of_keys(ctx, _keys(ctx, text))
    id_ = parse_id(text)
    if id_ is not None:
        wanted.add(id_)
    inside = await members.touched_among(ctx, audience_id, sorted(wanted))
    found = await prospects.get_many(ctx, sorted(inside, reverse=True))
    return sorted(found.values(), key=lambda prospect: prospect.id, reverse=True)


def _keys(ctx: Context, text: str) -> list[bytes]:
    """Every identity key that the text may stand for."""
    key = ctx.hasher.key
    found = [key(KeyKind.PROVIDER_ID, text), key(KeyKind.PUBLIC_IDENTIFIER, text)]
    if "@" in text:
        found.append(key(KeyKind.EMAIL, text))
    profile = read_profile_url(text)
    if profile is not None:
        if profile.public_identifier is not None:
            found.append(key(KeyKind.PUBLIC_IDENTIFIER, profile.public_identifier))
        if profile.provider_id is not None:
            found.append(key(KeyKind.PROVIDER_ID, profile.provider_id))
    return found


async def show(visit: Visit, prospect_id: bytes) -> Reply:
    """Everything that is known of a person."""
    return View("prospect.html", {"prospect": await visit.read(prospects.get, prospect_id)})


async def export(visit: Visit, audience_id: bytes) -> Reply:
    """The whole audience as CSV, as one consistent snapshot."""
    return Download(
        "text/csv; charset=utf-8",
        f"audience-{audience_id.hex()}.csv",
        _csv(visit, audience_id),
    )


async def _csv(visit: Visit, audience_id: bytes) -> AsyncIterator[bytes]:
    async with visit.snapshot() as snapshot:
        ctx = visit.ctx
        ctx.tx = snapshot
        await audiences.get(ctx, audience_id)
        async for chunk in exports.csv_chunks(ctx, audience_id):
            yield chunk
