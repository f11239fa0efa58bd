"""A group moves from one cluster to the other while its callers go on through the front."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from longlist import startup
from longlist.accounts.move import Move, Side
from longlist.accounts.move_back import take_back
from longlist.console import Trouble
from longlist.front import directory, switch
from longlist.front import directory_store as store
from longlist.front.switch import Switch
from tests.accounts.moving import Killed, Pair, killed_at
from tests.front.fronts import RunningFront, running_front, through
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant

CALLERS = 4


def move(
    pair: Pair,
    front: RunningFront,
    group: bytes,
    to: str,
    *,
    step: Callable[[str], None] = lambda _: None,
) -> str:
    """Move a group as `accounts move --to-cluster` does; how it stands then."""

    async def run() -> str:
        async with (
            startup.installation(pair.source.settings) as here,
            startup.installation(pair.target.settings) as there,
            directory.opened(front.settings) as db,
        ):
            entry = Switch(db, group, to)
            await entry.check()
            made = Move(here, there, group, grace_s=0, step=step, switch=entry)
            return (await made.run()).state

    return asyncio.run(run())


def take_it_back(pair: Pair, front: RunningFront, group: bytes) -> None:
    """Take a move back as `accounts move --undo` does."""

    async def run() -> None:
        async with (
            startup.installation(pair.source.settings) as here,
            startup.installation(pair.target.settings) as there,
            directory.opened(front.settings) as db,
        ):
            side = Side(here, group)
            await take_back(side, Side(there, group))
            if await side.has_group():
                await Switch(db, group, "").reopen()

    asyncio.run(run())


@pytest.fixture
def two_fronts(front: RunningFront) -> Iterator[list[RunningFront]]:
    """The front and another one of the same directory."""
    with running_front(front.settings.front_directory) as second:
        yield [front, second]


class Caller:
    """Renames its audience and reads it back, each time through another front."""

    def __init__(self, fronts: list[RunningFront], tenant: Tenant, number: int) -> None:
        self._apis = [through(front, tenant) for front in fronts]
        self._turn = 0
        self.id = tenant.audience(f"A {number}")["id"]
        self.renames = 0
        self.name = f"A {number}"
        self.statuses: Counter[int] = Counter()
        self.stale: list[tuple[str, str]] = []
        self.failure: BaseException | None = None

    def _send(self, method: str, **more: Any) -> Any:
        while True:
            self._turn += 1
            api = self._apis[self._turn % len(self._apis)]
            try:
                answer = api.send(method, f"AG/audiences/{self.id}", **more)
            except (ConnectionError, http.client.HTTPException):
                self.statuses[0] += 1
                continue
            self.statuses[answer.status] += 1
            if answer.status == 503:
                assert int(answer.headers["retry-after"]) >= 1
                threading.Event().wait(0.02)
                continue
            return answer.expect(200).data

    def run(self, ended: threading.Event) -> None:
        """Go on until the event is set, and a little longer."""
        try:
            left = 5
            while left:
                left -= ended.is_set()
                self.renames += 1
                self.name = f"{self.id} {self.renames}"
                self._send("PATCH", json={"name": self.name})
                found = self._send("GET")["name"]
                if found != self.name:
                    self.stale.append((found, self.name))
        except BaseException as error:
            self.failure = error


def test_under_load_nothing_is_lost(
    two_fronts: list[RunningFront], cluster_a: Longlist, cluster_b: Longlist
) -> None:
    """There and back: what was acknowledged is read back at once, through any front."""
    tenant = Tenant(cluster_a)
    two_fronts[0].change(store.place_everywhere, tenant.group.hex(), "a")
    callers = [Caller(two_fronts, tenant, number) for number in range(CALLERS)]
    ended = threading.Event()
    threads = [threading.Thread(target=caller.run, args=(ended,)) for caller in callers]
    for thread in threads:
        thread.start()
    try:
        there = Pair(cluster_a, cluster_b)
        assert move(there, two_fronts[0], tenant.group, "b") == "moved"
        assert move(there.back(), two_fronts[0], tenant.group, "a") == "moved"
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    statuses = sum((caller.statuses for caller in callers), Counter[int]())
    assert [caller.failure for caller in callers] == [None] * CALLERS
    assert [caller.stale for caller in callers] == [[]] * CALLERS
    assert set(statuses) <= {200, 503}, statuses
    assert statuses[503] > 0, "nobody met the move"
    updates = Counter(resource for kind, resource, _ in tenant.events("audience.updated"))
    for caller in callers:
        assert updates[caller.id] == caller.renames, "a rename lost or doubled"
        assert tenant.get(f"AG/audiences/{caller.id}").expect(200).data["name"] == caller.name


def entry_of(front: RunningFront, group: bytes) -> store.Entry:
    found = front.change(store.find_everywhere, group.hex())
    assert isinstance(found, store.Entry)
    return found


PARTS = ("hold", "compare", "close", "leave", "arrive", "open", "tidy")


@pytest.mark.parametrize("part", PARTS)
def test_killed_and_run_again(
    front: RunningFront, cluster_a: Longlist, cluster_b: Longlist, part: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Wherever it was cut off: closed or served, never by a cluster that has let it go."""
    monkeypatch.setattr(switch, "SEEN_S", 0.0)
    tenant = Tenant(cluster_a)
    kept = tenant.audience("Kept")["id"]
    front.change(store.place_everywhere, tenant.group.hex(), "a")
    api, pair = through(front, tenant), Pair(cluster_a, cluster_b)
    with pytest.raises(Killed):
        move(pair, front, tenant.group, "b", step=killed_at(part))
    front.forget()
    status = api.get(f"AG/audiences/{kept}").status
    # Parts are told of before they begin.
    closed = part in ("leave", "arrive", "open")
    assert status == (503 if closed else 200), part
    assert (entry_of(front, tenant.group).going_to == "b") is closed
    assert move(pair, front, tenant.group, "b") == "moved"
    assert entry_of(front, tenant.group) == store.Entry(tenant.group.hex(), "b", None)
    for server in (cluster_a, cluster_b):
        server.app.gate.keys._kept.clear()
    api.get(f"AG/audiences/{kept}").expect(200)
    api.audience("Written there")


@pytest.mark.parametrize("part", ["leave", "arrive"])
def test_taken_back(
    front: RunningFront, cluster_a: Longlist, cluster_b: Longlist, part: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(switch, "SEEN_S", 0.0)
    tenant = Tenant(cluster_a)
    front.change(store.place_everywhere, tenant.group.hex(), "a")
    api, pair = through(front, tenant), Pair(cluster_a, cluster_b)
    with pytest.raises(Killed):
        move(pair, front, tenant.group, "b", step=killed_at(part))
    take_it_back(pair, front, tenant.group)
    assert entry_of(front, tenant.group) == store.Entry(tenant.group.hex(), "a", None)
    cluster_a.app.gate.keys._kept.clear()
    api.audience("Written at home")


def test_a_move_that_fails_opens_the_group(
    front: RunningFront, cluster_a: Longlist, cluster_b: Longlist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "SEEN_S", 0.0)
    tenant = Tenant(cluster_a)
    front.change(store.place_everywhere, tenant.group.hex(), "a")

    def fail(part: str) -> None:
        if part == "leave":
            raise Trouble("The disk of the test is full.")

    with pytest.raises(Trouble, match="disk"):
        move(Pair(cluster_a, cluster_b), front, tenant.group, "b", step=fail)
    assert entry_of(front, tenant.group).going_to is None
    through(front, tenant).audience("Written at home")
