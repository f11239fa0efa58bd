"""Lists that Unipile gives page by page, followed to the end, to the limit, or to a dead end.

A job's cursor holds the provider's cursor, how many rows were given, and marks of the last cursors
that were used. A provider that leads in a circle is noticed by a cursor that comes again, also
after a restart, and one that goes on for ever with nothing new by pages without a person not yet
seen. Either ends the job, and the rows found so far stay.

Unipile's cursors have no stated life. One that is refused when a job goes on, after a restart or
the day after a quota was spent, is given up: the list is walked again from its start and the rows
given before are passed over. Who moved up in the list meanwhile may be missed, and who moved down
comes twice and is skipped as a duplicate.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

import msgspec

from longlist.jobs import JobFailed
from longlist.prospecting.sources import SourcePage, SourceRow
from longlist.prospecting.sources.unipile.client import Answer, UnipileClient
from longlist.prospecting.sources.unipile.faults import Kind, UnipileFailed

MAX_BARREN_PAGES: Final = 5
MARKS_KEPT: Final = 20

_CIRCLE: Final = "Unipile gives the same page again and again."
_BARREN: Final = "Unipile gives page after page without anybody new."

Connect = Callable[[], UnipileClient]


class Progress(msgspec.Struct, omit_defaults=True):
    """A job's cursor: at most the provider's own and half a kilobyte."""

    rows: int = 0
    at: str | None = None
    marks: list[str] = []
    barren: int = 0
    post: str | None = None


class PagedSource:
    """A source whose rows come in pages of a list; the kinds fill in what they ask and read."""

    page_limit: int

    def __init__(self, connect: Connect, limit: int, page_rows: int) -> None:
        self._connect = connect
        self._limit = limit
        self._size = max(1, min(self.page_limit, page_rows, limit))

    async def _prepare(self, client: UnipileClient, progress: Progress) -> None:
        """What has to be known before the first page. Kept in `progress`."""

    async def _fetch(self, client: UnipileClient, progress: Progress) -> Answer:
        """The page at `progress.at`."""
        raise NotImplementedError

    def _row(self, position: int, item: Any) -> SourceRow:
        raise NotImplementedError

    async def pages(self, cursor: str | None) -> AsyncGenerator[SourcePage, None]:
        """As `Source.pages`. Raises JobFailed (SOURCE_ERROR) where the list cannot be read on."""
        progress = Progress() if cursor is None else msgspec.json.decode(cursor, type=Progress)
        try:
            async with self._connect() as client, aclosing(self._walk(client, progress)) as pages:
                async for page in pages:
                    yield page
        except UnipileFailed as failure:
            raise JobFailed("SOURCE_ERROR", failure.message) from failure

    async def _walk(
        self, client: UnipileClient, progress: Progress
    ) -> AsyncGenerator[SourcePage, None]:
        seen: set[object] = set()
        given = progress.rows
        resumed = progress.at is not None
        await self._prepare(client, progress)
        while progress.rows < self._limit:
            try:
                answer = await self._fetch(client, progress)
            except UnipileFailed as failure:
                if not resumed or failure.kind not in {Kind.REFUSED, Kind.MISSING}:
                    raise
                resumed = False
                progress = Progress(post=progress.post)
                continue
            resumed = False
            rows = [self._row(n, item) for n, item in enumerate(answer.items, progress.rows + 1)]
            del rows[self._limit - progress.rows :]
            _move_on(progress, answer, rows, seen)
            is_last = progress.at is None or progress.rows >= self._limit
            if fresh := [row for row in rows if row.position > given]:
                yield SourcePage(fresh, None if is_last else msgspec.json.encode(progress).decode())
            if is_last:
                return
            if _mark(progress.at) in progress.marks:
                raise JobFailed("SOURCE_ERROR", _CIRCLE)
            if progress.barren >= MAX_BARREN_PAGES:
                raise JobFailed("SOURCE_ERROR", _BARREN)


def _move_on(progress: Progress, answer: Answer, rows: list[SourceRow], seen: set[object]) -> None:
    """Note that a page was read. A row that names nobody counts as new: the limit bounds those."""
    people = {_person_of(row) for row in rows}
    progress.barren = 0 if None in people or not people <= seen else progress.barren + 1
    seen |= people
    progress.rows += len(rows)
    progress.marks = [*progress.marks[1 - MARKS_KEPT :], _mark(progress.at)]
    progress.at = answer.cursor


def _person_of(row: SourceRow) -> str | None:
    return row.values.get("providerId") or row.values.get("publicIdentifier")


def _mark(at: str | None) -> str:
    return hashlib.blake2b((at or "").encode("utf-8", "replace"), digest_size=6).hexdigest()
