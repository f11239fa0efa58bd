"""The source of a `directory_search`: who is found in the directories of an account group.

The directories are read one after the other, oldest first, and each in the order of its rows, so
that the page after a cursor is the same however often it is read. A job reads one state of each
directory: where that was replaced meanwhile, the job fails.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from longlist.context import Context
from longlist.jobs import JobFailed
from longlist.prospecting import directory_store as store
from longlist.prospecting.sources import SourcePage, SourceRow
from longlist.prospecting.words import words_for

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.db import Transaction
    from longlist.prospecting.sources.kept import KeptDirectory

CHANGED_MESSAGE: Final = (
    "The directory was refreshed or removed while the job read it. Start the job again; nobody is"
    " imported twice."
)


class Place(msgspec.Struct, array_like=True):
    """The cursor: rows given so far, and the directory, generation and row that come last.

    Of a directory that is not begun yet generation and row are 0.
    """

    given: int
    source_id: str
    generation: int = 0
    row: int = 0


class DirectorySearch(msgspec.Struct):
    """Pages of at most `page_rows` people; `source_ids` are the directories, oldest first."""

    installation: Installation
    group: bytes
    source_ids: Sequence[bytes]
    wanted: KeptDirectory
    page_rows: int

    async def pages(self, cursor: str | None) -> AsyncGenerator[SourcePage, None]:
        """As `read_page`, each in a transaction of its own."""

        async def read(tx: Transaction, cursor: str | None) -> SourcePage | None:
            ctx = Context(self.installation, self.group)
            ctx.tx = tx
            return await self.read_page(ctx, cursor)

        while (page := await self.installation.db.read_long(read, cursor)) is not None:
            yield page
            cursor = page.cursor
            if cursor is None:
                return

    async def read_page(self, ctx: Context, cursor: str | None) -> SourcePage | None:
        """The page after a cursor, None for the first; None where there are no more people.

        Raises JobFailed (SOURCE_ERROR) where the state that the cursor is of is gone.
        """
        words = words_for(self.installation, self.group)
        search = words.of_search(self.wanted.query, self.wanted.filters)
        if search is None or not self.source_ids:
            return None
        place = Place(0, self.source_ids[0].hex())
        if cursor is not None:
            place = msgspec.json.decode(cursor, type=Place)
        for at in range(self._index(place), len(self.source_ids)):
            source_id = self.source_ids[at]
            if source_id.hex() != place.source_id:
                place = Place(place.given, source_id.hex())
            found = await store.find_live(ctx, source_id)
            if place.generation and (found is None or found.number != place.generation):
                raise JobFailed("SOURCE_ERROR", CHANGED_MESSAGE)
            room = min(self.page_rows, self.wanted.limit - place.given)
            if found is None or room <= 0:
                continue
            people = await store.search(ctx, found.number, search, after=place.row, limit=room)
            if people:
                rows = [
                    SourceRow(position, values)
                    for position, (_, values) in enumerate(people, place.given + 1)
                ]
                last = Place(rows[-1].position, place.source_id, found.number, people[-1][0])
                return SourcePage(rows, self._following(at, last, whole=len(people) == room))
        return None

    def _index(self, place: Place) -> int:
        try:
            return self.source_ids.index(bytes.fromhex(place.source_id))
        except ValueError:
            raise JobFailed("SOURCE_ERROR", CHANGED_MESSAGE) from None

    def _following(self, at: int, last: Place, *, whole: bool) -> str | None:
        """The cursor after a page; a page that is not `whole` was the directory's last."""
        if last.given >= self.wanted.limit:
            return None
        if not whole:
            if at + 1 == len(self.source_ids):
                return None
            last = Place(last.given, self.source_ids[at + 1].hex())
        return msgspec.json.encode(last).decode()
