"""Takes the people of a directory in, beside what is searched, and puts them in its place.

Written in short transactions with pauses between them, so that the API stays quick meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longlist.context import Context
from longlist.db import DatabaseAway, Transaction
from longlist.prospecting import directory_store as store
from longlist.prospecting.directory_store import DirectoryPerson, LoadLost
from longlist.prospecting.sources import SourceRow
from longlist.prospecting.sources.directory.origin import Origin
from longlist.prospecting.sources.providers import ProviderFailed, SetUp
from longlist.prospecting.words import Words, words_for
from longlist.prospects.identity import KeyHasher, keys_of
from longlist.prospects.person import FIELDS, RowRefused, make_person

if TYPE_CHECKING:
    from longlist.context import Installation

_PAUSE_MAX_S: Final = 1.0


class Taken(msgspec.Struct):
    """What became of the rows of a directory's source."""

    rows: int = 0
    people: int = 0
    erased: int = 0
    unusable: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def told(self) -> str:
        """A sentence or two for the operator."""
        said = f"Took in {self.people:,} people of {self.rows:,} rows."
        if self.unusable:
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in self.unusable.most_common())
            said += f" Rows that could not be used: {reasons}."
        if self.erased:
            said += f" Left out because they were erased: {self.erased:,}."
        return said


class Loader:
    """Loads and deletes the content of one directory of an account group."""

    def __init__(self, installation: Installation, group: bytes, set_up: SetUp) -> None:
        self._installation = installation
        self._group = group
        self._set_up = set_up
        db = installation.db
        # Half a turn of an import: beside the rows there is the index to be written.
        self._slice = db.turn_rows // 2

    async def load(self) -> str:
        """Load all, then have it searched in place of what was there. Raises ProviderFailed.

        What failed half-way leaves nothing behind, and the old content as it was. After a crash
        what was begun is deleted by the next load.
        """
        try:
            taken = await self._load()
        except LoadLost:
            raise ProviderFailed(
                "Another load of this directory has begun meanwhile, or it was removed."
            ) from None
        except DatabaseAway as error:
            raise ProviderFailed(f"Nothing was changed: {error}") from error
        try:
            await self._sweep()
        except DatabaseAway:
            return f"{taken.told} What was there before is deleted by the next load."
        return taken.told

    async def _load(self) -> Taken:
        source_id = self._set_up.id
        number: int = await self._write(store.begin, source_id)
        try:
            await self._sweep()
            taken = await self._fill(number)
            if not taken.people:
                raise ProviderFailed(
                    f"{taken.told} A directory that would be empty is not put in the place of"
                    " the old one."
                )
            await self._write(store.publish, source_id, number)
        except BaseException as error:
            await self._write(store.give_up, source_id, number)
            if isinstance(error, Exception):  # who interrupts does not want to wait
                await self._sweep()
            raise
        return taken

    async def forget(self) -> None:
        """Delete everything that was taken in."""
        await self._write(store.give_up_all, self._set_up.id)
        await self._sweep()

    async def _fill(self, number: int) -> Taken:
        taken = Taken()
        hasher = self._installation.hasher(self._group)
        words = words_for(self._installation, self._group)
        async with aclosing(Origin(self._set_up).rows(self._slice)) as batches:
            async for rows in batches:
                people, unusable = await asyncio.to_thread(prepared, hasher, words, rows)
                erased = await self._write(store.add, self._set_up.id, number, people)
                taken.rows += len(rows)
                taken.people += len(people) - erased
                taken.erased += erased
                taken.unusable.update(unusable)
        return taken

    async def _sweep(self) -> None:
        """Delete what nobody searches any more, also what a crash left behind."""
        while await self._write(store.delete_some, self._slice):
            pass

    async def _write(self, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run a store function in a transaction of its own, then leave the database alone for as
        long as it took where writers take turns."""
        db = self._installation.db
        ctx = Context(self._installation, self._group)
        begun = 0.0

        async def inside(tx: Transaction) -> Any:
            nonlocal begun
            begun = time.monotonic()
            ctx.tx = tx
            return await body(ctx, *args)

        result = await db.write_long(inside)
        if db.one_writer:
            await asyncio.sleep(min(time.monotonic() - begun, _PAUSE_MAX_S))
        return result


def prepared(
    hasher: KeyHasher, words: Words, rows: Sequence[SourceRow]
) -> tuple[list[DirectoryPerson], Counter[str]]:
    """The people that the rows describe, and why the other rows cannot be used."""
    people: list[DirectoryPerson] = []
    unusable: Counter[str] = Counter()
    for row in rows:
        if row.reason is not None:
            unusable[row.reason] += 1
            continue
        try:
            person = make_person(row.values)
            keys = keys_of(person, hasher)
        except RowRefused as refused:
            unusable[refused.reason] += 1
            continue
        kept = {
            name: value
            for name, attribute in FIELDS.items()
            # A name that was made is made again, so that it never counts as given.
            if (value := getattr(person, attribute)) is not None
            and not (name == "name" and person.name_made)
        }
        text = msgspec.json.encode(kept).decode()
        listed = [key for _, key in keys.all()]
        people.append(DirectoryPerson(text, words.of_person(person, keys), listed))
    return people, unusable
