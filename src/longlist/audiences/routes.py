"""Audiences as callers see them (contract 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from longlist import pages
from longlist.audiences import folder_store, store
from longlist.audiences.folder_store import AudienceFolder
from longlist.audiences.store import Audience, AudienceType, Filling, Stored
from longlist.context import Context
from longlist.decoding import (
    CreateBody,
    Cursor,
    Description,
    Id,
    Limit,
    Name,
    PatchBody,
    Query,
    Search,
)
from longlist.operations import AG, Answer, Operation, Work
from longlist.pages import Page

_NOT_SETTABLE: Final = {
    "id": "",
    "prospectCount": "",
    "createdAt": "",
    "folderId": "use move-to-folder to change the folder",
}


class Deleted(msgspec.Struct):
    """What a deletion answers."""

    deleted: bool = True


class ListAudiences(Query):
    """What to list: newest first, ready ones unless `include` says otherwise."""

    limit: Limit = 50
    cursor: Cursor | None = None
    q: Search | None = None
    type: AudienceType | None = None
    folder_id: Id | Literal["none"] | None = None
    include: Literal["filling"] | None = None


class CreateAudience(CreateBody):
    """A new, empty audience."""

    __not_settable__: ClassVar = _NOT_SETTABLE

    name: Name
    type: Literal["on_demand", "monitoring"]
    description: Description | None = None


class UpdateAudience(PatchBody):
    """The name, the description or both; what is missing stays as it is."""

    __not_settable__: ClassVar = {**_NOT_SETTABLE, "type": ""}

    name: Name | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET


class AudiencePage(Page[Audience], rename="camel", omit_defaults=False):
    """A page of audiences; `filling` is there when the list was asked with `include=filling`."""

    filling: Sequence[Filling] | UnsetType = UNSET


class NavigationFolder(AudienceFolder, rename="camel"):
    """A folder with its ready audiences, newest first."""

    audiences: list[Audience] = msgspec.field(default_factory=list)


class Navigation(msgspec.Struct, rename="camel"):
    """Every folder and ready audience of the account group."""

    folders: list[NavigationFolder]
    ungrouped_audiences: list[Audience]


def _answer(found: Stored, **more: Any) -> Answer:
    return Answer(found.audience, etag=found.etag, **more)


async def list_audiences(ctx: Context, query: ListAudiences) -> AudiencePage:
    """List audiences."""
    folder = query.folder_id
    found = await store.list_page(
        ctx,
        before=pages.position_of(ctx, query) or pages.LAST_ID,
        limit=query.limit + 1,
        q=query.q,
        type_=query.type,
        folder_id=folder if isinstance(folder, bytes) else None,
        ungrouped=folder == "none",
        filling=query.include == "filling",
    )
    page = pages.page(ctx, query, found, lambda audience: audience.id)
    return AudiencePage(
        [audience.audience for audience in page.items],
        page.next_cursor,
        page.has_more,
        UNSET if query.include is None else await store.fillings(ctx, list(page.items)),
    )


async def get_audience_navigation(ctx: Context) -> Navigation:
    """Folders with their audiences, and the audiences in none."""
    folders = {
        folder.folder.id: NavigationFolder(**msgspec.structs.asdict(folder.folder), audiences=[])
        for folder in await folder_store.list_all(ctx)
    }
    ungrouped: list[Audience] = []
    for found in await store.list_ready(ctx):
        home = found.audience.folder_id
        (ungrouped if home is None else folders[home].audiences).append(found.audience)
    return Navigation(list(folders.values()), ungrouped)


async def create_audience(ctx: Context, body: CreateAudience) -> Answer:
    """Make an empty audience."""
    found = await store.create(ctx, name=body.name, type_=body.type, description=body.description)
    path = f"/v1/accounts/{ctx.group.hex()}/audiences/{found.audience.id}"
    return _answer(found, headers={"Location": path}, resource_id=found.id)


async def update_audience(ctx: Context, audience_id: bytes, body: UpdateAudience) -> Answer:
    """Change the name, the description or both, and nothing else."""
    found = await store.update(ctx, audience_id, name=body.name, description=body.description)
    return _answer(found)


async def get_audience(ctx: Context, audience_id: bytes) -> Answer:
    """Read one audience."""
    return _answer(await store.get(ctx, audience_id))


async def delete_audience(ctx: Context, audience_id: bytes) -> Deleted:
    """Remove an audience and its memberships; the prospects stay."""
    await store.delete(ctx, audience_id)
    return Deleted()


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{AG}/audiences",
        section="3.2",
        summary="List audiences",
        handler=list_audiences,
        permission="audiences:read",
        query=ListAudiences,
        answer=AudiencePage,
        answer_name="AudienceList",
        long_if=lambda query: bool(query.q or query.type or query.folder_id),
        errors={502: ("UPSTREAM_ERROR",)},
    ),
    Operation(
        method="GET",
        path=f"{AG}/audiences/navigation",
        section="3.3",
        summary="Folders with their audiences",
        handler=get_audience_navigation,
        permission="audiences:read",
        answer=Navigation,
        answer_name="AudienceNavigation",
        work=Work.READ_LONG,
    ),
    Operation(
        method="POST",
        path=f"{AG}/audiences",
        section="3.4",
        summary="Create an audience",
        handler=create_audience,
        permission="audiences:write",
        body=CreateAudience,
        answer=Audience,
        answer_name="Audience",
        status=201,
        tagged=True,
        takes_if_match=False,
        work=Work.WRITE,
        errors={422: ("AUDIENCE_NAME_TAKEN",)},
    ),
    Operation(
        method="PATCH",
        path=f"{AG}/audiences/{{audienceId}}",
        section="3.5",
        summary="Update an audience",
        handler=update_audience,
        permission="audiences:write",
        body=UpdateAudience,
        answer=Audience,
        answer_name="Audience",
        tagged=True,
        work=Work.WRITE_SINGLE,
        errors={
            404: ("NOT_FOUND",),
            409: ("AUDIENCE_NOT_READY",),
            422: ("AUDIENCE_NAME_TAKEN",),
        },
    ),
    Operation(
        method="GET",
        path=f"{AG}/audiences/{{audienceId}}",
        section="3.6",
        summary="Get an audience",
        handler=get_audience,
        permission="audiences:read",
        answer=Audience,
        answer_name="Audience",
        tagged=True,
        errors={
            404: ("NOT_FOUND",),
            409: ("AUDIENCE_NOT_READY",),
            502: ("UPSTREAM_ERROR",),
        },
    ),
    Operation(
        method="DELETE",
        path=f"{AG}/audiences/{{audienceId}}",
        section="3.7",
        summary="Delete an audience",
        handler=delete_audience,
        permission="audiences:write",
        answer=Deleted,
        answer_name="Deleted",
        tagged=True,
        work=Work.WRITE_LONG,
        errors={404: ("NOT_FOUND",), 409: ("AUDIENCE_NOT_READY", "CONFLICT")},
    ),
)
