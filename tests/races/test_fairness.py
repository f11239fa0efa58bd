"""One group's large imports, as many as there are, do not keep another group's small one waiting.

Nothing is timed: the small one has to be done while none of the large ones is.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.races import invariants, people
from tests.races.place import Place, until, wait_ended

LARGE, FILES = 60_000, 4
LIVE = (
    "SELECT COUNT(*), COUNT(worker_id) FROM prospecting_jobs WHERE account_group_id = $1"
    " AND status IN ('queued', 'running')"
)


@pytest.fixture(scope="module")
def large() -> list[people.Made]:
    return [people.make(LARGE, seed=40 + at) for at in range(FILES)]


def test_ten_rows_come_through_beside_hundreds_of_thousands(
    place: Place, large: list[people.Made]
) -> None:
    small = people.make(10, seed=50, repeats=0, broken=0)
    place.slice_rows = 200
    api = place.start("api")
    place.start("worker")
    slots = place.settings.worker_jobs
    assert slots < FILES

    async def scenario() -> None:
        async with place.opened() as store:
            greedy, modest = await store.tenant(), await store.tenant()
            async with greedy.on(api) as theirs, modest.on(api) as mine:
                jobs = [
                    (await greedy.import_file(theirs, made.content, f"Large {at}"))[0]
                    for at, made in enumerate(large)
                ]

                async def all_slots_taken() -> bool:
                    [(_, held)] = await store.rows(LIVE, greedy.id)
                    return int(held) >= slots

                await until(all_slots_taken)
                for at in range(3):
                    job_id, _ = await modest.import_file(mine, small.content, f"Small {at}")
                    job = await wait_ended(mine, modest, job_id)
                    assert job["status"] == "completed"
                    [(live, held)] = await store.rows(LIVE, greedy.id)
                    assert live == FILES, "an import of the other group had to end first"
                    assert held == slots, "the slot more is for groups that have none"
                for job in jobs:
                    path = f"{greedy.path}/prospecting/{job}/cancel"
                    (await theirs.send("POST", path)).expect(200)
            await invariants.check(store.rows, greedy.id)

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()
