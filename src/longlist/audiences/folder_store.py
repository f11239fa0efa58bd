"""Folders: named groups of audiences of one kind."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.db import Row
from longlist.errors import Conflict, NotFound, Unprocessable
from longlist.events import store as events
from longlist.ids import new_id, rfc3339, time_of
from longlist.preconditions import etag

FolderKind = Literal["on_demand", "monitoring"]


_MOVE: Final = audiences.guarded(
    "audience.updated", "folder_id = $4", "folder_id IS NULL OR folder_id <> $4"
)
_UNGROUP: Final = audiences.guarded("audience.updated", "folder_id = NULL", "folder_id IS NOT NULL")


class AudienceFolder(msgspec.Struct, rename="camel"):
    """A folder (contract 4.1). `position` counts from 0 in the order of creation."""

    id: str
    name: str
    audience_type: FolderKind
    is_pinned: bool
    position: int
    created_at: str
    updated_at: str


class Stored(msgspec.Struct):
    """A folder with what is not shown of it."""

    folder: AudienceFolder
    id: bytes
    version: int

    @property
    def etag(self) -> str:
        return etag(self.id, self.version)


_COLUMNS: Final = "id, name, audience_type, is_pinned, position, created_at, updated_at, version"


def _stored(row: Row) -> Stored:
    id_, name, kind, pinned, position, created_at, updated_at, version = row
    folder = AudienceFolder(
        id_.hex(), name, kind, bool(pinned), position, rfc3339(created_at), rfc3339(updated_at)
    )
    return Stored(folder, id_, version)


def kind_of(audience_type: str) -> FolderKind:
    """The kind of folder an audience type goes into: all but `monitoring` are `on_demand`."""
    return "monitoring" if audience_type == "monitoring" else "on_demand"


def check_fits(folder: Stored, audience_type: str) -> None:
    """Raise Unprocessable (FOLDER_TYPE_MISMATCH) where the folder is of the other kind."""
    if folder.folder.audience_type != kind_of(audience_type):
        raise Unprocessable(
            "This folder is for audiences of another kind.",
            "Choose a folder whose audienceType is that of the audience.",
            code="FOLDER_TYPE_MISMATCH",
            context={"audienceType": audience_type, "folderType": folder.folder.audience_type},
        )


async def list_all(ctx: Context) -> list[Stored]:
    """Every folder of the group: pinned first, then by position, then by id."""
    rows = await ctx.tx.all(
        f"SELECT {_COLUMNS} FROM folders WHERE account_group_id = $1"
        " ORDER BY is_pinned DESC, position, id",
        ctx.group,
    )
    return [_stored(row) for row in rows]


async def hold(ctx: Context, folder_id: bytes) -> Stored:
    """The folder, kept as it is to the end of this transaction. Raises NotFound."""
    row = await ctx.tx.one(
        "UPDATE folders SET version = version WHERE account_group_id = $1 AND id = $2"
        f" RETURNING {_COLUMNS}",
        ctx.group,
        folder_id,
    )
    if row is None:
        raise NotFound.resource("folder")
    return _stored(row)


async def get(ctx: Context, folder_id: bytes) -> Stored:
    """The folder. Raises NotFound."""
    row = await ctx.tx.one(
        f"SELECT {_COLUMNS} FROM folders WHERE account_group_id = $1 AND id = $2",
        ctx.group,
        folder_id,
    )
    if row is None:
        raise NotFound.resource("folder")
    return _stored(row)


async def create(ctx: Context, *, name: str, audience_type: str) -> Stored:
    """Make a folder at the next free position."""
    position = await ctx.tx.one(
        "UPDATE account_groups SET next_folder_position = next_folder_position + 1 WHERE id = $1"
        " RETURNING next_folder_position - 1",
        ctx.group,
    )
    assert position is not None
    id_ = new_id()
    row = await ctx.tx.one(
        "INSERT INTO folders (account_group_id, id, name, audience_type, position, created_at,"
        f" updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}",
        ctx.group, id_, name, audience_type, position[0], time_of(id_), time_of(id_),
    )  # fmt: skip
    assert row is not None
    folder = _stored(row)
    await events.record(ctx, "folder.created", id_, folder.folder)
    return folder


async def update(ctx: Context, folder_id: bytes, *, name: str) -> Stored:
    """Rename a folder; the same name is no change."""
    folder = await hold(ctx, folder_id)
    ctx.check_if_match(folder.etag)
    if folder.folder.name == name:
        return folder
    row = await ctx.tx.one(
        "UPDATE folders SET name = $3, updated_at = $4, version = version + 1"
        f" WHERE account_group_id = $1 AND id = $2 RETURNING {_COLUMNS}",
        ctx.group,
        folder_id,
        name,
        ctx.now,
    )
    assert row is not None
    folder = _stored(row)
    await events.record(ctx, "folder.updated", folder_id, folder.folder)
    return folder


async def delete(ctx: Context, folder_id: bytes, *, ungroup: bool) -> None:
    """Delete an empty folder, or with `ungroup` one whose audiences become ungrouped.

    Raises NotFound, PreconditionFailed, AudienceNotReady (`ungroup` and one is filling) and
    Conflict (not empty; filling audiences count).
    """
    folder = await hold(ctx, folder_id)
    ctx.check_if_match(folder.etag)
    inside = await audiences.hold_in_folder(ctx, folder_id)
    if inside and not ungroup:
        raise Conflict(
            "The folder is not empty.",
            "Move its audiences out first, or send ungroup=true.",
            context={"audienceCount": len(inside)},
        )
    for audience in inside:
        if audience.active_job_id is not None:
            raise await audiences.not_ready(ctx, audience)
    for audience in inside:
        # Not by write_guarded: If-Match speaks of the folder here.
        await ctx.tx.change(
            _UNGROUP, ctx.group, audience.id, 0, event_id=ctx.new_event_id(), now=ctx.now
        )
    await ctx.tx.run(
        "DELETE FROM folders WHERE account_group_id = $1 AND id = $2", ctx.group, folder_id
    )
    await events.record(ctx, "folder.deleted", folder_id, {"id": folder_id.hex()})


async def move_in(ctx: Context, audience_id: bytes, folder_id: bytes) -> audiences.Stored:
    """Put an audience into a folder of its kind; already there is no change.

    Raises NotFound (audience or folder), PreconditionFailed, AudienceNotReady and Unprocessable
    (FOLDER_TYPE_MISMATCH).
    """
    audience = await audiences.find(ctx, audience_id)
    if audience is None:
        raise NotFound.resource("audience")
    folder = await hold(ctx, folder_id)
    await audiences.get(ctx, audience_id)
    check_fits(folder, audience.audience.type)
    return await audiences.write_guarded(
        ctx, _MOVE, audience_id, folder_id, wanted={"folder_id": folder_id.hex()}
    )


async def move_out(ctx: Context, audience_id: bytes) -> audiences.Stored:
    """Take an audience out of its folder; already ungrouped is no change."""
    return await audiences.write_guarded(ctx, _UNGROUP, audience_id, wanted={"folder_id": None})
