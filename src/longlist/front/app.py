"""The front as an ASGI application: finds the cluster of a request, and asks it or all of them.

Only requests of the contract are passed on: an unknown path or method is answered here. The path is
read in its bytes by the router that the clusters use, so that the group that is looked up is the
group that the cluster will see.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from longlist import openapi, reference
from longlist.app import OPERATIONS
from longlist.cross_origin import CrossOrigin
from longlist.db import DatabaseAway
from longlist.errors import (
    InternalError,
    LonglistError,
    Overloaded,
    Unauthorized,
    error_body,
    success_body,
)
from longlist.front.clusters import Clusters
from longlist.front.forwarding import Exchange, Lost, kept_headers
from longlist.front.gathering import Gathering, Refusal
from longlist.front.readiness import is_ready
from longlist.health.routes import Health
from longlist.ids import parse_id
from longlist.operations import Router
from longlist.request import ClientGone, Request
from longlist.server.exchange import ClientGone as ConnectionGone
from longlist.server.protocol import CUT
from longlist.telemetry import Telemetry, log

if TYPE_CHECKING:
    from longlist.front.directory import Directory
    from longlist.front.upstream import AnswerHead, Header
    from longlist.operations import Operation
    from longlist.request import Receive, Scope, Send
    from longlist.settings import Settings

_JSON: Final = b"application/json; charset=utf-8"
_REFUSED: Final = frozenset((401, 403))
_READY_KEPT_S: Final = 1.0
_CLIENT_GONE: Final = 499
_CUT: Final = 502
"""Stands in logs and counts for a request without an answer."""


class Standing(NamedTuple):
    """Whether the directory has answered, and which clusters are ready."""

    directory: bool
    clusters: dict[str, bool]


class Front:
    """The application over an open directory. `stopping` makes readiness fail first."""

    def __init__(self, directory: Directory, settings: Settings) -> None:
        self.router = Router(OPERATIONS)
        self.telemetry = Telemetry()
        self.under_way = 0
        self.stopping = False
        self.clusters = Clusters(directory, settings.max_waiting_requests)
        self._directory = directory
        self._most = settings.max_waiting_requests
        self._pause_s = settings.request_timeout_s
        self._cross_origin = CrossOrigin(settings.cors_origins)
        self._proxies = [
            ipaddress.ip_network(text.strip(), strict=False)
            for text in settings.trusted_proxies.split(",")
            if text.strip()
        ]
        self._secret = b""
        self._standing = Standing(False, {})
        self._looked = 0.0
        self._looking: asyncio.Lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["path"] == reference.PATH or scope["path"].startswith(reference.PATH + "/"):
            await reference.app(scope, receive, send)
            return
        started = time.perf_counter()
        request = Request(scope, receive)
        self.under_way += 1
        try:
            operation, status = await self._handle(request, scope, receive, send)
        finally:
            self.under_way -= 1
        self.telemetry.request(request, operation, status, time.perf_counter() - started)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """The directory is opened by the process."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self.clusters.close()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _handle(
        self, request: Request, scope: Scope, receive: Receive, send: Send
    ) -> tuple[Operation | None, int]:
        operation: Operation | None = None
        try:
            operation, values, allowed = self.router.find(request.path, request.method)
            if operation is None:
                return None, await self._send(request, send, 204, {"Allow": ", ".join(allowed)})
            if self.under_way > self._most:
                raise Overloaded
            if operation.public:
                return operation, await self._answer_self(request, operation, send)
            headers = kept_headers(request, scope["headers"], self._forwarded_for(request))
            if operation.in_group:
                exchange = Exchange(request, scope, receive, send)
                return operation, await self._forward(exchange, request, operation, values, headers)
            gathering = await self._gathering(request, headers)
            found = await gathering.answer(operation)
            body = success_body(found.data, request.trace_id)
            return operation, await self._send(request, send, 200, found.headers, body)
        except Refusal as refusal:
            reply = refusal.reply
            return operation, await self._send(
                request, send, reply.status, reply.passed_on, reply.body
            )
        except LonglistError as error:
            return operation, await self._send_error(request, send, error)
        except Lost:
            # Ended with the next turn of the loop, so that nothing is taken for an answer.
            scope["extensions"][CUT]()
            await asyncio.sleep(0)
            return operation, _CUT
        except (ClientGone, ConnectionGone):
            return operation, _CLIENT_GONE
        except Exception:
            log.exception("request failed", trace_id=request.trace_id)
            return operation, await self._send_error(request, send, InternalError())

    async def _forward(
        self,
        exchange: Exchange,
        request: Request,
        operation: Operation,
        values: list[str],
        headers: list[Header],
    ) -> int:
        """Have the group's cluster answer; the status."""
        group = values[0]
        place = await self._directory.find(group) if parse_id(group) is not None else None
        entry = None if place is None else place.entry
        if entry is None:
            if place is not None and not place.is_fresh:
                raise Overloaded
            raise await (await self._gathering(request, headers)).judge_stranger(operation)
        if entry.going_to is not None:
            raise Overloaded
        if operation.receive is not None:
            request.allow_pauses(self._pause_s)

        async def believe(answer: AnswerHead) -> None:
            """A refusal by a cluster that the group may have left is no answer."""
            if answer.status in _REFUSED:
                again = await self._directory.find(group)
                if not again.is_fresh or again.entry != entry:
                    raise Overloaded

        member = await self.clusters.get(entry.cluster)
        with self.clusters.room(member):
            return await exchange.run(member.pool, headers, believe)

    async def _gathering(self, request: Request, headers: list[Header]) -> Gathering:
        if not request.header_values(b"authorization"):
            raise Unauthorized
        if not self._secret:
            try:
                self._secret = await self._directory.secret()
            except DatabaseAway as error:
                raise Overloaded from error
        return Gathering(self.clusters, request, headers, self._secret)

    def _forwarded_for(self, request: Request) -> bytes:
        """The address of the client, behind those that a proxy of the operator's has named.

        What anybody else says of it is dropped: the clusters believe this header.
        """
        chain = [request.peer]
        try:
            peer = ipaddress.ip_address(request.peer)
        except ValueError:
            return request.peer.encode("latin-1", "replace")
        if any(peer in network for network in self._proxies):
            chain = [*request.header_values(b"x-forwarded-for"), *chain]
        return ", ".join(chain).encode("latin-1", "replace")

    async def _answer_self(self, request: Request, operation: Operation, send: Send) -> int:
        """Health, readiness and the OpenAPI document are the front's own."""
        match operation.id:
            case "getOpenapi":
                body = await asyncio.to_thread(openapi.document_bytes)
                return await self._send(request, send, 200, {}, body)
            case "getReadiness":
                checks = await self._checks()
                fit = checks["directory"] == checks["running"] == "ok"
                if not fit or all(checks[name] == "failed" for name in checks if " " in name):
                    raise Overloaded(5, context={"checks": checks})
        body = success_body(msgspec.json.encode(Health()), request.trace_id)
        return await self._send(request, send, 200, {}, body)

    async def _checks(self) -> dict[str, str]:
        """Each check by name: the directory's, one for each cluster, and `running`."""
        found = await self.standing()
        good = {
            "directory": found.directory,
            **{f"cluster {name}": up for name, up in found.clusters.items()},
            "running": not self.stopping,
        }
        return {name: "ok" if each else "failed" for name, each in good.items()}

    async def standing(self) -> Standing:
        """What of a front's surroundings is there. Kept for a moment: anybody may ask for it."""
        async with self._looking:
            if self._looked < time.monotonic():
                reachable = await self._directory.is_reachable()
                try:
                    members = await self.clusters.all()
                except Overloaded:
                    members = []
                ready = await asyncio.gather(*(is_ready(member.pool) for member in members))
                clusters = {member.name: up for member, up in zip(members, ready, strict=True)}
                self._standing = Standing(reachable, clusters)
                self._looked = time.monotonic() + _READY_KEPT_S
        return self._standing

    async def _send_error(self, request: Request, send: Send, error: LonglistError) -> int:
        body = error_body(error, request.trace_id)
        return await self._send(request, send, error.status, error.headers, body)

    async def _send(
        self, request: Request, send: Send, status: int, more: dict[str, str], body: bytes = b""
    ) -> int:
        headers = [
            (b"x-trace-id", request.trace_id.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *((name.lower().encode(), value.encode("latin-1")) for name, value in more.items()),
            *self._cross_origin.headers(request),
        ]
        if body:
            headers.append((b"content-type", _JSON))
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return status
