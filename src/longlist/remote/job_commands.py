"""`longlist jobs`: the jobs that fill audiences, on a server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from longlist.remote.command import command
from longlist.remote.completion import one_of
from longlist.remote.exits import Exit
from longlist.remote.printing import Column, show_list, show_record

if TYPE_CHECKING:
    from longlist_client import Job

    from longlist.remote.connection import Remote

app = typer.Typer(help="Jobs on a server.", no_args_is_help=True, rich_markup_mode=None)

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Show at most so many.")]
STATUSES: Final = ("queued", "running", "completed", "failed", "cancelled")
OUTCOMES: Final = ("added", "updated", "unchanged", "skipped", "failed")

_COLUMNS: Final = (
    Column("ID", lambda job: job.job_id),
    Column("STATUS", lambda job: job.status),
    Column("DONE", lambda job: f"{job.progress:.0%}", is_number=True),
    Column("SOURCE", lambda job: job.source_type),
    Column("AUDIENCE", lambda job: job.audience_id),
    Column("ROWS", lambda job: job.counts.received, is_number=True),
    Column("FAILED", lambda job: job.counts.failed, is_number=True),
    Column("CREATED", lambda job: job.created_at),
)
_ROW_COLUMNS: Final = (
    Column("POSITION", lambda row: row.position, is_number=True),
    Column("LINE", lambda row: row.line, is_number=True),
    Column("OUTCOME", lambda row: row.outcome),
    Column("REASON", lambda row: row.reason),
    Column("MESSAGE", lambda row: row.message),
    Column("ID", lambda row: row.prospect_id),
)


@command(app, "list")
def list_(
    remote: Remote,
    status: Annotated[
        str | None,
        typer.Option(help=f"Only {', '.join(STATUSES)}.", autocompletion=one_of(*STATUSES)),
    ] = None,
    audience: Annotated[
        str | None, typer.Option(help="Only those of this audience: its id or exact name.")
    ] = None,
    limit: Limit = None,
) -> None:
    """List jobs, newest first.

    In a pipe: id, status, done, source, audience, rows, failed, created.
    """
    if status is not None and status not in STATUSES:
        raise typer.BadParameter(f"The status is one of {', '.join(STATUSES)}.")
    wanted: Any = status
    id_ = None if audience is None else remote.audience_id(audience)
    jobs = remote.account.prospecting.list(
        status=wanted, audience_id=id_, limit=min(limit or 200, 200)
    )
    show_list(jobs, _COLUMNS, as_json=remote.as_json, limit=limit)


@command(app)
def show(remote: Remote, job: JobArgument) -> None:
    """Show a job: how far it is, and what became of its rows."""
    _show(remote, remote.account.prospecting.get(job))


@command(app)
def watch(remote: Remote, job: JobArgument) -> None:
    """Wait for the end of a job; exit code 1 if it failed or was cancelled.

    Ctrl-C stops the waiting, not the job.
    """
    from longlist.remote.jobs import follow
    from longlist.remote.progress import progress

    account = remote.account
    with progress() as shown:
        moved = shown.share("Rows")
        last = follow(account, job, shown, lambda seen: moved(seen.counts.received, seen.progress))
    _show(remote, last)
    if last.status != "completed":
        raise typer.Exit(Exit.FAILED)


@command(app)
def cancel(remote: Remote, job: JobArgument) -> None:
    """End a job that is queued or running; what it imported stays."""
    remote.account.prospecting.cancel(job)
    _show(remote, remote.account.prospecting.get(job))


@command(app)
def rows(
    remote: Remote,
    job: JobArgument,
    outcome: Annotated[
        str | None,
        typer.Option(help=f"Only {', '.join(OUTCOMES)}.", autocompletion=one_of(*OUTCOMES)),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Every row as CSV, with a heading.")] = False,
    limit: Limit = None,
) -> None:
    """List what became of each row, in the order of the source.

    In a pipe: position, line, outcome, reason, message, prospect id.
    """
    if outcome is not None and outcome not in OUTCOMES:
        raise typer.BadParameter(f"The outcome is one of {', '.join(OUTCOMES)}.")
    if csv:
        if limit is not None or remote.as_json:
            raise typer.BadParameter("--csv gives every row, and no JSON.")
        with remote.account.prospecting.export_rows(job, outcome=outcome) as download:
            for piece in download:
                sys.stdout.buffer.write(piece)
        sys.stdout.flush()
        return
    found = remote.account.prospecting.rows(job, outcome=outcome, limit=min(limit or 200, 200))
    show_list(found, _ROW_COLUMNS, as_json=remote.as_json, limit=limit)


def _show(remote: Remote, job: Job) -> None:
    counts = job.counts
    pairs: list[tuple[str, Any]] = [
        ("id", job.job_id),
        ("status", job.status),
        ("progress", f"{job.progress:.0%}"),
        ("sourceType", job.source_type),
        ("audienceId", job.audience_id),
        ("createdAt", job.created_at),
        ("startedAt", job.started_at),
        ("finishedAt", job.finished_at),
        ("received", counts.received),
        ("added", counts.added),
        ("updated", counts.updated),
        ("unchanged", counts.unchanged),
        ("skipped", counts.skipped),
        ("failed", counts.failed),
    ]
    if job.error is not None:
        pairs.append(("error", f"{job.error.code}: {job.error.message}"))
    show_record(pairs, job, as_json=remote.as_json)
