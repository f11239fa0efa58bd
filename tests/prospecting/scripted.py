"""A provider that does what a test tells it, set up for an account group of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Any

import pytest

from longlist.context import Installation
from longlist.db import DatabaseAway
from longlist.jobs import JobFailed
from longlist.prospecting import source_store as sources
from longlist.prospecting.source_store import StoredSource
from longlist.prospecting.sources import SourcePage, SourceRow, registry
from longlist.prospecting.sources.kept import KeptUrls, Wanted
from longlist.prospecting.sources.providers import Listed, ProviderFailed, SetUp
from longlist.prospecting.sources.unipile.provider import UnipileProvider
from tests.harness.tenant import Tenant
from tests.prospecting.unipile_double import Time

TOKEN = "hush-Zm9vYmFy-4711-token"
SECRET = f"the token is {TOKEN} and the person is ada@example.com"
"""What a careless error would tell."""
NAME = "scripted"
LINKEDIN = {
    "linkedin_search": {"searchUrl": "https://www.linkedin.com/search/results/people/?keywords=x"},
    "sales_navigator": {"savedSearchId": "1963248801"},
    "post_commenters": {"postUrl": "https://www.linkedin.com/posts/some-post-7046"},
}
"""The members of a start of each kind that only a provider can fill."""


NONSENSE: list[SourceRow] = [
    SourceRow(1, {"name": 7}),  # type: ignore[dict-item]
    SourceRow(2, {"shoeSize": "44"}),
    SourceRow(3, {"name": "half of a pair \ud800"}),
    SourceRow(4, reason="NO_LUCK", message="A reason of its own."),
    SourceRow(5, reason="DUPLICATE_IN_SOURCE", message="Nobody can know that but the intake."),
    SourceRow(6, reason="NOT_FOUND", message=b"bytes"),  # type: ignore[arg-type]
    SourceRow(7, {}),
    SourceRow(8, {"publicIdentifier": "somebody", "name": None, "title": "Täglich \U0001f600"}),
]
"""Rows as a careless provider gives them; the last is good."""
OPEN: set[ScriptedSource] = set()
"""Sources that are being read, as a connection would be held."""


class ScriptedSource:
    """Rows one to `total`, in pages; what goes wrong comes after the first page."""

    def __init__(self, set_up: SetUp, wanted: Wanted, page_rows: int) -> None:
        self._does = set_up.settings.get("does", "")
        self._total = int(set_up.settings.get("total", "8"))
        self._wanted, self._page_rows = wanted, page_rows

    async def pages(self, cursor: str | None) -> AsyncGenerator[SourcePage, None]:
        OPEN.add(self)
        try:
            async with aclosing(self._pages(int(cursor or 0))) as pages:
                async for page in pages:
                    yield page
        finally:
            OPEN.discard(self)

    async def _pages(self, done: int) -> AsyncGenerator[SourcePage, None]:
        while done < self._total:
            last = min(done + self._page_rows, self._total)
            rows = [self._row(position) for position in range(done + 1, last + 1)]
            done = last
            yield SourcePage(rows, str(done) if done < self._total else None)
            await self._go_wrong()

    def _row(self, position: int) -> SourceRow:
        values: dict[str, str | None] = {
            "publicIdentifier": f"person-{position}",
            "name": f"Person {position}",
        }
        if isinstance(self._wanted, KeptUrls):
            values = {"linkedinUrl": self._wanted.profile_urls[position - 1], "title": "CTO"}
        if self._does == "fails rows" and position % 2:
            return SourceRow(position, {}, reason="NOT_FOUND", message="Nobody is there.")
        if self._does == "gives nonsense":
            return NONSENSE[position - 1]
        if self._does == "leaves gaps" and position > 2:
            position += 1
        if self._does == "repeats" and position > self._page_rows:
            position -= 1
        return SourceRow(position, values)

    async def _go_wrong(self) -> None:
        if self._does == "breaks":
            raise RuntimeError(SECRET)
        if self._does == "fails":
            raise ProviderFailed("The service is closed.")
        if self._does == "ends the job":
            raise JobFailed("SOURCE_ERROR", "The account is not connected any more.")
        if self._does == "loses the database":
            raise DatabaseAway("The database is away.")


class Scripted:
    """Serves what Unipile serves; its settings say what it does."""

    name = NAME
    serves = frozenset({*LINKEDIN, "url_upload"})
    needs_token = True
    several = False

    def check(self, settings: Mapping[str, str]) -> dict[str, str]:
        if unknown := settings.keys() - {"does", "total"}:
            raise ValueError(f"There is no setting {min(unknown)!r}.")
        return dict(settings)

    async def load(self, installation: Installation, group: bytes, set_up: SetUp) -> str:
        return await self._answer(set_up)

    async def test(self, installation: Installation, group: bytes, set_up: SetUp) -> str:
        return await self._answer(set_up)

    @staticmethod
    async def _answer(set_up: SetUp) -> str:
        does = set_up.settings.get("does")
        if does == "fails":
            raise ProviderFailed("The service is closed.", retry_after_s=7)
        if does == "breaks":
            raise RuntimeError(SECRET)
        if does == "hangs":
            await asyncio.sleep(3600)
        return f"The service answered a token of {len(set_up.token or '')} characters."

    def open(
        self,
        installation: Installation,
        group: bytes,
        set_ups: Sequence[SetUp],
        wanted: Wanted,
        page_rows: int,
    ) -> ScriptedSource:
        if set_ups[0].settings.get("does") == "cannot be opened":
            raise RuntimeError(SECRET)
        return ScriptedSource(set_ups[0], wanted, page_rows)

    async def saved_searches(
        self, installation: Installation, group: bytes, set_up: SetUp
    ) -> list[Listed]:
        await self._answer(set_up)
        return [Listed("1963248801", "CTOs"), Listed("", "Cannot be named"), Listed("x" * 129, "y")]

    async def lead_lists(
        self, installation: Installation, group: bytes, set_up: SetUp
    ) -> list[Listed]:
        await self._answer(set_up)
        return []


class Badges(Scripted):
    """Serves searches of directories, as often as it is set up, and needs no token."""

    name = "badges"
    serves = frozenset({"directory_search"})
    needs_token = False
    several = True


class Rival(Scripted):
    """Another provider for one of the kinds."""

    name = "rival"
    serves = frozenset({"post_commenters"})


QUICK = UnipileProvider(
    pace=Time().pace(tries=2, silence_s=0.1, answer_s=0.2, max_bytes=1 << 18),
    brief=Time().pace(tries=2, silence_s=0.1, answer_s=0.2, max_bytes=1 << 18),
)
"""Unipile's own provider, without the patience that a real service needs."""
PROVIDER = Scripted()
BADGES = Badges()
RIVAL = Rival()


@contextmanager
def registered() -> Iterator[None]:
    """While inside, the providers of this module are there like any other."""
    names = {NAME: "PROVIDER", "badges": "BADGES", "rival": "RIVAL", "unipile": "QUICK"}
    with pytest.MonkeyPatch.context() as patch:
        for name, attribute in names.items():
            patch.setitem(registry.BUILT_IN, name, f"{__name__}:{attribute}")
        registry.forget()
        yield
    registry.forget()


def set_up(
    api: Tenant,
    provider: str = NAME,
    settings: Mapping[str, str] | None = None,
    *,
    name: str = "LinkedIn",
    token: str | None = TOKEN,
) -> StoredSource:
    """Add a source to the account group, as the command does, but for asking its provider."""
    found: Any = registry.find(provider)
    checked = found.check(settings or {})
    add = partial(sources.add, name=name, provider=found, settings=checked, token=token)
    made: StoredSource = api.server.write(add, group=api.group)
    return made
