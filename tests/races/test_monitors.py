"""Monitors whose workers are killed or frozen around due times: each run once, none lost."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longlist.ids import now_ms
from tests.harness import invented
from tests.races import invariants
from tests.races.freezes import BURIED
from tests.races.place import Group, Place, Process, Store, until

AUDIENCES = 12
KILLS = 3
HOUR_MS = 3_600_000
SEARCH = {"type": "directory_search", "query": "fintech"}
PEOPLE = [f"watched{at}@example.com" for at in range(5)]


@pytest.fixture
def installed(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The place, whose processes find the invented provider."""
    invented.install(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield place
    place.end()


class Watched:
    """A group whose audiences all have a monitor, and how often each was due."""

    def __init__(self, store: Store, group: Group) -> None:
        self.store, self.group = store, group
        self.times = 0

    async def watch(self, api: Process) -> None:
        """Make the audiences, with monitors that are due at once."""
        await self.store.write(self.group.id, invented.set_up, PEOPLE)
        async with self.group.on(api) as connection:
            for at in range(AUDIENCES):
                audience = {"name": f"Watched {at}", "type": "monitoring"}
                path = f"{self.group.path}/audiences"
                made = await connection.send("POST", path, audience)
                monitor = {"source": SEARCH, "intervalMinutes": 15}
                target = f"{path}/{made.expect(201).data['id']}/monitor"
                (await connection.send("PUT", target, monitor)).expect(200)
        self.times = 1

    async def fall_due(self, ago_ms: int = 0) -> None:
        """Have every monitor be due, since `ago_ms`."""

        async def body(ctx: Any) -> None:
            await ctx.tx.run(
                "UPDATE monitors SET next_run_at = $2 WHERE account_group_id = $1",
                ctx.group,
                now_ms() - ago_ms,
            )

        await self.store.write(self.group.id, body)
        self.times += 1

    async def at_rest(self) -> bool:
        """Whether no run is due any more and no job is under way."""
        busy = await self.store.value(
            "SELECT (SELECT COUNT(*) FROM monitors WHERE account_group_id = $1"
            " AND next_run_at <= $2) + (SELECT COUNT(*) FROM audiences"
            " WHERE account_group_id = $1 AND active_job_id IS NOT NULL)",
            self.group.id,
            now_ms(),
        )
        return int(busy) == 0

    async def check(self) -> None:
        """Every audience was filled as often as it was due, and its monitor names the last job."""
        await until(self.at_rest)
        rows = await self.store.rows(
            "SELECT m.last_job_id, (SELECT n.id FROM prospecting_jobs n"
            " WHERE n.account_group_id = $1 AND n.audience_id = m.audience_id"
            " ORDER BY n.id DESC LIMIT 1), COUNT(*), MIN(j.status), MAX(j.status),"
            " MIN(j.received), MAX(j.received), SUM(j.added)"
            " FROM monitors m JOIN prospecting_jobs j"
            " ON j.account_group_id = m.account_group_id AND j.audience_id = m.audience_id"
            " WHERE m.account_group_id = $1 GROUP BY m.audience_id, m.last_job_id",
            self.group.id,
        )
        assert len(rows) == AUDIENCES
        for last, newest, jobs, low, high, least, most, added in rows:
            assert jobs == self.times
            assert bytes(last) == bytes(newest)
            assert (low, high) == ("completed", "completed")
            assert least == most == len(PEOPLE)
            assert added == len(PEOPLE)
        await invariants.check(self.store.rows, self.group.id)


def test_killed_workers(installed: Place) -> None:
    place = installed

    async def scenario() -> None:
        async with place.opened() as store:
            watched = Watched(store, await store.tenant())
            await watched.watch(place.start("api"))
            crew = [place.start("worker"), place.start("worker")]
            await watched.check()
            chance = random.Random(7)
            for at in range(KILLS):
                await watched.fall_due()
                await asyncio.sleep(chance.uniform(0.0, 0.6))
                crew[at % 2].kill()
                crew[at % 2] = place.begin("worker")
                await watched.check()
            # Several times missed with no worker there at all: one run makes up for them.
            for process in crew:
                process.kill()
            await watched.fall_due(ago_ms=5 * HOUR_MS)
            place.start("worker")
            await watched.check()

    asyncio.run(scenario())


def test_a_frozen_worker(installed: Place) -> None:
    place = installed
    if place.engine == "sqlite":
        pytest.skip("Frozen in a transaction it keeps SQLite's one write lock: `serve` kills it.")

    async def scenario() -> None:
        async with place.opened() as store:
            watched = Watched(store, await store.tenant())
            await watched.watch(place.start("api"))
            frozen = place.start("worker")
            await watched.check()
            place.start("worker")
            await watched.fall_due()
            await asyncio.sleep(0.15)
            frozen.send(signal.SIGSTOP)
            await watched.check()

            async def buried() -> bool:
                known = "SELECT 1 FROM workers WHERE id = $1"
                return await store.value(known, frozen.said) is None

            async def ended() -> bool:
                return frozen.status is not None

            await until(buried)
            frozen.send(signal.SIGCONT)
            await until(ended)
            assert frozen.status == BURIED
            await watched.check()

    asyncio.run(scenario())
