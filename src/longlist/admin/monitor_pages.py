"""Monitors: sources that run again and again, when they run next, and how to stop one."""

from __future__ import annotations

from typing import Final

import msgspec

from longlist import decoding, pages
from longlist.admin.visit import Redirect, Reply, View, Visit
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.decoding import Cursor, Limit, Query
from longlist.errors import NotFound
from longlist.pages import Page
from longlist.prospecting import monitor_store, monitors
from longlist.prospecting import store as jobs
from longlist.prospecting.monitor_store import Stored
from longlist.prospecting.start import kind_of


class MonitorList(Query):
    """Which page of the monitors."""

    limit: Limit = 50
    cursor: Cursor | None = None


class Shown(msgspec.Struct):
    """A monitor with what its row tells: its audience, what it watches, its last run."""

    monitor: Stored
    name: str
    kind: str
    watches: str
    is_filling: bool
    last_job: jobs.Job | None


_query: Final = decoding.compile_query(MonitorList)


async def list_monitors(visit: Visit) -> Reply:
    """The monitors of the group, those of the newest audiences first."""
    query = visit.query(_query)
    page, shown = await visit.read(_page, query)
    values = {
        "monitors": shown,
        "next_cursor": page.next_cursor,
        "note": visit.parameter("note"),
    }
    part = visit.is_htmx and query.cursor is not None
    return View("monitor_rows.html" if part else "monitors.html", values)


async def _page(ctx: Context, query: MonitorList) -> tuple[Page[Stored], list[Shown]]:
    found = await monitor_store.list_page(
        ctx, before=pages.position_of(ctx, query) or pages.LAST_ID, limit=query.limit + 1
    )
    page = pages.page(ctx, query, found, lambda monitor: monitor.id)
    return page, [await _shown(ctx, monitor) for monitor in page.items]


async def _shown(ctx: Context, monitor: Stored) -> Shown:
    audience = await audiences.find(ctx, monitor.id)
    assert audience is not None  # a monitor goes with its audience
    source = monitors.source_of(monitor)
    return Shown(
        monitor,
        audience.audience.name,
        kind_of(source),
        _watches(source),
        audience.active_job_id is not None,
        None if monitor.last_job_id is None else await jobs.get(ctx, monitor.last_job_id),
    )


def _watches(source: monitors.MonitoredSource) -> str:
    """What is searched or read, in the words of who set the monitor up."""
    match source:
        case monitors.MonitoredLinkedinSearch():
            return source.search_url
        case monitors.MonitoredSalesNavigator():
            if source.saved_search_id is not None:
                return f"saved search {source.saved_search_id}"
            return f"lead list {source.lead_list_id}"
        case monitors.MonitoredPostCommenters():
            return source.post_url
        case monitors.MonitoredDirectorySearch():
            return source.query


async def pause(visit: Visit, audience_id: bytes) -> Reply:
    """Stop a monitor until it is resumed; a job of it that runs goes on."""
    await visit.change(_switch, audience_id, on=False)
    return Redirect(f"{visit.here}/monitors?note=paused")


async def resume(visit: Visit, audience_id: bytes) -> Reply:
    """Let a monitor run again; at once where its time is past."""
    await visit.change(_switch, audience_id, on=True)
    return Redirect(f"{visit.here}/monitors?note=resumed")


async def _switch(ctx: Context, audience_id: bytes, *, on: bool) -> None:
    await monitors.switch(ctx, audience_id, on=on)


async def show_remove(visit: Visit, audience_id: bytes) -> Reply:
    """What removing a monitor means, before it is done."""
    return View("monitor_remove.html", {"monitor": await visit.read(_named, audience_id)})


async def _named(ctx: Context, audience_id: bytes) -> Shown:
    found = await monitor_store.find(ctx, audience_id)
    if found is None:
        raise NotFound.resource("monitor")
    return await _shown(ctx, found)


async def remove(visit: Visit, audience_id: bytes) -> Reply:
    """Remove a monitor; its audience, people and jobs stay."""
    await visit.change(monitor_store.delete, audience_id)
    return Redirect(f"{visit.here}/monitors?note=removed")
