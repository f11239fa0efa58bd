"""PostgreSQL goes away under load and comes back; the API process dies under load on SQLite."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from tests.races import crashes, faults, people
from tests.races.place import Place, until, wait_ended

CUT_ALL = (
    "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def test_cut_connections_lose_nothing(place: Place) -> None:
    """Every connection of the API is cut, again and again, under load."""
    if place.engine == "sqlite":
        pytest.skip("the embedded database has no connections to cut")
    api = place.start("api")

    async def scenario() -> faults.Load:
        async with place.opened() as store:
            group = await store.tenant()

            async def cuts(load: faults.Load) -> None:
                for _ in range(5):
                    await load.until_seen("200", 50)
                    await store.value(CUT_ALL)
                await load.until_seen("200", 50)

            load = await faults.under_load(group, lambda: int(api.said), 32, cuts)
            await load.judge(api, store)
            return load

    load = asyncio.run(scenario())
    place.end()
    load.is_honest()
    assert load.seen["503 OVERLOADED"] > 0


def test_an_import_outlives_cut_connections(place: Place) -> None:
    """The worker's connections are cut while it imports: the same people in the end."""
    if place.engine == "sqlite":
        pytest.skip("the embedded database has no connections to cut")
    made = people.make(10_000, seed=8)
    place.slice_rows = 500
    api = place.start("api")
    place.start("worker")

    async def scenario() -> None:
        async with place.opened() as store:
            group = await store.tenant()
            async with group.on(api) as connection:
                job_id, _ = await group.import_file(connection, made.content)
                for share in (1, 4, 8):

                    async def come_to(row: int = made.rows * share // 10) -> bool:
                        return await crashes.received(store, job_id) >= row

                    await until(come_to)
                    await store.value(CUT_ALL)
                job = await wait_ended(connection, group, job_id)
                left = await crashes.left_behind(store, group, job)
        assert left.status == "completed"
        assert left.counts["received"] == made.rows
        assert left.counts["added"] == len(made.people)

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()


def test_a_killed_api_process_loses_nothing(place: Place) -> None:
    """kill -9 under load, and a new process: whatever was acknowledged is there."""

    async def scenario() -> faults.Load:
        api = place.start("api")
        async with place.opened() as store:
            group = await store.tenant()

            async def kills(load: faults.Load) -> None:
                nonlocal api
                for _ in range(2):
                    await load.until_seen("200", 100)
                    api.kill()
                    api = await asyncio.to_thread(place.start, "api")
                await load.until_seen("200", 100)

            load = await faults.under_load(group, lambda: int(api.said), 32, kills)
            await load.judge(api, store)
        return load

    load = asyncio.run(scenario())
    place.end()
    load.is_honest("cut")
    assert load.seen["cut"] > 0
    if place.engine == "sqlite":
        connection = sqlite3.connect(place.settings.sqlite_path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
