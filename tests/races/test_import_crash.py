"""kill -9 of workers in the middle of an import of 20,000 rows."""

from __future__ import annotations

import asyncio

import pytest

from tests.races import crashes, people
from tests.races.place import Place

ROWS = 20_000


@pytest.fixture(scope="module")
def made() -> people.Made:
    return people.make(ROWS)


def test_a_killed_import_ends_as_if_nothing_had_been(place: Place, made: people.Made) -> None:
    api = place.start("api")
    place.slice_rows = 1_000

    async def scenario() -> None:
        async with place.opened() as store:
            worker = place.start("worker")
            expected = await crashes.undisturbed(api, store, made)
            worker.end()
            assert expected.status == "completed"
            assert expected.counts["received"] == ROWS
            assert expected.counts["failed"] == made.broken > 0
            repeated = expected.counts["skipped"], expected.counts["updated"]
            assert sum(repeated) == made.repeats
            assert min(repeated) > 0
            assert expected.counts["added"] == len(made.people)
            for spare in (True, False):
                left, crashed = await crashes.killed(
                    place, api, store, made, kills=1, spare=spare, seed=int(spare)
                )
                assert left == expected
                assert crashed.rescues > 0

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()
