"""Which jobs wait, who runs them, and what becomes of a dead worker's.

These functions serve the job engine and cross account groups: the queue is one for all, and fair
between groups. A group's next job comes before another group's second, so that one client's
thousand files do not starve another's one.
"""

from __future__ import annotations

from typing import Any, Final

from longlist.context import Context, Installation
from longlist.db import Transaction
from longlist.jobs import Waiting
from longlist.prospecting import store
from longlist.prospecting.quota_store import EXHAUSTED, day_of
from longlist.prospecting.store import COLUMNS, Job

_WAITING: Final = (
    # `turn`: how many jobs of its group are running or come before it. A job whose quota is
    # exhausted takes nobody's turn.
    "SELECT id, audience_id FROM (SELECT id, audience_id, worker_id,"
    " ROW_NUMBER() OVER (PARTITION BY account_group_id ORDER BY (worker_id IS NULL), id) AS turn"
    " FROM prospecting_jobs j WHERE status IN ('queued', 'running')"
    f" AND (worker_id IS NOT NULL OR NOT {EXHAUSTED.format(day='$2')})) AS live"
    " WHERE worker_id IS NULL ORDER BY turn, id LIMIT $1"
)
RESCUED_MESSAGE: Final = "The job was given up after its worker died several times."


async def waiting_everywhere(tx: Transaction, limit: int, now: int) -> list[Waiting]:
    """Jobs without a worker that may import something, in the order to start them in."""
    rows = await tx.all(_WAITING, limit, day_of(now))
    return [Waiting(row[0], row[1].hex()) for row in rows]


async def held_everywhere(tx: Transaction) -> list[tuple[str, bytes]]:
    """Running jobs with their workers."""
    rows = await tx.all(
        "SELECT worker_id, id FROM prospecting_jobs WHERE status IN ('queued', 'running')"
        " AND worker_id IS NOT NULL"
    )
    return [(row[0], row[1]) for row in rows]


async def claim_everywhere(
    tx: Transaction, job_id: bytes, worker_id: str, now: int
) -> tuple[bytes, Job] | None:
    """Give a waiting job to a worker under a new token; its group and the job.

    A job whose quota was exhausted since it was offered stays as it is.
    """
    row = await tx.one(
        "UPDATE prospecting_jobs AS j SET status = 'running', worker_id = $2, token = token + 1,"
        " started_at = COALESCE(started_at, $3), updated_at = $3"
        " WHERE id = $1 AND status IN ('queued', 'running') AND worker_id IS NULL"
        f" AND NOT {EXHAUSTED.format(day='$4')} RETURNING {COLUMNS}, account_group_id",
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
    return len(rows)


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
