"""Several API and worker processes on one PostgreSQL, killed at random under a mixed load.

The processes are the commands that an operator runs. Every client keeps a ledger of what was
acknowledged to it, and asks any process for it; at the end the ledger is held against the database.
What was cut or refused with 503 is sent again to another process until it is acknowledged: then
each thing that was asked for has to be there exactly once.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.harness.answer import Answer
from tests.harness.server import PLENTY
from tests.races import crashes, invariants
from tests.races.place import PATIENCE_S, Group, Place, Store, until
from tests.races.wire import Connection

LIVE = ("queued", "running")
EXPECTED = {
    "200", "201", "202", "304", "409 still running", "412 PRECONDITION_FAILED", "503 OVERLOADED",
    "cut",
}  # fmt: skip
MAX_RESCUES = 5
"""A job whose worker was killed more often than this may have been given up."""


@dataclass(frozen=True)
class Mix:
    """How often a client does what, and how many rows an import may have."""

    rename: int = 40
    read: int = 30
    walk: int = 6
    create: int = 11
    add: int = 11
    start_import: int = 2
    rows: tuple[int, ...] = (20, 500, 5000)

    @property
    def weights(self) -> tuple[int, ...]:
        return (self.rename, self.read, self.walk, self.create, self.add, self.start_import)


LONG = Mix(rename=400, read=520, walk=10, create=40, add=29, start_import=1, rows=(20, 200, 1000))
"""Of millions of requests, so that the imports they start can be done in the same time."""


class Slot:
    """A process that is started again after each kill; an API keeps its port."""

    def __init__(self, place: Place, role: str, number: int) -> None:
        self.role = role
        self.name = f"{role}-{number}"
        self.port = _free_port() if role == "api" else 0
        self.ready = False
        self.kills = 0
        self._log = place.folder / f"{self.name}.log"
        own = place.settings
        kept = {name: value for name, value in os.environ.items() if "LONGLIST" not in name}
        self._environ = kept | {
            "LONGLIST_DATA": own.data,
            "LONGLIST_DATABASE_URL": own.database_url,
            "LONGLIST_DATABASE_POOL": "8",
            "LONGLIST_PORT": str(self.port),
            "LONGLIST_RATE_LIMIT_PER_MINUTE": str(PLENTY),
            "LONGLIST_RATE_LIMIT_BURST": str(PLENTY // 60),
            "LONGLIST_LOG_LEVEL": "warning",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _command(self) -> list[str]:
        words = ["serve", "--api-only"] if self.role == "api" else ["worker"]
        return [sys.executable, "-m", "longlist", *words]

    def _begin(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def start(self) -> None:
        """Start it; an API is ready when `/readyz` says so."""
        self._begin()
        if self.role == "api":
            await until(self._is_ready)
        self.ready = True

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended:\n{self.log[-2000:]}"
        async with Connection(self.port, "") as connection:
            try:
                answer = await connection.send("GET", "/readyz")
            except ConnectionError:
                return False
        return answer.status == 200

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        assert self._process is not None
        self.ready = False
        self.kills += 1
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """Let it stop in order; its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Kept:
    """An audience in the ledger: the last name acknowledged, and how it came to it."""

    id: str
    name: str
    renames: int = 0
    etag: str = ""
    people: set[str] = field(default_factory=set)


@dataclass
class Ledger:
    """What was acknowledged in one account group."""

    group: Group
    audiences: list[Kept] = field(default_factory=list)
    jobs: dict[str, int] = field(default_factory=dict)
    """Rows of each import, by job."""


@dataclass
class Outcome:
    """The figures of a run."""

    seconds: float = 0.0
    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    audiences: int = 0
    renames: int = 0
    people: int = 0
    jobs: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    rescues: int = 0
    slowest_s: float = 0.0
    """From the first try to the acknowledgement, with what was cut or refused in between."""
    slowest: str = ""
    taken_s: list[float] = field(default_factory=list)
    events: int = 0


class Load:
    """The clients. `budget` bounds the requests, `until` the time."""

    def __init__(self, slots: list[Slot], budget: int, seconds: float, mix: Mix) -> None:
        self.mix = mix
        self.apis = [slot for slot in slots if slot.role == "api"]
        self.budget = budget
        self.until = time.monotonic() + seconds
        self.outcome = Outcome()

    @property
    def goes_on(self) -> bool:
        return self.outcome.requests < self.budget and time.monotonic() < self.until


class Client:
    """One client: its audiences are renamed and read by nobody else."""

    def __init__(self, load: Load, ledger: Ledger, number: int) -> None:
        self._load = load
        self._ledger = ledger
        self._chance = random.Random(number)
        self._connections: dict[int, Connection] = {}
        self._number = number
        self._made = 0
        self.mine: list[Kept] = []

    async def run(self) -> None:
        """Work until the load ends; what was begun is brought to its acknowledgement."""
        await self._create()
        while self._load.goes_on:
            await self._act()

    def close(self) -> None:
        """Cut its connections."""
        for connection in self._connections.values():
            connection.close()

    async def _act(self) -> None:
        kept = self._chance.choice(self.mine)
        acts: list[Callable[[], Awaitable[None]]] = [
            lambda: self._rename(kept), lambda: self._read(kept), self._walk, self._create,
            lambda: self._add(kept), self._import,
        ]  # fmt: skip
        (act,) = self._chance.choices(acts, self._load.mix.weights)
        await act()

    async def _any(self, method: str, path: str, json: Any = None, **more: Any) -> Answer | None:
        """One try at a process drawn at random; None where it was cut or refused with 503."""
        outcome = self._load.outcome
        port = self._chance.choice(self._load.apis).port
        connection = self._connections.get(port)
        if connection is None:
            connection = self._connections[port] = Connection(port, self._ledger.group.key)
        outcome.requests += 1
        try:
            answer = await connection.send(method, self._ledger.group.path + path, json, **more)
        except ConnectionError:
            outcome.answers["cut"] += 1
            await asyncio.sleep(0.02)
            return None
        code = f" {answer.code}" if answer.status >= 400 else ""
        if answer.status == 409 and answer.code == "CONFLICT" and "retry-after" in answer.headers:
            # The try before was cut off, and its transaction is not undone yet.
            outcome.answers["409 still running"] += 1
            await asyncio.sleep(0.05)
            return None
        outcome.answers[f"{answer.status}{code}"] += 1
        if answer.status == 503:
            await asyncio.sleep(0.05)
            return None
        return answer

    async def _send(self, *status: int, **request: Any) -> tuple[Answer, bool]:
        """The answer, from whichever process gives one, and whether tries before it were lost."""
        began, tries = time.monotonic(), 0
        while True:
            answer = await self._any(**request)
            if answer is not None:
                break
            tries += 1
            assert time.monotonic() < began + PATIENCE_S, f"no answer to {request}"
        assert answer.status in status, f"{request['method']} {request['path']}: {answer!r}"
        outcome = self._load.outcome
        taken_s = time.monotonic() - began
        outcome.taken_s.append(taken_s)
        if taken_s > outcome.slowest_s:
            operation = answer.operation.id if answer.operation else ""
            outcome.slowest_s, outcome.slowest = taken_s, f"{operation}, {tries} tries lost"
        return answer, tries > 0

    async def _create(self) -> None:
        self._made += 1
        name = f"c{self._number}-{self._made}"
        answer, _ = await self._send(
            201, method="POST", path="/audiences", json={"name": name, "type": "on_demand"},
            headers={"Idempotency-Key": uuid4().hex},
        )  # fmt: skip
        kept = Kept(str(answer.data["id"]), name, etag=answer.etag)
        self.mine.append(kept)
        self._ledger.audiences.append(kept)

    async def _rename(self, kept: Kept) -> None:
        name = f"{kept.id}-{kept.renames + 1}"
        # A tag of one process is good at every other.
        tag = {"If-Match": kept.etag} if kept.etag and self._chance.random() < 0.5 else {}
        answer, again = await self._send(
            200, *([412] if tag else []), method="PATCH", path=f"/audiences/{kept.id}",
            json={"name": name}, headers=tag,
        )  # fmt: skip
        if answer.status == 412:
            assert again, "a tag that was just given is refused"
            answer, _ = await self._send(200, method="GET", path=f"/audiences/{kept.id}")
        assert answer.data["name"] == name, "an answer's rename is not there"
        kept.name, kept.etag = name, answer.etag
        kept.renames += 1

    async def _read(self, kept: Kept) -> None:
        known = {"If-None-Match": kept.etag} if kept.etag and self._chance.random() < 0.3 else {}
        answer, _ = await self._send(
            200, *([304] if known else []), method="GET", path=f"/audiences/{kept.id}",
            headers=known,
        )  # fmt: skip
        if answer.status == 304:
            return
        assert not known, "a tag that nothing has changed since is out of date"
        assert answer.data["name"] == kept.name, "a process does not know what another acknowledged"
        assert answer.data["prospectCount"] == len(kept.people)
        kept.etag = answer.etag

    async def _walk(self) -> None:
        """Some pages of the list, each from a process of its own."""
        seen: list[str] = []
        cursor = ""
        for _ in range(3):
            path = f"/audiences?limit=20{cursor}"
            answer, _ = await self._send(200, method="GET", path=path)
            seen += [item["id"] for item in answer.data["items"]]
            if not answer.data["hasMore"]:
                break
            cursor = f"&cursor={answer.data['nextCursor']}"
        assert len(set(seen)) == len(seen), "two pages of one walk share an audience"

    async def _add(self, kept: Kept) -> None:
        slugs = [f"p{self._chance.randrange(10**12):012d}" for _ in range(3)]
        if kept.people:
            slugs.append(self._chance.choice(sorted(kept.people)))
        prospects = [{"linkedinUrl": f"https://linkedin.com/in/{slug}"} for slug in slugs]
        key = {"Idempotency-Key": uuid4().hex} if self._chance.random() < 0.5 else {}
        answer, again = await self._send(
            200, method="POST", path=f"/audiences/{kept.id}/prospects",
            json={"prospects": prospects}, headers=key,
        )  # fmt: skip
        outcomes = Counter(item["outcome"] for item in answer.data["items"])
        fresh = len(set(slugs) - kept.people)
        if key or not again:
            assert outcomes["added"] == fresh, answer
        kept.people |= set(slugs)
        kept.etag = ""

    async def _import(self) -> None:
        rows = self._chance.choice(self._load.mix.rows)
        lines = [f"{uuid4().hex}@example.com,Somebody,Invented" for _ in range(rows)]
        content = "\n".join(["Email,First Name,Last Name", *lines]).encode()
        upload, _ = await self._send(
            201, method="POST", path="/files", body=content,
            headers={"Content-Type": "text/csv", "Idempotency-Key": uuid4().hex},
        )  # fmt: skip
        # The file came in through one process and is read through others.
        start = {
            "type": "file_import",
            "fileId": upload.data["fileId"],
            "audienceName": f"i{self._number}",
        }
        answer, _ = await self._send(
            202, method="POST", path="/prospecting", json=start,
            headers={"Idempotency-Key": uuid4().hex},
        )  # fmt: skip
        self._ledger.jobs[str(answer.data["jobId"])] = rows

    async def ended(self, job_id: str) -> Any:
        """The `data` of a job, once it has ended."""

        async def look() -> Any:
            answer = await self._any("GET", f"/prospecting/{job_id}?wait=5")
            if answer is None:
                return None
            data = answer.expect(200).data
            return None if data["status"] in LIVE else data

        return await until(look, 240.0)


async def _kill(slots: list[Slot], every_s: float, goes_on: Callable[[], bool], seed: int) -> None:
    """Kill a process at random now and then and start it again, a moment later or at once."""
    chance = random.Random(seed)
    while goes_on():
        await asyncio.sleep(every_s * (0.5 + chance.random()))
        victim = chance.choice(slots)
        if victim.ready and goes_on():
            victim.kill()
            await asyncio.sleep(chance.choice((0.0, 0.5, 1.0)))
            await victim.start()


@asynccontextmanager
async def _running(place: Place, apis: int, workers: int) -> AsyncIterator[list[Slot]]:
    slots = [Slot(place, "api", number) for number in range(1, apis + 1)]
    slots += [Slot(place, "worker", number) for number in range(1, workers + 1)]
    try:
        await asyncio.gather(*(slot.start() for slot in slots))
        yield slots
        codes = await asyncio.gather(*(asyncio.to_thread(slot.end) for slot in slots))
        assert set(codes) == {0}, dict(zip([slot.name for slot in slots], codes, strict=True))
    finally:
        for slot in slots:
            slot.end()


async def _judge_audiences(store: Store, ledger: Ledger, outcome: Outcome) -> None:
    """Each audience is there once, with its last name, an event for each rename, and its people."""
    group = ledger.group.id
    rows = await store.rows(
        "SELECT id, name, prospect_count FROM audiences WHERE account_group_id = $1", group
    )
    there = {row[0].hex(): (row[1], row[2]) for row in rows}
    events = Counter(
        (kind, resource.hex())
        for kind, resource in await store.rows(
            "SELECT type, resource_id FROM events WHERE account_group_id = $1", group
        )
    )
    outcome.events += events.total()
    for kept in ledger.audiences:
        assert there.pop(kept.id, None) == (kept.name, len(kept.people)), f"lost: {kept}"
        assert events["audience.created", kept.id] == 1
        assert events["audience.updated", kept.id] == kept.renames, "a rename lost or doubled"
        outcome.renames += kept.renames
        outcome.people += len(kept.people)
    outcome.audiences += len(ledger.audiences)
    jobs = await store.rows(
        "SELECT audience_id FROM prospecting_jobs WHERE account_group_id = $1", group
    )
    assert sorted(there) == sorted(row[0].hex() for row in jobs), "audiences that nobody made"


async def _judge_jobs(store: Store, ledger: Ledger, client: Client, outcome: Outcome) -> None:
    """Each import is there once, has ended, and has taken in each of its rows once."""
    group = ledger.group
    stored = await store.rows(
        "SELECT id FROM prospecting_jobs WHERE account_group_id = $1", group.id
    )
    assert sorted(row[0].hex() for row in stored) == sorted(ledger.jobs)
    for job_id, rows in ledger.jobs.items():
        job = await client.ended(job_id)
        left = await crashes.left_behind(store, group, job)
        rescues = await store.value(
            "SELECT rescues FROM prospecting_jobs WHERE id = $1", bytes.fromhex(job_id)
        )
        assert left.status == "completed" or rescues > MAX_RESCUES, job
        if left.status == "completed":
            assert left.counts["added"] == left.counts["received"] == rows
        outcome.jobs[left.status] += 1
        outcome.rescues += rescues
        outcome.rows += left.counts["received"]


async def race(
    place: Place,
    store: Store,
    *,
    requests: int,
    seconds: float,
    apis: int = 3,
    workers: int = 2,
    clients: int = 16,
    kill_every_s: float = 5.0,
    seed: int = 1,
    mix: Mix = Mix(),
) -> Outcome:
    """Run it and judge it. Raises AssertionError for whatever breaks a promise."""
    ledgers = [Ledger(await store.tenant()) for _ in range(2)]
    async with _running(place, apis, workers) as slots, AsyncExitStack() as stack:
        load = Load(slots, requests, seconds, mix)
        began = time.monotonic()
        crowd = [Client(load, ledgers[number % 2], number) for number in range(clients)]
        for client in crowd:
            stack.callback(client.close)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_kill(slots, kill_every_s, lambda: load.goes_on, seed))
            for client in crowd:
                tasks.create_task(client.run())
        outcome = load.outcome
        outcome.seconds = time.monotonic() - began
        assert set(outcome.answers) <= EXPECTED, outcome.answers
        for number, ledger in enumerate(ledgers):
            await _judge_jobs(store, ledger, crowd[number], outcome)
            await _judge_audiences(store, ledger, outcome)
            await invariants.check(store.rows, ledger.group.id)
        for slot in slots:
            outcome.kills[slot.name] = slot.kills
            assert "Traceback" not in slot.log, f"{slot.name}:\n{slot.log[-3000:]}"
    return outcome


def report(outcome: Outcome) -> str:
    """The figures as JSON."""
    found = dict(vars(outcome))
    taken = sorted(found.pop("taken_s"))
    found["acknowledgedMs"] = {
        f"p{part}": round(taken[len(taken) * part // 100] * 1000, 1) for part in (50, 90, 99)
    }
    found["perSecond"] = round(outcome.requests / max(outcome.seconds, 0.001))
    return json.dumps(found, indent=2, sort_keys=True)
