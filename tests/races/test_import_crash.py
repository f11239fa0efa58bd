"""kill -9 of workers in the middle of an import of 10,000 rows."""

from __future__ import annotations

import asyncio

import pytest

from tests.races import crashes, people
from tests.races.place import Place

ROWS = 10_000


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
            for spare, moment in ((True, 4_321), (False, 0)):
                left, crashed = await crashes.killed(
                    place, api, store, made, moments=[moment], spare=spare
                )
                assert left == expected
                assert crashed.rescues == crashed.kills == 1
            if place.engine == "postgres":
                return  # its writers wait for nobody, so each page is saved whole
            # Somebody waits for the write lock, and the worker dies with a page saved in part.
            left, crashed = await crashes.killed(
                place, api, store, made, moments=[2_000, 4_500], spare=True, writers=4, partly=True
            )
            assert left == expected
            assert crashed.partly == crashed.kills == 2
            assert crashed.renames > 0

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()
