"""Audiences: what is true of them and where it is kept.

The lock: `active_job_id` names the job that fills an audience, and every write here carries
`active_job_id IS NULL` in the statement that writes. A look-up comes only afterwards, to say why
nothing was written; so no request slips in between a check and a write.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from longlist.context import Context
from longlist.db import Change, Column, Row, UniqueViolation
from longlist.errors import AudienceNotReady, Issue, NotFound, Unprocessable
from longlist.events import store as events
from longlist.ids import new_id, rfc3339, time_of
from longlist.preconditions import etag
from longlist.text import fold

AudienceType = Literal[
    "linkedin_search", "sales_navigator", "post_commenters", "url_upload", "file_import",
    "directory_search", "on_demand", "monitoring",
]  # fmt: skip
RETRY_AFTER_S: Final = 5
_RACES: Final = 5


class Audience(msgspec.Struct, rename="camel"):
    """A named list of prospects (contract 3.1): exactly these seven members, in this order."""

    id: str
    name: str
    type: AudienceType
    description: str | None
    folder_id: str | None
    prospect_count: int
    created_at: str


class Filling(msgspec.Struct, rename="camel"):
    """Which job fills an audience, and how far it is. `since` is when the filling began."""

    audience_id: str
    job_id: str
    job_status: Literal["queued", "running"]
    progress: float
    since: str


class Stored(msgspec.Struct):
    """An audience with what is not shown of it."""

    audience: Audience
    id: bytes
    version: int
    active_job_id: bytes | None

    @property
    def etag(self) -> str:
        return etag(self.id, self.version)


_MEMBERS: Final = (
    Column("id", "id", "id"),
    Column("name", "name", "text"),
    Column("type", "type", "text"),
    Column("description", "description", "text"),
    Column("folder_id", "folderId", "id"),
    Column("prospect_count", "prospectCount", "integer"),
    Column("created_at", "createdAt", "time"),
)
COLUMNS: Final = ", ".join([*(column.sql for column in _MEMBERS), "version", "active_job_id"])


def stored(row: Row) -> Stored:
    """The audience in a row of COLUMNS."""
    id_, name, type_, description, folder, count, created_at, version, job = row
    return Stored(
        Audience(
            id_.hex(), name, type_, description, None if folder is None else folder.hex(),
            count, rfc3339(created_at),
        ),
        id_, version, job,
    )  # fmt: skip


def guarded(event: str, assignments: str, condition: str) -> Change:
    """A guarded update of one ready audience: $1 group, $2 id, $3 version expected or 0."""
    change = Change("", event, _MEMBERS, ("version", "active_job_id"))
    return msgspec.structs.replace(
        change,
        sql=(
            f"UPDATE audiences SET {assignments}, version = version + 1"
            " WHERE account_group_id = $1 AND id = $2 AND active_job_id IS NULL"
            f" AND (CAST($3 AS BIGINT) = 0 OR version = $3) AND ({condition})"
            f" RETURNING {change.returning}"
        ),
    )


_UNIQUE: Final = (
    "CASE WHEN (SELECT unique_audience_names FROM account_groups WHERE id = $1) = 1"
    " THEN {folded} END"
)
_NAME: Final = f"name = $4, name_folded = $5, unique_name = {_UNIQUE.format(folded='$5')}"
# A null description is compared as "", which is never stored.
_UPDATES: Final = {
    (True, False): guarded("audience.updated", _NAME, "name <> $4"),
    (False, True): guarded(
        "audience.updated", "description = $4", "COALESCE(description, '') <> COALESCE($4, '')"
    ),
    (True, True): guarded(
        "audience.updated",
        f"{_NAME}, description = $6",
        "name <> $4 OR COALESCE(description, '') <> COALESCE($6, '')",
    ),
}
_HOLD: Final = (
    "UPDATE audiences SET version = version WHERE account_group_id = $1 AND id = $2"
    f" AND active_job_id IS NULL RETURNING {COLUMNS}"
)
_FIND: Final = f"SELECT {COLUMNS} FROM audiences WHERE account_group_id = $1 AND id = $2"


async def not_ready(ctx: Context, audience: Stored) -> AudienceNotReady:
    """The 409 that says which job fills the audience and how far it is."""
    assert audience.active_job_id is not None
    row = await ctx.tx.one(
        "SELECT status, progress, created_at FROM prospecting_jobs"
        " WHERE account_group_id = $1 AND id = $2",
        ctx.group,
        audience.active_job_id,
    )
    assert row is not None
    return AudienceNotReady(
        {
            "audienceId": audience.audience.id,
            "jobId": audience.active_job_id.hex(),
            "jobStatus": row[0],
            "progress": row[1] / 10_000,
            "since": rfc3339(row[2]),
            "retryAfterSeconds": RETRY_AFTER_S,
        }
    )


async def find(ctx: Context, audience_id: bytes) -> Stored | None:
    """The audience, ready or filling, or None."""
    row = await ctx.tx.one(_FIND, ctx.group, audience_id)
    return None if row is None else stored(row)


async def get(ctx: Context, audience_id: bytes) -> Stored:
    """A ready audience whose tag the request's If-Match allows.

    Raises NotFound, PreconditionFailed or AudienceNotReady, in this order (contract 1.5).
    """
    audience = await find(ctx, audience_id)
    if audience is None:
        raise NotFound.resource("audience")
    ctx.check_if_match(audience.etag)
    if audience.active_job_id is not None:
        raise await not_ready(ctx, audience)
    return audience


async def list_page(
    ctx: Context,
    *,
    before: bytes,
    limit: int,
    q: str | None = None,
    type_: str | None = None,
    folder_id: bytes | None = None,
    ungrouped: bool = False,
    filling: bool = False,
) -> list[Stored]:
    """Up to `limit` audiences newest first, older than `before`; filling ones only if asked."""
    where, args = ["account_group_id = $1", "id < $2"], [ctx.group, before, limit]
    if not filling:
        where.append("active_job_id IS NULL")
    if q is not None:
        args.append("%" + fold(q).translate(_LIKE) + "%")
        where.append(f"name_folded LIKE ${len(args)} ESCAPE '!'")
    if type_ is not None:
        args.append(type_)
        where.append(f"type = ${len(args)}")
    if ungrouped:
        where.append("folder_id IS NULL")
    elif folder_id is not None:
        args.append(folder_id)
        where.append(f"folder_id = ${len(args)}")
    rows = await ctx.tx.all(
        f"SELECT {COLUMNS} FROM audiences WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT $3",
        *args,
    )
    return [stored(row) for row in rows]


_LIKE: Final = str.maketrans({"%": "!%", "_": "!_", "!": "!!"})


async def list_ready(ctx: Context) -> list[Stored]:
    """Every ready audience of the group, newest first."""
    rows = await ctx.tx.all(
        f"SELECT {COLUMNS} FROM audiences WHERE account_group_id = $1"
        " AND active_job_id IS NULL ORDER BY id DESC",
        ctx.group,
    )
    return [stored(row) for row in rows]


async def fillings(ctx: Context, audiences: list[Stored]) -> list[Filling]:
    """Those of the audiences that are filling, with their jobs."""
    by_job = {a.active_job_id: a for a in audiences if a.active_job_id is not None}
    if not by_job:
        return []
    rows = await ctx.tx.all_in(
        "SELECT id, status, progress, created_at FROM prospecting_jobs"
        " WHERE account_group_id = $1 AND id IN_VALUES",
        list(by_job),
        ctx.group,
    )
    jobs = {row[0]: row for row in rows}
    return [
        Filling(
            a.audience.id, job.hex(), jobs[job][1], jobs[job][2] / 10_000, rfc3339(jobs[job][3])
        )
        for job, a in by_job.items()
    ]


async def create(
    ctx: Context,
    *,
    name: str,
    type_: str,
    description: str | None,
    folder_id: bytes | None = None,
    active_job_id: bytes | None = None,
) -> Stored:
    """Make an audience. Raises Unprocessable (AUDIENCE_NAME_TAKEN)."""
    folded = fold(name)
    try:
        async with ctx.tx.savepoint():
            row = await ctx.tx.one(
                "INSERT INTO audiences (account_group_id, id, name, name_folded, unique_name, type,"
                " description, folder_id, active_job_id, created_at) VALUES ($1, $2, $3, $4,"
                f" {_UNIQUE.format(folded='$4')}, $5, $6, $7, $8, $9) RETURNING {COLUMNS}",
                ctx.group, id_ := new_id(), name, folded, type_, description, folder_id,
                active_job_id, time_of(id_),
            )  # fmt: skip
    except UniqueViolation:
        raise await _name_taken(ctx, folded) from None
    assert row is not None
    audience = stored(row)
    await events.record(ctx, "audience.created", audience.id, audience.audience)
    return audience


async def check_name_free(ctx: Context, name: str) -> None:
    """Raise Unprocessable (AUDIENCE_NAME_TAKEN) where a unique name is in use."""
    refusal = await _name_taken(ctx, fold(name))
    if refusal.context:
        raise refusal


async def _name_taken(ctx: Context, folded: str) -> Unprocessable:
    row = await ctx.tx.one(
        "SELECT id FROM audiences WHERE account_group_id = $1 AND unique_name = $2",
        ctx.group,
        folded,
    )
    return Unprocessable(
        "Another audience in this account group has this name.",
        "Choose another name; this account group requires unique audience names.",
        code="AUDIENCE_NAME_TAKEN",
        issues=[Issue("name", "taken", "The name is in use.")],
        context={} if row is None else {"existingId": row[0].hex()},
    )


async def write_guarded(
    ctx: Context, change: Change, audience_id: bytes, *values: Any, wanted: dict[str, Any]
) -> Stored:
    """Run a guarded change; the audience after it, also where it already is as `wanted`.

    Raises NotFound, PreconditionFailed or AudienceNotReady where the guard refused.
    """
    expected = 0
    if ctx.if_match is not None:
        expected = (await get(ctx, audience_id)).version
    for _ in range(_RACES):
        row = await ctx.tx.change(
            change,
            ctx.group,
            audience_id,
            expected,
            *values,
            event_id=ctx.new_event_id(),
            now=ctx.now,
        )
        if row is not None:
            return stored(row)
        audience = await get(ctx, audience_id)
        if all(getattr(audience.audience, name) == value for name, value in wanted.items()):
            return audience
        # Between the change and the look-up a job ended or another request wrote: once more,
        # against the version that If-Match has now allowed.
        expected = expected and audience.version
    raise RuntimeError("An audience changed at every attempt to write it.")


async def hold(ctx: Context, audience_id: bytes) -> Stored:
    """A ready audience as `get`, kept as it is to the end of this transaction.

    For writes of several statements: until the commit no job can start on it and no other request
    can change it.
    """
    for _ in range(_RACES):
        row = await ctx.tx.one(_HOLD, ctx.group, audience_id)
        if row is not None:
            audience = stored(row)
            ctx.check_if_match(audience.etag)
            return audience
        await get(ctx, audience_id)
    raise RuntimeError("An audience changed at every attempt to hold it.")


async def update(
    ctx: Context,
    audience_id: bytes,
    *,
    name: str | msgspec.UnsetType = msgspec.UNSET,
    description: str | msgspec.UnsetType | None = msgspec.UNSET,
) -> Stored:
    """Change the name, the description or both; UNSET keeps, a null description clears.

    A no-op keeps the version and writes no event. Raises NotFound, PreconditionFailed,
    AudienceNotReady and Unprocessable (AUDIENCE_NAME_TAKEN).
    """
    values: list[Any] = []
    wanted: dict[str, Any] = {}
    if name is not msgspec.UNSET:
        values += [name, fold(name)]
        wanted["name"] = name
    if description is not msgspec.UNSET:
        values.append(description)
        wanted["description"] = description
    change = _UPDATES["name" in wanted, "description" in wanted]
    try:
        return await write_guarded(ctx, change, audience_id, *values, wanted=wanted)
    except UniqueViolation:
        raise await _name_taken(ctx, values[1]) from None


async def delete(ctx: Context, audience_id: bytes) -> None:
    """Remove a ready audience, its memberships and its monitor; the prospects stay."""
    await hold(ctx, audience_id)
    for statement in (
        "DELETE FROM memberships WHERE account_group_id = $1 AND audience_id = $2",
        "DELETE FROM monitors WHERE account_group_id = $1 AND audience_id = $2",
        "DELETE FROM audience_sizes WHERE account_group_id = $1 AND audience_id = $2",
        "DELETE FROM audiences WHERE account_group_id = $1 AND id = $2",
    ):
        await ctx.tx.run(statement, ctx.group, audience_id)
    await events.record(ctx, "audience.deleted", audience_id, {"id": audience_id.hex()})


async def hold_in_folder(ctx: Context, folder_id: bytes) -> list[Stored]:
    """Every audience in a folder, ready or filling, kept as it is to the end of the transaction."""
    rows = await ctx.tx.all(
        "UPDATE audiences SET version = version WHERE account_group_id = $1"
        f" AND folder_id = $2 RETURNING {COLUMNS}",
        ctx.group,
        folder_id,
    )
    return [stored(row) for row in rows]
