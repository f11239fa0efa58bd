"""Workers that are frozen with SIGSTOP, replaced, and thawed."""

from __future__ import annotations

import asyncio

import pytest

from tests.races import freezes, people
from tests.races.place import Place


@pytest.mark.parametrize("moment", ["at work", "in transaction"])
def test_a_thawed_worker_writes_nothing(place: Place, moment: str) -> None:
    if moment == "in transaction" and place.engine == "sqlite":
        pytest.skip("the supervisor kills a worker that holds the embedded database's lock")
    made = people.make(30_000, seed=4)
    api = place.start("api")
    place.slice_rows = 200

    async def scenario() -> None:
        async with place.opened() as store:
            left, _ = await freezes.freeze(
                place,
                api,
                store,
                made,
                thaw_at_once=moment == "at work",
                in_transaction=moment == "in transaction",
                seed=1,
            )
            assert left.status == "completed"
            assert left.counts["received"] == made.rows
            assert left.counts["added"] == len(made.people)

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()
