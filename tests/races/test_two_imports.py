"""Two imports of overlapping people into one group, by two workers at once."""

from __future__ import annotations

import asyncio

from tests.races import crashes, invariants, people
from tests.races.place import Place, wait_ended


def test_nobody_is_doubled(place: Place) -> None:
    one = people.make(4_000, seed=10)
    two = people.make(4_000, seed=11, others=one.people)
    everyone = {row[2] for made in (one, two) for row in made.people}
    place.slice_rows = 200
    api = place.start("api")
    for process in [place.begin("worker"), place.begin("worker")]:
        process.wait_started()

    async def scenario() -> None:
        async with place.opened() as store:
            group = await store.tenant(credits=100_000)
            async with group.on(api) as connection:
                started = [
                    await group.import_file(connection, made.content, name)
                    for made, name in ((one, "One"), (two, "Two"))
                ]
                for (job_id, _), made in zip(started, (one, two), strict=True):
                    job = await wait_ended(connection, group, job_id)
                    left = await crashes.left_behind(store, group, job)
                    assert left.status == "completed"
                    assert left.counts["received"] == made.rows
                    assert left.counts["added"] == len(made.people)
                    assert left.counts["failed"] == made.broken
            stored = await store.rows(
                "SELECT email FROM prospects WHERE account_group_id = $1", group.id
            )
            assert len(stored) == len({row[0].lower() for row in stored}) == len(everyone)
            await invariants.check(store.rows, group.id)
            [(credits, reserved)] = await store.rows(
                "SELECT credits, credits_reserved FROM account_groups WHERE id = $1", group.id
            )
            charged = await store.value(
                "SELECT SUM(added) + SUM(updated) FROM prospecting_jobs"
                " WHERE account_group_id = $1",
                group.id,
            )
            assert (credits, reserved) == (100_000 - charged, 0)

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()
