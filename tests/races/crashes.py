"""Imports whose workers are killed or frozen: the same people and counts as if nothing had been."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from tests.races.people import Made
from tests.races.place import Group, Place, Process, Store, until, wait_ended


class Imported(NamedTuple):
    """All that an import left, without what differs between two runs of it."""

    status: str
    counts: dict[str, int]
    outcomes: list[tuple[Any, ...]]
    members: list[tuple[Any, ...]]


class Crashed(NamedTuple):
    """What became of an import under kills.

    `partly`: kills that came when a part of a page was saved. `back_s`: the longest time from a
    kill until another worker had the job. `renames`: of another audience, all of them answered.
    """

    kills: int
    partly: int
    pages: int
    fetched: int
    rescues: int
    back_s: float
    seconds: float
    renames: int


async def left_behind(store: Store, group: Group, job: Any) -> Imported:
    """What an ended import left, with the promises checked that every import has to keep."""
    job_id, audience_id = bytes.fromhex(job["jobId"]), bytes.fromhex(job["audienceId"])
    outcomes = await store.rows(
        "SELECT position, line, outcome, reason FROM job_rows WHERE account_group_id = $1"
        " AND job_id = $2 ORDER BY position",
        group.id,
        job_id,
    )
    members = await store.rows(
        "SELECT p.email, p.first_name, p.last_name, p.name, p.title, p.company_name"
        " FROM memberships m JOIN prospects p ON p.account_group_id = m.account_group_id"
        " AND p.id = m.prospect_id WHERE m.account_group_id = $1 AND m.audience_id = $2",
        group.id,
        audience_id,
    )
    counts = dict(job["counts"])
    received = counts["received"]
    assert sum(counts.values()) == 2 * received, counts
    assert [row[0] for row in outcomes] == list(range(1, received + 1)), "a row twice, or missing"
    by_outcome = Counter(row[2] for row in outcomes)
    assert {name: n for name, n in counts.items() if n and name != "received"} == by_outcome
    [(prospect_count, active_job)] = await store.rows(
        "SELECT prospect_count, active_job_id FROM audiences WHERE account_group_id = $1"
        " AND id = $2",
        group.id,
        audience_id,
    )
    assert active_job is None, "the job has ended and its lock is held"
    assert prospect_count == len(members) == counts["added"]
    doubled = await store.rows(
        "SELECT key FROM prospect_keys WHERE account_group_id = $1 GROUP BY key"
        " HAVING COUNT(*) > 1",
        group.id,
    )
    assert not doubled
    changes = await store.rows(
        "SELECT type FROM events WHERE account_group_id = $1 AND resource_id = $2"
        " AND type IN ('audience.filling', 'audience.ready') ORDER BY sequence",
        group.id,
        audience_id,
    )
    assert [row[0] for row in changes] == ["audience.filling", "audience.ready"]
    return Imported(job["status"], counts, outcomes, sorted(members, key=repr))


async def received(store: Store, job_id: str) -> int:
    """Rows of a job that are saved."""
    found = await store.value(
        "SELECT received FROM prospecting_jobs WHERE id = $1", bytes.fromhex(job_id)
    )
    return int(found)


async def holder(store: Store, job_id: str) -> str | None:
    """The worker that runs a job."""
    found: str | None = await store.value(
        "SELECT worker_id FROM prospecting_jobs WHERE id = $1", bytes.fromhex(job_id)
    )
    return found


async def undisturbed(api: Process, store: Store, made: Made) -> Imported:
    """The import in a group of its own, with no hand laid on its worker."""
    group = await store.tenant()
    async with group.on(api) as connection:
        job_id, _ = await group.import_file(connection, made.content)
        return await left_behind(store, group, await wait_ended(connection, group, job_id))


async def killed(
    place: Place,
    api: Process,
    store: Store,
    made: Made,
    *,
    moments: Sequence[int],
    spare: bool,
    writers: int = 0,
    partly: bool = False,
    seed: int = 0,
) -> tuple[Imported, Crashed]:
    """The import with `kill -9` of whoever runs it, once it has come to each of some rows.

    With `spare` another worker is alive at every kill; a killed one is always replaced. A moment
    after the end of the import is left out. `writers` rename another audience all along, so that
    on SQLite somebody waits for the write lock; with `partly` the kills wait for a page of which
    a part is saved.
    """
    chance = random.Random(seed)
    group = await store.tenant()
    crew = [place.start("worker") for _ in range(2 if spare else 1)]
    began = time.monotonic()
    hit, waited = [], [0.0]
    async with group.on(api) as connection, renamed(api, group, writers) as renames:
        job_id, _ = await group.import_file(connection, made.content)
        for moment in sorted(moments):
            pause_s = 0.0 if partly else chance.random() * 0.05
            victim = await _caught(store, job_id, crew, moment, pause_s, place if partly else None)
            if victim is None:
                break
            victim.kill()
            hit.append(await received(store, job_id) % place.page_rows)
            dead = time.monotonic()
            crew.remove(victim)
            crew.append(place.start("worker"))
            await until(partial(_is_free_of, store, job_id, victim.said))
            waited.append(time.monotonic() - dead)
        job = await wait_ended(connection, group, job_id)
        seconds = time.monotonic() - began
        left = await left_behind(store, group, job)
    for process in crew:
        process.end()
    fetched = [line for line in place.pages.read_text().splitlines() if line.startswith(job_id)]
    rescues = await store.value(
        "SELECT rescues FROM prospecting_jobs WHERE id = $1", bytes.fromhex(job_id)
    )
    pages, kills = len(set(fetched)), len(hit)
    assert len(fetched) - pages <= kills, f"more than a page repeated for each kill: {fetched}"
    assert rescues <= kills
    partly_saved = sum(rows > 0 for rows in hit)
    return left, Crashed(
        kills, partly_saved, pages, len(fetched), rescues, max(waited), seconds, len(renames)
    )


@asynccontextmanager
async def renamed(api: Process, group: Group, writers: int) -> AsyncIterator[list[str]]:
    """Rename an audience all along; the names acknowledged. None may be refused."""
    names: list[str] = []
    stopped = asyncio.Event()

    async def write(number: int, url: str) -> None:
        async with group.on(api) as connection:
            while not stopped.is_set():
                name = f"{number}-{len(names)}"
                (await connection.send("PATCH", url, {"name": name})).expect(200)
                names.append(name)

    async with asyncio.TaskGroup() as tasks:
        if writers:
            async with group.on(api) as connection:
                url = f"{group.path}/audiences/{await group.audience(connection)}"
            for number in range(writers):
                tasks.create_task(write(number, url))
        try:
            yield names
        finally:
            stopped.set()


async def _is_free_of(store: Store, job_id: str, worker_id: str) -> bool:
    """Whether a job has ended or is another worker's."""
    return await holder(store, job_id) not in (worker_id, None) or await _has_ended(store, job_id)


async def _has_ended(store: Store, job_id: str) -> bool:
    live = "SELECT 1 FROM prospecting_jobs WHERE id = $1 AND status IN ('queued', 'running')"
    return await store.value(live, bytes.fromhex(job_id)) is None


async def _caught(
    store: Store,
    job_id: str,
    crew: list[Process],
    moment: int,
    pause_s: float,
    partly_in: Place | None,
) -> Process | None:
    """Who runs the job some time after it has come to a row; None if the job ended before.

    With a place it is frozen, at a moment at which a part of a page is saved.
    """

    async def found() -> Process | str | None:
        if await _has_ended(store, job_id):
            return "ended"
        by_id = {process.said: process for process in crew if process.status is None}
        victim = by_id.get(await holder(store, job_id) or "")
        if victim is None or await received(store, job_id) < moment:
            return None
        await asyncio.sleep(pause_s)
        if partly_in is None:
            return victim
        victim.send(signal.SIGSTOP)
        if await received(store, job_id) % partly_in.page_rows:
            return victim
        victim.send(signal.SIGCONT)
        return None

    victim = await until(found, 120.0)
    return None if isinstance(victim, str) else victim
