"""One request sent many times: at once, and by clients that never see the answer."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from tests.races.place import Group, Place, Process, Store, until
from tests.races.wire import request_bytes

TIMES = 50
BODY = b'{"type":"url_upload","audienceName":"Once","profileUrls":["https://linkedin.com/in/once"]}'


async def _count(store: Store, group: Group) -> tuple[int, int, int]:
    """Jobs, audiences and events of starts."""
    found = [
        await store.value(sql, group.id)
        for sql in (
            "SELECT COUNT(*) FROM prospecting_jobs WHERE account_group_id = $1",
            "SELECT COUNT(*) FROM audiences WHERE account_group_id = $1",
            "SELECT COUNT(*) FROM events WHERE account_group_id = $1"
            " AND type = 'prospecting.queued'",
        )
    ]
    return found[0], found[1], found[2]


async def _at_once(api: Process, group: Group, key: str) -> set[str]:
    """The same start on many connections; the jobs it was answered with."""
    connections = [group.on(api) for _ in range(TIMES)]
    answers = await asyncio.gather(
        *(
            c.send("POST", f"{group.path}/prospecting", body=BODY, headers={"Idempotency-Key": key})
            for c in connections
        )
    )
    jobs = set()
    for answer in answers:
        if answer.status == 202:
            jobs.add(answer.data["jobId"])
        else:
            answer.expect(409, "CONFLICT")
    fresh = [a for a in answers if a.status == 202 and "idempotency-replayed" not in a.headers]
    assert len(fresh) <= 1
    for connection in connections:
        connection.close()
    return jobs


async def _cut_off(api: Process, group: Group, key: str, chance: random.Random) -> None:
    """Send the start and hang up before the answer."""
    _, writer = await asyncio.open_connection("127.0.0.1", int(api.said))
    request = request_bytes(
        "POST", f"{group.path}/prospecting", group.key, BODY, {"Idempotency-Key": key}
    )
    writer.write(request)
    await writer.drain()
    await asyncio.sleep(chance.random() * 0.01)
    writer.transport.abort()


def test_a_start_sent_fifty_times_starts_one_job(place: Place) -> None:
    api = place.start("api")

    async def scenario() -> None:
        async with place.opened() as store:
            group = await store.tenant(credits=1000)
            jobs = await _at_once(api, group, "all-at-once")
            assert len(jobs) == 1
            assert await _count(store, group) == (1, 1, 1)
            assert await _at_once(api, group, "all-at-once") == jobs
            assert await _count(store, group) == (1, 1, 1)

    asyncio.run(scenario())
    place.end()


def test_a_start_whose_answer_is_lost_can_be_sent_again(place: Place) -> None:
    api = place.start("api")

    async def scenario() -> None:
        chance = random.Random(6)
        async with place.opened() as store:
            group = await store.tenant(credits=1000)
            for number in range(10):
                key = f"cut-off-{number}"
                await asyncio.gather(*(_cut_off(api, group, key, chance) for _ in range(5)))

                async def settled(key: str = key) -> set[str]:
                    return await _at_once(api, group, key)

                # Right after a cut the first may still be at work, which is a 409.
                jobs = await until(settled)
                assert len(jobs) == 1
                assert await _count(store, group) == (number + 1,) * 3
            reserved = await store.value(
                "SELECT credits_reserved FROM account_groups WHERE id = $1", group.id
            )
            assert reserved == 10

    asyncio.run(scenario())
    place.end()


def test_a_start_that_was_committed_by_an_api_that_died_before_answering(place: Place) -> None:
    key = "last-words"
    place.lethal_key = key
    mortal = place.start("api")
    place.lethal_key = ""

    async def scenario() -> None:
        async with place.opened() as store:
            group = await store.tenant(credits=1000)
            connection = group.on(mortal)
            with pytest.raises(ConnectionError):
                await connection.send(
                    "POST",
                    f"{group.path}/prospecting",
                    body=BODY,
                    headers={"Idempotency-Key": key},
                )
            assert await _count(store, group) == (1, 1, 1)
            assert await asyncio.to_thread(mortal.wait_ended) == -signal.SIGKILL
            made = await store.value(
                "SELECT id FROM prospecting_jobs WHERE account_group_id = $1", group.id
            )
            api = await asyncio.to_thread(place.start, "api")
            assert await _at_once(api, group, key) == {made.hex()}
            assert await _count(store, group) == (1, 1, 1)

    try:
        asyncio.run(scenario())
    finally:
        place.end()
