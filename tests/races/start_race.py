"""Changes raced against the start of a job: once the lock is taken, nothing is changed."""

from __future__ import annotations

import asyncio
import random
from typing import NamedTuple

from tests.harness.answer import Answer
from tests.races.place import Group, Process, Store
from tests.races.wire import Connection
from tests.races.writers import name_in

LANES = 8
PROFILE = "https://www.linkedin.com/in/raced-{}"
TAKEN, FREED = "audience.filling", "audience.ready"
CHANGES = ("audience.updated", "audience.members_changed", "audience.deleted")


class Raced(NamedTuple):
    """What came of the rounds."""

    rounds: int
    acknowledged: int
    refused: int


class Round(NamedTuple):
    """The answers of one round."""

    name: str
    patches: list[Answer]
    others: list[Answer]
    starts: list[Answer]


async def _later(chance: random.Random, connection: Connection, *request: object) -> Answer:
    # Spread over about as long as a request takes, so that each may come before the other.
    await asyncio.sleep(chance.random() * 0.004)
    return await connection.send(*request)  # type: ignore[arg-type]


async def _round(
    chance: random.Random, connections: list[Connection], group: Group, audience: str, name: str
) -> Round:
    one, two, three, four, five, six = connections
    url = f"{group.path}/audiences/{audience}"
    add = {"prospects": [{"name": name, "linkedinUrl": PROFILE.format(name)}]}
    start = {"type": "url_upload", "audienceId": audience, "profileUrls": [PROFILE.format("x")]}
    answers = await asyncio.gather(
        _later(chance, one, "PATCH", url, {"name": f"{name}-a"}),
        _later(chance, two, "PATCH", url, {"name": f"{name}-b", "description": name}),
        _later(chance, three, "PATCH", url, {"description": f"{name}-c"}),
        _later(chance, four, "POST", f"{url}/prospects", add),
        _later(chance, five, "POST", f"{group.path}/prospecting", start),
        _later(chance, six, "POST", f"{group.path}/prospecting", start),
    )
    return Round(name, list(answers[:3]), [answers[3]], list(answers[4:]))


async def _lane(api: Process, group: Group, lane: int, rounds: int) -> tuple[str, list[Round]]:
    chance = random.Random(lane)
    connections = [group.on(api) for _ in range(6)]
    audience = await group.audience(connections[0], f"Lane {lane}")
    done: list[Round] = []
    for number in range(rounds):
        found = await _round(chance, connections, group, audience, f"l{lane}r{number}")
        done.append(found)
        started = [answer for answer in found.starts if answer.status == 202]
        assert len(started) == 1, [answer.status for answer in found.starts]
        # The start has been answered: whatever is sent from here on has to be refused.
        after = await connections[0].send(
            "PATCH", f"{group.path}/audiences/{audience}", {"name": "Too late"}
        )
        after.expect(409, "AUDIENCE_NOT_READY")
        job = started[0].data["jobId"]
        assert after.error["context"]["jobId"] == job
        cancel = await connections[1].send("POST", f"{group.path}/prospecting/{job}/cancel")
        cancel.expect(200)
    for connection in connections:
        connection.close()
    return audience, done


async def race(api: Process, store: Store, *, rounds: int) -> Raced:
    """Several audiences at once, each through its share of the rounds. No worker may be alive."""
    group = await store.tenant()
    share = max(1, rounds // LANES)
    lanes = await asyncio.gather(*(_lane(api, group, lane, share) for lane in range(LANES)))
    acknowledged = refused = 0
    for audience, done in lanes:
        answers = [answer for found in done for answer in (*found.patches, *found.others)]
        for answer in answers:
            if answer.status != 200:
                answer.expect(409, "AUDIENCE_NOT_READY")
                refused += 1
        acknowledged += sum(answer.status == 200 for answer in answers)
        await _judge(store, group, audience, done)
    return Raced(share * LANES, acknowledged, refused)


async def _judge(store: Store, group: Group, audience: str, done: list[Round]) -> None:
    """Between the taking of the lock and its end there is no change; answers and events agree."""
    rows = await store.rows(
        "SELECT type, data FROM events WHERE account_group_id = $1 AND resource_id = $2"
        " ORDER BY sequence",
        group.id,
        bytes.fromhex(audience),
    )
    locked = False
    updates: list[str] = []
    for type_, data in rows:
        if type_ in (TAKEN, FREED):
            assert locked is (type_ == FREED), "taken or freed twice"
            locked = type_ == TAKEN
        elif type_ in CHANGES:
            assert not locked, f"{type_} while the lock was held: {data}"
            if type_ == "audience.updated":
                updates.append(name_in(data))
    assert not locked
    changed = [a for found in done for a in found.patches if a.status == 200]
    assert len(updates) == len(changed), "a change without its event, or an event without a change"
    assert sorted(updates) == sorted(str(answer.data["name"]) for answer in changed)
    taken = sum(type_ == TAKEN for type_, _ in rows)
    assert taken == len(done)
