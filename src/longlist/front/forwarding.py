"""One request to the cluster of its account group, and the answer back: bytes, both ways.

What may be said of a request that met a fault depends on what it asks for. While nothing of it has
left, or where it only reads, the answer is 503. A write that may have been done gets no answer at
all: its connection is cut, as it would have been without a front, because an error of the contract
says that nothing was changed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from longlist.errors import Issue, Overloaded, ValidationFailed
from longlist.front.upstream import AnswerHead, Away, Broken, Header, Pool, Wire
from longlist.request import ClientGone
from longlist.telemetry import log
from longlist.trace import trace_id_from

if TYPE_CHECKING:
    from longlist.request import Receive, Request, Scope, Send

_HOP_BY_HOP: Final = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
        b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip
"""Speak of one connection alone (RFC 9110, 7.6.1)."""
_OWN: Final = frozenset(
    (
        b"content-length", b"expect", b"forwarded", b"host", b"traceparent", b"x-forwarded-for",
        b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip",
    )
)  # fmt: skip
"""Written here, and never passed on as a client sent them."""
_FOR_ALL: Final = frozenset(
    (
        b"accept", b"authorization", b"cache-control", b"content-encoding", b"content-length",
        b"content-type", b"expect", b"host", b"idempotency-key", b"if-match", b"if-none-match",
        b"traceparent", b"x-forwarded-for",
    )
)  # fmt: skip
"""What `Connection` may not name: dropping such a header would change what is asked for."""
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))


class Lost(Exception):
    """A write may have been done, and nobody can say: the client's connection has to be cut."""


def _named_by_connection(headers: Iterable[Header]) -> set[bytes]:
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            named |= {part.strip(b" \t").lower() for part in value.split(b",")}
    return named


def _check_connection(named: set[bytes]) -> None:
    if named & _FOR_ALL:
        raise ValidationFailed(
            "The Connection header names a header that is not of the connection.",
            "Send Connection with close or keep-alive, or leave it out.",
            issues=[Issue("header.Connection", "invalid_choice", "It names another header.")],
        )


def traceparent_of(request: Request) -> bytes:
    """The client's own `traceparent` where it is valid, else one with this request's trace id."""
    values = request.header_values(b"traceparent")
    if len(values) == 1:
        own = values[0].encode("latin-1")
        if trace_id_from(own) == request.trace_id:
            return own
    return b"00-%b-%b-01" % (request.trace_id.encode(), os.urandom(8).hex().encode())


def request_head(
    method: str,
    target: bytes,
    pool: Pool,
    headers: Iterable[Header],
    framing: Sequence[Header] = (),
) -> bytes:
    """The head of a request to a cluster. Raises ValueError for what would break a line."""
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target)]
    lines.append(b"host: %b" % pool.address.authority)
    lines += [b"%b: %b" % header for header in headers]
    lines += [b"%b: %b" % header for header in framing]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1 or b"\0" in head:
        raise ValueError("A header holds a line break or NUL.")
    return head


def kept_headers(request: Request, sent: Iterable[Header], forwarded_for: bytes) -> list[Header]:
    """The headers of a request that go on to a cluster. Raises ValidationFailed."""
    sent = list(sent)
    named = _named_by_connection(sent)
    _check_connection(named)
    dropped = _HOP_BY_HOP | _OWN | named
    traceparent = traceparent_of(request)
    kept = [header for header in sent if header[0] not in dropped]
    if (b"traceparent", traceparent) not in sent:
        # What vendors say of a trace goes with the parent that they said it of.
        kept = [header for header in kept if header[0] != b"tracestate"]
    kept += ((b"traceparent", traceparent), (b"x-forwarded-for", forwarded_for))
    return kept


def _answer_headers(answer: AnswerHead) -> list[Header]:
    dropped = _HOP_BY_HOP | {b"date"} | _named_by_connection(answer.headers)
    return [header for header in answer.headers if header[0] not in dropped]


class Exchange:
    """One request on its way to a cluster and its answer on the way back."""

    def __init__(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        self._request = request
        self._scope = scope
        self._receive = receive
        self._send = send
        self._sent_all = False
        self._client_gone = False
        self._part: asyncio.Future[tuple[bytes, bool]] | None = None
        self._pump: asyncio.Task[None] | None = None

    async def run(
        self, pool: Pool, headers: list[Header], believe: Callable[[AnswerHead], Awaitable[None]]
    ) -> int:
        """Pass it on and its answer back; the status. Raises Overloaded, Lost and ClientGone.

        `believe` sees the head of the answer before the client does, and may raise.
        """
        method, target = self._request.method, self._request.path
        if self._request.query:
            target += b"?" + self._request.query
        length = self._scope_header(b"content-length")
        chunked = self._scope_header(b"transfer-encoding") is not None
        has_body = chunked or length not in (None, b"0")
        framing: list[Header] = []
        if chunked:
            framing.append((b"transfer-encoding", b"chunked"))
        elif length is not None:
            framing.append((b"content-length", length))
        expects = has_body and (self._scope_header(b"expect") or b"").lower() == b"100-continue"
        if expects:
            framing.append((b"expect", b"100-continue"))
        first, more = request_head(method, target, pool, headers, framing), has_body
        if has_body and not expects:
            # Most bodies came together with their head, and leave together with it too. One that
            # is on its way is not waited for: the cluster may refuse the request without it.
            self._part = asyncio.ensure_future(self._next_part())
            await asyncio.sleep(0)
            if self._part.done():
                part, more = self._part.result()
                self._part = None
                first += _framed(part, chunked=chunked, last=not more)
        wire, answer = await self._ask(pool, first, more, chunked=chunked, expects=expects)
        try:
            await believe(answer)
            return await self._pass_back(wire, answer)
        finally:
            await self._stop_pump()
            if self._sent_all:
                pool.give_back(wire)
            else:
                wire.abort()

    def _scope_header(self, name: bytes) -> bytes | None:
        for each, value in self._scope["headers"]:
            if each == name:
                found: bytes = value
                return found
        return None

    async def _next_part(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        return part, bool(message.get("more_body", False))

    async def _ask(
        self, pool: Pool, first: bytes, more: bool, *, chunked: bool, expects: bool
    ) -> tuple[Wire, AnswerHead]:
        """Send it; the head of the answer. What only reads and has no body is sent twice."""
        method = self._request.method
        fresh = False
        while True:
            try:
                wire, used = await pool.take(fresh=fresh)
            except Away as error:
                await self._stop_pump()
                raise Overloaded from error
            wire.begin(first, is_head=method == "HEAD", expects=expects)
            self._sent_all = not more
            if more:
                self._pump = asyncio.create_task(self._pass_on(wire, chunked=chunked))
            try:
                return wire, await wire.head()
            except Broken as error:
                await self._stop_pump()
                wire.abort()
                if self._client_gone:
                    raise ClientGone from error
                if method in _SAFE and used and not more and not fresh:
                    fresh = True  # the cluster closed it while the request was on its way
                    continue
                log.warning("a cluster broke off", trace_id=self._request.trace_id, why=str(error))
                raise (Overloaded() if method in _SAFE else Lost()) from error
            except BaseException:
                await self._stop_pump()
                wire.abort()
                raise

    async def _pass_on(self, wire: Wire, *, chunked: bool) -> None:
        """The body, part by part as the client sends it and the cluster takes it."""
        if not await wire.may_go_on():
            return
        more = True
        try:
            while more:
                waiting, self._part = self._part, None
                part, more = await (waiting or self._next_part())
                if data := _framed(part, chunked=chunked, last=not more):
                    await wire.send(data)
        except ClientGone:
            self._client_gone = True
            wire.abort()
        except Broken:
            pass  # whoever waits for the answer meets it too
        else:
            self._sent_all = True

    async def _stop_pump(self) -> None:
        stopped = [task for task in (self._pump, self._part) if task is not None]
        self._pump = self._part = None
        for task in stopped:
            task.cancel()
            with suppress(asyncio.CancelledError, ClientGone):
                await task

    async def _pass_back(self, wire: Wire, answer: AnswerHead) -> int:
        send = self._send
        headers = _answer_headers(answer)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        whole = wire.whole()
        if whole is not None:
            await send({"type": "http.response.body", "body": whole})
            return answer.status
        try:
            async for part in wire.body():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except Broken as error:
            wire.abort()
            log.warning("a cluster broke off", trace_id=self._request.trace_id, why=str(error))
            raise Lost from error
        await send({"type": "http.response.body", "body": b""})
        return answer.status


def _framed(part: bytes, *, chunked: bool, last: bool) -> bytes:
    if not chunked:
        return part
    data = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
    return data + b"0\r\n\r\n" if last else data
