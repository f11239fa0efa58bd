"""Token buckets in Valkey or Redis, for installations whose database shall not keep them.

The buckets are those of `limits`, in one script that runs on the server and by its clock: leases,
headers and refusals are the same to the token. While the store is away each process counts for
itself, so that at most as many buckets are given out as there are processes: a limit that stops
everybody would be worse than one that is too wide for a while.
"""

from __future__ import annotations

import time
from typing import Any, Final

from valkey.asyncio import Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError

from longlist.limits import Decision, Leased, MemoryLimiter, Rate, SharedLimiter
from longlist.telemetry import log

PREFIX: Final = b"longlist:rate:"
ANSWER_S: Final = 0.25
"""A request does not wait for longer than this."""
SILENCE_S: Final = 1.0
"""A store that failed is left alone for this long."""
_LEASE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1])) or 0)
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, count in ipairs({tonumber(ARGV[3]), 1}) do
    if full_at - now <= (burst - count) * interval then
        full_at = full_at + count * interval
        local kept_ms = math.ceil((full_at - now) / 1000)
        redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', kept_ms)
        return {now, full_at, count}
    end
end
return {now, full_at, 0}
"""
"""Times are microseconds. A bucket that is full again needs no key."""


class Away(Exception):
    """The store does not answer."""


class ValkeyLimiter:
    """Buckets shared by every process on one Valkey or Redis server."""

    def __init__(self, url: str) -> None:
        self._store: Any = Valkey.from_url(
            url,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 1),  # a connection that was idle may have been cut
        )
        self._script = self._store.register_script(_LEASE)
        self._shared = SharedLimiter(self._lease)
        self._alone = MemoryLimiter()
        self._silent_until = 0.0
        self._is_away = False

    async def take(self, key: bytes, rate: Rate) -> Decision:
        """Take one token of `key`'s bucket, or refuse."""
        try:
            return await self._shared.take(key, rate)
        except Away:
            return self._alone.take_now(key, rate)

    async def _lease(self, key: bytes, rate: Rate, wanted: int) -> Leased:
        if time.monotonic() < self._silent_until:
            raise Away
        interval = round(rate.interval * 1_000_000)
        try:
            now, full_at, count = await self._script(
                keys=[PREFIX + key.hex().encode()], args=[interval, rate.burst, wanted]
            )
        except (ValkeyError, OSError, TimeoutError) as error:
            self._silent_until = time.monotonic() + SILENCE_S
            self._tell(away=True, reason=type(error).__name__)
            raise Away from error
        self._tell(away=False)
        return now / 1e6, full_at / 1e6, count

    def _tell(self, *, away: bool, **more: str) -> None:
        if away != self._is_away:
            self._is_away = away
            log.warning("rate limit store", state="away" if away else "back", **more)

    async def close(self) -> None:
        """Disconnect."""
        await self._store.aclose()
