"""The provider `directory`: people data of the operator's own, as a file or a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from longlist.context import Context
from longlist.ids import rfc3339
from longlist.prospecting import directory_store as store
from longlist.prospecting.sources.directory.load import Loader
from longlist.prospecting.sources.directory.origin import Origin, check
from longlist.prospecting.sources.directory.search import DirectorySearch
from longlist.prospecting.sources.kept import KeptDirectory

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.db import Transaction
    from longlist.prospecting.sources.kept import Wanted
    from longlist.prospecting.sources.providers import SetUp


class DirectoryProvider:
    """See `Provider` and `Forgets`. The token is the database's URL where that has a password."""

    name = "directory"
    serves = frozenset({"directory_search"})
    needs_token = False
    several = True

    def check(self, settings: Mapping[str, str]) -> dict[str, str]:
        return check(settings)

    async def load(self, installation: Installation, group: bytes, set_up: SetUp) -> str:
        return await Loader(installation, group, set_up).load()

    async def forget(self, installation: Installation, group: bytes, set_up: SetUp) -> None:
        await Loader(installation, group, set_up).forget()

    async def test(self, installation: Installation, group: bytes, set_up: SetUp) -> str:
        described = await Origin(set_up).described()

        async def live(tx: Transaction) -> store.Generation | None:
            ctx = Context(installation, group)
            ctx.tx = tx
            return await store.find_live(ctx, set_up.id)

        found = await installation.db.read(live)
        if found is None:
            return f"{described} Nothing has been loaded yet."
        loaded = rfc3339(found.created_at)
        return f"{described} {found.people:,} people are searched, loaded on {loaded}."

    def open(
        self,
        installation: Installation,
        group: bytes,
        set_ups: Sequence[SetUp],
        wanted: Wanted,
        page_rows: int,
    ) -> DirectorySearch:
        assert isinstance(wanted, KeptDirectory)  # nothing else is served
        return DirectorySearch(
            installation, group, [set_up.id for set_up in set_ups], wanted, page_rows
        )


PROVIDER: Final = DirectoryProvider()
