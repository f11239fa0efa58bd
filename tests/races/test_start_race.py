"""Changes of an audience raced against the start of a job on it."""

from __future__ import annotations

import asyncio

from tests.races import start_race
from tests.races.place import Place


def test_nothing_is_acknowledged_once_the_lock_is_taken(place: Place) -> None:
    api = place.start("api")

    async def scenario() -> start_race.Raced:
        async with place.opened() as store:
            return await start_race.race(api, store, rounds=104)

    raced = asyncio.run(scenario())
    place.end()
    assert raced.rounds == 104
    # Both happen, or the rounds were no race.
    assert raced.acknowledged > 0
    assert raced.refused > 104
