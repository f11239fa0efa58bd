"""A cancel stops an import within a page, and nothing is written after its answer."""

from __future__ import annotations

import asyncio

import pytest

from tests.races import cancels, people
from tests.races.place import Place


@pytest.mark.parametrize("writers", [0, 4])
def test_a_cancel_stops_within_a_page(place: Place, writers: int) -> None:
    made = people.make(30_000, seed=30)
    place.slice_rows = 500
    api = place.start("api")
    place.start("worker")

    async def scenario() -> None:
        async with place.opened() as store:
            found = await cancels.cancelled(place, api, store, made, moment=3_000, writers=writers)
            assert found.pages_after <= 1

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()
