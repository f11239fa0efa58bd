"""The directory as a front and the command line use it: opened, asked, and believed for a moment.

A front keeps what it was told for less than a second, so that a change is seen everywhere within
one. While the directory cannot be reached it goes on with what it knew last, and says of each
answer that it may be out of date.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from longlist.console import Trouble
from longlist.db import DatabaseAway, open_database
from longlist.errors import Overloaded
from longlist.front import directory_store as store
from longlist.front.directory_store import Entry, Refused
from longlist.telemetry import log, place_of

if TYPE_CHECKING:
    from longlist.db import Database
    from longlist.settings import Settings

KEEP_S: Final = 0.9
SEEN_S: Final = 1.0
"""After this time every front knows of a change."""
FILE: Final = "front.sqlite3"
_ASK_S: Final = 0.8
"""Less than KEEP_S: an answer that took longer would be out of date when it comes."""
_PAUSE_S: Final = 0.5
_MOST: Final = 100_000


class Place(NamedTuple):
    """What is known of a group: its entry, if it has one, and whether that is of this second."""

    entry: Entry | None
    is_fresh: bool


def database_of(settings: Settings) -> Database:
    """The directory that the settings name, not yet connected."""
    named = settings.front_directory
    is_url = named.startswith(("postgresql://", "postgres://"))
    path = Path(named).expanduser() if named else settings.data_path / FILE
    return open_database(
        sqlite_path=path.resolve(),
        database_url=named if is_url else "",
        pool=settings.database_pool,
        session="front",
    )


def is_there(settings: Settings) -> bool:
    """Whether the settings name a directory, or there is one in the data folder."""
    return bool(settings.front_directory) or (settings.data_path / FILE).exists()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The open directory, its tables made where they are missing. Raises DatabaseAway, Trouble."""
    db = database_of(settings)
    await db.start()
    try:
        await change(db, store.prepare_everywhere)
        yield db
    finally:
        await db.close()


async def change(db: Database, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """What a store function returns that writes. Raises DatabaseAway and Trouble."""
    try:
        return await db.write(body, *args)
    except Refused as error:
        raise Trouble(str(error)) from error


class Directory:
    """The directory of a running front."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._groups: dict[str, tuple[float, Entry | None]] = {}
        self._asking: dict[str, asyncio.Future[Entry | None]] = {}
        self._clusters: tuple[float, dict[str, str]] | None = None
        self._away_until = 0.0
        self._is_away = False

    async def find(self, group: str) -> Place:
        """Where a group is. Raises Overloaded where nobody can say."""
        kept = self._groups.get(group)
        if kept is not None and kept[0] >= time.monotonic():
            return Place(kept[1], is_fresh=True)
        asking = self._asking.get(group)
        if asking is None:
            asking = self._asking[group] = asyncio.ensure_future(self._learn(group))
        try:
            return Place(await asyncio.shield(asking), is_fresh=True)
        except DatabaseAway:
            if kept is None:
                raise Overloaded from None
            return Place(kept[1], is_fresh=False)

    async def _learn(self, group: str) -> Entry | None:
        # The age counts from before the question: a change made during it is not missed longer.
        until = time.monotonic() + KEEP_S
        try:
            entry: Entry | None = await self._ask(store.find_everywhere, group)
        finally:
            del self._asking[group]
        if len(self._groups) >= _MOST:
            self._groups.clear()
        self._groups[group] = (until, entry)
        return entry

    async def clusters(self) -> dict[str, str]:
        """Address of each cluster by name. Raises Overloaded where nobody can say."""
        kept = self._clusters
        if kept is not None and kept[0] >= time.monotonic():
            return kept[1]
        until = time.monotonic() + KEEP_S
        try:
            found: dict[str, str] = await self._ask(store.urls_everywhere)
        except DatabaseAway:
            if kept is None:
                raise Overloaded from None
            return kept[1]
        self._clusters = (until, found)
        return found

    async def secret(self) -> bytes:
        """What signs cursors. Raises DatabaseAway."""
        found: bytes = await self._ask(store.secret_everywhere)
        return found

    async def is_reachable(self) -> bool:
        """Whether the directory answers now."""
        try:
            await self._ask(store.urls_everywhere)
        except DatabaseAway:
            return False
        return True

    async def _ask(self, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Raises DatabaseAway, at once for a moment after it was away."""
        if time.monotonic() < self._away_until:
            raise DatabaseAway("The directory was away a moment ago.")
        try:
            async with asyncio.timeout(_ASK_S):
                found = await self._db.read(body, *args)
        except (DatabaseAway, TimeoutError) as error:
            self._away_until = time.monotonic() + _PAUSE_S
            if not self._is_away:
                self._is_away = True
                log.error("the directory is away", reason=place_of(error))
            raise DatabaseAway("The directory cannot be reached.") from error
        if self._is_away:
            self._is_away = False
            log.warning("the directory is back")
        return found
