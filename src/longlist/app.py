"""Puts the server together: features listed one by one, start and stop, and the ASGI entry.

Every answer leaves through here, also those of unknown paths, of refusals and of crashes: one
envelope, one trace id, one set of headers.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from longlist import admin, agents, reference
from longlist.accounts import routes as accounts
from longlist.audiences import folder_routes as folders
from longlist.audiences import routes as audiences
from longlist.cross_origin import CrossOrigin
from longlist.db import DatabaseAway, GroupMoves
from longlist.dispatch import Dispatcher, Reply
from longlist.errors import (
    MOVING_RETRY_S,
    InternalError,
    LonglistError,
    Overloaded,
    error_body,
    success_body,
)
from longlist.gate import Gate
from longlist.health import routes as health
from longlist.operations import GROUP_PARAMETER, Operation, Router
from longlist.prospecting import file_routes as files
from longlist.prospecting import monitor_routes as monitors
from longlist.prospecting import quota_routes as quotas
from longlist.prospecting import routes as prospecting
from longlist.prospecting import source_routes as sources
from longlist.prospects import lookup_routes as lookups
from longlist.prospects import routes as prospects
from longlist.prospects import suppression_routes as suppressions
from longlist.request import ClientGone, Receive, Request, Scope, Send
from longlist.settings import SettingError
from longlist.telemetry import Telemetry, log

if TYPE_CHECKING:
    from longlist.admin.site import Site
    from longlist.agents.web import Web
    from longlist.context import Installation
    from longlist.limits import Limiter

FEATURES: Final = (
    accounts,
    audiences,
    folders,
    prospects,
    lookups,
    suppressions,
    files,
    prospecting,
    monitors,
    quotas,
    sources,
    health,
)
OPERATIONS: Final[tuple[Operation, ...]] = tuple(
    operation for feature in FEATURES for operation in feature.OPERATIONS
)

_JSON: Final = b"application/json; charset=utf-8"
_ALWAYS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class App:
    """The ASGI application over an open installation."""

    def __init__(self, installation: Installation, limiter: Limiter) -> None:
        self.installation = installation
        self.gate = Gate(installation, limiter)
        self.router = Router(OPERATIONS)
        self.dispatcher = Dispatcher(installation, OPERATIONS)
        self.telemetry = Telemetry()
        self.under_way = 0
        self._site: Site | None = None
        self._agents = self._open_to_agents() if installation.settings.mcp == "1" else None
        self._most = installation.settings.max_waiting_requests
        self._cross_origin = CrossOrigin(installation.settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["path"] == reference.PATH or scope["path"].startswith(reference.PATH + "/"):
            await reference.app(scope, receive, send)
            return
        if scope["path"] == admin.PATH or scope["path"].startswith(admin.PATH + "/"):
            await self._admin(scope, receive, send)
            return
        if self._agents is not None and scope["path"] == agents.PATH:
            await self._agents(scope, receive, send)
            return
        started = time.perf_counter()
        request = Request(scope, receive)
        operation: Operation | None = None
        self.under_way += 1
        try:
            operation, reply = await self._reply(request)
        except ClientGone:
            self.telemetry.request(request, operation, 499, time.perf_counter() - started)
            return
        finally:
            self.under_way -= 1
        await self._send(request, reply, send)
        self.telemetry.request(request, operation, reply.status, time.perf_counter() - started)

    def _open_to_agents(self) -> Web:
        try:
            from longlist.agents.web import Web
        except ModuleNotFoundError as error:
            raise SettingError(
                f"LONGLIST_MCP needs an extra. Run: pip install '{agents.EXTRA}'"
            ) from error
        return Web(self)

    @property
    def is_full(self) -> bool:
        """Whether as many requests are under way as are handled at once."""
        return self.under_way > self._most

    async def refuse(self, request: Request, error: LonglistError, send: Send) -> None:
        """Answer a request that is not admitted, in the envelope."""
        await self._send(request, self._refusal(error), send)

    async def _admin(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._site is None:
            # Imported at the first page: a server that only serves the API starts without it.
            from longlist.admin.site import Site

            self._site = Site(self.installation, self.gate, self.telemetry)
        self.under_way += 1
        try:
            overloaded = self.under_way > self._most
            await self._site(scope, receive, send, overloaded=overloaded)
        finally:
            self.under_way -= 1

    async def _reply(self, request: Request) -> tuple[Operation | None, Reply]:
        operation: Operation | None = None
        try:
            operation, values, allowed = self.router.find(request.path, request.method)
            if operation is None:
                return None, Reply(204, headers={"Allow": ", ".join(allowed)})
            if self.under_way > self._most:
                raise Overloaded
            group = b""
            if not operation.public:
                name = values[0] if operation.in_group else None
                assert name is None or operation.parameters[0] == GROUP_PARAMETER
                group = await self.gate.admit(request, operation, name)
            return operation, await self.dispatcher.perform(request, operation, group, values)
        except LonglistError as error:
            return operation, self._refusal(error)
        except GroupMoves:
            return operation, self._refusal(Overloaded(MOVING_RETRY_S))
        except DatabaseAway as error:
            log.error("database away", trace_id=request.trace_id, reason=str(error))
            return operation, self._refusal(Overloaded())
        except ClientGone:
            raise
        except Exception:
            log.exception("request failed", trace_id=request.trace_id)
            return operation, self._refusal(InternalError())

    @staticmethod
    def _refusal(error: LonglistError) -> Reply:
        return Reply(error.status, headers=error.headers, error=error)

    async def _send(self, request: Request, reply: Reply, send: Send) -> None:
        if reply.stream is not None:
            await self._send_stream(request, reply, send)
            return
        status = reply.status
        if reply.error is not None:
            body = error_body(reply.error, request.trace_id)
        elif status in (204, 304):
            body = b""
        elif reply.document is not None:
            body = reply.document.body
        else:
            body = success_body(reply.data, request.trace_id)
        headers = self._headers(request, reply)
        if body:
            headers.append(
                (
                    b"content-type",
                    _JSON if reply.document is None else reply.document.media_type.encode(),
                )
            )
        if status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _send_stream(self, request: Request, reply: Reply, send: Send) -> None:
        stream, closing = reply.stream, reply.closing
        assert stream is not None
        assert closing is not None
        async with closing:
            headers = self._headers(request, reply)
            headers.append((b"content-type", stream.media_type.encode()))
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            if request.method != "HEAD":
                # A failure from here on leaves as an exception: the server cuts the connection,
                # so that a part is never taken for the whole.
                async for chunk in stream.chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    def _headers(self, request: Request, reply: Reply) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-trace-id", request.trace_id.encode()), *_ALWAYS]
        for name, value in reply.headers.items():
            headers.append((name.lower().encode(), value.encode("latin-1")))
        rate = request.rate
        if rate is not None:
            limit, policy = _policy(rate.limit, rate.window_s)
            left, full_in = b"%d" % rate.remaining, b"%d" % rate.full_in_s
            headers += (
                (b"ratelimit-policy", policy),
                (b"ratelimit", b'"key";r=%b;t=%b' % (left, full_in)),
                (b"x-ratelimit-limit", limit),
                (b"x-ratelimit-remaining", left),
                (b"x-ratelimit-reset", full_in),
            )
        headers += self._cross_origin.headers(request)
        return headers


@lru_cache(maxsize=256)
def _policy(limit: int, window_s: int) -> tuple[bytes, bytes]:
    """The bucket's size, and the policy header that tells of it."""
    return b"%d" % limit, b'"key";q=%d;w=%d' % (limit, window_s)


async def _lifespan(receive: Receive, send: Send) -> None:
    """Start and stop are the server process's: the application is given an open installation."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
