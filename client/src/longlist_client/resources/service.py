"""What belongs to no account group: the key, the groups it reaches, and the server itself."""

from __future__ import annotations

from typing import Any

import msgspec

from longlist_client.binding import (
    AsyncResource,
    Resource,
    async_items,
    async_method,
    items,
    method,
)
from longlist_client.calls import Call, Scope, answering
from longlist_client.errors import UnexpectedAnswer
from longlist_client.exchange import Answer
from longlist_client.models import Account, Health, Me, Page


def list_accounts(
    scope: Scope, *, limit: int | None = None, cursor: str | None = None
) -> Call[Page[Account]]:
    """The account groups that the key reaches; `limit` is the page size."""
    query = {"limit": limit, "cursor": cursor}
    return answering(Page[Account], scope.request("GET", "/v1/accounts", query=query))


def get_me(scope: Scope) -> Call[Me]:
    """What the key may do."""
    return answering(Me, scope.request("GET", "/v1/me"))


def get_health(scope: Scope) -> Call[Health]:
    """That the server's process is up."""
    return answering(Health, scope.request("GET", "/healthz"))


def get_readiness(scope: Scope) -> Call[Health]:
    """That the server can work. Raises Overloaded, after the retries, while it cannot."""
    return answering(Health, scope.request("GET", "/readyz"))


def get_openapi(scope: Scope) -> Call[dict[str, Any]]:
    """The server's own OpenAPI document."""

    def decode(answer: Answer) -> dict[str, Any]:
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise UnexpectedAnswer(answer.status, "The document cannot be read.") from error

    return Call(scope.request("GET", "/openapi.json"), decode)


class Accounts(Resource):
    """The account groups that the key reaches."""

    list_page = method(list_accounts)
    list = items(list_accounts)


class AsyncAccounts(AsyncResource):
    """The account groups that the key reaches."""

    list_page = async_method(list_accounts)
    list = async_items(list_accounts)
