"""Folders of audiences."""

from __future__ import annotations

from longlist_client.binding import AsyncResource, Resource, async_method, method
from longlist_client.calls import AG, Call, Scope, answering, answering_nothing
from longlist_client.inputs import AudienceKind
from longlist_client.models import AudienceFolder

_ALL = f"{AG}/audiences/folders"
_ONE = f"{_ALL}/{{folderId}}"


def create_folder(
    scope: Scope,
    *,
    name: str,
    audience_type: AudienceKind,
    idempotency_key: str | None = None,
) -> Call[AudienceFolder]:
    """A new folder for audiences of one kind; `on_demand` is every kind but `monitoring`."""
    body = {"name": name, "audienceType": audience_type}
    return answering(
        AudienceFolder, scope.request("POST", _ALL, body=body, idempotency_key=idempotency_key)
    )


def update_folder(
    scope: Scope, folder_id: str, *, name: str, if_match: str | None = None
) -> Call[AudienceFolder]:
    """Rename a folder."""
    body = {"name": name}
    return answering(
        AudienceFolder, scope.request("PATCH", _ONE, folder_id, body=body, if_match=if_match)
    )


def delete_folder(
    scope: Scope, folder_id: str, *, ungroup: bool | None = None, if_match: str | None = None
) -> Call[None]:
    """Delete a folder; one that is not empty raises Conflict unless `ungroup` lets its audiences
    go."""
    query = {"ungroup": ungroup}
    return answering_nothing(
        scope.request("DELETE", _ONE, folder_id, query=query, if_match=if_match)
    )


class Folders(Resource):
    """The folders of an account group; `audiences.navigation()` lists them."""

    create = method(create_folder)
    update = method(update_folder)
    delete = method(delete_folder)


class AsyncFolders(AsyncResource):
    """The folders of an account group; `audiences.navigation()` lists them."""

    create = async_method(create_folder)
    update = async_method(update_folder)
    delete = async_method(delete_folder)
