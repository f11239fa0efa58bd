"""The clusters of a running front: their connections, and how much of the front each may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from longlist.errors import Overloaded
from longlist.front.upstream import Pool, address_of
from longlist.telemetry import log

if TYPE_CHECKING:
    from longlist.front.directory import Directory

_SHARE: Final = 0.75
"""Of the requests that a front handles at once, for any one cluster: one that has frozen leaves
room for the others."""


class Member:
    """A cluster: its pool, and the requests under way to it."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self.pool = Pool(address_of(url), self._tell)
        self.under_way = 0

    def _tell(self, up: bool) -> None:
        if up:
            log.warning("a cluster is back", cluster=self.name)
        else:
            log.error("a cluster cannot be reached", cluster=self.name)


class Clusters:
    """Every cluster of the directory, as it stands this second."""

    def __init__(self, directory: Directory, most: int) -> None:
        self._directory = directory
        self._most = max(1, int(most * _SHARE))
        self._members: dict[str, Member] = {}

    async def all(self) -> list[Member]:
        """Every cluster by name. Raises Overloaded where the directory has never answered."""
        urls = await self._directory.clusters()
        for name, member in list(self._members.items()):
            if urls.get(name) != member.url:
                del self._members[name]
                member.pool.close()
        for name, url in urls.items():
            if name not in self._members:
                self._members[name] = Member(name, url)
        return [self._members[name] for name in urls]

    async def get(self, name: str) -> Member:
        """One of them. Raises Overloaded where it is not in the directory any more."""
        for member in await self.all():
            if member.name == name:
                return member
        raise Overloaded

    @contextmanager
    def room(self, member: Member) -> Iterator[None]:
        """Count a request to a cluster. Raises Overloaded where it has its share already."""
        if member.under_way >= self._most:
            raise Overloaded
        member.under_way += 1
        try:
            yield
        finally:
            member.under_way -= 1

    @property
    def under_way(self) -> dict[str, int]:
        """Requests under way, by cluster."""
        return {member.name: member.under_way for member in self._members.values()}

    def close(self) -> None:
        """End the idle connections."""
        for member in self._members.values():
            member.pool.close()
