"""Jobs: the list, one of them with what became of its rows, and the rows that failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from longlist import decoding, pages
from longlist.admin import charts
from longlist.admin.visit import Download, Redirect, Reply, View, Visit
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.decoding import Cursor, Limit, Query
from longlist.ids import now_ms
from longlist.pages import Page
from longlist.prospecting import file_store as files
from longlist.prospecting import store as jobs
from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.inspection import read_rows, release
from longlist.prospecting.rows import Cursor as Place
from longlist.prospecting.rows import Row
from longlist.prospecting.store import Job, JobStatus, ShownRow
from longlist.prospects.export import csv_lines
from longlist.prospects.intake import OutcomeName

_PAGE_ROWS: Final = 2_000
DAYS: Final = 30
"""Of so many days the page of jobs has a chart."""


class JobList(Query):
    """Which jobs, and which page of them."""

    limit: Limit = 30
    cursor: Cursor | None = None
    status: JobStatus | None = None


class RowList(Query):
    """Which rows of a job, and which page of them."""

    limit: Limit = 50
    cursor: Cursor | None = None
    outcome: OutcomeName | None = None


_jobs_query: Final = decoding.compile_query(JobList)
_rows_query: Final = decoding.compile_query(RowList)


async def list_jobs(visit: Visit) -> Reply:
    """The jobs of the group, newest first; those that run are asked about again and again."""
    query = visit.query(_jobs_query)
    read = visit.read if query.status is None else visit.read_long
    page, names = await read(_job_page, query)
    values: dict[str, Any] = {
        "jobs": page.items,
        "names": names,
        "next_cursor": page.next_cursor,
        "is_first": query.cursor is None,
        "status": query.status,
        "full": jobs.FULL,
        "live": any(not job.is_terminal for job in page.items),
    }
    if not visit.is_htmx:
        today = now_ms() // charts.DAY_MS
        since = (today - DAYS + 1) * charts.DAY_MS
        by_day = await visit.read_long(jobs.counts_by_day, since)
        values["days"] = charts.days(by_day, today, DAYS)
        return View("jobs.html", values)
    return View("job_rows.html" if query.cursor else "job_list.html", values)


async def _job_page(ctx: Context, query: JobList) -> tuple[Page[Job], dict[bytes, str]]:
    found = await jobs.list_page(
        ctx,
        before=pages.position_of(ctx, query) or pages.LAST_ID,
        limit=query.limit + 1,
        status=query.status,
        audience_id=None,
    )
    page = pages.page(ctx, query, found, lambda job: job.id)
    names: dict[bytes, str] = {}
    for id_ in {job.audience_id for job in page.items}:
        audience = await audiences.find(ctx, id_)
        if audience is not None:
            names[id_] = audience.audience.name
    return page, names


async def show(visit: Visit, job_id: bytes) -> Reply:
    """A job, live while it runs, with its rows."""
    query = visit.query(_rows_query)
    job, name = await visit.read(_job_and_name, job_id)
    # Few rows of an outcome may lie far apart among many.
    read = visit.read if query.outcome is None else visit.read_long
    page = await read(_row_page, job_id, query)
    values = {
        **_values(job, name),
        "rows": page.items,
        "next_cursor": page.next_cursor,
        "is_first": query.cursor is None,
        "outcome": query.outcome,
    }
    part = visit.is_htmx and query.cursor is not None
    return View("outcome_rows.html" if part else "job.html", values)


async def _job_and_name(ctx: Context, job_id: bytes) -> tuple[Job, str | None]:
    job = await jobs.get(ctx, job_id)
    audience = await audiences.find(ctx, job.audience_id)
    return job, None if audience is None else audience.audience.name


async def _row_page(ctx: Context, job_id: bytes, query: RowList) -> Page[ShownRow]:
    position = pages.position_of(ctx, query)
    found = await jobs.list_rows(
        ctx,
        job_id,
        after=0 if position is None else int.from_bytes(position),
        limit=query.limit + 1,
        outcome=query.outcome,
    )
    return pages.page(ctx, query, found, lambda row: row.position.to_bytes(8))


def _values(job: Job, name: str | None) -> dict[str, Any]:
    return {"job": job, "name": name, "full": jobs.FULL}


async def show_progress(visit: Visit, job_id: bytes) -> Reply:
    """How far a job is; once it has ended, the whole page is asked for again."""
    job, name = await visit.read(_job_and_name, job_id)
    headers = {"HX-Refresh": "true"} if job.is_terminal else {}
    return View("job_progress.html", _values(job, name), headers=headers)


async def cancel(visit: Visit, job_id: bytes) -> Reply:
    """End a job now; what it imported stays."""
    await visit.change(jobs.cancel, job_id)
    return Redirect(f"{visit.here}/jobs/{job_id.hex()}")


async def failed_rows(visit: Visit, job_id: bytes) -> Reply:
    """The failed rows as CSV: as they stand in the file while it is kept, with the reasons."""
    return Download("text/csv; charset=utf-8", f"failed-{job_id.hex()}.csv", _failed(visit, job_id))


async def _failed(visit: Visit, job_id: bytes) -> AsyncIterator[bytes]:
    async with visit.snapshot() as snapshot:
        ctx = visit.ctx
        ctx.tx = snapshot
        job = await jobs.get(ctx, job_id)
        file = None if job.file_id is None else await files.find(ctx, job.file_id)
        if file is None or not await asyncio.to_thread(file.path.exists):
            yield csv_lines([("line", "reason", "message")])
            async for batch in jobs.stream_rows(ctx, job_id, "failed"):
                yield csv_lines(_told(jobs.shown_row(row)) for row in batch)
            return
        yield csv_lines([(*file.inspection.columns, *_heads(file.inspection.columns))])
        reader = _Reader(file)
        try:
            async for batch in jobs.stream_rows(ctx, job_id, "failed"):
                lines = []
                for row in map(jobs.shown_row, batch):
                    lines.append((*await reader.values_at(row.position), *_told(row)))
                yield csv_lines(lines)
        finally:
            await asyncio.to_thread(release, file.path)


def _told(row: ShownRow) -> tuple[int | None, str | None, str | None]:
    return row.line, row.reason, row.message


def _heads(columns: list[str]) -> list[str]:
    """Names of the three columns that are added, other than those the file has."""
    taken = set(columns)
    return [
        name if name not in taken else f"longlist {name}" for name in ("line", "reason", "message")
    ]


class _Reader:
    """Reads a file from front to back for the rows at rising positions, in threads."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._next: Place | None = file.inspection.start
        self._rows: list[Row] = []
        self._at = 0

    async def values_at(self, position: int) -> list[str]:
        """The cells of a row, as many as there are columns; empty ones for an unreadable row."""
        width = len(self._file.inspection.columns)
        while True:
            while self._at < len(self._rows) and self._rows[self._at].position < position:
                self._at += 1
            if self._at < len(self._rows):
                row = self._rows[self._at]
                values = row.values[:width] if row.position == position else []
                return values + [""] * (width - len(values))
            if self._next is None:
                return [""] * width
            read = partial(read_rows, start=self._next, max_rows=_PAGE_ROWS)
            self._rows, self._next = await asyncio.to_thread(
                read, self._file.path, self._file.inspection
            )
            self._at = 0
