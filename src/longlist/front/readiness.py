"""Whether a cluster is ready: by its own word, asked now."""

from __future__ import annotations

import asyncio
from typing import Final

from longlist.front.forwarding import request_head
from longlist.front.upstream import Away, Broken, Pool

_PATIENCE_S: Final = 2.0


async def is_ready(pool: Pool) -> bool:
    """Whether its `/readyz` says so, within two seconds."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            wire, _ = await pool.take(fresh=True)
            try:
                wire.begin(request_head("GET", b"/readyz", pool, ()), is_head=False, expects=False)
                return (await wire.head()).status == 200
            finally:
                wire.abort()
    except (Away, Broken, TimeoutError):
        return False
