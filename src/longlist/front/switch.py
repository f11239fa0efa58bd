"""A group's entry in the directory, changed in step with its move from one cluster to another.

The group is closed before the old cluster lets it go, and opened once the new one has it. While it
is closed every front answers 503 for it, for about a second: so no request meets a cluster that the
group has left, and nobody reads in the old place what was changed in the new one since.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longlist.console import Trouble
from longlist.front import directory_store as store
from longlist.front.directory import SEEN_S, change

if TYPE_CHECKING:
    from longlist.db import Database


class Switch:
    """The entry of one group on its way to a cluster. Everything raises DatabaseAway."""

    def __init__(self, directory: Database, group: bytes, going_to: str) -> None:
        self._directory = directory
        self._group = group.hex()
        self._going_to = going_to

    async def check(self) -> None:
        """Raise Trouble where the directory does not know the group or the cluster."""
        if await self._directory.read(store.find_everywhere, self._group) is None:
            raise Trouble(
                f"The directory has no entry of {self._group}. Name the cluster that it is on:"
                " longlist front place"
            )
        if self._going_to not in await self._directory.read(store.urls_everywhere):
            raise Trouble(f"There is no cluster {self._going_to} in the directory.")

    async def reopen(self) -> None:
        """Open the group where it is: a move was given up, or is begun anew."""
        await change(self._directory, store.reopen_everywhere, self._group)

    async def close(self) -> None:
        """Close the group, and return when every front has seen it. Raises Trouble."""
        await change(self._directory, store.close_everywhere, self._group, self._going_to)
        await asyncio.sleep(SEEN_S)

    async def open_there(self) -> None:
        """Open the group on the cluster that it has come to."""
        await change(self._directory, store.place_everywhere, self._group, self._going_to)
