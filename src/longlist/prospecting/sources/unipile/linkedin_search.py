"""The people whom a LinkedIn search finds, asked for by the URL of its results page."""

from __future__ import annotations

from typing import Any

from longlist.prospecting.sources import SourceRow
from longlist.prospecting.sources.unipile.client import CLASSIC_LIMIT, Answer, UnipileClient
from longlist.prospecting.sources.unipile.paging import Connect, PagedSource, Progress
from longlist.prospecting.sources.unipile.people import search_row


class LinkedinSearch(PagedSource):
    """The source of a `linkedin_search`: the first `limit` results."""

    page_limit = CLASSIC_LIMIT

    def __init__(self, connect: Connect, search_url: str, limit: int, page_rows: int) -> None:
        super().__init__(connect, limit, page_rows)
        self._body = {"url": search_url}

    async def _fetch(self, client: UnipileClient, progress: Progress) -> Answer:
        return await client.search(self._body, limit=self._size, cursor=progress.at)

    def _row(self, position: int, item: Any) -> SourceRow:
        return search_row(position, item)
