"""A provider of invented people, installed as another package would be: by an entry point.

Whom it gives stands in its settings, `people` as addresses between commas, so that a test decides
what there is to be found from one run to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from longlist.context import Context, Installation
from longlist.prospecting import source_store as sources
from longlist.prospecting.sources import SourcePage, SourceRow
from longlist.prospecting.sources.kept import Wanted
from longlist.prospecting.sources.providers import SetUp

NAME = "invented"


class InventedPeople:
    """One page with everybody, after `pause_ms`."""

    def __init__(self, people: Sequence[str], pause_ms: int) -> None:
        self.people, self.pause_ms = people, pause_ms

    async def pages(self, cursor: str | None) -> AsyncGenerator[SourcePage, None]:
        assert cursor is None
        await asyncio.sleep(self.pause_ms / 1000)
        found = enumerate(self.people, 1)
        yield SourcePage([SourceRow(at, {"email": address}) for at, address in found], None)


class Invented:
    """See `longlist.prospecting.sources.providers.Provider`."""

    name = NAME
    serves = frozenset(
        {"linkedin_search", "sales_navigator", "post_commenters", "directory_search"}
    )
    needs_token = False
    several = False

    def check(self, settings: Mapping[str, str]) -> dict[str, str]:
        return dict(settings)

    async def load(self, _installation: Installation, _group: bytes, _set_up: SetUp) -> str:
        return "Nothing to load."

    async def test(self, _installation: Installation, _group: bytes, _set_up: SetUp) -> str:
        return "It is here."

    def open(
        self,
        _installation: Installation,
        _group: bytes,
        set_ups: Sequence[SetUp],
        _wanted: Wanted,
        _page_rows: int,
    ) -> InventedPeople:
        settings = set_ups[0].settings
        people = [address for address in settings["people"].split(",") if address]
        return InventedPeople(people, int(settings.get("pause_ms", "0")))


PROVIDER = Invented()


def install(folder: Path) -> None:
    """Make the package in a folder for `sys.path`; `registry.forget` has it looked for anew."""
    info = folder / f"{NAME}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[longlist.sources]\n{NAME} = tests.harness.invented:PROVIDER\n"
    )


async def set_up(ctx: Context, people: Sequence[str], **settings: Any) -> None:
    """Set the provider up for the account group, in place of how it was set up before."""
    for source in await sources.list_all(ctx):
        await sources.remove(ctx, source.id)
    texts = {name: str(value) for name, value in settings.items()} | {"people": ",".join(people)}
    await sources.add(ctx, name="people", provider=PROVIDER, settings=texts, token=None)
