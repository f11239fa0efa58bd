"""Prospecting jobs: the rows that are the truth about them, and the lock they hold.

Starting a job is one transaction: its row and the audience's `active_job_id`. Ending it, in
whatever way, is one transaction: the terminal state, the lock freed, the credits settled, the
events. So an audience is locked exactly while a job of it is queued or running.

Every write of a running job carries its fencing `token`: a worker that was taken for dead and
comes back writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from longlist.accounts import store as accounts
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.db import Row
from longlist.errors import Issue, NotFound, Unprocessable
from longlist.events import store as events
from longlist.ids import first_id, rfc3339, rfc3339_or_none
from longlist.prospecting import file_store as files
from longlist.prospecting import quota_store as quotas
from longlist.prospects.intake import Counts, Outcome, OutcomeName, Reason

JobStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
_RACES: Final = 5
_DAY_MS: Final = 86_400_000
SourceKind = Literal[
    "linkedin_search", "sales_navigator", "post_commenters", "url_upload", "file_import",
    "directory_search",
]  # fmt: skip
FULL: Final = 10_000
"""`progress` is kept in parts of this."""
NO_CREDITS_MESSAGE: Final = "The credits of the account group are used up."
_COUNTS: Final = "received, added, updated, unchanged, skipped, failed"
COLUMNS: Final = (
    f"id, audience_id, source_kind, status, {_COUNTS}, progress, created_at, updated_at,"
    " started_at, finished_at, error_code, error_message, source, cursor, token, expected_rows,"
    " credits_reserved, credits_charged, file_id"
)


class Job(msgspec.Struct):
    """A prospecting job as it is kept. Times are milliseconds since 1970."""

    id: bytes
    audience_id: bytes
    source_kind: SourceKind
    status: JobStatus
    counts: Counts
    progress: int
    created_at: int
    updated_at: int
    started_at: int | None
    finished_at: int | None
    error_code: str | None
    error_message: str | None
    source: str
    cursor: str | None
    token: int
    expected_rows: int
    credits_reserved: int
    credits_charged: int
    file_id: bytes | None

    @property
    def is_terminal(self) -> bool:
        return self.status not in ("queued", "running")


class ShownJob(msgspec.Struct, rename="camel"):
    """A job as lists show it (contract 6.3)."""

    job_id: str
    type: Literal["prospecting"]
    status: JobStatus
    created_at: str
    updated_at: str
    audience_id: str
    source_type: SourceKind
    counts: Counts
    progress: float
    started_at: str | None
    finished_at: str | None


def job(row: Row) -> Job:
    """The job in a row of COLUMNS."""
    return Job(*[*row[:4], Counts(*row[4:10]), *row[10:]])


def shown(found: Job) -> ShownJob:
    """The job as callers see it."""
    return ShownJob(
        found.id.hex(),
        "prospecting",
        found.status,
        rfc3339(found.created_at),
        rfc3339(found.updated_at),
        found.audience_id.hex(),
        found.source_kind,
        found.counts,
        found.progress / FULL,
        rfc3339_or_none(found.started_at),
        rfc3339_or_none(found.finished_at),
    )


async def get(ctx: Context, job_id: bytes) -> Job:
    """The job. Raises NotFound."""
    row = await ctx.tx.one(
        f"SELECT {COLUMNS} FROM prospecting_jobs WHERE account_group_id = $1 AND id = $2",
        ctx.group,
        job_id,
    )
    if row is None:
        raise NotFound.resource("job")
    return job(row)


async def list_page(
    ctx: Context, *, before: bytes, limit: int, status: str | None, audience_id: bytes | None
) -> list[Job]:
    """Up to `limit` jobs newest first, older than `before`."""
    where, args = "", [ctx.group, before, limit]
    for column, value in (("status", status), ("audience_id", audience_id)):
        if value is not None:
            args.append(value)
            where += f" AND {column} = ${len(args)}"
    rows = await ctx.tx.all(
        f"SELECT {COLUMNS} FROM prospecting_jobs WHERE account_group_id = $1 AND id < $2{where}"
        " ORDER BY id DESC LIMIT $3",
        *args,
    )
    return [job(row) for row in rows]


async def counts_by_day(ctx: Context, since: int) -> dict[int, Counts]:
    """What became of the rows of jobs that began since an instant, by UTC day since 1970.

    A day's jobs are those that were started on it, whenever they end.
    """
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in _COUNTS.split(", "))
    rows = await ctx.tx.all(
        f"SELECT created_at / {_DAY_MS}, {sums} FROM prospecting_jobs"
        f" WHERE account_group_id = $1 AND id >= $2 GROUP BY created_at / {_DAY_MS}",
        ctx.group,
        first_id(since),
    )
    return {row[0]: Counts(*row[1:]) for row in rows}


async def create(
    ctx: Context,
    job_id: bytes,
    audience_id: bytes,
    *,
    source_kind: str,
    source: str,
    expected_rows: int,
    credits_reserved: int,
    file_id: bytes | None,
) -> Job:
    """Queue a job on an audience that already names it as its `active_job_id`."""
    await accounts.reserve_credits(ctx, credits_reserved)
    row = await ctx.tx.one(
        "INSERT INTO prospecting_jobs (account_group_id, id, audience_id, source_kind, source,"
        " file_id, status, expected_rows, credits_reserved, created_at, updated_at)"
        f" VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $9, $9) RETURNING {COLUMNS}",
        ctx.group, job_id, audience_id, source_kind, source, file_id, expected_rows,
        credits_reserved, ctx.now,
    )  # fmt: skip
    assert row is not None
    made = job(row)
    await events.record(ctx, "prospecting.queued", job_id, shown(made))
    return made


async def lock_audience(ctx: Context, audience_id: bytes, job_id: bytes) -> audiences.Stored:
    """Make a ready audience a filling one. Raises NotFound and AudienceNotReady.

    The statement that checks is the statement that takes: of many starts at once one wins.
    """
    for _ in range(_RACES):
        row = await ctx.tx.one(
            "UPDATE audiences SET active_job_id = $3 WHERE account_group_id = $1 AND id = $2"
            f" AND active_job_id IS NULL RETURNING {audiences.COLUMNS}",
            ctx.group,
            audience_id,
            job_id,
        )
        if row is not None:
            return audiences.stored(row)
        # Where this finds it ready, the job that held it has ended since: once more.
        await audiences.get(ctx, audience_id)
    raise RuntimeError("An audience changed at every attempt to lock it.")


async def save_page(
    ctx: Context,
    found: Job,
    outcomes: Sequence[Outcome],
    *,
    counts: Counts,
    cursor: str | None,
    price: int,
) -> None:
    """Write outcomes with the cursor to go on from, for a job that `fence` has held.

    They are charged to the job at `price` credits for each row added or updated, and counted
    towards the quota that `hold_allowance` holds. `cursor` may be the job's own still, where only
    a part of a page was taken.
    """
    imported = counts.added + counts.updated
    await quotas.use(ctx, found.source_kind, imported)
    total = found.counts.plus(counts)
    progress = min(FULL - 1, FULL * total.received // max(1, found.expected_rows))
    await ctx.tx.insert(
        "job_rows",
        (
            "account_group_id", "job_id", "position", "line", "outcome", "reason", "message",
            "prospect_id",
        ),
        [
            (ctx.group, found.id, o.position, o.line, o.outcome, o.reason, o.message, o.prospect_id)
            for o in outcomes
        ],
    )  # fmt: skip
    await ctx.tx.run(
        "UPDATE prospecting_jobs SET received = $3, added = $4, updated = $5, unchanged = $6,"
        " skipped = $7, failed = $8, cursor = $9, credits_charged = credits_charged + $10,"
        " progress = CASE WHEN progress < $11 THEN $11 ELSE progress END, updated_at = $12"
        " WHERE account_group_id = $1 AND id = $2",
        ctx.group, found.id, *msgspec.structs.astuple(total), cursor,
        price * imported, progress, ctx.now,
    )  # fmt: skip


class Allowance(msgspec.Struct):
    """How many rows of a page may be imported, and charged at which price.

    `waits`: what stops a job that has more rows than that is a quota, which comes back; otherwise
    it is a lack of credits. `most` is None where nothing stops it.
    """

    most: int | None
    waits: bool
    price: int


async def hold_allowance(ctx: Context, found: Job, rows: int, price: int) -> Allowance:
    """What the quota and the credits allow a held job to import of a page of `rows`.

    Both are held to the end of the transaction. Credits are taken from the job's reservation, and
    beyond it from what the group has left; without a limit on credits nothing is charged.
    """
    by_quota = await quotas.hold(ctx, found.source_kind)
    allowed = rows if by_quota is None else min(rows, by_quota)
    left = found.credits_reserved - found.credits_charged
    missing = price * allowed - left
    if missing > 0:
        more = await accounts.reserve_more_credits(ctx, missing)
        if more is None:
            return Allowance(by_quota, waits=True, price=0)
        if more:
            await ctx.tx.run(
                "UPDATE prospecting_jobs SET credits_reserved = credits_reserved + $3"
                " WHERE account_group_id = $1 AND id = $2",
                ctx.group,
                found.id,
                more,
            )
        if more < missing:
            return Allowance(max(0, left + more) // price, waits=False, price=price)
    return Allowance(by_quota, waits=True, price=price)


async def fence(ctx: Context, job_id: bytes, token: int) -> Job | None:
    """The running job, held to the end of the transaction; None if the token is no longer its."""
    row = await ctx.tx.one(
        "UPDATE prospecting_jobs SET updated_at = $4 WHERE account_group_id = $1 AND id = $2"
        f" AND token = $3 AND status = 'running' RETURNING {COLUMNS}",
        ctx.group,
        job_id,
        token,
        ctx.now,
    )
    return None if row is None else job(row)


async def end(
    ctx: Context,
    found: Job,
    status: Literal["completed", "failed", "cancelled"],
    error_code: str | None = None,
    error_message: str | None = None,
) -> Job:
    """Make a held job terminal, free its audience and settle its credits."""
    row = await ctx.tx.one(
        "UPDATE prospecting_jobs SET status = $3, error_code = $4, error_message = $5,"
        " progress = CASE WHEN $3 = 'completed' THEN $6 ELSE progress END, token = token + 1,"
        # What was sent at the start may name people, and nobody reads it any more.
        " source = '', worker_id = NULL, updated_at = $7, finished_at = $7, credits_reserved = 0"
        f" WHERE account_group_id = $1 AND id = $2 RETURNING {COLUMNS}",
        ctx.group, found.id, status, error_code, error_message, FULL, ctx.now,
    )  # fmt: skip
    assert row is not None
    ended = job(row)
    await accounts.settle_credits(ctx, found.credits_reserved, found.credits_charged)
    if found.file_id is not None:
        await files.keep_on(ctx, found.file_id)
    await events.record(ctx, f"prospecting.{status}", found.id, shown(ended))
    freed = await ctx.tx.one(
        "UPDATE audiences SET active_job_id = NULL WHERE account_group_id = $1 AND id = $2"
        f" AND active_job_id = $3 RETURNING {audiences.COLUMNS}",
        ctx.group,
        found.audience_id,
        found.id,
    )
    if freed is not None:
        audience = audiences.stored(freed)
        await events.record(ctx, "audience.ready", audience.id, audience.audience)
    return ended


async def cancel(ctx: Context, job_id: bytes) -> Job:
    """End a queued or running job now; what it imported stays.

    Raises NotFound, and Unprocessable (VALIDATION_ERROR) for a terminal job.
    """
    row = await ctx.tx.one(
        "UPDATE prospecting_jobs SET updated_at = $3 WHERE account_group_id = $1 AND id = $2"
        f" AND status IN ('queued', 'running') RETURNING {COLUMNS}",
        ctx.group,
        job_id,
        ctx.now,
    )
    if row is not None:
        cancelled = await end(ctx, job(row), "cancelled")
        ctx.installation.jobs_ended["cancelled"] += 1
        return cancelled
    found = await get(ctx, job_id)
    raise Unprocessable(
        "The job has already ended.",
        "Nothing is left to cancel; read the job for its outcome.",
        context={"jobStatus": found.status},
    )


class ShownRow(msgspec.Struct, rename="camel"):
    """What became of one row of a source; `position` counts from 1 in the source's order."""

    position: int
    line: int | None
    outcome: OutcomeName
    reason: Reason | None
    message: str | None
    prospect_id: str | None


_ROWS: Final = (
    # The id of an erased prospect is not shown, though the outcome of its row stays.
    "SELECT r.position, r.line, r.outcome, r.reason, r.message, p.id FROM job_rows r"
    " LEFT JOIN prospects p ON p.account_group_id = r.account_group_id AND p.id = r.prospect_id"
    " WHERE r.account_group_id = $1 AND r.job_id = $2"
)


def shown_row(row: Row) -> ShownRow:
    """A row of a job as callers see it."""
    return ShownRow(*[*row[:5], None if row[5] is None else row[5].hex()])


async def list_rows(
    ctx: Context, job_id: bytes, *, after: int, limit: int, outcome: str | None
) -> list[ShownRow]:
    """Up to `limit` rows of a job in rising position, from the one after `after` on."""
    args: list[Any] = [ctx.group, job_id, after, limit]
    where = ""
    if outcome is not None:
        args.append(outcome)
        where = " AND r.outcome = $5"
    rows = await ctx.tx.all(
        f"{_ROWS} AND r.position > $3{where} ORDER BY r.position LIMIT $4", *args
    )
    return [shown_row(row) for row in rows]


def stream_rows(ctx: Context, job_id: bytes, outcome: str | None) -> Any:
    """Every row of a job, in batches of rows, from the open snapshot."""
    snapshot: Any = ctx.tx
    where, args = (" AND r.outcome = $3", [outcome]) if outcome is not None else ("", [])
    return snapshot.stream(f"{_ROWS}{where} ORDER BY r.position", ctx.group, job_id, *args)


def mapping_invalid(issues: Sequence[Issue]) -> Unprocessable:
    """The 422 of a mapping that cannot be used."""
    return Unprocessable(
        "The mapping does not fit the file.",
        "Map columns of the file to prospect fields; the answer to the upload lists the columns.",
        code="MAPPING_INVALID",
        issues=issues,
    )
