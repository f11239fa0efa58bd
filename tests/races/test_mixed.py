"""Requests of all kinds at once, with a worker alive."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.races import mixed
from tests.races.place import Place


def test_nothing_drifts_and_nothing_breaks(place: Place) -> None:
    apis = [place.begin("api")]
    place.start("worker")
    apis[0].wait_started()

    async def scenario() -> Counter[str]:
        async with place.opened() as store:
            return await mixed.race(apis, store, clients=32, seconds=2)

    seen = asyncio.run(scenario())
    place.end()
    # Of each kind enough for it to have been a race.
    assert {"200", "201", "202", "404 NOT_FOUND", "409 AUDIENCE_NOT_READY"} <= set(seen)
