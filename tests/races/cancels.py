"""Imports that are cancelled at some row: how soon, and what is left."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from tests.races import crashes, invariants
from tests.races.people import Made
from tests.races.place import Group, Place, Process, Store, until, wait_ended
from tests.races.wire import Connection

TINY = b"Email\n" + b"".join(b"after%d@example.com\n" % at for at in range(10))


class Cancelled(NamedTuple):
    """How long the answer took, the rows saved until then, and pages fetched after it."""

    answer_s: float
    rows: int
    pages_after: int


async def cancelled(
    place: Place, api: Process, store: Store, made: Made, *, moment: int, writers: int = 0
) -> Cancelled:
    """Cancel an import once it has come to a row; a worker is there, and goes on with the next."""
    group = await store.tenant()
    async with group.on(api) as connection, crashes.renamed(api, group, writers):
        job_id, audience_id = await group.import_file(connection, made.content)

        async def come_to() -> bool:
            return await crashes.received(store, job_id) >= moment

        await until(come_to)
        began = time.monotonic()
        answer = await connection.send("POST", f"{group.path}/prospecting/{job_id}/cancel")
        answer_s = time.monotonic() - began
        assert answer.expect(200).data == {"jobId": job_id, "status": "cancelled"}
        pages = _pages(place, job_id)
        job = await wait_ended(connection, group, job_id)
        assert job["status"] == "cancelled"
        assert moment <= job["counts"]["received"] < made.rows, "the import was too quick"
        # Ready from the answer on, though its worker may still be at the page after.
        renamed = f"{group.path}/audiences/{audience_id}"
        (await connection.send("PATCH", renamed, {"name": "Mine again"})).expect(200)
        await _has_moved_on(store, group, connection, job_id)
        assert await wait_ended(connection, group, job_id) == job, "written after the cancel"
        await crashes.left_behind(store, group, job)
        again = await connection.send("POST", f"{group.path}/prospecting/{job_id}/cancel")
        again.expect(422, "VALIDATION_ERROR")
    await invariants.check(store.rows, group.id)
    return Cancelled(answer_s, job["counts"]["received"], _pages(place, job_id) - pages)


async def _has_moved_on(store: Store, group: Group, connection: Connection, job_id: str) -> None:
    """Return when the worker that ran a job has worked off another after it."""
    following, _ = await group.import_file(connection, TINY, "Following")
    data = await wait_ended(connection, group, following)
    assert data["status"] == "completed"
    assert data["counts"]["added"] == 10
    assert await crashes.holder(store, job_id) is None
    # Longer than a worker takes to see that a job it is at has ended.
    await asyncio.sleep(1.5)


def _pages(place: Place, job_id: str) -> int:
    lines = place.pages.read_text().splitlines() if place.pages.exists() else []
    return sum(line.startswith(job_id) for line in lines)
