"""A key that is revoked while it is used, by every process."""

from __future__ import annotations

import asyncio
import time

from longlist.context import Context
from longlist.keys import store as keys
from tests.races.place import Group, Process, Store

SECOND = 1.0


async def _use(api: Process, group: Group, stop: asyncio.Event) -> list[tuple[float, int]]:
    """Times of sending and statuses until the first 401, and for a while after."""
    seen: list[tuple[float, int]] = []
    async with group.on(api) as connection:
        while not stop.is_set():
            sent_at = time.monotonic()
            answer = await connection.send("GET", f"{group.path}/audiences?limit=1")
            seen.append((sent_at, answer.status))
            await asyncio.sleep(0.005)
    return seen


async def race(apis: list[Process], store: Store) -> list[float]:
    """Seconds from the revocation's commit to the last request that was let in, by process."""
    group, stop = await store.tenant(), asyncio.Event()
    using = [asyncio.create_task(_use(api, group, stop)) for api in apis]
    await asyncio.sleep(1.0)

    async def revoke(ctx: Context) -> bool:
        return await keys.revoke_everywhere(ctx, group.key_id)

    assert await store.write(b"", revoke)
    revoked_at = time.monotonic()
    await asyncio.sleep(2 * SECOND)
    stop.set()
    late: list[float] = []
    for task in using:
        seen = await task
        assert {status for _, status in seen} == {200, 401}
        assert seen[-1][1] == 401
        first = next(at for at, status in seen if status == 401)
        assert all(status == 401 for at, status in seen if at >= first), "let in again"
        late.append(max((at - revoked_at for at, status in seen if status == 200), default=0.0))
    return late
