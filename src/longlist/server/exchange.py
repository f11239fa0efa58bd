"""One request and its answer, between a connection and the ASGI application.

An `Exchange` hands the body to the application as it arrives and writes the answer. Its head
leaves together with the first part of the body: that saves a write, and an application that fails
between the two still gets an honest 500 instead of a cut connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final, Protocol

from starlette.types import ASGIApp, Message, Scope

from longlist.errors import InternalError, LonglistError, Overloaded, error_body

logger: Final = logging.getLogger("longlist.http")

Header = tuple[bytes, bytes]

STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE: Final = b"connection: close"
_CHUNKED: Final = b"transfer-encoding: chunked"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304


class ClientGone(OSError):
    """The client left while its answer was being streamed; raised by `send`, never logged."""


class Carrier(Protocol):
    """What an exchange asks of the connection that carries it."""

    writable: asyncio.Event | None

    def write(self, data: bytes) -> None:
        """Queue bytes for the client."""

    def standing_headers(self) -> Sequence[Header]:
        """Headers of every answer, such as Date."""

    def update_reading(self) -> None:
        """Read on if there is room for more body now."""

    def finished(self, exchange: Exchange) -> None:
        """The answer is written in full."""

    def cut(self) -> None:
        """End the connection at once: the answer cannot be completed."""


def head_bytes(status: int, headers: Iterable[Header], extra: Iterable[bytes] = ()) -> bytes:
    """Render status line and headers.

    Raises ValueError where a name or value holds CR, LF or NUL: a header can then never split an
    answer in two.
    """
    lines = [STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
    lines += [b"%b: %b" % header for header in headers]
    lines += extra
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    breaks = len(lines) + 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise ValueError("A header of the answer holds a line break or NUL.")
    return head


def error_answer(
    error: LonglistError, trace_id: str, *, head_only: bool, standing: Iterable[Header]
) -> bytes:
    """Render an error as a whole answer in the envelope, after which the connection closes."""
    body = error_body(error, trace_id)
    headers: list[Header] = [
        *standing,
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"x-trace-id", trace_id.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    head = head_bytes(error.status, headers, (_CLOSE,))
    return head if head_only else head + body


class Exchange:
    """A request on its way into the application, and the answer on its way out."""

    __slots__ = (
        "_carrier",
        "_chunked",
        "_chunks",
        "_continue_expected",
        "_end_delivered",
        "_head",
        "_left",
        "_wake",
        "bodyless",
        "buffered",
        "complete",
        "disconnected",
        "done",
        "is_head",
        "keep_alive",
        "scope",
        "started",
        "trace_id",
    )

    def __init__(
        self,
        carrier: Carrier,
        scope: Scope,
        trace_id: str,
        *,
        keep_alive: bool,
        continue_expected: bool,
    ) -> None:
        self._carrier = carrier
        self.scope = scope
        self.trace_id = trace_id
        self.keep_alive = keep_alive
        self._continue_expected = continue_expected
        # The request: what has arrived and was not yet asked for.
        self._chunks: list[bytes] = []
        self.buffered = 0
        self.complete = False
        self._end_delivered = False
        self.disconnected = False
        self._wake: asyncio.Event | None = None
        # The answer. `_left` counts down a declared length; None is a length nobody declared.
        self._head: bytes | None = None
        self._left: int | None = None
        self._chunked = False
        self.is_head: bool = scope["method"] == "HEAD"
        self.bodyless = self.is_head
        self.started = False
        self.done = False

    # The connection's side

    def feed(self, chunk: bytes) -> None:
        """Take a part of the body."""
        self._chunks.append(chunk)
        self.buffered += len(chunk)
        self._continue_expected = False
        self._notify()

    def end_body(self) -> None:
        """The request has arrived in full."""
        self.complete = True
        self._notify()

    def disconnect(self) -> None:
        """The client is gone, or its request turned out to be unusable."""
        self.disconnected = True
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None

    async def run(self, app: ASGIApp) -> None:
        """Run the application; whatever it does, the client gets an envelope or a cut."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            # Only a shutdown that has waited long enough cancels a request.
            self._give_up(Overloaded())
            raise
        except Exception as exc:
            if self.disconnected:
                logger.info(
                    "The client left before its answer was complete (%s).",
                    type(exc).__name__,
                    extra={"trace_id": self.trace_id},
                )
                return
            logger.exception(
                "The application failed to handle a request.", extra={"trace_id": self.trace_id}
            )
            self._give_up(InternalError())
        else:
            if not self.done and not self.disconnected:
                logger.error(
                    "The application returned without completing its answer.",
                    extra={"trace_id": self.trace_id},
                )
                self._give_up(InternalError())

    def _give_up(self, error: LonglistError) -> None:
        if self.done or self.disconnected:
            return
        if self.started:
            self._carrier.cut()
            return
        self.keep_alive = False
        self._carrier.write(
            error_answer(
                error,
                self.trace_id,
                head_only=self.is_head,
                standing=self._carrier.standing_headers(),
            )
        )
        self._finish()

    # The application's side

    async def receive(self) -> Message:
        """ASGI receive: the next part of the body, or `http.disconnect`."""
        if self._continue_expected and not self.complete and not self.disconnected:
            self._carrier.write(_CONTINUE)
        self._continue_expected = False
        while not (self.disconnected or self.done):
            if self._chunks or (self.complete and not self._end_delivered):
                body = b"".join(self._chunks)
                self._chunks.clear()
                self.buffered = 0
                self._end_delivered = self.complete
                self._carrier.update_reading()
                return {"type": "http.request", "body": body, "more_body": not self.complete}
            self._wake = asyncio.Event()
            await self._wake.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI send.

        Raises ClientGone when the client has left and more would follow, so that a long stream
        stops; a short answer to nobody is dropped in silence. Raises RuntimeError or ValueError
        when the application breaks the protocol.
        """
        writable = self._carrier.writable
        if writable is not None and not self.disconnected:
            await writable.wait()
        kind = message["type"]
        if self.disconnected:
            if message.get("more_body", False):
                raise ClientGone
        elif self.done:
            raise RuntimeError(f"{kind} was sent after the answer was complete.")
        elif kind == "http.response.body" and (self.started or self._head is not None):
            self._send_body(message.get("body", b""), bool(message.get("more_body", False)))
        elif kind == "http.response.start" and not self.started and self._head is None:
            self._head = self._make_head(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"{kind} was sent out of order.")

    def _make_head(self, status: int, headers: Iterable[Header]) -> bytes:
        kept: list[Header] = list(self._carrier.standing_headers())
        for name, value in headers:
            name = name.lower()  # noqa: PLW2901  (two frames with one meaning must not get by)
            if name == b"content-length":
                if status == _NO_CONTENT:
                    continue
                self._left = int(value)
            elif name == b"connection":
                if b"close" in value.lower():
                    self.keep_alive = False
                continue
            elif name == b"transfer-encoding":
                continue
            kept.append((name, value))
        if self._continue_expected and not self.complete:
            # The client may now send its body or leave it out: where the next request begins
            # could only be guessed.
            self.keep_alive = False
        extra: list[bytes] = []
        if status in (_NO_CONTENT, _NOT_MODIFIED):
            self.bodyless = True
        elif self._left is None and not self.bodyless:
            if self.scope["http_version"] == "1.1":
                self._chunked = True
                extra.append(_CHUNKED)
            else:
                self.keep_alive = False
        if not self.keep_alive:
            extra.append(_CLOSE)
        return head_bytes(status, kept, extra)

    def _send_body(self, body: bytes, more: bool) -> None:
        if self.bodyless:
            data = b""
        elif self._chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                data += _LAST_CHUNK
        else:
            data = body
            if self._left is not None:
                left = self._left - len(body)
                if left < 0 or (left and not more):
                    raise RuntimeError("The answer is not as long as its Content-Length says.")
                self._left = left
        if self._head is not None:
            data = self._head + data
            self._head = None
            self.started = True
        if data:
            self._carrier.write(data)
        if not more:
            self._finish()

    def _finish(self) -> None:
        self.started = True
        self.done = True
        self._head = None
        self._chunks.clear()
        self.buffered = 0
        self._notify()
        self._carrier.finished(self)
