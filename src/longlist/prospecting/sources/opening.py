"""The source of a claimed job: opened when its first page is asked for, and held to its promises.

A claim is a transaction, so nothing of a provider runs inside it. What a provider does wrong ends
its job as SOURCE_ERROR and nothing else: an error that is none of the engine's, rows out of order,
more rows than were asked for.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from longlist.db import DatabaseAway
from longlist.job_kinds import JobFailed
from longlist.prospecting.sources import SourcePage, SourceRow
from longlist.prospecting.sources.file_import import FileImport
from longlist.prospecting.sources.kept import Kept, KeptFile, KeptUrls, file_source, open_source
from longlist.prospects.intake import Reason
from longlist.prospects.person import FIELDS
from longlist.telemetry import place_of

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.prospecting.file_store import StoredFile
    from longlist.prospecting.sources import Source
    from longlist.prospecting.sources.providers import SetUp

_log = logging.getLogger("longlist.sources")

UNREADABLE_MESSAGE: Final = (
    "The token of the provider can no longer be read; the operator has to add the source again."
)
BROKE_MESSAGE: Final = "The provider could not be read to its end."
DISORDER_MESSAGE: Final = "The provider gave its rows out of order."

_NO_ROW_MESSAGE: Final = "The provider gave something that is no prospect."
_REASONS: Final = frozenset(get_args(Reason)) - {"SUPPRESSED", "DUPLICATE_IN_SOURCE"}
"""Why a row may be `failed`."""


class Opening(msgspec.Struct):
    """What a job's source is made from. `unreadable`: a token of its set-ups is."""

    installation: Installation
    group: bytes
    kept: Kept
    file: StoredFile | None
    set_ups: Sequence[SetUp]
    page_rows: int
    unreadable: bool = False

    async def pages(self, cursor: str | None, done: int) -> AsyncGenerator[SourcePage, None]:
        """Pages from `cursor` on, `done` rows having been handled. Raises JobFailed."""
        if self.unreadable:
            raise JobFailed("SOURCE_ERROR", UNREADABLE_MESSAGE)
        pages = self._provided(cursor, done) if self.set_ups else self._open().pages(cursor)
        async with aclosing(pages):
            async for page in pages:
                yield page

    def file_import(self) -> FileImport | None:
        """The source, where it is a file, which is read elsewhere than by `pages`."""
        wanted = self.kept.source
        if isinstance(wanted, KeptFile):
            return file_source(wanted, self.file, self.page_rows)
        return None

    def _open(self) -> Source:
        wanted = self.kept.source
        assert not isinstance(wanted, KeptFile)
        return open_source(self.installation, self.group, wanted, self.set_ups, self.page_rows)

    async def _provided(self, cursor: str | None, done: int) -> AsyncGenerator[SourcePage, None]:
        try:
            source = self._open()
            least = 1  # the first page may begin with rows handled before: a quota had cut it
            async with aclosing(source.pages(cursor)) as pages:
                async for page in pages:
                    done, whole = self._checked(page, least, done)
                    least = done + 1
                    yield whole
                    if whole.cursor is None:
                        return
        except (JobFailed, DatabaseAway):
            raise
        except Exception as error:
            name = self.set_ups[0].provider
            _log.error("The provider %r broke: %s.", name, place_of(error))
            raise JobFailed("SOURCE_ERROR", BROKE_MESSAGE) from None

    def _checked(self, page: SourcePage, least: int, done: int) -> tuple[int, SourcePage]:
        """How many rows there are up to the end of the page, and the page, ended at the limit."""
        rows, limit = page.rows, self._limit()
        if rows:
            first = rows[0].position
            in_order = all(row.position == at for at, row in enumerate(rows, first))
            if not in_order or not least <= first <= done + 1:
                raise JobFailed("SOURCE_ERROR", DISORDER_MESSAGE)
            done = max(done, rows[-1].position)
        if limit is not None and done >= limit:
            rows, done, cursor = [row for row in rows if row.position <= limit], limit, None
        else:
            cursor = page.cursor
        return done, SourcePage([_sound(row) for row in rows], cursor)

    def _limit(self) -> int | None:
        wanted = self.kept.source
        assert not isinstance(wanted, KeptFile)  # no provider reads files
        return len(wanted.profile_urls) if isinstance(wanted, KeptUrls) else wanted.limit


def _sound(row: SourceRow) -> SourceRow:
    """The row, or a failed one in its place where it holds what no row of a source may hold."""
    if row.reason is not None:
        good = row.reason in _REASONS and isinstance(row.message, str | None)
    else:
        values = row.values.items()
        good = all(name in FIELDS and isinstance(value, str | None) for name, value in values)
    if good:
        return row
    return SourceRow(row.position, reason="MALFORMED_ROW", message=_NO_ROW_MESSAGE)
