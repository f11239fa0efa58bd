"""Imports whose workers are killed or frozen: the same people and counts as if nothing had been."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
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
    """What became of an import under kills."""

    kills: int
    pages: int
    fetched: int
    rescues: int
    seconds: float


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
    kills: int,
    spare: bool,
    seed: int,
) -> tuple[Imported, Crashed]:
    """The import with `kill -9` of whoever runs it, at moments spread over the file.

    With `spare` another worker is alive at every kill; a killed one is always replaced.
    """
    chance = random.Random(seed)
    group = await store.tenant()
    crew = [place.start("worker") for _ in range(2 if spare else 1)]
    began = time.monotonic()
    async with group.on(api) as connection:
        job_id, _ = await group.import_file(connection, made.content)
        moments = sorted(chance.sample(range(made.rows * 9 // 10), kills))
        done = 0
        for moment in moments:
            victim = await _running(store, job_id, crew, moment)
            if victim is None:
                break
            await asyncio.sleep(chance.random() * 0.05)
            victim.kill()
            done += 1
            crew.remove(victim)
            crew.append(place.start("worker"))
        job = await wait_ended(connection, group, job_id)
        seconds = time.monotonic() - began
        left = await left_behind(store, group, job)
    for process in crew:
        process.end()
    fetched = [line for line in place.pages.read_text().splitlines() if line.startswith(job_id)]
    rescues = await store.value(
        "SELECT rescues FROM prospecting_jobs WHERE id = $1", bytes.fromhex(job_id)
    )
    pages = len(set(fetched))
    assert done == kills, f"the import ended after {done} of {kills} kills"
    assert len(fetched) - pages <= kills, "more than one page repeated for a kill"
    assert rescues <= kills
    return left, Crashed(kills, pages, len(fetched), rescues, seconds)


async def _running(store: Store, job_id: str, crew: list[Process], moment: int) -> Process | None:
    """Who runs the job once it has come to a row; None if the job ended before."""

    async def found() -> Process | str | None:
        [(status, worker_id, rows)] = await store.rows(
            "SELECT status, worker_id, received FROM prospecting_jobs WHERE id = $1",
            bytes.fromhex(job_id),
        )
        if status not in ("queued", "running"):
            return "ended"
        by_id = {process.said: process for process in crew if process.status is None}
        return by_id.get(worker_id) if rows >= moment else None

    victim = await until(found, 120.0)
    return None if isinstance(victim, str) else victim
