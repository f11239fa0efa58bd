"""Which jobs wait, who runs them, and what becomes of a dead worker's.

These functions serve the job engine and cross account groups: the queue is one for all, and fair
between groups. A group's next job comes before another group's second, so that one client's
thousand files do not starve another's one.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from longlist.context import Context, Installation
from longlist.db import Transaction
from longlist.jobs import Waiting
from longlist.prospecting import store
from longlist.prospecting.quota_store import EXHAUSTED, day_of
from longlist.prospecting.store import COLUMNS, Job

_WAITING: Final = (
    # `turn`: how many jobs of its group are running or come before it. A job whose quota is
    # exhausted takes nobody's turn.
    "SELECT id, audience_id, turn FROM (SELECT id, audience_id, worker_id,"
    " ROW_NUMBER() OVER (PARTITION BY account_group_id ORDER BY (worker_id IS NULL), id) AS turn"
    " FROM prospecting_jobs j WHERE status IN ('queued', 'running')"
    f" AND (worker_id IS NOT NULL OR NOT {EXHAUSTED.format(day='$2')})) AS live"
    " WHERE worker_id IS NULL ORDER BY turn, id LIMIT $1"
)
_ALONE: Final = (
    " AND NOT EXISTS (SELECT 1 FROM prospecting_jobs o WHERE o.status IN ('queued', 'running')"
    " AND o.account_group_id = j.account_group_id AND o.worker_id IS NOT NULL)"
)
RESCUED_MESSAGE: Final = "The job was given up after its worker died several times."


async def waiting_everywhere(tx: Transaction, limit: int, now: int) -> list[Waiting]:
    """Jobs without a worker that may import something, in the order to start them in."""
    rows = await tx.all(_WAITING, limit, day_of(now))
    return [Waiting(row[0], row[1].hex(), row[2] == 1) for row in rows]


async def held_everywhere(tx: Transaction) -> list[tuple[str, bytes]]:
    """Running jobs with their workers."""
    rows = await tx.all(
        "SELECT worker_id, id FROM prospecting_jobs WHERE status IN ('queued', 'running')"
        " AND worker_id IS NOT NULL"
    )
    return [(row[0], row[1]) for row in rows]


async def claim_everywhere(
    tx: Transaction, job_id: bytes, worker_id: str, now: int, *, alone: bool
) -> tuple[bytes, Job] | None:
    """Give a waiting job to a worker under a new token; its group and the job.

    A job whose quota was exhausted since it was offered stays as it is, and with `alone` one
    whose group has another that runs.
    """
    row = await tx.one(
        "UPDATE prospecting_jobs AS j SET status = 'running', worker_id = $2, token = token + 1,"
        " started_at = COALESCE(started_at, $3), updated_at = $3"
        " WHERE id = $1 AND status IN ('queued', 'running') AND worker_id IS NULL"
        f" AND NOT {EXHAUSTED.format(day='$4')}{_ALONE if alone else ''}"
        f" RETURNING {COLUMNS}, account_group_id",
        job_id,
        worker_id,
        now,
        day_of(now),
    )
    return None if row is None else (row[-1], store.job(row[:-1]))


async def take_over_everywhere(
    tx: Transaction, installation: Installation, worker_id: str, max_rescues: int
) -> int:
    """Let a dead worker's jobs wait again, or fail those that were rescued too often."""
    rows = await tx.all(
        "UPDATE prospecting_jobs SET worker_id = NULL, token = token + 1, rescues = rescues + 1"
        " WHERE status IN ('queued', 'running') AND worker_id = $1"
        f" RETURNING {COLUMNS}, account_group_id, rescues",
        worker_id,
    )
    for row in rows:
        group: Any = row[-2]
        if row[-1] > max_rescues:
            ctx = Context(installation, group)
            ctx.tx = tx
            found = store.job(row[:-2])
            await store.end(ctx, found, "failed", "INTERNAL_ERROR", RESCUED_MESSAGE)
            installation.jobs_ended["given_up"] += 1
    return len(rows)


class Depth(msgspec.Struct, frozen=True):
    """Live jobs, and the time that the oldest lock on an audience has been held for."""

    queued: int
    running: int
    oldest_lock_ms: int


async def depth_everywhere(tx: Transaction) -> Depth:
    """How much there is to do. Costs as much as there are live jobs, each of which holds a lock."""
    rows = await tx.all(
        "SELECT status, COUNT(*), MIN(created_at) FROM prospecting_jobs"
        " WHERE status IN ('queued', 'running') GROUP BY status"
    )
    count = {row[0]: row[1] for row in rows}
    since = min((row[2] for row in rows), default=None)
    age = 0 if since is None else max(0, await tx.now() - since)
    return Depth(count.get("queued", 0), count.get("running", 0), age)


class OldestLock(msgspec.Struct, frozen=True, rename="camel"):
    """The lock that has been held for longest, and the job that holds it."""

    account_group_id: str
    audience_id: str
    job_id: str
    status: str
    held_seconds: int


async def oldest_lock_everywhere(tx: Transaction) -> OldestLock | None:
    """For the operator: what to look at when an audience stays locked."""
    row = await tx.one(
        "SELECT account_group_id, audience_id, id, status, created_at FROM prospecting_jobs"
        " WHERE status IN ('queued', 'running') ORDER BY created_at, id LIMIT 1"
    )
    if row is None:
        return None
    group, audience, job_id, status, since = row
    held_s = max(0, await tx.now() - since) // 1000
    return OldestLock(group.hex(), audience.hex(), job_id.hex(), status, held_s)


async def release(ctx: Context, job_id: bytes, token: int) -> bool:
    """Let a job wait again without counting a rescue: its worker stops in good order, or its
    quota is exhausted."""
    return (
        await ctx.tx.run(
            "UPDATE prospecting_jobs SET worker_id = NULL, token = token + 1"
            " WHERE account_group_id = $1 AND id = $2 AND token = $3 AND status = 'running'",
            ctx.group,
            job_id,
            token,
        )
        > 0
    )
