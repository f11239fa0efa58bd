"""Where the rows of a job come from: one module for each kind of source.

A source gives pages of rows from a cursor on. A cursor is JSON of the source's own and is kept
with the job, so that a job goes on after a crash from the page after the last one saved.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from longlist.context import Context


class SourceRow(msgspec.Struct, gc=False):
    """One row: prospect fields by their contract names, or why it could not be read.

    `position` counts from 1 in the order the source gave the rows; `line` is the line of a file.
    """

    position: int
    values: Mapping[str, str | None] = {}
    line: int | None = None
    reason: str | None = None
    message: str | None = None


class SourcePage(msgspec.Struct):
    """Rows, and the cursor that follows them; None after the last."""

    rows: list[SourceRow]
    cursor: str | None


class Source(Protocol):
    """A source of one job. Raises jobs.JobFailed to end the job with a reason."""

    def pages(self, cursor: str | None) -> AsyncGenerator[SourcePage, None]:
        """Pages from `cursor` on, None for the start. Called outside any transaction."""


@runtime_checkable
class LocalSource(Protocol):
    """A source whose rows are on this machine already, so that a dry run may read it."""

    def read_pages(self, cursor: str | None) -> Iterator[SourcePage]:
        """As `Source.pages`, without suspending."""


@runtime_checkable
class DatabaseSource(Protocol):
    """A source whose rows are in this installation's database, so that a dry run may read it."""

    async def read_page(self, ctx: Context, cursor: str | None) -> SourcePage | None:
        """The page after a cursor, None for the first, by the context's own transaction and
        nothing else; None where there are no more rows."""
