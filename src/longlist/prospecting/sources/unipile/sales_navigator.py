"""The people of a saved search or of a lead list of Sales Navigator."""

from __future__ import annotations

from typing import Any

from longlist.prospecting.sources import SourceRow
from longlist.prospecting.sources.unipile.client import PAGE_LIMIT, Answer, UnipileClient
from longlist.prospecting.sources.unipile.paging import Connect, PagedSource, Progress
from longlist.prospecting.sources.unipile.people import search_row


def saved_search(id_: str) -> dict[str, Any]:
    """What to ask for the people that a saved search finds now."""
    return {"api": "sales_navigator", "category": "people", "saved_search_id": id_}


def lead_list(id_: str) -> dict[str, Any]:
    """What to ask for the people on a lead list."""
    return {"api": "sales_navigator", "category": "people", "lead_lists": {"include": [id_]}}


class SalesNavigator(PagedSource):
    """The source of a `sales_navigator`: the first `limit` people of what `body` asks for."""

    page_limit = PAGE_LIMIT

    def __init__(self, connect: Connect, body: dict[str, Any], limit: int, page_rows: int) -> None:
        super().__init__(connect, limit, page_rows)
        self._body = body

    async def _fetch(self, client: UnipileClient, progress: Progress) -> Answer:
        return await client.search(self._body, limit=self._size, cursor=progress.at)

    def _row(self, position: int, item: Any) -> SourceRow:
        return search_row(position, item)
