"""Audiences: named lists of people."""

from __future__ import annotations

from typing import Literal

from longlist_client.binding import (
    AsyncResource,
    Resource,
    async_download,
    async_items,
    async_method,
    download,
    items,
    method,
)
from longlist_client.calls import (
    AG,
    Call,
    Scope,
    answering,
    answering_if_changed,
    answering_nothing,
    changes,
    given,
)
from longlist_client.exchange import Answer, Request
from longlist_client.inputs import KEEP, AudienceKind, Keep
from longlist_client.models import Audience, AudiencePage, Navigation

_ONE = f"{AG}/audiences/{{audienceId}}"


def list_audiences(
    scope: Scope,
    *,
    q: str | None = None,
    type: str | None = None,
    folder_id: str | None = None,
    include: Literal["filling"] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[AudiencePage]:
    """The audiences, newest first.

    `q` is looked for in the names, `folder_id` is an id or `none` for the ungrouped. Audiences
    that are being filled are left out without `include="filling"`. `limit` is the page size.
    """
    query = {
        "q": q, "type": type, "folderId": folder_id, "include": include,
        "limit": limit, "cursor": cursor,
    }  # fmt: skip
    return answering(AudiencePage, scope.request("GET", f"{AG}/audiences", query=query))


def get_audience_navigation(scope: Scope) -> Call[Navigation]:
    """Every folder with its audiences, and the ungrouped audiences."""
    return answering(Navigation, scope.request("GET", f"{AG}/audiences/navigation"))


def create_audience(
    scope: Scope,
    *,
    name: str,
    type: AudienceKind,
    description: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Audience]:
    """A new, empty audience. Raises AudienceNameTaken where names must be unique."""
    body = given(name=name, type=type, description=description)
    request = scope.request("POST", f"{AG}/audiences", body=body, idempotency_key=idempotency_key)
    return answering(Audience, request)


def _get(scope: Scope, audience_id: str) -> Request:
    return scope.request("GET", _ONE, audience_id)


def get_audience(scope: Scope, audience_id: str) -> Call[Audience]:
    """An audience. Raises AudienceNotReady while a job fills it."""
    return answering(Audience, _get(scope, audience_id))


def get_audience_if_changed(scope: Scope, audience_id: str, etag: str) -> Call[Audience | None]:
    """An audience, or None if the tag is still the present one."""
    return answering_if_changed(Audience, _get(scope, audience_id), etag)


def update_audience(
    scope: Scope,
    audience_id: str,
    *,
    name: str | Keep = KEEP,
    description: str | Keep | None = KEEP,
    if_match: str | None = None,
) -> Call[Audience]:
    """Change the name, the description or both; None clears the description.

    With `if_match` only if nobody has changed the audience since that `etag`; else raises
    PreconditionFailed. Raises AudienceNotReady while a job fills the audience.
    """
    body = changes(name=name, description=description)
    return answering(
        Audience, scope.request("PATCH", _ONE, audience_id, body=body, if_match=if_match)
    )


def delete_audience(scope: Scope, audience_id: str, *, if_match: str | None = None) -> Call[None]:
    """Delete an audience; its prospects stay. Raises AudienceNotReady while a job fills it."""
    return answering_nothing(scope.request("DELETE", _ONE, audience_id, if_match=if_match))


def move_audience_to_folder(
    scope: Scope,
    audience_id: str,
    folder_id: str,
    *,
    if_match: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Audience]:
    """Put an audience into a folder of its kind; raises FolderTypeMismatch for one of another."""
    request = scope.request(
        "POST",
        f"{_ONE}/move-to-folder",
        audience_id,
        body={"folderId": folder_id},
        if_match=if_match,
        idempotency_key=idempotency_key,
    )
    return answering(Audience, request)


def remove_audience_from_folder(
    scope: Scope,
    audience_id: str,
    *,
    if_match: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Audience]:
    """Take an audience out of its folder."""
    request = scope.request(
        "POST",
        f"{_ONE}/remove-from-folder",
        audience_id,
        if_match=if_match,
        idempotency_key=idempotency_key,
    )
    return answering(Audience, request)


def _streamed(_answer: Answer) -> None:
    return None


def export_audience(
    scope: Scope, audience_id: str, *, format: Literal["csv", "ndjson"] = "csv"
) -> Call[None]:
    """Every prospect of an audience as one snapshot, streamed: open it by `with`."""
    request = scope.request("GET", f"{_ONE}/export", audience_id, query={"format": format})
    return Call(request, _streamed)


class Audiences(Resource):
    """The audiences of an account group."""

    list_page = method(list_audiences)
    list = items(list_audiences)
    navigation = method(get_audience_navigation)
    get = method(get_audience)
    get_if_changed = method(get_audience_if_changed)
    create = method(create_audience)
    update = method(update_audience)
    delete = method(delete_audience)
    move_to_folder = method(move_audience_to_folder)
    remove_from_folder = method(remove_audience_from_folder)
    export = download(export_audience)


class AsyncAudiences(AsyncResource):
    """The audiences of an account group."""

    list_page = async_method(list_audiences)
    list = async_items(list_audiences)
    navigation = async_method(get_audience_navigation)
    get = async_method(get_audience)
    get_if_changed = async_method(get_audience_if_changed)
    create = async_method(create_audience)
    update = async_method(update_audience)
    delete = async_method(delete_audience)
    move_to_folder = async_method(move_audience_to_folder)
    remove_from_folder = async_method(remove_audience_from_folder)
    export = async_download(export_audience)
