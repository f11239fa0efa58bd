"""The double of Unipile and a client whose retries do not wait, for the tests of its sources."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from longlist.jobs import JobFailed
from longlist.prospecting.sources import Source, SourcePage, SourceRow
from longlist.prospecting.sources.unipile.client import Pace, UnipileClient
from longlist.prospecting.sources.unipile.double import Double, running
from longlist.prospecting.sources.unipile.linkedin_search import LinkedinSearch
from longlist.prospecting.sources.unipile.paging import Connect
from longlist.prospecting.sources.unipile.post_commenters import PostCommenters
from longlist.prospecting.sources.unipile.sales_navigator import (
    SalesNavigator,
    lead_list,
    saved_search,
)

SEARCH_URL = "https://www.linkedin.com/search/results/people/?keywords=cto"
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z

T = TypeVar("T")


class Time:
    """A clock that moves when somebody sleeps; `pauses` is how long each sleep would have been."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def now(self) -> float:
        return sum(self.pauses)

    def pace(self, **more: Any) -> Pace:
        """The usual patience with this clock; jitter is always the most it could be."""
        known = {"sleep": self.sleep, "clock": self.now, "wall": lambda: NOW}
        return Pace(**{**known, "jitter": lambda most: most, **more})


class Place:
    """A running double and what is needed to ask it."""

    def __init__(self, double: Double, **pace: Any) -> None:
        self.double = double
        self.time = Time()
        self.pace = self.time.pace(**pace)
        self.clients: list[UnipileClient] = []

    def connect(self) -> UnipileClient:
        double = self.double
        client = UnipileClient(double.base_url, double.token, double.account_id, self.pace)
        self.clients.append(client)
        return client

    async def asked(self) -> None:
        """Wait until a call has come to the double."""
        while not self.double.calls:  # noqa: ASYNC110 - the double is not made to tell of it
            await asyncio.sleep(0.001)

    @property
    def all_closed(self) -> bool:
        """Whether every client that was made has hung up."""
        return all(client._http.is_closed for client in self.clients)


def with_double(body: Callable[[Place], Awaitable[T]], *, people: int = 7, **pace: Any) -> T:
    """Run a test's coroutine beside a double of `people` people."""

    async def main() -> T:
        async with running(Double(count=people)) as double:
            return await body(Place(double, **pace))

    return asyncio.run(main())


LISTS: dict[str, Callable[[Connect, int, int], Source]] = {
    "linkedin_search": lambda connect, limit, size: LinkedinSearch(
        connect, SEARCH_URL, limit, size
    ),
    "saved_search": lambda connect, limit, size: SalesNavigator(
        connect, saved_search("50001"), limit, size
    ),
    "lead_list": lambda connect, limit, size: SalesNavigator(
        connect, lead_list("70001"), limit, size
    ),
    "post_commenters": lambda connect, limit, size: PostCommenters(
        connect, Double().post_url(), limit, size
    ),
}
"""Every source that reads a list of the provider's, made of limit and page size."""

ROUTE = {
    "linkedin_search": "search",
    "saved_search": "search",
    "lead_list": "search",
    "post_commenters": "comments",
}


async def pages_of(source: Source, cursor: str | None = None) -> list[SourcePage]:
    """All pages of a source."""
    async with aclosing(source.pages(cursor)) as pages:
        return [page async for page in pages]


async def rows_of(source: Source, cursor: str | None = None) -> list[SourceRow]:
    """All rows of a source."""
    return [row for page in await pages_of(source, cursor) for row in page.rows]


async def ended(
    source: Source, cursor: str | None = None
) -> tuple[list[SourceRow], JobFailed | None]:
    """The rows of a source up to its end, and how it failed if it did."""
    rows: list[SourceRow] = []
    try:
        async with aclosing(source.pages(cursor)) as pages:
            async for page in pages:
                rows += page.rows
    except JobFailed as failure:
        return rows, failure
    return rows, None


def outcomes(rows: list[SourceRow]) -> list[str | None]:
    """Why each row failed, None for those that did not, after a check of their positions."""
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    return [row.reason for row in rows]


def sources() -> pytest.MarkDecorator:
    """Once for each source that reads a list."""
    return pytest.mark.parametrize("kind", list(LISTS))
