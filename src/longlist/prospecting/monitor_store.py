"""Monitors of audiences: the rows, and which runs are due.

`next_run_at` is the schedule: null while a monitor is off, past while a run waits for its audience.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from longlist.context import AT_HOME, Context
from longlist.db import Row, Transaction
from longlist.errors import NotFound
from longlist.ids import time_of
from longlist.jobs import Waiting
from longlist.preconditions import etag

MINUTE_MS: Final = 60_000
_ID_BYTES: Final = 12
RUN_ID_BYTES: Final = _ID_BYTES + 8
"""A run is named by its audience and the millisecond it was due at."""
_COLUMNS: Final = (
    "audience_id, source, interval_minutes, enabled, next_run_at, last_job_id, version,"
    " created_at, updated_at"
)


class Stored(msgspec.Struct):
    """A monitor as it is kept. Times are milliseconds since 1970.

    `updated_at` is when a caller changed it; a run changes the version alone.
    """

    id: bytes
    source: str
    interval_minutes: int
    enabled: bool
    next_run_at: int | None
    last_job_id: bytes | None
    version: int
    created_at: int
    updated_at: int

    @property
    def etag(self) -> str:
        return etag(self.id, self.version)

    @property
    def last_run_at(self) -> int | None:
        """When the last run's job was made, which its id tells."""
        return None if self.last_job_id is None else time_of(self.last_job_id)


def _stored(row: Row) -> Stored:
    id_, source, minutes, enabled, *rest = row
    return Stored(id_, source, minutes, bool(enabled), *rest)


async def find(ctx: Context, audience_id: bytes) -> Stored | None:
    """The monitor of an audience, or None."""
    row = await ctx.tx.one(
        f"SELECT {_COLUMNS} FROM monitors WHERE account_group_id = $1 AND audience_id = $2",
        ctx.group,
        audience_id,
    )
    return None if row is None else _stored(row)


async def list_page(ctx: Context, *, before: bytes, limit: int) -> list[Stored]:
    """Up to `limit` monitors of the account group, those of the newest audiences first."""
    rows = await ctx.tx.all(
        f"SELECT {_COLUMNS} FROM monitors WHERE account_group_id = $1 AND audience_id < $2"
        " ORDER BY audience_id DESC LIMIT $3",
        ctx.group,
        before,
        limit,
    )
    return [_stored(row) for row in rows]


async def get(ctx: Context, audience_id: bytes) -> Stored:
    """The monitor of an audience, whose tag the request's If-Match allows.

    Raises NotFound, for the audience where that is what is missing, and PreconditionFailed.
    """
    found = await find(ctx, audience_id)
    if found is not None:
        ctx.check_if_match(found.etag)
        return found
    row = await ctx.tx.one(
        "SELECT 1 FROM audiences WHERE account_group_id = $1 AND id = $2", ctx.group, audience_id
    )
    raise NotFound.resource("audience" if row is None else "monitor")


async def hold_audience(ctx: Context, audience_id: bytes) -> str | None:
    """The type of an audience, ready or filling, kept to the end of the transaction; or None.

    Until the commit nobody deletes it, fills it or writes its monitor.
    """
    row = await ctx.tx.one(
        "UPDATE audiences SET version = version WHERE account_group_id = $1 AND id = $2"
        " RETURNING type",
        ctx.group,
        audience_id,
    )
    return None if row is None else str(row[0])


async def write(
    ctx: Context,
    audience_id: bytes,
    source: str,
    interval_minutes: int,
    enabled: bool,
    next_run_at: int | None,
) -> Stored:
    """Make or change the monitor of a held audience.

    Versions count from the time of making, so that no tag of a deleted monitor comes back.
    """
    row = await ctx.tx.one(
        "INSERT INTO monitors (account_group_id, audience_id, source, interval_minutes, enabled,"
        " next_run_at, version, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7)"
        " ON CONFLICT (account_group_id, audience_id) DO UPDATE SET source = $3,"
        " interval_minutes = $4, enabled = $5, next_run_at = $6, version = monitors.version + 1,"
        f" updated_at = $7 RETURNING {_COLUMNS}",
        ctx.group, audience_id, source, interval_minutes, int(enabled), next_run_at, ctx.now,
    )  # fmt: skip
    assert row is not None
    return _stored(row)


async def delete(ctx: Context, audience_id: bytes) -> None:
    """Remove the monitor of an audience; its jobs stay. Raises as `get`."""
    await hold_audience(ctx, audience_id)
    await get(ctx, audience_id)
    await ctx.tx.run(
        "DELETE FROM monitors WHERE account_group_id = $1 AND audience_id = $2",
        ctx.group,
        audience_id,
    )


async def due_everywhere(tx: Transaction, limit: int, now: int) -> list[Waiting]:
    """Runs that are due on ready audiences, the longest due first."""
    rows = await tx.all(
        "SELECT m.audience_id, m.next_run_at FROM monitors m JOIN audiences a"
        " ON a.account_group_id = m.account_group_id AND a.id = m.audience_id"
        f" WHERE m.next_run_at <= $1 AND a.active_job_id IS NULL AND m.{AT_HOME}"
        " ORDER BY m.next_run_at, m.audience_id LIMIT $2",
        now,
        limit,
    )
    return [Waiting(bytes(row[0]) + row[1].to_bytes(8), row[0].hex()) for row in rows]


async def group_of_run_everywhere(tx: Transaction, run_id: bytes) -> bytes | None:
    """The account group of a run that is still due, None once it was taken or moved."""
    audience_id, due_at = _parts(run_id)
    row = await tx.one(
        "SELECT account_group_id FROM monitors WHERE next_run_at = $1 AND audience_id = $2",
        due_at,
        audience_id,
    )
    return None if row is None else row[0]


async def take_run(ctx: Context, run_id: bytes) -> Stored | None:
    """Move the monitor on to its next run, if this one is due and its audience ready; else None."""
    audience_id, due_at = _parts(run_id)
    ready = await ctx.tx.run(
        "UPDATE audiences SET version = version WHERE account_group_id = $1 AND id = $2"
        " AND active_job_id IS NULL",
        ctx.group,
        audience_id,
    )
    if not ready:
        return None
    # Counted from now, not from when it was due: what was missed is made up for by one run.
    row = await ctx.tx.one(
        f"UPDATE monitors SET next_run_at = $4 + interval_minutes * {MINUTE_MS},"
        " version = version + 1"
        " WHERE account_group_id = $1 AND audience_id = $2 AND next_run_at = $3"
        f" RETURNING {_COLUMNS}",
        ctx.group,
        audience_id,
        due_at,
        ctx.now,
    )
    return None if row is None else _stored(row)


async def note_run(ctx: Context, audience_id: bytes, job_id: bytes) -> None:
    """Name the job of a run that `take_run` took in this transaction, and count from it."""
    await ctx.tx.run(
        "UPDATE monitors SET last_job_id = $3,"
        f" next_run_at = $4 + interval_minutes * {MINUTE_MS}"
        " WHERE account_group_id = $1 AND audience_id = $2",
        ctx.group,
        audience_id,
        job_id,
        time_of(job_id),
    )


def _parts(run_id: bytes) -> tuple[Any, int]:
    return run_id[:_ID_BYTES], int.from_bytes(run_id[_ID_BYTES:])
