"""The two clients: `Longlist` blocks, `AsyncLonglist` is awaited. They differ in nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import Final, Self

import httpx2

from longlist_client.binding import AsyncResource, Resource, async_method, method
from longlist_client.calls import Scope
from longlist_client.errors import ConfigurationError
from longlist_client.exchange import Retries
from longlist_client.resources.audiences import AsyncAudiences, Audiences
from longlist_client.resources.files import AsyncFiles, Files
from longlist_client.resources.folders import AsyncFolders, Folders
from longlist_client.resources.monitors import AsyncMonitors, Monitors
from longlist_client.resources.prospecting import AsyncProspecting, Prospecting
from longlist_client.resources.prospects import AsyncProspects, Prospects
from longlist_client.resources.sales_navigator import (
    AsyncSalesNavigatorSources,
    SalesNavigatorSources,
)
from longlist_client.resources.service import (
    Accounts,
    AsyncAccounts,
    get_health,
    get_me,
    get_openapi,
    get_readiness,
)
from longlist_client.resources.suppressions import AsyncSuppressions, Suppressions
from longlist_client.transports import AsyncTransport, Key, Options, SyncTransport

KEY_VARIABLE: Final = "LONGLIST_API_KEY"
ADDRESS_VARIABLE: Final = "LONGLIST_URL"
DEFAULT_ADDRESS: Final = "http://127.0.0.1:8080"


def _options(
    api_key: str | None,
    base_url: str | None,
    timeout: float | httpx2.Timeout,
    retries: Retries | None,
    traceparent: Callable[[], str | None] | None,
) -> Options:
    key = api_key if api_key is not None else os.environ.get(KEY_VARIABLE)
    if not key:
        raise ConfigurationError(f"Pass api_key, or set {KEY_VARIABLE}.")
    address = base_url or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
    try:
        url = httpx2.URL(address)
    except httpx2.InvalidURL as error:
        raise ConfigurationError("The base URL is not a URL.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError("The base URL must start with http:// or https:// and a host.")
    if url.userinfo or url.query or url.fragment:
        raise ConfigurationError("The base URL takes no user, query or fragment.")
    return Options(
        base_url=str(url).rstrip("/"),
        key=Key(key),
        timeout=httpx2.Timeout(timeout),
        retries=retries or Retries(),
        traceparent=traceparent,
    )


class AccountGroup(Resource):
    """Everything in one account group."""

    @cached_property
    def audiences(self) -> Audiences:
        """Named lists of people."""
        return Audiences(self.transport, self.scope)

    @cached_property
    def folders(self) -> Folders:
        """Folders of audiences."""
        return Folders(self.transport, self.scope)

    @cached_property
    def prospects(self) -> Prospects:
        """The people, and in which audiences they are."""
        return Prospects(self.transport, self.scope)

    @cached_property
    def suppressions(self) -> Suppressions:
        """Whom never to import or write to."""
        return Suppressions(self.transport, self.scope)

    @cached_property
    def files(self) -> Files:
        """Files to import."""
        return Files(self.transport, self.scope)

    @cached_property
    def prospecting(self) -> Prospecting:
        """Jobs that fill audiences."""
        return Prospecting(self.transport, self.scope)

    @cached_property
    def monitors(self) -> Monitors:
        """Sources that fill an audience again and again."""
        return Monitors(self.transport, self.scope)

    @cached_property
    def sales_navigator(self) -> SalesNavigatorSources:
        """Saved searches and lead lists."""
        return SalesNavigatorSources(self.transport, self.scope)


class AsyncAccountGroup(AsyncResource):
    """Everything in one account group."""

    @cached_property
    def audiences(self) -> AsyncAudiences:
        """Named lists of people."""
        return AsyncAudiences(self.transport, self.scope)

    @cached_property
    def folders(self) -> AsyncFolders:
        """Folders of audiences."""
        return AsyncFolders(self.transport, self.scope)

    @cached_property
    def prospects(self) -> AsyncProspects:
        """The people, and in which audiences they are."""
        return AsyncProspects(self.transport, self.scope)

    @cached_property
    def suppressions(self) -> AsyncSuppressions:
        """Whom never to import or write to."""
        return AsyncSuppressions(self.transport, self.scope)

    @cached_property
    def files(self) -> AsyncFiles:
        """Files to import."""
        return AsyncFiles(self.transport, self.scope)

    @cached_property
    def prospecting(self) -> AsyncProspecting:
        """Jobs that fill audiences."""
        return AsyncProspecting(self.transport, self.scope)

    @cached_property
    def monitors(self) -> AsyncMonitors:
        """Sources that fill an audience again and again."""
        return AsyncMonitors(self.transport, self.scope)

    @cached_property
    def sales_navigator(self) -> AsyncSalesNavigatorSources:
        """Saved searches and lead lists."""
        return AsyncSalesNavigatorSources(self.transport, self.scope)


class Longlist(Resource):
    """A Longlist server, blocking. Close it, or use it in a `with`.

    The key comes from `api_key` or LONGLIST_API_KEY, the address from `base_url` or
    LONGLIST_URL or is `http://127.0.0.1:8080`. `timeout` is in seconds, for connecting and
    for each read and write. `traceparent` is asked at each attempt for a W3C trace context to
    send along. `transport` replaces the network, for tests. Raises ConfigurationError.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float | httpx2.Timeout = 30.0,
        retries: Retries | None = None,
        traceparent: Callable[[], str | None] | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        options = _options(api_key, base_url, timeout, retries, traceparent)
        super().__init__(SyncTransport(options, transport), Scope())

    me = method(get_me)
    health = method(get_health)
    readiness = method(get_readiness)
    openapi = method(get_openapi)

    @cached_property
    def accounts(self) -> Accounts:
        """The account groups that the key reaches."""
        return Accounts(self.transport, self.scope)

    def account(self, account_group_id: str) -> AccountGroup:
        """One account group; nothing is sent."""
        return AccountGroup(self.transport, Scope(account_group_id))

    def close(self) -> None:
        """Close every connection."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncLonglist(AsyncResource):
    """A Longlist server, to be awaited. Close it, or use it in an `async with`.

    Its arguments are those of Longlist.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float | httpx2.Timeout = 30.0,
        retries: Retries | None = None,
        traceparent: Callable[[], str | None] | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        options = _options(api_key, base_url, timeout, retries, traceparent)
        super().__init__(AsyncTransport(options, transport), Scope())

    me = async_method(get_me)
    health = async_method(get_health)
    readiness = async_method(get_readiness)
    openapi = async_method(get_openapi)

    @cached_property
    def accounts(self) -> AsyncAccounts:
        """The account groups that the key reaches."""
        return AsyncAccounts(self.transport, self.scope)

    def account(self, account_group_id: str) -> AsyncAccountGroup:
        """One account group; nothing is sent."""
        return AsyncAccountGroup(self.transport, Scope(account_group_id))

    async def close(self) -> None:
        """Close every connection."""
        await self.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
