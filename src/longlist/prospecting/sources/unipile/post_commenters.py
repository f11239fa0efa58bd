"""The people who commented on a post.

From the documentation: a post is looked up by the id in its URL (the number alone after
`activity`, a URN after `ugcPost` and `share`), and its comments by the `social_id` found there.
Whoever only replied to a comment is not among them: each comment would be a call of its own.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from longlist.jobs import JobFailed
from longlist.prospecting.sources import SourceRow
from longlist.prospecting.sources.unipile.client import PAGE_LIMIT, Answer, UnipileClient
from longlist.prospecting.sources.unipile.faults import WRONG_SHAPE, Kind, UnipileFailed
from longlist.prospecting.sources.unipile.paging import Connect, PagedSource, Progress
from longlist.prospecting.sources.unipile.people import comment_row

_POST: Final = re.compile(r"(?<![A-Za-z])(activity|ugcPost|share)[:-]([0-9]{10,25})(?![0-9])")
_SOCIAL_ID: Final = re.compile(r"urn:li:[A-Za-z]{1,32}:[A-Za-z0-9_-]{1,64}")
_NO_POST: Final = "The URL names no post; copy the link to the post once more."


def post_id(post_url: str) -> str | None:
    """The id to look a post up by, or None where the URL has none."""
    found = _POST.search(unquote(post_url.partition("?")[0]))
    if found is None:
        return None
    return found[2] if found[1] == "activity" else f"urn:li:{found[1]}:{found[2]}"


class PostCommenters(PagedSource):
    """The source of a `post_commenters`: who wrote the first `limit` comments, newest first.

    Somebody with several comments is several rows; all but the first are skipped as duplicates.
    """

    page_limit = PAGE_LIMIT

    def __init__(self, connect: Connect, post_url: str, limit: int, page_rows: int) -> None:
        super().__init__(connect, limit, page_rows)
        self._post_url = post_url

    async def _prepare(self, client: UnipileClient, progress: Progress) -> None:
        if progress.post is not None:
            return
        id_ = post_id(self._post_url)
        if id_ is None:
            raise JobFailed("SOURCE_ERROR", _NO_POST)
        social_id = (await client.post(id_)).get("social_id")
        if not isinstance(social_id, str) or not _SOCIAL_ID.fullmatch(social_id):
            raise UnipileFailed(Kind.UNREADABLE, WRONG_SHAPE)
        progress.post = social_id

    async def _fetch(self, client: UnipileClient, progress: Progress) -> Answer:
        assert progress.post is not None  # _prepare has run
        return await client.comments(progress.post, limit=self._size, cursor=progress.at)

    def _row(self, position: int, item: Any) -> SourceRow:
        return comment_row(position, item)
