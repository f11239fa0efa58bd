"""Many writers rename the same and different audiences at once."""

from __future__ import annotations

import asyncio

from tests.races import writers
from tests.races.place import Place


def test_no_acknowledged_rename_is_lost(place: Place) -> None:
    # Several API processes share a PostgreSQL; the embedded database has one.
    apis = [place.start("api") for _ in range(2 if place.engine == "postgres" else 1)]

    async def scenario() -> writers.Ledger:
        async with place.opened() as store:
            return await writers.race(place, apis, store, writers=64, seconds=3)

    ledger = asyncio.run(scenario())
    place.end()
    assert ledger.acked > 64
    assert ledger.reads > 0
