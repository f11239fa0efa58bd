"""Profiles named by their URLs, each looked up.

A profile that is not there, or that the account may not see, fails its row and the job goes on. So
does one that could not be fetched, until three of these follow each other: then it is not the
profile. A fault of the account, or its limit, ends the job at once; the rows before it stay.

Assumed, from what others report: that an answer may be about somebody else than was asked for. A
public identifier that differs is asked for a second time, since people also rename their profiles:
the same person in both answers is believed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from longlist.jobs import JobFailed
from longlist.prospecting.sources import SourcePage, SourceRow
from longlist.prospecting.sources.unipile.client import UnipileClient
from longlist.prospecting.sources.unipile.faults import Kind, UnipileFailed
from longlist.prospecting.sources.unipile.paging import Connect
from longlist.prospecting.sources.unipile.people import profile_values
from longlist.prospects.linkedin import Profile, normal_slug, read_profile_url
from longlist.prospects.person import RowRefused

PAGE_ROWS: Final = 10
MAX_FAILURES_IN_A_ROW: Final = 3

_NOT_FOUND: Final = "There is no such profile, or the provider's account may not see it."
_NOT_FETCHED: Final = "The provider could not fetch this profile."
_SOMEBODY_ELSE: Final = "The provider answered with somebody else's profile."
_OF_ALL: Final = frozenset({Kind.ACCOUNT, Kind.RATE_LIMITED})


class Profiles:
    """The source of a `url_upload` with a provider: at most 1,000 profile URLs.

    Its cursor is the number of rows done, as without a provider. A URL that comes again is not
    looked up again: its row is that of the first, and is skipped as a duplicate.
    """

    def __init__(self, connect: Connect, profile_urls: Sequence[str], page_rows: int) -> None:
        self._connect = connect
        self._urls = profile_urls
        self._page_rows = max(1, min(PAGE_ROWS, page_rows))
        self._known: dict[str, SourceRow] = {}
        self._failures = 0
        self._is_account_sure = False

    async def pages(self, cursor: str | None) -> AsyncGenerator[SourcePage, None]:
        """As `Source.pages`. Raises JobFailed (SOURCE_ERROR)."""
        done = int(cursor or 0)
        try:
            async with self._connect() as client:
                while done < len(self._urls):
                    rows, failure = await self._some(client, done)
                    done += len(rows)
                    if rows:
                        is_last = done >= len(self._urls)
                        yield SourcePage(rows, None if is_last else str(done))
                    if failure is not None:
                        raise failure
        except UnipileFailed as failure:
            raise JobFailed("SOURCE_ERROR", failure.message) from failure

    async def _some(
        self, client: UnipileClient, done: int
    ) -> tuple[list[SourceRow], UnipileFailed | None]:
        """The next rows; a fault that ends the job comes after the rows that went before it."""
        rows: list[SourceRow] = []
        for position, url in enumerate(self._urls[done : done + self._page_rows], done + 1):
            try:
                rows.append(await self._row(client, position, url))
            except UnipileFailed as failure:
                return rows, failure
        return rows, None

    async def _row(self, client: UnipileClient, position: int, url: str) -> SourceRow:
        page = read_profile_url(url)
        if page is None:
            return SourceRow(position, {"linkedinUrl": url})
        known = self._known.get(page.url)
        if known is None:
            known = await self._look_up(client, position, page)
            self._known[page.url] = known
        return SourceRow(position, known.values, reason=known.reason, message=known.message)

    async def _look_up(self, client: UnipileClient, position: int, page: Profile) -> SourceRow:
        identifier = page.provider_id or page.public_identifier
        assert identifier is not None  # a profile has one of the two
        try:
            profile = await _settled(client, identifier, page)
            if profile is None:
                return _failed(position, "SOURCE_ERROR", _SOMEBODY_ELSE)
            values = profile_values(profile)
        except RowRefused as refused:
            return _failed(position, refused.reason, refused.message)
        except UnipileFailed as failure:
            return await self._explained(client, position, failure)
        self._failures = 0
        if values.get("linkedinUrl") is None:
            values["linkedinUrl"] = page.url
        return SourceRow(position, values)

    async def _explained(
        self, client: UnipileClient, position: int, failure: UnipileFailed
    ) -> SourceRow:
        """The row of a profile that did not come. Raises UnipileFailed where it is not the row."""
        if failure.kind in _OF_ALL:
            raise failure
        if failure.kind in {Kind.MISSING, Kind.REFUSED}:
            if not self._is_account_sure:
                # An account that Unipile does not know is a 404 as well, for every profile.
                await client.account()
                self._is_account_sure = True
            self._failures = 0
            return _failed(position, "NOT_FOUND", _NOT_FOUND)
        self._failures += 1
        if self._failures >= MAX_FAILURES_IN_A_ROW:
            raise failure
        return _failed(position, "SOURCE_ERROR", _NOT_FETCHED)


async def _settled(client: UnipileClient, identifier: str, page: Profile) -> dict[str, Any] | None:
    """The profile asked for; None where it is not clear that the answers are about that person."""
    first = await client.profile(identifier)
    if _is_of(page, first):
        return first
    second = await client.profile(identifier)
    is_same = first.get("provider_id") == second.get("provider_id") is not None
    return second if is_same or _is_of(page, second) else None


def _is_of(page: Profile, profile: dict[str, Any]) -> bool:
    """Whether nothing speaks against it that the profile is the one that was asked for."""
    slug = profile.get("public_identifier")
    if page.public_identifier is None or not isinstance(slug, str):
        return True
    return normal_slug(slug) == page.public_identifier


def _failed(position: int, reason: str, message: str) -> SourceRow:
    return SourceRow(position, {}, reason=reason, message=message)
