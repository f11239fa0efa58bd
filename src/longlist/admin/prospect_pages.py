"""The people in an audience, and its export.

The list is read by its index from where the page before ended, so a page of a million members
costs what a page of ten does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from longlist import pages
from longlist.admin import charts
from longlist.admin.audience_pages import find_with_job
from longlist.admin.people_pages import query, read_page
from longlist.admin.visit import Download, Reply, View, Visit
from longlist.audiences import size_store as sizes
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.ids import now_ms, time_of
from longlist.prospecting import monitor_store as monitors
from longlist.prospecting import store as jobs
from longlist.prospects import export as exports

YEAR_MS = 365 * charts.DAY_MS
_LATEST_JOBS = 3


async def list_prospects(visit: Visit, audience_id: bytes) -> Reply:
    """A page of an audience's people; while a job fills it, how far that is."""
    asked = visit.query(query)
    audience, job = await visit.read(find_with_job, audience_id)
    if job is not None:
        values = {"audience": audience, "job": job, "jobs": jobs}
        return View("audience_locked.html", values)
    shown = await read_page(visit, asked, audience_id)
    values = {
        "audience": audience,
        "prospects": shown.people,
        "shown": shown,
        "q": asked.q,
        "total": audience.audience.prospect_count,
        "url": f"{visit.here}/audiences/{audience_id.hex()}",
    }
    if visit.is_htmx and asked.cursor is not None:
        return View("prospect_rows.html", values)
    found, latest, monitor = await visit.read(_beside, audience_id)
    now = now_ms()
    values |= {
        "last_jobs": latest,
        "monitor": monitor,
        "growth": charts.growth(found, time_of(audience_id), now, audience.audience.prospect_count),
    }
    return View("audience.html", values)


async def _beside(
    ctx: Context, audience_id: bytes
) -> tuple[list[sizes.Size], list[jobs.Job], monitors.Stored | None]:
    """What the page shows beside the people: the past year, the latest jobs, the monitor."""
    latest = await jobs.list_page(
        ctx, before=pages.LAST_ID, limit=_LATEST_JOBS, status=None, audience_id=audience_id
    )
    past = await sizes.list_since(ctx, audience_id, ctx.now - YEAR_MS)
    return past, latest, await monitors.find(ctx, audience_id)


async def export(visit: Visit, audience_id: bytes) -> Reply:
    """The whole audience as CSV, as one consistent snapshot."""
    return Download(
        "text/csv; charset=utf-8",
        f"audience-{audience_id.hex()}.csv",
        _csv(visit, audience_id),
    )


async def _csv(visit: Visit, audience_id: bytes) -> AsyncIterator[bytes]:
    async with visit.snapshot() as snapshot:
        ctx = visit.ctx
        ctx.tx = snapshot
        await audiences.get(ctx, audience_id)
        async for chunk in exports.csv_chunks(ctx, audience_id):
            yield chunk
