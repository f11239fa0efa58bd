"""Folders as callers see them (contract 3.8, 3.9 and 4)."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from longlist.audiences import folder_store as store
from longlist.audiences.folder_store import AudienceFolder
from longlist.audiences.routes import Deleted
from longlist.audiences.store import Audience
from longlist.context import Context
from longlist.decoding import Body, CreateBody, Id, Name, PatchBody, Query
from longlist.operations import AG, Answer, Operation, Work

_READ_ONLY: Final = {"id": "", "isPinned": "", "position": "", "createdAt": "", "updatedAt": ""}


class CreateFolder(CreateBody):
    """A new, empty folder for audiences of one kind."""

    __not_settable__: ClassVar = _READ_ONLY

    name: Name
    audience_type: Literal["on_demand", "monitoring"]


class UpdateFolder(PatchBody):
    """The new name of a folder."""

    __not_settable__: ClassVar = {**_READ_ONLY, "audienceType": ""}

    name: Name


class DeleteFolder(Query):
    """`ungroup` true: the folder's audiences become ungrouped; false: it has to be empty."""

    ungroup: bool = False


class MoveToFolder(Body):
    """The folder to put the audience into."""

    folder_id: Id


async def create_folder(ctx: Context, body: CreateFolder) -> Answer:
    """Make a folder at the end of the list."""
    found = await store.create(ctx, name=body.name, audience_type=body.audience_type)
    return Answer(found.folder, resource_id=found.id)


async def update_folder(ctx: Context, folder_id: bytes, body: UpdateFolder) -> Answer:
    """Rename a folder."""
    found = await store.update(ctx, folder_id, name=body.name)
    return Answer(found.folder, etag=found.etag)


async def delete_folder(ctx: Context, folder_id: bytes, query: DeleteFolder) -> Deleted:
    """Delete a folder that is empty, or ungroup what is in it."""
    await store.delete(ctx, folder_id, ungroup=query.ungroup)
    return Deleted()


async def move_audience_to_folder(ctx: Context, audience_id: bytes, body: MoveToFolder) -> Answer:
    """Put an audience into a folder of its kind."""
    found = await store.move_in(ctx, audience_id, body.folder_id)
    return Answer(found.audience, etag=found.etag, resource_id=found.id)


async def remove_audience_from_folder(ctx: Context, audience_id: bytes) -> Answer:
    """Take an audience out of its folder."""
    found = await store.move_out(ctx, audience_id)
    return Answer(found.audience, etag=found.etag, resource_id=found.id)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{AG}/audiences/{{audienceId}}/move-to-folder",
        section="3.8",
        summary="Move an audience into a folder",
        handler=move_audience_to_folder,
        permission="audiences:write",
        body=MoveToFolder,
        answer=Audience,
        answer_name="Audience",
        tagged=True,
        work=Work.WRITE,
        errors={
            404: ("NOT_FOUND",),
            409: ("AUDIENCE_NOT_READY",),
            422: ("FOLDER_TYPE_MISMATCH",),
        },
    ),
    Operation(
        method="POST",
        path=f"{AG}/audiences/{{audienceId}}/remove-from-folder",
        section="3.9",
        summary="Move an audience out of its folder",
        handler=remove_audience_from_folder,
        permission="audiences:write",
        answer=Audience,
        answer_name="Audience",
        tagged=True,
        work=Work.WRITE,
        errors={404: ("NOT_FOUND",), 409: ("AUDIENCE_NOT_READY",)},
    ),
    Operation(
        method="POST",
        path=f"{AG}/audiences/folders",
        section="4.2",
        summary="Create a folder",
        handler=create_folder,
        permission="audiences:write",
        body=CreateFolder,
        answer=AudienceFolder,
        answer_name="AudienceFolder",
        status=201,
        work=Work.WRITE,
    ),
    Operation(
        method="PATCH",
        path=f"{AG}/audiences/folders/{{folderId}}",
        section="4.3",
        summary="Rename a folder",
        handler=update_folder,
        permission="audiences:write",
        body=UpdateFolder,
        answer=AudienceFolder,
        answer_name="AudienceFolder",
        tagged=True,
        work=Work.WRITE,
        errors={404: ("NOT_FOUND",)},
    ),
    Operation(
        method="DELETE",
        path=f"{AG}/audiences/folders/{{folderId}}",
        section="4.4",
        summary="Delete a folder",
        handler=delete_folder,
        permission="audiences:write",
        query=DeleteFolder,
        answer=Deleted,
        answer_name="Deleted",
        tagged=True,
        work=Work.WRITE,
        errors={404: ("NOT_FOUND",), 409: ("AUDIENCE_NOT_READY", "CONFLICT")},
    ),
)
