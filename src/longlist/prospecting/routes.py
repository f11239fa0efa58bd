"""Prospecting jobs as callers see them (contract 6.2 to 6.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

import msgspec

from longlist import pages
from longlist.context import Context
from longlist.decoding import Cursor, Id, Integer, Limit, Query
from longlist.errors import Issue, ValidationFailed
from longlist.idempotency import Stored as StoredAnswer
from longlist.ids import rfc3339
from longlist.operations import AG, LARGE_JSON_LIMIT, Answer, Operation, Stream, Work
from longlist.pages import Page
from longlist.prospecting import store
from longlist.prospecting.dry_run import DryRun, dry_run
from longlist.prospecting.start import Start, start
from longlist.prospecting.store import Job, JobStatus, ShownJob, ShownRow
from longlist.prospects.export import csv_lines
from longlist.prospects.intake import OutcomeName

RETRY_AFTER_S: Final = 2


class StartedJob(msgspec.Struct, rename="camel"):
    """A job that has been started."""

    job_id: str
    status: JobStatus
    created_at: str
    audience_id: str


class Stage(msgspec.Struct):
    """How far a stage of a job is."""

    status: JobStatus
    progress: float


class Stages(msgspec.Struct, rename={"import_": "import"}):
    """The stages of a job."""

    import_: Stage
    enrichment: Stage


class JobError(msgspec.Struct):
    """Why a job failed."""

    code: Literal[
        "SOURCE_ERROR", "FILE_UNREADABLE", "FILE_TOO_LONG", "INSUFFICIENT_CREDITS", "INTERNAL_ERROR"
    ]
    message: str


class JobDetails(ShownJob, rename="camel", kw_only=True):
    """A job with its stages and its failure."""

    stages: Stages
    error: JobError | None


class CancelledJob(msgspec.Struct, rename="camel"):
    """A job that has been cancelled."""

    job_id: str
    status: Literal["cancelled"] = "cancelled"


class ListJobs(Query):
    """Which jobs, and which page of them."""

    limit: Limit = 50
    cursor: Cursor | None = None
    status: JobStatus | None = None
    audience_id: Id | None = None


class GetJob(Query):
    """`wait`: seconds to wait for the end of the job before answering."""

    wait: Annotated[int, Integer(min=1, max=30)] | None = None


class ListRows(Query):
    """Which rows, and which page of them."""

    limit: Limit | None = None
    cursor: Cursor | None = None
    outcome: OutcomeName | None = None


def _location(ctx: Context, job: Job) -> str:
    return f"/v1/accounts/{ctx.group.hex()}/prospecting/{job.id.hex()}"


def _started(ctx: Context, job: Job) -> Answer:
    return Answer(
        StartedJob(job.id.hex(), job.status, rfc3339(job.created_at), job.audience_id.hex()),
        status=200 if job.is_terminal else 202,
        headers={"Location": _location(ctx, job)},
        resource_id=job.id,
    )


async def start_prospecting_job(ctx: Context, body: Start) -> Answer:
    """Start a job that fills an audience; the audience is locked until the job ends."""
    if body.dry_run:
        return Answer(await dry_run(ctx, body), status=200)
    return _started(ctx, await start(ctx, body))


async def replay_start(ctx: Context, stored: StoredAnswer) -> Answer:
    """The job that the first request started, as it is now."""
    assert stored.resource_id is not None
    return _started(ctx, await store.get(ctx, stored.resource_id))


async def list_prospecting_jobs(ctx: Context, query: ListJobs) -> Page[ShownJob]:
    """The jobs of the account group, newest first."""
    found = await store.list_page(
        ctx,
        before=pages.position_of(ctx, query) or pages.LAST_ID,
        limit=query.limit + 1,
        status=query.status,
        audience_id=query.audience_id,
    )
    page = pages.page(ctx, query, found, lambda job: job.id)
    return Page([store.shown(job) for job in page.items], page.next_cursor, page.has_more)


async def get_prospecting_job(ctx: Context, job_id: bytes, _query: GetJob) -> Answer:
    """A job with its stages, counts and failure."""
    job = await store.get(ctx, job_id)
    progress = job.progress / store.FULL
    enrichment = Stage("queued", 0.0)
    if job.is_terminal:
        enrichment = Stage(job.status, 1.0 if job.status == "completed" else 0.0)
    error = None
    if job.error_code is not None:
        error = JobError(job.error_code, job.error_message or "")  # type: ignore[arg-type]
    details = JobDetails(
        *msgspec.structs.astuple(store.shown(job)),
        stages=Stages(Stage(job.status, progress), enrichment),
        error=error,
    )
    headers = {} if job.is_terminal else {"Retry-After": str(RETRY_AFTER_S)}
    return Answer(details, headers=headers, pending=not job.is_terminal)


async def cancel_prospecting_job(ctx: Context, job_id: bytes) -> Answer:
    """End a queued or running job; what it imported stays."""
    job = await store.cancel(ctx, job_id)
    return Answer(CancelledJob(job.id.hex()), resource_id=job.id)


async def list_prospecting_job_rows(
    ctx: Context, job_id: bytes, query: ListRows
) -> Page[ShownRow] | Stream:
    """What became of each row so far; as CSV where the Accept header asks for it."""
    await store.get(ctx, job_id)
    if "text/csv" in ctx.accept:
        _refuse_paging(query)
        return Stream("text/csv; charset=utf-8", _rows_as_csv(ctx, job_id, query.outcome))
    query = msgspec.structs.replace(query, limit=query.limit or 50)
    assert query.limit is not None
    position = pages.position_of(ctx, query)
    found = await store.list_rows(
        ctx,
        job_id,
        after=0 if position is None else int.from_bytes(position),
        limit=query.limit + 1,
        outcome=query.outcome,
    )
    return pages.page(ctx, query, found, lambda row: row.position.to_bytes(8))


def _refuse_paging(query: ListRows) -> None:
    issues = [
        Issue(f"query.{name}", "unknown_parameter", f"{name} has no meaning for CSV.")
        for name, value in (("cursor", query.cursor), ("limit", query.limit))
        if value is not None
    ]
    if issues:
        raise ValidationFailed(
            "CSV is not paged.", "Leave cursor and limit out, or ask for JSON.", issues=issues
        )


async def _rows_as_csv(ctx: Context, job_id: bytes, outcome: str | None) -> AsyncIterator[bytes]:
    yield csv_lines([("position", "line", "outcome", "reason", "message", "prospectId")])
    async for batch in store.stream_rows(ctx, job_id, outcome):
        yield csv_lines(msgspec.structs.astuple(store.shown_row(row)) for row in batch)


_JOB: Final = f"{AG}/prospecting/{{jobId}}"

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{AG}/prospecting",
        section="6.2",
        summary="Start a prospecting job",
        handler=start_prospecting_job,
        permission="prospecting:write",
        body=Start,
        body_limit=LARGE_JSON_LIMIT,
        answer=StartedJob,
        answer_name="ProspectingJobStart",
        status=202,
        also=(200,),
        also_answers=(("ProspectingDryRun", DryRun),),
        work=Work.WRITE,
        rehearses=lambda body: body.dry_run,
        replay=replay_start,
        errors={
            402: ("INSUFFICIENT_CREDITS",),
            404: ("NOT_FOUND",),
            409: ("AUDIENCE_NOT_READY",),
            422: (
                "AUDIENCE_NAME_TAKEN",
                "FOLDER_TYPE_MISMATCH",
                "MAPPING_INVALID",
                "SOURCE_NOT_CONFIGURED",
                "DRY_RUN_UNAVAILABLE",
            ),
            502: ("UPSTREAM_ERROR",),
        },
    ),
    Operation(
        method="GET",
        path=f"{AG}/prospecting",
        section="6.3",
        summary="List prospecting jobs",
        handler=list_prospecting_jobs,
        permission="prospecting:read",
        query=ListJobs,
        answer=Page[ShownJob],
        answer_name="ProspectingJobList",
        long_if=lambda query: query.status is not None,
    ),
    Operation(
        method="GET",
        path=_JOB,
        section="6.4",
        summary="Status of a prospecting job",
        handler=get_prospecting_job,
        permission="prospecting:read",
        query=GetJob,
        answer=JobDetails,
        answer_name="ProspectingJobStatus",
        errors={404: ("NOT_FOUND",)},
    ),
    Operation(
        method="POST",
        path=f"{_JOB}/cancel",
        section="6.5",
        summary="Cancel a prospecting job",
        handler=cancel_prospecting_job,
        permission="prospecting:write",
        answer=CancelledJob,
        answer_name="ProspectingJobCancel",
        work=Work.WRITE,
        errors={404: ("NOT_FOUND",), 422: ("VALIDATION_ERROR",), 502: ("UPSTREAM_ERROR",)},
    ),
    Operation(
        method="GET",
        path=f"{_JOB}/rows",
        section="6.6",
        summary="Rows of a prospecting job",
        handler=list_prospecting_job_rows,
        permission="prospecting:read",
        query=ListRows,
        answer=Page[ShownRow],
        answer_name="ProspectingJobRowList",
        streams=("text/csv",),
        work=Work.SNAPSHOT,
        errors={404: ("NOT_FOUND",)},
    ),
)
