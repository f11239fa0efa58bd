"""Workers that are frozen with SIGSTOP, replaced, and thawed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from longlist import startup
from longlist.db import Database, DatabaseAway
from tests.races import crashes, freezes, people
from tests.races.place import Place, until, wait_ended


@pytest.mark.parametrize("moment", ["at work", "in transaction"])
def test_a_thawed_worker_writes_nothing(place: Place, moment: str) -> None:
    if moment == "in transaction" and place.engine == "sqlite":
        pytest.skip("the supervisor kills a worker that holds the embedded database's lock")
    made = people.make(15_000, seed=4)
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


def test_a_worker_frozen_in_the_middle_of_a_copy_is_cut_off(place: Place) -> None:
    """No limit of the server ends a COPY whose client is silent, and it holds the job's row."""
    if place.engine == "sqlite":
        pytest.skip("the supervisor kills a worker that holds the embedded database's lock")
    made = people.make(15_000, seed=5)
    api = place.start("api")
    place.slice_rows = 200

    async def scenario() -> None:
        async with place.opened() as store:
            group = await store.tenant()
            first = place.start("worker")
            async with group.on(api) as connection:
                job_id, _ = await group.import_file(connection, made.content)

                async def some_rows() -> bool:
                    return await crashes.received(store, job_id) > 0

                await until(some_rows)
                stuck = startup.database(place.settings, session=first.said)
                await stuck.start()
                copying = asyncio.Event()
                cut = asyncio.create_task(_copy_for_ever(stuck, job_id, copying))
                await copying.wait()
                # Only now: frozen in a COPY of its own it would keep the row from this one.
                first.send(signal.SIGSTOP)
                assert await crashes.holder(store, job_id) == first.said, "the import was too quick"
                place.start("worker")
                job = await wait_ended(connection, group, job_id)
                assert job["status"] == "completed"
                assert job["counts"]["received"] == made.rows
                cut.cancel()
                with pytest.raises((DatabaseAway, asyncio.CancelledError)):
                    await cut
                await stuck.close()

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()


async def _copy_for_ever(db: Database, job_id: str, copying: asyncio.Event) -> None:
    """Hold a job's row, and begin a COPY that never goes on."""

    async def body(tx: Any) -> None:
        await tx.run(
            "UPDATE prospecting_jobs SET token = token WHERE id = $1", bytes.fromhex(job_id)
        )

        async def rows() -> AsyncIterator[bytes]:
            copying.set()
            await asyncio.sleep(600)
            yield b""

        await tx._connection.copy_to_table("installation", source=rows())

    await db.write(body)
