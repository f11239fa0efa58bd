"""Monitors: a start that the clock repeats, and its runs (contract 6.7).

A run is `start` with what the monitor keeps: the same refusals, the same job, the same lock. What
makes it exactly one is the row: the statement that takes a due run moves `next_run_at` on, in the
transaction that queues the job. Every write of a monitor holds its audience's row first, so that
no two of them are ever under way at once.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from longlist.accounts import store as accounts
from longlist.context import Context, Installation
from longlist.db import Transaction
from longlist.decoding import CreateBody, Integer
from longlist.errors import (
    Issue,
    LonglistError,
    NotFound,
    PreconditionFailed,
    Unprocessable,
    ValidationFailed,
)
from longlist.prospecting import monitor_store as store
from longlist.prospecting.monitor_store import Stored
from longlist.prospecting.start import (
    StartDirectorySearch,
    StartLinkedinSearch,
    StartPostCommenters,
    StartSalesNavigator,
    check_caps,
    check_configured,
    kind_of,
    start,
)
from longlist.telemetry import log

_OF_ONE_START: Final = frozenset(
    {"audienceId", "audienceName", "audienceDescription", "folderId", "dryRun"}
)


class MonitoredLinkedinSearch(
    StartLinkedinSearch, omit_defaults=True, tag_field="type", tag="linkedin_search"
):
    """Watch a LinkedIn people search."""

    __exactly_one__: ClassVar[tuple[tuple[str, ...], ...]] = ()
    __without__ = _OF_ONE_START


class MonitoredSalesNavigator(
    StartSalesNavigator, omit_defaults=True, tag_field="type", tag="sales_navigator"
):
    """Watch a saved search or a lead list of Sales Navigator."""

    __exactly_one__: ClassVar[tuple[tuple[str, ...], ...]] = (("savedSearchId", "leadListId"),)
    __without__ = _OF_ONE_START


class MonitoredPostCommenters(
    StartPostCommenters, omit_defaults=True, tag_field="type", tag="post_commenters"
):
    """Watch the comments on a post."""

    __exactly_one__: ClassVar[tuple[tuple[str, ...], ...]] = ()
    __without__ = _OF_ONE_START


class MonitoredDirectorySearch(
    StartDirectorySearch, omit_defaults=True, tag_field="type", tag="directory_search"
):
    """Watch a search of the operator's own directory of people."""

    __exactly_one__: ClassVar[tuple[tuple[str, ...], ...]] = ()
    __without__ = _OF_ONE_START


MonitoredSource = (
    MonitoredLinkedinSearch
    | MonitoredSalesNavigator
    | MonitoredPostCommenters
    | MonitoredDirectorySearch
)
_source_in: Final[msgspec.json.Decoder[MonitoredSource]] = msgspec.json.Decoder(MonitoredSource)


class PutMonitor(CreateBody):
    """What an audience watches, and how often; replaces the whole monitor."""

    source: MonitoredSource
    interval_minutes: Annotated[int, Integer(min=15, max=43_200)]
    enabled: bool = True


def source_of(monitor: Stored) -> MonitoredSource:
    """What the monitor watches."""
    return _source_in.decode(monitor.source)


async def put(ctx: Context, audience_id: bytes, body: PutMonitor) -> Stored:
    """Make or replace the monitor of an audience; the same once more changes nothing.

    Raises ValidationFailed over the cap, NotFound for the audience, PreconditionFailed, and
    Unprocessable (SOURCE_NOT_CONFIGURED, AUDIENCE_TYPE_MISMATCH), in this order.
    """
    await _check_cap(ctx, body.source)
    audience_type = await store.hold_audience(ctx, audience_id)
    if audience_type is None:
        raise NotFound.resource("audience")
    found = await store.find(ctx, audience_id)
    if found is not None:
        ctx.check_if_match(found.etag)
    elif ctx.if_match is not None:
        raise PreconditionFailed(None)
    await check_configured(ctx, kind_of(body.source))
    if audience_type != "monitoring":
        raise type_mismatch(audience_type)
    kept = msgspec.json.encode(body.source).decode()
    wanted = (kept, body.interval_minutes, body.enabled)
    if found is not None and wanted == (found.source, found.interval_minutes, found.enabled):
        return found
    next_run_at = _next_run_at(ctx, body, found, kept) if body.enabled else None
    return await store.write(ctx, audience_id, *wanted, next_run_at)


async def switch(ctx: Context, audience_id: bytes, *, on: bool) -> Stored:
    """Switch a monitor on or off, all else unchanged.

    Off is always possible; on has the refusals of `put`. Raises NotFound as well.
    """
    await store.hold_audience(ctx, audience_id)
    found = await store.get(ctx, audience_id)
    if on:
        body = PutMonitor(source_of(found), found.interval_minutes, enabled=True)
        return await put(ctx, audience_id, body)
    if not found.enabled:
        return found
    return await store.write(ctx, audience_id, found.source, found.interval_minutes, False, None)


async def _check_cap(ctx: Context, source: MonitoredSource) -> None:
    try:
        await check_caps(ctx, source, await accounts.get(ctx))
    except ValidationFailed as error:
        issues = [Issue(f"source.{i.field}", i.code, i.message) for i in error.issues]
        raise ValidationFailed(
            error.message, error.details, issues=issues, context=error.context
        ) from None


def type_mismatch(audience_type: str) -> Unprocessable:
    """The 422 of a monitor on an audience that is not for monitoring."""
    return Unprocessable(
        "Only an audience of type monitoring can have a monitor.",
        "Create an audience with the type monitoring and set the monitor there.",
        code="AUDIENCE_TYPE_MISMATCH",
        context={"audienceType": audience_type},
    )


def _next_run_at(ctx: Context, body: PutMonitor, found: Stored | None, source: str) -> int:
    """One interval after the last run; at once where that is past, or this was never run."""
    if found is None or found.source != source or found.last_run_at is None:
        return ctx.now
    return max(ctx.now, found.last_run_at + body.interval_minutes * store.MINUTE_MS)


async def run_due(installation: Installation, tx: Transaction, run_id: bytes) -> None:
    """Start the job of a due run, if it is still due and its audience ready.

    A run that is refused (its provider is gone, credits are short) is left out: it would be refused
    again at once. The next one is due an interval later, as after any run.
    """
    found = await store.group_of_run_everywhere(tx, run_id)
    if found is None:
        return
    ctx = Context(installation, found)
    ctx.tx = tx
    monitor = await store.take_run(ctx, run_id)
    if monitor is None:
        return
    try:
        async with tx.savepoint():
            job_id = await _start(ctx, monitor)
    except LonglistError as refusal:
        log.warning("monitor skipped a run", audience=monitor.id.hex(), reason=refusal.code)
        return
    await store.note_run(ctx, monitor.id, job_id)


async def _start(ctx: Context, monitor: Stored) -> bytes:
    source = source_of(monitor)
    most = source.max_results
    if most is not None:
        # The cap may have been lowered since: what it allows now is better than nothing.
        most = min(most, (await accounts.get(ctx)).max_results_cap)
    body = msgspec.structs.replace(source, audience_id=monitor.id, max_results=most)
    return (await start(ctx, body)).id
