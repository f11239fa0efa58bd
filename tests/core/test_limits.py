"""Token buckets: never more than the burst and what has come since, over all processes together."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlist import limits, schema_version
from longlist.db import Database, open_database
from longlist.ids import new_id
from longlist.limits import DatabaseLimiter, MemoryLimiter, Rate, SharedLimiter
from tests.conftest import ENGINES


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def test_the_contracts_example(clock: _Clock) -> None:
    """600 a minute with a burst of 100: 100 tokens, a tenth of a second each."""
    limiter, rate = MemoryLimiter(), Rate(600, 100)
    first = limiter.take_now(b"k", rate)
    assert (first.allowed, first.limit, first.window_s, first.remaining) == (True, 100, 10, 99)
    for _ in range(99):
        last = limiter.take_now(b"k", rate)
    assert (last.allowed, last.remaining, last.full_in_s) == (True, 0, 10)
    refused = limiter.take_now(b"k", rate)
    assert (refused.allowed, refused.remaining, refused.retry_after_s) == (False, 0, 1)
    clock.now += refused.retry_after_s
    assert limiter.take_now(b"k", rate).allowed


@given(
    per_minute=st.integers(1, 6000),
    burst=st.integers(1, 200),
    pauses=st.lists(st.floats(0, 5), max_size=60),
)
def test_never_more_than_the_bucket_holds(per_minute: int, burst: int, pauses: list[float]) -> None:
    clock = _Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "time", clock)
        limiter, rate = MemoryLimiter(), Rate(per_minute, burst)
        start, allowed = clock.now, 0
        for pause in pauses:
            clock.now += pause
            for _ in range(burst + 1):
                decision = limiter.take_now(b"k", rate)
                allowed += decision.allowed
                assert decision.allowed == (decision.retry_after_s == 0)
        assert allowed <= burst + (clock.now - start) * per_minute / 60 + 1e-3


def test_buckets_are_forgotten_longest_unused_first(clock: _Clock) -> None:
    limiter, rate = MemoryLimiter(size=2), Rate(60, 1)
    for key in (b"a", b"b", b"c"):
        assert limiter.take_now(key, rate).allowed
    assert not limiter.take_now(b"c", rate).allowed
    assert limiter.take_now(b"a", rate).allowed


@pytest.mark.parametrize("engine", ENGINES)
def test_processes_together_take_no_more_than_one_bucket(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres").new_database() if engine == "postgres" else ""

    def database() -> Database:
        return open_database(sqlite_path=tmp_path / "test.sqlite3", database_url=url)

    schema_version.migrate(database())
    rate, key = Rate(1200, 60), new_id()

    async def run() -> tuple[int, float]:
        databases = [database() for _ in range(3)]
        for db in databases:
            await db.start()
        limiters = [DatabaseLimiter(db) for db in databases]
        started = time.monotonic()
        allowed = 0
        while time.monotonic() - started < 1.5:
            decisions = await asyncio.gather(*(one.take(key, rate) for one in limiters * 4))
            allowed += sum(decision.allowed for decision in decisions)
            await asyncio.sleep(0.01)
        took = time.monotonic() - started
        for db in databases:
            await db.close()
        return allowed, took

    allowed, took = asyncio.run(run())
    assert rate.burst <= allowed <= rate.burst + took * rate.per_minute / 60 + 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_shared_bucket_is_given_out_to_its_last_token(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Requests that wait for tokens at once share a lease: none takes what nobody uses."""
    url = request.getfixturevalue("postgres").new_database() if engine == "postgres" else ""

    def database() -> Database:
        return open_database(sqlite_path=tmp_path / "test.sqlite3", database_url=url)

    schema_version.migrate(database())

    async def run() -> list[bool]:
        db = database()
        await db.start()
        limiter, key = DatabaseLimiter(db), new_id()
        takes = [limiter.take(key, Rate(1, 100)) for _ in range(120)]
        decisions = await asyncio.gather(*takes)
        await db.close()
        return [decision.allowed for decision in decisions]

    assert asyncio.run(run()).count(True) == 100


@pytest.mark.parametrize(
    ("rate", "tokens"),
    [
        (Rate(600, 100), 5),  # a twentieth of the bucket
        (Rate(60_000, 5_000), 50),
        (Rate(6_000_000, 100_000), 5_000),  # what comes back in 50 ms
        (Rate(6_000_000, 1_000), 50),
    ],
)
def test_a_lease_lasts_for_a_while_at_any_rate(clock: _Clock, rate: Rate, tokens: int) -> None:
    """A key that uses half of its rate asks once for all the tokens of a lease."""
    asked: list[int] = []
    full_at = 0.0

    async def lease(_key: bytes, rate: Rate, wanted: int) -> limits.Leased:
        nonlocal full_at
        asked.append(wanted)
        full_at = max(full_at, clock.now) + wanted * rate.interval
        return clock.now, full_at, wanted

    async def run() -> None:
        limiter = SharedLimiter(lease)
        for _ in range(tokens // 2):
            assert (await limiter.take(b"key", rate)).allowed
            clock.now += 2 * rate.interval

    asyncio.run(run())
    assert asked == [tokens]
