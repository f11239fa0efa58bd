"""Monitors as callers see them (contract 6.7)."""

from __future__ import annotations

from typing import Final

import msgspec

from longlist.audiences.routes import Deleted
from longlist.context import Context
from longlist.ids import rfc3339, rfc3339_or_none
from longlist.operations import AG, Answer, Operation, Work
from longlist.prospecting import monitor_store as store
from longlist.prospecting import monitors
from longlist.prospecting.monitor_store import Stored
from longlist.prospecting.monitors import MonitoredSource, PutMonitor


class Monitor(msgspec.Struct, rename="camel"):
    """A source that runs again and again for one audience.

    `source` is as it was sent, without members that are null or have their default. `nextRunAt` is
    null while the monitor is off, and past while a run waits for its audience to be ready.
    """

    audience_id: str
    source: MonitoredSource
    interval_minutes: int
    enabled: bool
    next_run_at: str | None
    last_job_id: str | None
    created_at: str
    updated_at: str


def _answer(found: Stored) -> Answer:
    shown = Monitor(
        found.id.hex(),
        monitors.source_of(found),
        found.interval_minutes,
        found.enabled,
        rfc3339_or_none(found.next_run_at),
        None if found.last_job_id is None else found.last_job_id.hex(),
        rfc3339(found.created_at),
        rfc3339(found.updated_at),
    )
    return Answer(shown, etag=found.etag)


async def get_monitor(ctx: Context, audience_id: bytes) -> Answer:
    """The monitor of an audience."""
    return _answer(await store.get(ctx, audience_id))


async def put_monitor(ctx: Context, audience_id: bytes, body: PutMonitor) -> Answer:
    """Make or replace the monitor of an audience; a new or changed source runs at once."""
    return _answer(await monitors.put(ctx, audience_id, body))


async def delete_monitor(ctx: Context, audience_id: bytes) -> Deleted:
    """Remove the monitor of an audience; its people and its jobs stay."""
    await store.delete(ctx, audience_id)
    return Deleted()


_MONITOR: Final = f"{AG}/audiences/{{audienceId}}/monitor"

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_MONITOR,
        section="6.7",
        summary="Get the monitor of an audience",
        handler=get_monitor,
        permission="prospecting:read",
        answer=Monitor,
        answer_name="Monitor",
        tagged=True,
        errors={404: ("NOT_FOUND",)},
    ),
    Operation(
        method="PUT",
        path=_MONITOR,
        section="6.7",
        summary="Make or replace the monitor of an audience",
        handler=put_monitor,
        permission="prospecting:write",
        body=PutMonitor,
        answer=Monitor,
        answer_name="Monitor",
        tagged=True,
        work=Work.WRITE,
        errors={
            404: ("NOT_FOUND",),
            422: ("AUDIENCE_TYPE_MISMATCH", "SOURCE_NOT_CONFIGURED"),
        },
    ),
    Operation(
        method="DELETE",
        path=_MONITOR,
        section="6.7",
        summary="Delete the monitor of an audience",
        handler=delete_monitor,
        permission="prospecting:write",
        answer=Deleted,
        answer_name="Deleted",
        tagged=True,
        work=Work.WRITE,
        errors={404: ("NOT_FOUND",)},
    ),
)
