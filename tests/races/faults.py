"""Loads that meet a fault of the database: what may be answered, and what has to be there after."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from tests.harness.answer import Answer
from tests.races.place import Group, Process, Store, until
from tests.races.wire import Connection

LARGE = "Long enough for pages to fill. " * 60
HONEST = ("200", "201", "202", "503 OVERLOADED")


def said(answer: Answer) -> str:
    """Status and code of an answer."""
    return f"{answer.status} {answer.code}" if answer.status >= 400 else str(answer.status)


class Load:
    """Writers that go on whatever is answered, and all that was acknowledged to them.

    What was sent and refused or not answered may be there or not; what was acknowledged has to.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.seen: Counter[str] = Counter()
        self.created: dict[str, str] = {}
        self.named: dict[str, set[str]] = {}
        """Names that an audience may have: the last acknowledged, and those of unknown fate."""
        self.stopped = False

    async def run(self, port: Callable[[], int], writers: int) -> None:
        """Write until `stopped`."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(writers):
                tasks.create_task(self._write(port, f"w{number}"))

    def _note(self, kind: str) -> None:
        self.seen[kind] += 1

    async def _write(self, port: Callable[[], int], writer: str) -> None:
        number = 0
        connection = Connection(port(), self.group.key)
        mine: str | None = None
        while not self.stopped:
            number += 1
            connection.port = port()
            name = f"{writer}-{number}"
            try:
                if mine is None or number % 8 == 0:
                    mine = await self._create(connection, name) or mine
                else:
                    await self._rename(connection, mine, name)
                self._note("reads" if await self._read(connection) else "reads refused")
            except ConnectionError:
                # Of no use to try at once where nobody listens.
                self._note("cut")
                await asyncio.sleep(0.01)
        connection.close()

    async def _create(self, connection: Connection, name: str) -> str | None:
        body = {"name": name, "type": "on_demand", "description": LARGE}
        answer = await connection.send("POST", f"{self.group.path}/audiences", body)
        self._note(said(answer))
        if answer.status != 201:
            return None
        made = str(answer.data["id"])
        self.named[made] = {name}
        self.created[made] = name
        return made

    async def _rename(self, connection: Connection, audience: str, name: str) -> None:
        # Only this writer renames it: until the answer, either name may be read.
        self.named[audience].add(name)
        answer = await connection.send(
            "PATCH", f"{self.group.path}/audiences/{audience}", {"name": name}
        )
        self._note(said(answer))
        if answer.status == 200:
            self.named[audience] = {name}

    async def _read(self, connection: Connection) -> bool:
        answer = await connection.send("GET", f"{self.group.path}/audiences?limit=1")
        if answer.status != 200:
            self._note(said(answer))
        return answer.status == 200

    async def phase(self, seconds: float) -> Counter[str]:
        """What was answered in the next seconds."""
        before = self.seen.copy()
        await asyncio.sleep(seconds)
        return self.seen - before

    async def until_seen(self, kind: str, times: int = 5) -> None:
        """Wait until an answer of a kind has come some times more."""
        wanted = self.seen[kind] + times

        async def reached() -> bool:
            return self.seen[kind] >= wanted

        await until(reached)

    def is_honest(self, *besides: str) -> None:
        """Assert that nothing was answered but success and 503."""
        allowed = {*HONEST, "reads", "reads refused", *besides}
        others = set(self.seen) - allowed
        assert not others, self.seen

    async def judge(self, api: Process, store: Store) -> None:
        """Everything that was acknowledged is there, in the database and in answers."""
        rows = await store.rows(
            "SELECT id, name FROM audiences WHERE account_group_id = $1", self.group.id
        )
        names = {row[0].hex(): row[1] for row in rows}
        for audience, possible in self.named.items():
            assert audience in names, "an acknowledged audience is not there"
            assert names[audience] in possible, (names[audience], possible)
        events = await store.rows(
            "SELECT resource_id FROM events WHERE account_group_id = $1"
            " AND type = 'audience.created'",
            self.group.id,
        )
        assert {row[0].hex() for row in events} == set(names), "audiences and events differ"
        async with self.group.on(api) as connection:
            for audience in list(self.named)[:20]:
                answer = await connection.send("GET", f"{self.group.path}/audiences/{audience}")
                assert answer.expect(200).data["name"] in self.named[audience]


async def under_load(
    group: Group, port: Callable[[], int], writers: int, scenario: Callable[[Load], Awaitable[Any]]
) -> Load:
    """Run a scenario while the load goes on; the load, ended."""
    load = Load(group)
    running = asyncio.create_task(load.run(port, writers))
    try:
        await scenario(load)
    finally:
        load.stopped = True
        await running
    return load


async def seconds_until(condition: Callable[[], Awaitable[Any]]) -> float:
    """How long a condition took to come true."""
    began = time.monotonic()
    await until(condition)
    return time.monotonic() - began
