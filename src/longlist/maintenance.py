"""What has to be done from time to time beside the requests.

Every API process does it: each task is safe to do twice and to do at the same time.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from longlist import idempotency
from longlist.context import Context
from longlist.db import DatabaseAway, statistics
from longlist.events import store as events
from longlist.prospecting import file_store as files
from longlist.telemetry import log

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.db import Transaction
    from longlist.gate import KeyCache

OFTEN_S: Final = 10.0
SELDOM_S: Final = 60.0


class Maintenance:
    """The tasks of one process, done in turns on its loop."""

    def __init__(self, installation: Installation, keys: KeyCache) -> None:
        self._installation = installation
        self._keys = keys
        self._seldom_at = 0.0

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(OFTEN_S)
            await self.often()
            if time.monotonic() >= self._seldom_at:
                await self.seldom()
                self._seldom_at = time.monotonic() + SELDOM_S

    async def stop(self) -> None:
        """Store what only this process knows."""
        await self._try("keys", self._keys.write_last_used)

    async def often(self) -> None:
        """What people wait for: when keys were last used, and erased people gone from disk."""
        await self._try("keys", self._keys.write_last_used)
        await self._try("scrub", lambda: scrub_everywhere(self._installation))

    async def seldom(self) -> None:
        """Forget what is past its time, and see to what the planner knows."""
        await self._try("idempotency", lambda: self._write(idempotency.forget_expired_everywhere))
        await self._try("events", lambda: self._write(events.forget_expired_everywhere))
        await self._try("files", lambda: files.sweep_everywhere(self._installation))
        await self._try("statistics", lambda: statistics.refresh(self._installation.db))

    async def _write(self, body: Callable[[Context], Awaitable[Any]]) -> None:
        """Run a body that may look at many rows."""
        ctx = Context(self._installation, b"")

        async def inside(tx: Transaction) -> None:
            ctx.tx = tx
            await body(ctx)

        await self._installation.db.write_long(inside)

    async def _try(self, task: str, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            await call()
        except DatabaseAway:
            log.warning("maintenance waits for the database", task=task)
        except Exception:
            log.exception("maintenance failed", task=task)


async def scrub_everywhere(installation: Installation) -> bool:
    """Make erased people unreadable on disk where an erasure asks for it; False to try again.

    The request is a row of `installation`. It is marked before the scrub and deleted after it
    only if the mark still stands: an erasure that comes meanwhile takes the mark away.
    """
    db = installation.db
    mark = secrets.token_hex(8)
    if not await db.write(_mark_everywhere, mark):
        return True
    if not await db.scrub():
        return False
    await db.write(_settle_everywhere, mark)
    return True


async def _mark_everywhere(tx: Transaction, mark: str) -> bool:
    return await tx.run("UPDATE installation SET value = $1 WHERE name = 'scrub'", mark) > 0


async def _settle_everywhere(tx: Transaction, mark: str) -> None:
    await tx.run("DELETE FROM installation WHERE name = 'scrub' AND value = $1", mark)
