"""Prospecting jobs: they fill audiences from sources."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import msgspec

from longlist_client.binding import (
    AsyncResource,
    Resource,
    async_download,
    async_items,
    async_method,
    download,
    items,
    method,
)
from longlist_client.calls import AG, Call, Scope, answering, given
from longlist_client.errors import JobNotCompleted, WaitTimedOut
from longlist_client.exchange import Answer, Flow, Pause, Request, Wait
from longlist_client.inputs import ProspectingSource
from longlist_client.models import (
    CancelledJob,
    DryRun,
    Job,
    JobRow,
    JobSummary,
    Page,
    Quota,
    StartedJob,
)

_ALL = f"{AG}/prospecting"
_ONE = f"{_ALL}/{{jobId}}"
LONGEST_WAIT_S = 30
"""What the server takes as `wait` at most."""


def _start(
    scope: Scope, source: ProspectingSource, common: dict[str, Any], key: str | None = None
) -> Request:
    body = {**msgspec.to_builtins(source), **given(**common)}
    return scope.request("POST", _ALL, body=body, idempotency_key=key)


def start_prospecting_job(
    scope: Scope,
    source: ProspectingSource,
    *,
    audience_id: str | None = None,
    audience_name: str | None = None,
    audience_description: str | None = None,
    folder_id: str | None = None,
    max_results: int | None = None,
    search_emails: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[StartedJob]:
    """Start a job that fills an audience: the one with `audience_id`, or a new one.

    Exactly one of `audience_id` and `audience_name` is needed; description and folder belong to a
    new audience. The audience cannot be used until the job ends: see `wait`.
    """
    common = {
        "audienceId": audience_id,
        "audienceName": audience_name,
        "audienceDescription": audience_description,
        "folderId": folder_id,
        "maxResults": max_results,
        "searchEmails": search_emails,
    }
    return answering(StartedJob, _start(scope, source, common, idempotency_key))


def dry_run_prospecting_job(
    scope: Scope,
    source: ProspectingSource,
    *,
    audience_id: str | None = None,
    audience_name: str | None = None,
    audience_description: str | None = None,
    folder_id: str | None = None,
    max_results: int | None = None,
    search_emails: bool | None = None,
) -> Call[DryRun]:
    """What such a job would do; changes and charges nothing.

    Raises DryRunUnavailable where only running the job can tell.
    """
    common = {
        "audienceId": audience_id,
        "audienceName": audience_name,
        "audienceDescription": audience_description,
        "folderId": folder_id,
        "maxResults": max_results,
        "searchEmails": search_emails,
        "dryRun": True,
    }
    return answering(DryRun, _start(scope, source, common))


def list_prospecting_jobs(
    scope: Scope,
    *,
    status: Literal["queued", "running", "completed", "failed", "cancelled"] | None = None,
    audience_id: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[Page[JobSummary]]:
    """The jobs, newest first; `limit` is the page size."""
    query = {"status": status, "audienceId": audience_id, "limit": limit, "cursor": cursor}
    return answering(Page[JobSummary], scope.request("GET", _ALL, query=query))


def get_prospecting_job(scope: Scope, job_id: str, *, wait: int | None = None) -> Call[Job]:
    """A job as it is now, or once it is over: the server waits up to `wait` (1 to 30) seconds."""
    request = scope.request("GET", _ONE, job_id, query={"wait": wait})
    return answering(Job, replace(request, extra_wait_s=float(wait or 0)))


def wait_for_prospecting_job(
    scope: Scope,
    job_id: str,
    *,
    on_progress: Callable[[Job], object] | None = None,
    every: int | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> Flow[Job]:
    """The job at its end; the server is asked to answer then, and is not polled in a hurry.

    `on_progress` is called with each state that is seen, about `every` seconds (2 with a callback,
    else 30, which is the most); it may be asynchronous in an async client. Raises JobNotCompleted
    for a job that failed or was cancelled, unless `check` is false, and WaitTimedOut after
    `timeout` seconds, which leaves the job alone.
    """
    every = min(every or (2 if on_progress is not None else LONGEST_WAIT_S), LONGEST_WAIT_S)
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = every if until is None else min(every, int(until - time.monotonic()))
        job: Job = yield get_prospecting_job(scope, job_id, wait=left if left >= 1 else None)
        if on_progress is not None:
            result = on_progress(job)
            if inspect.isawaitable(result):
                yield Wait(result)
        if job.is_terminal:
            break
        pause_s = job.retry_after or 1.0
        if until is not None:
            if time.monotonic() >= until:
                raise WaitTimedOut(job)
            pause_s = min(pause_s, max(0.0, until - time.monotonic()))
        yield Pause(pause_s)
    if check and job.status != "completed":
        raise JobNotCompleted(job)
    return job


def cancel_prospecting_job(
    scope: Scope, job_id: str, *, idempotency_key: str | None = None
) -> Call[CancelledJob]:
    """End a queued or running job; what it imported stays. One that is over: ValidationError."""
    request = scope.request("POST", f"{_ONE}/cancel", job_id, idempotency_key=idempotency_key)
    return answering(CancelledJob, request)


def list_prospecting_job_rows(
    scope: Scope,
    job_id: str,
    *,
    outcome: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[Page[JobRow]]:
    """What became of each row so far, in order; `limit` is the page size."""
    query = {"outcome": outcome, "limit": limit, "cursor": cursor}
    return answering(Page[JobRow], scope.request("GET", f"{_ONE}/rows", job_id, query=query))


def _streamed(_answer: Answer) -> None:
    return None


def export_prospecting_job_rows(
    scope: Scope, job_id: str, *, outcome: str | None = None
) -> Call[None]:
    """The rows as CSV, streamed: open it by `with`."""
    request = scope.request("GET", f"{_ONE}/rows", job_id, query={"outcome": outcome})
    return Call(replace(request, headers={**request.headers, "Accept": "text/csv"}), _streamed)


def get_prospecting_quota(scope: Scope, list_type: str | None = None) -> Call[Quota]:
    """How much of a kind of job is used up today; LINKEDIN_CLASSIC unless it is named."""
    return answering(Quota, scope.request("GET", f"{_ALL}/quota", query={"listType": list_type}))


class Prospecting(Resource):
    """The prospecting jobs of an account group."""

    start = method(start_prospecting_job)
    dry_run = method(dry_run_prospecting_job)
    list_page = method(list_prospecting_jobs)
    list = items(list_prospecting_jobs)
    get = method(get_prospecting_job)
    wait = method(wait_for_prospecting_job)
    cancel = method(cancel_prospecting_job)
    rows_page = method(list_prospecting_job_rows)
    rows = items(list_prospecting_job_rows)
    export_rows = download(export_prospecting_job_rows)
    quota = method(get_prospecting_quota)


class AsyncProspecting(AsyncResource):
    """The prospecting jobs of an account group."""

    start = async_method(start_prospecting_job)
    dry_run = async_method(dry_run_prospecting_job)
    list_page = async_method(list_prospecting_jobs)
    list = async_items(list_prospecting_jobs)
    get = async_method(get_prospecting_job)
    wait = async_method(wait_for_prospecting_job)
    cancel = async_method(cancel_prospecting_job)
    rows_page = async_method(list_prospecting_job_rows)
    rows = async_items(list_prospecting_job_rows)
    export_rows = async_download(export_prospecting_job_rows)
    quota = async_method(get_prospecting_quota)
