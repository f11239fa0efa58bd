"""A worker that is frozen, taken for dead, and comes back: it writes nothing."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import time
from typing import Any, NamedTuple

from tests.races import crashes
from tests.races.people import Made
from tests.races.place import Group, Place, Process, Store, until, wait_ended

BURIED = 70
"""The exit status of a worker that finds that it was declared dead."""


class Frozen(NamedTuple):
    """How a freeze went."""

    tries: int
    taken_over_s: float


async def freeze(
    place: Place,
    api: Process,
    store: Store,
    made: Made,
    *,
    thaw_at_once: bool,
    in_transaction: bool = False,
    seed: int,
) -> tuple[crashes.Imported, Frozen]:
    """Freeze the worker of an import; thaw it when another took the job, or when that has ended.

    `in_transaction`: while it has a transaction open on PostgreSQL.
    """
    chance = random.Random(seed)
    group = await store.tenant()
    first = place.start("worker")
    async with group.on(api) as connection:
        job_id, _ = await group.import_file(connection, made.content)

        async def some_rows() -> bool:
            return await crashes.received(store, job_id) > 0

        await until(some_rows)
        tries = await _stop(place, first, store, chance, in_transaction=in_transaction)
        assert await crashes.holder(store, job_id) == first.said, "the import was too quick"
        began = time.monotonic()
        second = place.start("worker")

        async def taken() -> bool:
            return await crashes.holder(store, job_id) not in (first.said, None)

        await until(taken)
        taken_over_s = time.monotonic() - began
        if thaw_at_once:
            first.send(signal.SIGCONT)
        job = await wait_ended(connection, group, job_id)
        before = await _everything(store, group)
        first.send(signal.SIGCONT)

        async def gone() -> bool:
            return first.status is not None

        await until(gone)
        assert first.status == BURIED
        assert await _everything(store, group) == before, "the thawed worker wrote"
        left = await crashes.left_behind(store, group, job)
    second.end()
    return left, Frozen(tries, taken_over_s)


async def _stop(
    place: Place, worker: Process, store: Store, chance: random.Random, *, in_transaction: bool
) -> int:
    """SIGSTOP at a moment at which a transaction of the worker is open, or none is.

    On SQLite one that is open stops every writer of the file until the worker is killed, which is
    the supervisor's task: there it is always at a moment without one.
    """
    for tries in range(1, 500):
        await asyncio.sleep(chance.random() * 0.02)
        worker.send(signal.SIGSTOP)
        # What it had sent before is still carried out by the server.
        await asyncio.sleep(0.02)
        is_open = await _is_open(store) if place.engine == "postgres" else _is_locked(place)
        if is_open is in_transaction:
            return tries
        worker.send(signal.SIGCONT)
    raise AssertionError("the worker was never caught in the wanted state")


async def _is_open(store: Store) -> bool:
    """Whether a transaction holds rows of jobs; the API is not at work."""
    return bool(
        await store.value(
            "SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND l.mode = 'RowExclusiveLock'"
            " AND l.relation = 'prospecting_jobs'::regclass"
        )
    )


def _is_locked(place: Place) -> bool:
    connection = sqlite3.connect(place.settings.sqlite_path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False


async def _everything(store: Store, group: Group) -> list[Any]:
    """Every row of the group that a worker could write."""
    return [
        await store.rows(sql, group.id)
        for sql in (
            "SELECT * FROM prospecting_jobs WHERE account_group_id = $1 ORDER BY id",
            "SELECT * FROM job_rows WHERE account_group_id = $1 ORDER BY job_id, position",
            "SELECT audience_id, prospect_id FROM memberships WHERE account_group_id = $1"
            " ORDER BY audience_id, prospect_id",
            "SELECT id, version FROM prospects WHERE account_group_id = $1 ORDER BY id",
            "SELECT * FROM audiences WHERE account_group_id = $1 ORDER BY id",
            "SELECT id, type FROM events WHERE account_group_id = $1 ORDER BY sequence",
            "SELECT credits, credits_reserved FROM account_groups WHERE id = $1",
        )
    ]
