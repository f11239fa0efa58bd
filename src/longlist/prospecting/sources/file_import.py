"""Rows of an uploaded file, read page by page from wherever the job had come to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import TypeVar

import msgspec

from longlist.job_kinds import JobFailed
from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.inspection import read_rows, release
from longlist.prospecting.rows import Cursor, Row
from longlist.prospecting.sources import SourcePage, SourceRow

T = TypeVar("T")


async def in_threads(items: Iterator[T]) -> AsyncGenerator[T, None]:
    """The items of an iterator that blocks, each made in a thread."""
    ended = object()
    while (item := await asyncio.to_thread(next, items, ended)) is not ended:
        yield item  # type: ignore[misc]


class FileImport(msgspec.Struct):
    """The source of a `file_import`: a file, which column fills which field, and how far to read.

    With `stop_at_limit` reading ends after `limit` rows; otherwise a row beyond it fails the job.
    """

    file: StoredFile
    mapping: Mapping[str, str | None]
    limit: int
    stop_at_limit: bool
    page_rows: int

    def read_pages(self, cursor: str | None) -> Iterator[SourcePage]:
        """Pages of `page_rows` rows. Raises JobFailed (FILE_UNREADABLE, FILE_TOO_LONG)."""
        try:
            yield from self._read_pages(cursor)
        finally:
            release(self.file.path)

    def _read_pages(self, cursor: str | None) -> Iterator[SourcePage]:
        inspection = self.file.inspection
        fields = [
            (at, field)
            for at, column in enumerate(inspection.columns)
            if (field := self.mapping.get(column)) is not None
        ]
        start: Cursor | None = (
            inspection.start if cursor is None else msgspec.json.decode(cursor, type=Cursor)
        )
        while start is not None:
            room = self.limit - (start.position - 1)
            if room <= 0 and self.stop_at_limit:
                return
            wanted = min(self.page_rows, room) if self.stop_at_limit else self.page_rows
            here = start
            try:
                rows, start = read_rows(self.file.path, inspection, start=here, max_rows=wanted)
            except OSError as error:
                raise JobFailed(
                    "FILE_UNREADABLE", "The uploaded file can no longer be read."
                ) from error
            kept = rows if self.stop_at_limit else rows[: max(0, room)]
            # Of a file that is too long this page is never the last: to go on is to fail.
            after = start if len(kept) == len(rows) else here
            if kept:
                following = None if after is None else msgspec.json.encode(after).decode()
                yield SourcePage([self._row(row, fields) for row in kept], following)
            if len(kept) < len(rows):
                raise JobFailed(
                    "FILE_TOO_LONG", f"The file has more rows than the cap of {self.limit}."
                )

    @staticmethod
    def _row(row: Row, fields: list[tuple[int, str]]) -> SourceRow:
        if row.reason is not None:
            return SourceRow(row.position, {}, row.line, row.reason, row.message)
        values = row.values
        return SourceRow(
            row.position,
            {field: values[at] for at, field in fields if at < len(values)},
            row.line,
        )
