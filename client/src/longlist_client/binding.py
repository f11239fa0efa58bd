"""Methods made from operations: each operation is written once and bound twice.

`update = method(update_audience)` in a class of blocking resources makes `resource.update(...)`
send what `update_audience(scope, ...)` returns; `async_method` makes the same an awaitable. The
methods have the signature and docstring of the operation, without its scope.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from longlist_client.calls import Call, Scope
from longlist_client.exchange import Flow
from longlist_client.models import Page
from longlist_client.streams import AsyncDownload, Download
from longlist_client.transports import AsyncTransport, SyncTransport

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Build = Callable[Concatenate[Scope, P], T]


class Bound(Protocol[T_co]):
    """Anything with a transport of one kind and a scope."""

    @property
    def transport(self) -> T_co: ...

    @property
    def scope(self) -> Scope: ...


class Resource:
    """Operations of one kind of thing, blocking."""

    def __init__(self, transport: SyncTransport, scope: Scope) -> None:
        self.transport = transport
        self.scope = scope

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.transport.base_url}>"


class AsyncResource:
    """Operations of one kind of thing, to be awaited."""

    def __init__(self, transport: AsyncTransport, scope: Scope) -> None:
        self.transport = transport
        self.scope = scope

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.transport.base_url}>"


class _Method(Generic[P, T]):
    """A descriptor that binds an operation to the resource it is asked from."""

    def __init__(self, build: Callable[Concatenate[Scope, P], Any], bind: Callable[..., T]) -> None:
        self.build = build
        self._bind = bind
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: Bound[Any], owner: type) -> Callable[P, T]: ...
    def __get__(self, resource: Bound[Any] | None, owner: type) -> Self | Callable[P, T]:
        if resource is None:
            return self
        transport, scope = resource.transport, resource.scope
        build, bind = self.build, self._bind

        @functools.wraps(build)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return bind(transport, build(scope, *args, **kwargs))

        call.__signature__ = self.signature  # type: ignore[attr-defined]
        return call

    @property
    def signature(self) -> inspect.Signature:
        """That of the operation, without its scope."""
        whole = inspect.signature(self.build)
        return whole.replace(parameters=list(whole.parameters.values())[1:])


def method(build: Build[P, Call[T] | Flow[T]]) -> _Method[P, T]:
    """A blocking method."""
    return _Method(build, SyncTransport.run)


def async_method(build: Build[P, Call[T] | Flow[T]]) -> _Method[P, Coroutine[Any, Any, T]]:
    """The same, to be awaited."""
    return _Method(build, AsyncTransport.run)


def _following(call: Call[Any], page: Page[Any]) -> Call[Any] | None:
    return call.with_query(cursor=page.next_cursor) if page.next_cursor is not None else None


def _walk(transport: SyncTransport, call: Call[Any] | None) -> Iterator[Any]:
    while call is not None:
        page = transport.run(call)
        yield from page.items
        call = _following(call, page)


async def _walk_async(transport: AsyncTransport, call: Call[Any] | None) -> AsyncIterator[Any]:
    while call is not None:
        page = await transport.run(call)
        for item in page.items:
            yield item
        call = _following(call, page)


def items(build: Build[P, Call[Page[T]]]) -> _Method[P, Iterator[T]]:
    """A method that goes through every item of a paged list; `limit` is the size of its pages."""
    return _Method(build, _walk)


def async_items(build: Build[P, Call[Page[T]]]) -> _Method[P, AsyncIterator[T]]:
    """The same for `async for`."""
    return _Method(build, _walk_async)


def download(build: Build[P, Call[None]]) -> _Method[P, Download]:
    """A method that gives a stream to be opened by `with`."""
    return _Method(build, Download)


def async_download(build: Build[P, Call[None]]) -> _Method[P, AsyncDownload]:
    """The same for `async with`."""
    return _Method(build, AsyncDownload)
