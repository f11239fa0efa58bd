"""Rate limits: token buckets kept as GCRA, in this process or shared through a store.

A bucket of `burst` tokens that refills at `per_minute` is one number: the time at which it will
be full. A request moves it on by the interval of one token, and is refused where that would put
it further than `burst` intervals into the future.

Over several processes each takes its tokens from the shared bucket in small leases. A leased
token is a slot in time and is void once its slot is past, exactly as the bucket itself would have
lost it to being full; so all processes together never exceed the bucket, and a request costs no
write while a lease lasts.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from longlist.settings import SettingError

if TYPE_CHECKING:
    from longlist.db import Database, Transaction
    from longlist.settings import Settings

LEASE_PART: Final = 20
"""A lease is at most this part of the bucket."""
LEASE_MAX: Final = 50
LEASE_S: Final = 0.05
"""It has at most LEASE_MAX tokens, or what the bucket gets back in LEASE_S seconds: of a high rate
the slots of fewer would be past before they are given out, and every request would ask."""
Leased = tuple[float, float, int]
"""The store's time, when its bucket will be full, and how many tokens were taken, 0 for none."""


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

    async def close(self) -> None:
        """Let go of what the buckets are kept in."""


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

    async def close(self) -> None:
        """Nothing is held."""


class _Lease:
    """Tokens of one bucket that this process may give out: the slots from `slot` to `end`."""

    __slots__ = ("asking", "blocked_until", "clock_offset", "end", "full_at", "slot")

    def __init__(self) -> None:
        self.slot = self.end = self.full_at = self.blocked_until = self.clock_offset = 0.0
        self.asking: asyncio.Future[None] | None = None

    def take(self, rate: Rate) -> Decision | None:
        """A token that is left, or a refusal; None where more have to be asked for."""
        interval = rate.interval
        now = time.monotonic() + self.clock_offset
        if self.slot < now:
            # Slots that are past are void.
            self.slot += interval * math.ceil((now - self.slot) / interval)
        allowed = self.slot + interval <= self.end + 1e-9
        if not allowed and now >= self.blocked_until:
            return None
        if allowed:
            self.slot += interval
        return _decision(rate, allowed, max(0.0, self.full_at - now))

    def renew(self, rate: Rate, leased: Leased) -> Decision:
        """Take in what was leased, and of it the first token or a refusal."""
        now, full_at, count = leased
        self.clock_offset = now - time.monotonic()
        self.full_at = self.end = full_at
        self.slot = full_at - count * rate.interval
        if count:
            self.slot += rate.interval
        else:
            self.blocked_until = full_at - (rate.burst - 1) * rate.interval
        return _decision(rate, count > 0, max(0.0, full_at - now))


class SharedLimiter:
    """Buckets that several processes share, wherever `lease` keeps them.

    `lease(key, rate, wanted)` takes up to `wanted` tokens, or one.
    """

    def __init__(self, lease: Callable[[bytes, Rate, int], Awaitable[Leased]]) -> None:
        self._lease = lease
        self._leases: dict[bytes, _Lease] = {}

    async def take(self, key: bytes, rate: Rate) -> Decision:
        lease = self._leases.get(key)
        if lease is None:
            lease = self._leases[key] = _Lease()
        while True:
            decision = lease.take(rate)
            if decision is not None:
                return decision
            if lease.asking is None:
                return await self._renew(lease, key, rate)
            # Each lease for itself would take tokens that nobody is there for.
            await asyncio.shield(lease.asking)

    async def _renew(self, lease: _Lease, key: bytes, rate: Rate) -> Decision:
        asking = lease.asking = asyncio.get_running_loop().create_future()
        most = max(LEASE_MAX, round(LEASE_S / rate.interval))
        wanted = max(1, min(rate.burst // LEASE_PART, most))
        try:
            return lease.renew(rate, await self._lease(key, rate, wanted))
        except Exception as error:
            asking.set_exception(error)
            asking.exception()  # nobody else may be there to look at it
            raise
        finally:
            lease.asking = None
            if not asking.done():
                asking.set_result(None)

    async def close(self) -> None:
        """Let go of what the buckets are kept in."""


async def _lease(tx: Transaction, key: bytes, rate: Rate, wanted: int) -> Leased:
    """Take up to `wanted` tokens."""
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


class DatabaseLimiter(SharedLimiter):
    """Buckets shared by every process on one database."""

    def __init__(self, db: Database) -> None:
        async def lease(key: bytes, rate: Rate, wanted: int) -> Leased:
            return await db.write(_lease, key, rate, wanted)

        super().__init__(lease)


def limiter_for(settings: Settings, db: Database, *, shared: bool) -> Limiter:
    """The limiter that the settings name; `shared` is what `auto` means.

    Raises SettingError where its extra is not installed.
    """
    match settings.rate_limit_store:
        case "valkey":
            return _valkey_limiter(settings.rate_limit_url)
        case "database":
            return DatabaseLimiter(db)
        case "auto" if shared:
            return DatabaseLimiter(db)
        case _:
            return MemoryLimiter()


def _valkey_limiter(url: str) -> Limiter:
    try:
        from longlist.limits_valkey import ValkeyLimiter
    except ModuleNotFoundError as error:
        raise SettingError(
            "LONGLIST_RATE_LIMIT_STORE=valkey needs an extra. Run: pip install 'longlist[valkey]'"
        ) from error
    return ValkeyLimiter(url)
