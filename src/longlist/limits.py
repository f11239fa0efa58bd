"""Rate limits: token buckets kept as GCRA, in this process or shared through the database.

A bucket of `burst` tokens that refills at `per_minute` is one number: the time at which it will
be full. A request moves it on by the interval of one token, and is refused where that would put
it further than `burst` intervals into the future.

Over several processes each takes its tokens from the database's bucket in small leases. A leased
token is a slot in time and is void once its slot is past, exactly as the bucket itself would have
lost it to being full; so all processes together never exceed the bucket, and a request costs no
write while a lease lasts.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from longlist.db import Database, Transaction

LEASE_PART: Final = 20
"""A lease is at most this part of the bucket."""
LEASE_MAX: Final = 50


class Rate(msgspec.Struct, frozen=True):
    """Tokens a minute, and tokens at once."""

    per_minute: int
    burst: int

    @property
    def interval(self) -> float:
        """Seconds that one token takes to come."""
        return 60.0 / self.per_minute


class Decision(msgspec.Struct):
    """Whether a request may pass, and the state of its bucket. Seconds are rounded up."""

    allowed: bool
    limit: int
    window_s: int
    remaining: int
    full_in_s: int
    retry_after_s: int = 0


def _ceil(seconds: float) -> int:
    """Whole seconds, up; but not up from 10.000000001."""
    return math.ceil(seconds - 1e-6)


def _decision(rate: Rate, allowed: bool, full_in: float) -> Decision:
    """`full_in`: seconds until the bucket is full."""
    interval = rate.interval
    # A little slack: 10 tokens of 0.1 s must not count as 9 because of rounding.
    remaining = max(0, int((rate.burst * interval - full_in) / interval + 1e-6))
    decision = Decision(
        allowed, rate.burst, _ceil(rate.burst * interval), remaining, _ceil(full_in)
    )
    if not allowed:
        decision.remaining = 0
        decision.retry_after_s = max(1, _ceil(full_in - (rate.burst - 1) * interval))
    return decision


class Limiter(Protocol):
    """Gives out the tokens of one kind of bucket."""

    async def take(self, key: bytes, rate: Rate) -> Decision:
        """Take one token of `key`'s bucket, or refuse."""


class MemoryLimiter:
    """Buckets of this process. At most `size` are kept: those longest unused are full again."""

    def __init__(self, size: int = 100_000) -> None:
        self._full_at: OrderedDict[bytes, float] = OrderedDict()
        self._size = size

    def take_now(self, key: bytes, rate: Rate) -> Decision:
        """As `take`, at once."""
        now = time.monotonic()
        full_at = max(self._full_at.get(key, now), now)
        if full_at - now > (rate.burst - 1) * rate.interval + 1e-9:
            return _decision(rate, False, full_at - now)
        full_at += rate.interval
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._size:
            self._full_at.popitem(last=False)
        return _decision(rate, True, full_at - now)

    async def take(self, key: bytes, rate: Rate) -> Decision:
        return self.take_now(key, rate)


class _Lease:
    __slots__ = ("blocked_until", "clock_offset", "end", "full_at", "slot")

    def __init__(self) -> None:
        self.slot = self.end = self.full_at = self.blocked_until = self.clock_offset = 0.0


async def _lease(tx: Transaction, key: bytes, rate: Rate, wanted: int) -> tuple[float, float, int]:
    """Take up to `wanted` tokens; the database's time, the bucket's, and how many were there."""
    now = await tx.now() * 1000
    interval = round(rate.interval * 1_000_000)
    room = rate.burst * interval
    for count in dict.fromkeys((wanted, 1)):
        row = await tx.one(
            "INSERT INTO rate_buckets (api_key_id, full_at_us) VALUES ($1, $2)"
            " ON CONFLICT (api_key_id) DO UPDATE SET full_at_us ="
            " CASE WHEN rate_buckets.full_at_us > $3 THEN rate_buckets.full_at_us ELSE $4 END + $5"
            " WHERE rate_buckets.full_at_us <= $6 RETURNING full_at_us",
            key, now + count * interval, now, now, count * interval, now + room - count * interval,
        )  # fmt: skip
        if row is not None:
            return now / 1e6, row[0] / 1e6, count
    row = await tx.one("SELECT full_at_us FROM rate_buckets WHERE api_key_id = $1", key)
    return now / 1e6, (row[0] if row else now) / 1e6, 0


class DatabaseLimiter:
    """Buckets shared by every process on one database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._leases: dict[bytes, _Lease] = {}

    async def take(self, key: bytes, rate: Rate) -> Decision:
        lease = self._leases.get(key)
        if lease is None:
            lease = self._leases[key] = _Lease()
        interval = rate.interval
        now = time.monotonic() + lease.clock_offset
        if lease.slot < now:
            # Slots that are past are void.
            lease.slot += interval * math.ceil((now - lease.slot) / interval)
        if lease.slot + interval > lease.end + 1e-9 and now >= lease.blocked_until:
            wanted = max(1, min(rate.burst // LEASE_PART, LEASE_MAX))
            now, full_at, count = await self._db.write(_lease, key, rate, wanted)
            lease.clock_offset = now - time.monotonic()
            lease.full_at = full_at
            if count == 0:
                lease.blocked_until = full_at - (rate.burst - 1) * interval
            lease.end = full_at
            lease.slot = full_at - count * interval
            if count:
                lease.slot += interval
                return _decision(rate, True, max(0.0, full_at - now))
        if lease.slot + interval <= lease.end + 1e-9:
            lease.slot += interval
            return _decision(rate, True, max(0.0, lease.full_at - now))
        return _decision(rate, False, max(0.0, lease.full_at - now))
