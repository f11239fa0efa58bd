"""Everything at once on few audiences and few people, with a worker alive: no 5xx, no drift."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any

from tests.races import invariants
from tests.races.place import Group, Process, Store
from tests.races.wire import Connection

PEOPLE = [f"raced-{number}" for number in range(12)]
CREDITS = 1_000_000


class Board:
    """What the requests are about; stale ids stay in it on purpose."""

    def __init__(self) -> None:
        self.audiences: list[str] = []
        self.folders: list[str] = []
        self.jobs: list[str] = []
        self.prospects: list[str] = []


def _person(chance: random.Random) -> dict[str, str]:
    slug = chance.choice(PEOPLE)
    return {"linkedinUrl": f"https://linkedin.com/in/{slug}", "title": f"T{chance.randrange(3)}"}


def _request(chance: random.Random, board: Board) -> tuple[str, str, Any]:
    """A request drawn at random, below the group's path."""
    audience = chance.choice(board.audiences[-4:])
    at = f"/audiences/{audience}"
    draw = chance.randrange(100)
    if draw < 25:
        return "POST", f"{at}/prospects", {"prospects": [_person(chance) for _ in range(4)]}
    if draw < 40 and board.prospects:
        return "DELETE", f"/prospects/{chance.choice(board.prospects[-20:])}", None
    if draw < 52 and board.prospects:
        return "DELETE", f"{at}/prospects/{chance.choice(board.prospects[-20:])}", None
    if draw < 64:
        return "PATCH", at, {"name": f"N{chance.randrange(1000)}"}
    if draw < 72:
        profiles = [_person(chance)["linkedinUrl"] for _ in range(8)]
        start = {"type": "url_upload", "audienceId": audience, "profileUrls": profiles}
        return "POST", "/prospecting", start
    if draw < 76 and board.jobs:
        return "POST", f"/prospecting/{board.jobs[-1]}/cancel", None
    if draw < 84 and board.folders:
        return "POST", f"{at}/move-to-folder", {"folderId": chance.choice(board.folders[-3:])}
    if draw < 88:
        return "POST", f"{at}/remove-from-folder", None
    if draw < 91 and board.folders:
        ungroup = chance.choice(("true", "false"))
        return (
            "DELETE",
            f"/audiences/folders/{chance.choice(board.folders[-3:])}?ungroup={ungroup}",
            None,
        )
    if draw < 94:
        return "POST", "/audiences/folders", {"name": "F", "audienceType": "on_demand"}
    if draw < 97:
        return "DELETE", at, None
    return "POST", "/audiences", {"name": f"N{chance.randrange(1000)}", "type": "on_demand"}


def _learn(board: Board, method: str, target: str, data: Any) -> None:
    if method != "POST":
        return
    if target == "/audiences":
        board.audiences.append(data["id"])
    elif target == "/audiences/folders":
        board.folders.append(data["id"])
    elif target == "/prospecting":
        board.jobs.append(data["jobId"])
    elif target.endswith("/prospects"):
        board.prospects += [i["prospectId"] for i in data["items"] if i["prospectId"]]


async def _act(
    api: Process, group: Group, board: Board, seed: int, until: float, seen: Counter[str]
) -> None:
    chance = random.Random(seed)
    async with group.on(api) as connection:
        while time.monotonic() < until:
            method, target, body = _request(chance, board)
            answer = await connection.send(method, group.path + target, body)
            code = "" if answer.status < 400 else answer.code
            seen[f"{answer.status} {code}".strip()] += 1
            assert answer.status < 500, f"{method} {target}: {answer.body[:300]!r}"
            if answer.status in (200, 201, 202):
                _learn(board, method, target, answer.data)


async def race(apis: list[Process], store: Store, *, clients: int, seconds: float) -> Counter[str]:
    """Run the clients; how many answers there were of each kind."""
    group, board = await store.tenant(credits=CREDITS), Board()
    seen: Counter[str] = Counter()
    async with group.on(apis[0]) as connection:
        for _ in range(4):
            board.audiences.append(await group.audience(connection))
        until = time.monotonic() + seconds
        watching = asyncio.create_task(_watch(store, group, until))
        async with asyncio.TaskGroup() as tasks:
            for number in range(clients):
                api = apis[number % len(apis)]
                tasks.create_task(_act(api, group, board, number, until, seen))
        await watching
        connection.close()  # the server may have by now, for its silence
        await _end_jobs(connection, group, board)
    await invariants.check(store.rows, group.id)
    return seen


async def _watch(store: Store, group: Group, until: float) -> None:
    while time.monotonic() < until:
        await invariants.check(store.rows, group.id)
        await asyncio.sleep(0.2)


async def _end_jobs(connection: Connection, group: Group, board: Board) -> None:
    for job in board.jobs:
        answer = await connection.send("GET", f"{group.path}/prospecting/{job}?wait=30")
        assert answer.expect(200).data["status"] not in ("queued", "running")
