"""The people of an account group: the list, one of them, and erasing one for good."""

from __future__ import annotations

from typing import Final

import msgspec

from longlist import decoding, pages
from longlist.admin.visit import Redirect, Reply, View, Visit
from longlist.audiences.store import Stored as StoredAudience
from longlist.context import Context
from longlist.decoding import Cursor, Limit, Query, Search
from longlist.ids import parse_id
from longlist.pages import Page
from longlist.prospects import erasure_store as erasures
from longlist.prospects import member_store as members
from longlist.prospects import search_store as searches
from longlist.prospects import store as prospects
from longlist.prospects.identity import KeyKind, read_profile_url
from longlist.prospects.store import Stored


class PersonList(Query):
    """Which page, or whom to look for."""

    limit: Limit = 50
    cursor: Cursor | None = None
    q: Search | None = None


query: Final = decoding.compile_query(PersonList)


class Shown(msgspec.Struct):
    """A page of people. Of a search: how many were looked at and found so far, this page too.

    `goes_on`: nobody further was found in the stretch that was looked at, but there are more.
    """

    people: list[Stored]
    next_cursor: str | None = None
    looked_at: int = 0
    found: int = 0
    goes_on: bool = False


class _Place(msgspec.Struct):
    """Where a search goes on: what its cursor holds."""

    last: bytes = pages.LAST_ID
    looked_at: int = 0
    found: int = 0

    def packed(self) -> bytes:
        return self.last + self.looked_at.to_bytes(8) + self.found.to_bytes(8)

    @classmethod
    def of(cls, position: bytes) -> _Place:
        numbers = (int.from_bytes(part) for part in (position[-16:-8], position[-8:]))
        return cls(position[:-16], *numbers)


async def list_people(visit: Visit) -> Reply:
    """A page of the group's people, or of those that a search finds."""
    asked = visit.query(query)
    shown = await read_page(visit, asked, None)
    values = {
        "prospects": shown.people,
        "shown": shown,
        "q": asked.q,
        "note": visit.parameter("note"),
        "total": None,
        "url": f"{visit.here}/people",
    }
    part = visit.is_htmx and asked.cursor is not None
    return View("prospect_rows.html" if part else "people.html", values)


async def read_page(visit: Visit, asked: PersonList, audience_id: bytes | None) -> Shown:
    """A page of the people of an audience that is ready, or of the whole group."""
    if asked.q is None or not asked.q.strip():
        page = await visit.read(_plain_page, audience_id, asked)
        return Shown(list(page.items), page.next_cursor)
    found: Shown = await visit.read_long(_found_page, audience_id, asked, asked.q.strip())
    return found


async def _plain_page(ctx: Context, audience_id: bytes | None, asked: PersonList) -> Page[Stored]:
    before = pages.position_of(ctx, asked) or pages.LAST_ID
    limit = asked.limit + 1
    if audience_id is None:
        found = await prospects.list_page(ctx, before=before, limit=limit)
    else:
        found = await members.list_page(ctx, audience_id, before=before, limit=limit)
    return pages.page(ctx, asked, found, lambda prospect: prospect.id)


async def _found_page(
    ctx: Context, audience_id: bytes | None, asked: PersonList, text: str
) -> Shown:
    """Those known by exactly this text first; then, stretch by stretch, those with its words."""
    position = pages.position_of(ctx, asked)
    place = _Place() if position is None else _Place.of(position)
    exact = await look_up(ctx, audience_id, text)
    first = exact if position is None else []
    if exact and ("@" in text or "/" in text):
        return Shown(first, found=len(first))
    stretch = await searches.search(
        ctx, text, audience_id=audience_id, before=place.last, limit=asked.limit
    )
    known = {prospect.id for prospect in exact}
    people = [*first, *(found for found in stretch.people if found.id not in known)]
    place.looked_at += stretch.looked_at
    place.found += len(people)
    shown = Shown(people, None, place.looked_at, place.found)
    if stretch.last is not None:
        place.last = stretch.last
        shown.next_cursor = pages.cursor(ctx, asked, place.packed())
        shown.goes_on = len(stretch.people) < asked.limit
    return shown


async def look_up(ctx: Context, audience_id: bytes | None, text: str) -> list[Stored]:
    """Who has the text as e-mail address, LinkedIn URL, provider id or id, exactly."""
    wanted = await members.ids_of_keys(ctx, keys_of_text(ctx, text))
    id_ = parse_id(text)
    if id_ is not None:
        wanted.add(id_)
    if audience_id is not None:
        wanted = set(await members.touched_among(ctx, audience_id, sorted(wanted)))
    found = await prospects.get_many(ctx, sorted(wanted))
    return sorted(found.values(), key=lambda prospect: prospect.id, reverse=True)


def keys_of_text(ctx: Context, text: str) -> list[bytes]:
    """Every identity key that a text may stand for."""
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
    """Everything that is known of a person, and where they are listed."""
    prospect, audiences = await visit.read(_with_audiences, prospect_id)
    return View("prospect.html", {"prospect": prospect, "audiences": audiences})


async def _with_audiences(ctx: Context, prospect_id: bytes) -> tuple[Stored, list[StoredAudience]]:
    prospect = await prospects.get(ctx, prospect_id)
    return prospect, await members.audiences_of(ctx, prospect_id)


async def show_erase(visit: Visit, prospect_id: bytes) -> Reply:
    """What erasing means, before it is done."""
    prospect, audiences = await visit.read(_with_audiences, prospect_id)
    return View("prospect_erase.html", {"prospect": prospect, "audiences": audiences})


async def erase(visit: Visit, prospect_id: bytes) -> Reply:
    """Forget a person for good."""
    await visit.change(erasures.erase, prospect_id)
    return Redirect(f"{visit.here}/people?note=erased")
