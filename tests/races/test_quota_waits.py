"""Imports of real workers that come to the end of a quota, wait, and go on."""

from __future__ import annotations

import asyncio
from typing import Any

from longlist.accounts import store as accounts
from tests.races import invariants, people
from tests.races.place import Group, Place, Store, until, wait_ended

FILES, ROWS = 3, 1_500


async def _set_limit(store: Store, group: Group, limit: int | None) -> None:
    await store.write(group.id, accounts.set_values, {"quota.FILE_IMPORT": limit})


async def _imported(store: Store, group: Group) -> int:
    sql = "SELECT SUM(added) + SUM(updated) FROM prospecting_jobs WHERE account_group_id = $1"
    return int(await store.value(sql, group.id))


async def _all_wait(store: Store, group: Group) -> Any:
    held = await store.value(
        "SELECT COUNT(*) FROM prospecting_jobs WHERE account_group_id = $1"
        " AND worker_id IS NOT NULL",
        group.id,
    )
    left = await store.value(
        "SELECT daily_limit - used FROM prospecting_quotas WHERE account_group_id = $1", group.id
    )
    return held == 0 and left == 0


def test_exactly_the_quota_is_imported_and_then_the_rest(place: Place) -> None:
    made = [people.make(ROWS, seed=20 + at) for at in range(FILES)]
    place.slice_rows = 200
    api = place.start("api")
    for process in [place.begin("worker"), place.begin("worker")]:
        process.wait_started()

    async def scenario() -> None:
        async with place.opened() as store:
            group = await store.tenant(**{"quota.FILE_IMPORT": 1_001})
            async with group.on(api) as connection:
                jobs = [
                    (await group.import_file(connection, one.content, f"File {at}"))[0]
                    for at, one in enumerate(made)
                ]
                for limit in (1_001, 1_001 + 750):
                    await _set_limit(store, group, limit)
                    await until(lambda: _all_wait(store, group))
                    assert await _imported(store, group) == limit
                    await invariants.check(store.rows, group.id)
                await _set_limit(store, group, None)
                for job_id, one in zip(jobs, made, strict=True):
                    job = await wait_ended(connection, group, job_id)
                    assert job["status"] == "completed"
                    assert job["counts"]["received"] == one.rows
                    assert job["counts"]["added"] == len(one.people)
            await invariants.check(store.rows, group.id)
            rescues = await store.value(
                "SELECT SUM(rescues) FROM prospecting_jobs WHERE account_group_id = $1", group.id
            )
            assert rescues == 0

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()
