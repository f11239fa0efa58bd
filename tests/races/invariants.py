"""What has to be true of an account group at every moment between two transactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

Rows = Callable[..., Awaitable[Sequence[Sequence[Any]]]]

BROKEN: Final = {
    "an audience is locked by a job that is not live": (
        "SELECT a.id FROM audiences a LEFT JOIN prospecting_jobs j"
        " ON j.account_group_id = a.account_group_id AND j.id = a.active_job_id"
        " AND j.audience_id = a.id AND j.status IN ('queued', 'running')"
        " WHERE a.account_group_id = $1 AND a.active_job_id IS NOT NULL AND j.id IS NULL"
    ),
    "a live job does not hold its audience": (
        "SELECT j.id FROM prospecting_jobs j LEFT JOIN audiences a"
        " ON a.account_group_id = j.account_group_id AND a.id = j.audience_id"
        " AND a.active_job_id = j.id"
        " WHERE j.account_group_id = $1 AND j.status IN ('queued', 'running') AND a.id IS NULL"
    ),
    "prospectCount is not the number of memberships": (
        "SELECT a.id, a.prospect_count, COUNT(m.prospect_id) FROM audiences a"
        " LEFT JOIN memberships m ON m.account_group_id = a.account_group_id"
        " AND m.audience_id = a.id WHERE a.account_group_id = $1"
        " GROUP BY a.id, a.prospect_count HAVING COUNT(m.prospect_id) <> a.prospect_count"
    ),
    "a membership of nobody": (
        "SELECT m.prospect_id FROM memberships m LEFT JOIN prospects p"
        " ON p.account_group_id = m.account_group_id AND p.id = m.prospect_id"
        " WHERE m.account_group_id = $1 AND p.id IS NULL"
    ),
    "a key of nobody": (
        "SELECT k.prospect_id FROM prospect_keys k LEFT JOIN prospects p"
        " ON p.account_group_id = k.account_group_id AND p.id = k.prospect_id"
        " WHERE k.account_group_id = $1 AND p.id IS NULL"
    ),
    "one identity key of two people": (
        "SELECT key FROM prospect_keys WHERE account_group_id = $1 GROUP BY key HAVING COUNT(*) > 1"
    ),
    "credits reserved are not the sum over live jobs": (
        "SELECT g.credits_reserved, SUM(j.credits_reserved) FROM account_groups g"
        " LEFT JOIN prospecting_jobs j ON j.account_group_id = g.id"
        " AND j.status IN ('queued', 'running') WHERE g.id = $1 GROUP BY g.id, g.credits_reserved"
        " HAVING g.credits_reserved <> COALESCE(SUM(j.credits_reserved), 0)"
    ),
    "an ended job keeps credits or a worker": (
        "SELECT id FROM prospecting_jobs WHERE account_group_id = $1"
        " AND status NOT IN ('queued', 'running')"
        " AND (credits_reserved <> 0 OR worker_id IS NOT NULL OR finished_at IS NULL)"
    ),
    "a job's outcomes do not add up to its rows": (
        "SELECT id FROM prospecting_jobs WHERE account_group_id = $1"
        " AND received <> added + updated + unchanged + skipped + failed"
    ),
    "a job's counts are not those of its rows": (
        "SELECT j.id, j.received, COUNT(r.position) FROM prospecting_jobs j LEFT JOIN job_rows r"
        " ON r.account_group_id = j.account_group_id AND r.job_id = j.id"
        " WHERE j.account_group_id = $1 GROUP BY j.id, j.received"
        " HAVING COUNT(r.position) <> j.received"
    ),
    "a monitor of an audience that is gone or of another kind": (
        "SELECT m.audience_id FROM monitors m LEFT JOIN audiences a"
        " ON a.account_group_id = m.account_group_id AND a.id = m.audience_id"
        " AND a.type = 'monitoring' WHERE m.account_group_id = $1 AND a.id IS NULL"
    ),
    "a monitor is on and never runs, or off and runs": (
        "SELECT audience_id FROM monitors WHERE account_group_id = $1"
        " AND (enabled = 1) <> (next_run_at IS NOT NULL)"
    ),
    "progress is out of its range": (
        "SELECT id FROM prospecting_jobs WHERE account_group_id = $1 AND (progress < 0"
        " OR progress > 10000 OR (progress = 10000) <> (status = 'completed'))"
    ),
}


async def check(rows: Rows, group: bytes) -> None:
    """Assert all of it for one group."""
    for what, sql in BROKEN.items():
        found = await rows(sql, group)
        assert not found, f"{what}: {[tuple(row) for row in found]}"
