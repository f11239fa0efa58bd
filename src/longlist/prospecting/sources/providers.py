"""People-search services and directories that an operator sets up for an account group.

A provider is one kind of service (`unipile`, `directory`, or one that another package adds by the
entry point group `longlist.sources`); a `SetUp` is one use of it by an account group, with its
settings and its token. Which kinds of job a provider can fill stands in `serves`. What only some
providers can do is a protocol of its own below: `ListsNavigator`, `Forgets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from longlist.prospecting.sources import Source

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.prospecting.sources.kept import Wanted


class SetUp(msgspec.Struct):
    """A provider as it is set up for an account group. `token` is its secret, None without one."""

    id: bytes
    name: str
    provider: str
    settings: Mapping[str, str]
    token: str | None = None

    def __repr__(self) -> str:
        return f"SetUp(name={self.name!r}, provider={self.provider!r})"


class ProviderFailed(Exception):
    """The provider could not be asked: for `test`, `load` and the lists of contract 7.3.

    The text is for the operator: it names neither a token nor a person. `retry_after_s` where the
    provider said when to come back.
    """

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Provider(Protocol):
    """One kind of people-search service or directory.

    `name` is what the operator calls it by; `serves` holds the `type`s of contract 6.2 that it can
    fill; `needs_token` whether a token must be given; `several` whether one account group may set
    it up more than once (all of them are then searched, oldest first).
    """

    name: str
    serves: frozenset[str]
    needs_token: bool
    several: bool

    def check(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The settings in normal form. Raises ValueError with a sentence for the operator."""

    async def load(self, installation: Installation, group: bytes, set_up: SetUp) -> str:
        """Take in what the provider keeps in this installation; run when it is added or refreshed.

        Most have nothing to take in. Returns a sentence for the operator; raises ProviderFailed.
        """

    async def test(self, installation: Installation, group: bytes, set_up: SetUp) -> str:
        """Ask the service something harmless; a sentence that says what answered.

        Raises ProviderFailed.
        """

    def open(
        self,
        installation: Installation,
        group: bytes,
        set_ups: Sequence[SetUp],
        wanted: Wanted,
        page_rows: int,
    ) -> Source:
        """The source of one job; `wanted` is what its start asked for, with its limit."""


class Listed(msgspec.Struct):
    """A saved search or a lead list (contract 7.3): the service's own id, and a name."""

    id: str
    name: str


@runtime_checkable
class ListsNavigator(Protocol):
    """A provider that can list what a `sales_navigator` job may be started from.

    Both are called outside any transaction, and raise ProviderFailed.
    """

    async def saved_searches(
        self, installation: Installation, group: bytes, set_up: SetUp
    ) -> list[Listed]:
        """Saved searches of Sales Navigator, all of them."""

    async def lead_lists(
        self, installation: Installation, group: bytes, set_up: SetUp
    ) -> list[Listed]:
        """Lead lists of Sales Navigator, all of them."""


@runtime_checkable
class Forgets(Protocol):
    """A provider whose `load` leaves something in this installation."""

    async def forget(self, installation: Installation, group: bytes, set_up: SetUp) -> None:
        """Take out what `load` took in: run when the set-up is removed, or its first load failed.

        Called outside any transaction; running it twice does no harm.
        """
