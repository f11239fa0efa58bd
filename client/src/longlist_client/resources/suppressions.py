"""The suppression list: whom never to import or write to."""

from __future__ import annotations

from typing import Literal

from longlist_client.binding import (
    AsyncResource,
    Resource,
    async_items,
    async_method,
    items,
    method,
)
from longlist_client.calls import AG, Call, Scope, answering, answering_nothing, given
from longlist_client.inputs import SuppressionKind
from longlist_client.models import Page, Suppression

_ALL = f"{AG}/suppressions"


def list_suppressions(
    scope: Scope,
    *,
    kind: SuppressionKind | None = None,
    reason: Literal["erasure", "unsubscribe", "manual"] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Suppression]]:
    """The suppression list, newest first; `limit` is the page size."""
    query = {"kind": kind, "reason": reason, "limit": limit, "cursor": cursor}
    return answering(Page[Suppression], scope.request("GET", _ALL, query=query))


def create_suppression(
    scope: Scope,
    *,
    kind: SuppressionKind,
    value: str,
    reason: Literal["unsubscribe", "manual"] | None = None,
    note: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Suppression]:
    """Put somebody on the list; who is there already stays as they are."""
    body = given(kind=kind, value=value, reason=reason, note=note)
    return answering(
        Suppression, scope.request("POST", _ALL, body=body, idempotency_key=idempotency_key)
    )


def delete_suppression(scope: Scope, suppression_id: str) -> Call[None]:
    """Take an entry off the list."""
    return answering_nothing(scope.request("DELETE", f"{_ALL}/{{suppressionId}}", suppression_id))


class Suppressions(Resource):
    """The suppression list of an account group."""

    list_page = method(list_suppressions)
    list = items(list_suppressions)
    create = method(create_suppression)
    delete = method(delete_suppression)


class AsyncSuppressions(AsyncResource):
    """The suppression list of an account group."""

    list_page = async_method(list_suppressions)
    list = async_items(list_suppressions)
    create = async_method(create_suppression)
    delete = async_method(delete_suppression)
