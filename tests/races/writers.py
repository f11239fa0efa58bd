"""Many writers at once: no lost acknowledged write, and no reader who sees less than was said."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from typing import NamedTuple

from tests.races.place import Group, Place, Process, Store

READERS = 4


class Acked(NamedTuple):
    """An acknowledged change. Times are of the client's clock."""

    version: int
    name: str
    sent_at: float
    acked_at: float


class Ledger:
    """What was acknowledged, by audience."""

    def __init__(self) -> None:
        self.by_audience: dict[str, list[Acked]] = defaultdict(list)
        self.highest: dict[str, int] = defaultdict(int)
        self.reads = 0

    @property
    def acked(self) -> int:
        return sum(len(entries) for entries in self.by_audience.values())

    def note(self, audience: str, entry: Acked) -> None:
        self.by_audience[audience].append(entry)
        self.highest[audience] = max(self.highest[audience], entry.version)


def version_of(etag: str) -> int:
    """The version in an ETag."""
    return int(etag.strip('"').rpartition("-")[2])


async def _write(
    api: Process, group: Group, mine: list[str], name: str, until: float, ledger: Ledger
) -> None:
    chance = random.Random(name)
    async with group.on(api) as connection:
        number = 0
        while time.monotonic() < until:
            number += 1
            audience, wanted = chance.choice(mine), f"{name}-{number}"
            sent_at = time.monotonic()
            answer = await connection.send(
                "PATCH", f"{group.path}/audiences/{audience}", {"name": wanted}
            )
            data = answer.expect(200).data
            assert data["name"] == wanted
            ledger.note(audience, Acked(version_of(answer.etag), wanted, sent_at, time.monotonic()))


async def _read(
    api: Process, group: Group, audiences: list[str], until: float, ledger: Ledger
) -> None:
    chance = random.Random(api.pid)
    async with group.on(api) as connection:
        while time.monotonic() < until:
            audience = chance.choice(audiences)
            least = ledger.highest[audience]
            answer = await connection.send("GET", f"{group.path}/audiences/{audience}")
            seen = version_of(answer.expect(200).etag)
            assert seen >= least, f"version {seen} read after {least} was acknowledged"
            ledger.reads += 1


async def race(
    place: Place,
    apis: list[Process],
    store: Store,
    *,
    writers: int,
    seconds: float,
    audiences: int = 8,
) -> Ledger:
    """Half of the writers share one audience, the others have all of them."""
    group, ledger = await store.tenant(), Ledger()
    async with group.on(apis[0]) as connection:
        ids = [await group.audience(connection) for _ in range(audiences)]
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as tasks:
        for number in range(writers):
            mine = ids[:1] if number % 2 else ids
            api = apis[number % len(apis)]
            tasks.create_task(_write(api, group, mine, f"w{number}", until, ledger))
        for number in range(READERS):
            tasks.create_task(_read(apis[number % len(apis)], group, ids, until, ledger))
    await judge(apis[-1], group, store, ledger)
    return ledger


async def judge(api: Process, group: Group, store: Store, ledger: Ledger) -> None:
    """The last acknowledged name is what is read, and every acknowledged change left its event."""
    async with group.on(api) as connection:
        for audience, entries in ledger.by_audience.items():
            entries.sort()
            versions = [entry.version for entry in entries]
            assert len(set(versions)) == len(versions), "one version acknowledged twice"
            _check_order(entries)
            answer = await connection.send("GET", f"{group.path}/audiences/{audience}")
            last = entries[-1]
            assert answer.expect(200).data["name"] == last.name
            assert version_of(answer.etag) == last.version
            events = await store.rows(
                "SELECT data FROM events WHERE account_group_id = $1 AND resource_id = $2"
                " AND type = 'audience.updated' ORDER BY sequence",
                group.id,
                bytes.fromhex(audience),
            )
            names = [name_in(row[0]) for row in events]
            assert names == [entry.name for entry in entries], "events and answers differ"


def name_in(data: str) -> str:
    """The name in an event's data, which has nothing that JSON escapes."""
    return data.partition('"name"')[2].partition('"')[2].partition('"')[0]


def _check_order(entries: list[Acked]) -> None:
    """No change comes after one that was sent only when it had been acknowledged already."""
    earliest_ack = float("inf")
    for entry in reversed(entries):
        assert earliest_ack >= entry.sent_at, "acknowledged first, but ordered after a later one"
        earliest_ack = min(earliest_ack, entry.acked_at)
