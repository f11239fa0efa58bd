"""HTTP/1.1 to a cluster: connections that are kept, and bytes passed on as they come.

A client of our own over httptools, which the server reads requests with already: the bytes of a
path leave as they came, a body is held for no longer than the other side needs to take it, and
what a request costs on its way is a fraction of what general clients take (docs/decisions/0025).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

import httptools

Header = tuple[bytes, bytes]

CONNECT_S: Final = 3.0
ANSWER_S: Final = 120.0
"""Longer than any operation takes that is not streamed; streams and uploads may pause as long."""
IDLE_S: Final = 10.0
"""Less than a server keeps an idle connection, or a request would meet one that is being closed."""
_MOST_IDLE: Final = 256
_HIGH_WATER: Final = 262_144
_HEAD_BYTES: Final = 65_536
_PAUSE_S: Final = 1.0
_SWITCHING: Final = 101


class Away(Exception):
    """No connection to the cluster: nothing of the request has left."""


class Broken(Exception):
    """The connection failed, or what came was no answer: the request may have been done."""


class Address(NamedTuple):
    """Where a cluster is."""

    host: str
    port: int
    secure: bool

    @property
    def authority(self) -> bytes:
        """The value of a `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.secure else 80
        return (host if self.port == usual else f"{host}:{self.port}").encode("ascii")


def address_of(url: str) -> Address:
    """Where `http://host:port` or `https://host` is. Raises ValueError for anything else."""
    parts = urlsplit(url)
    port = parts.port  # raises ValueError itself
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("Not the URL of a server.")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("More than scheme, host and port.")
    secure = parts.scheme == "https"
    address = Address(parts.hostname, port or (443 if secure else 80), secure)
    if not address.authority.isascii() or any(byte <= 0x20 for byte in address.authority):
        raise ValueError("Not a host.")
    return address


class AnswerHead(NamedTuple):
    """Status and headers of an answer, names in lowercase."""

    status: int
    headers: list[Header]


class Wire(asyncio.Protocol):
    """One connection; at most one exchange at a time, begun by `begin`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._is_head_request = False
        self._headers: list[Header] = []
        self._head_bytes = 0
        self._has_framing = False
        self._head: asyncio.Future[AnswerHead] | None = None
        self._go_on: asyncio.Future[bool] | None = None
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._moved = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._failure: Exception | None = None
        self._touched = 0.0
        self.complete = False
        self.reusable = False
        self.idle_since = 0.0
        self.on_lost: Callable[[Wire], None] | None = None

    # Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the exchange under way, if it is not complete."""
        self._fail(Broken("The connection was closed."))
        if self.on_lost is not None:
            self.on_lost(self)

    def eof_received(self) -> bool:
        """Nothing follows: whatever is not complete never will be."""
        return False

    def pause_writing(self) -> None:
        """The cluster takes the body slower than it comes."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """There is room for more of the body."""
        self._touched = self._loop.time()
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Parse what came of the answer."""
        self._touched = self._loop.time()
        parser = self._parser
        if parser is None or self.complete:
            # Bytes that nobody asked for: whose they are can only be guessed.
            self._fail(Broken("Bytes came after an answer."))
            self.abort()
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                self._fail(Broken(f"No HTTP answer ({type(error).__name__})."))
            self.reusable = False
            self.abort()

    # The exchange

    @property
    def is_open(self) -> bool:
        """Whether a request may be begun on it."""
        return (
            self._failure is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    def begin(self, data: bytes, *, is_head: bool, expects: bool) -> None:
        """Send the head of a request, perhaps with its body.

        `expects`: the body waits for `may_go_on`.
        """
        self._parser = httptools.HttpResponseParser(self)
        self._is_head_request = is_head
        self._head = self._loop.create_future()
        self._go_on = self._loop.create_future() if expects else None
        self._chunks = []
        self._buffered = 0
        self.complete = self.reusable = False
        self._touched = self._loop.time()
        self._send(data)

    def _send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    async def send(self, data: bytes) -> None:
        """Send more of the body, once there is room. Raises Broken."""
        if not self._writable.is_set():
            await self._writable.wait()
        if self._failure is not None:
            raise self._failure
        self._touched = self._loop.time()
        self._send(data)

    async def may_go_on(self) -> bool:
        """Wait for `100 Continue`; False where the answer came instead."""
        return self._go_on is None or await asyncio.shield(self._go_on)

    async def head(self) -> AnswerHead:
        """Status and headers of the answer. Raises Broken, also after ANSWER_S of silence."""
        head = self._head
        assert head is not None
        while not head.done():
            left = self._touched + ANSWER_S - self._loop.time()
            if left <= 0:
                self._fail(Broken("No answer in time."))
                self.abort()
                break
            await asyncio.wait((head,), timeout=left)
        return head.result()

    async def body(self) -> AsyncIterator[bytes]:
        """The body of the answer as it comes. Raises Broken where it ends too early."""
        while True:
            if self._chunks:
                data = b"".join(self._chunks)
                self._chunks.clear()
                self._buffered = 0
                self._update_reading()
                yield data
            if self.complete and not self._chunks:
                return
            if self._failure is not None:
                raise self._failure
            if not self._chunks:
                await self._wait()

    def whole(self) -> bytes | None:
        """The body, if all of it has come already."""
        if not self.complete:
            return None
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data

    async def _wait(self) -> None:
        self._moved.clear()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._moved.wait()
        except TimeoutError:
            self._fail(Broken("The answer stopped."))
            self.abort()

    def abort(self) -> None:
        """End the connection."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        if self._failure is None:
            self._failure = error
        if self._head is not None and not self._head.done():
            self._head.set_exception(error)
            self._head.exception()  # nobody may be waiting for it any more
        if self._go_on is not None and not self._go_on.done():
            self._go_on.set_result(False)
        self._writable.set()
        self._moved.set()

    def _update_reading(self) -> None:
        full = self._buffered > _HIGH_WATER
        if full is not self._paused and self._transport is not None:
            self._paused = full
            if full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        """An answer begins, or one that only says `100 Continue`."""
        self._headers = []
        self._head_bytes = 0
        self._has_framing = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        if self._head is None or self._head.done():
            return  # after a chunked body
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._has_framing = True
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > _HEAD_BYTES:
            raise ValueError("The head of the answer is too long.")
        self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Hand over the head, unless it is an interim one."""
        parser, head = self._parser, self._head
        assert parser is not None
        assert head is not None
        status = parser.get_status_code()
        if status < 200:
            if status == _SWITCHING:
                raise ValueError("Another protocol was not asked for.")
            return
        bodyless = self._is_head_request or status in (204, 304)
        if not bodyless and not self._has_framing:
            raise ValueError("An answer without a length may be cut off unseen.")
        self.reusable = parser.should_keep_alive() and parser.get_http_version() == "1.1"
        if self._is_head_request:
            # The parser would wait for the body that the length speaks of.
            self.complete = True
        if not head.done():
            head.set_result(AnswerHead(status, self._headers))
        self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        if self._is_head_request:
            raise ValueError("An answer to HEAD has no body.")
        self._chunks.append(body)
        self._buffered += len(body)
        self._update_reading()
        self._moved.set()

    def on_message_complete(self) -> None:
        """The answer is there in full."""
        parser = self._parser
        assert parser is not None
        if parser.get_status_code() < 200:
            self._stop_waiting(go_on=True)
            return
        self.complete = True
        self._moved.set()

    def _stop_waiting(self, *, go_on: bool = False) -> None:
        if self._go_on is not None and not self._go_on.done():
            self._go_on.set_result(go_on)


class Pool:
    """Connections to one cluster. `is_up`: whether the last try to connect succeeded."""

    def __init__(self, address: Address, tell: Callable[[bool], None] = lambda _: None) -> None:
        self.address = address
        self.is_up = True
        self._tell = tell
        self._tls = ssl.create_default_context() if address.secure else None
        self._idle: list[Wire] = []
        self._pause_until = 0.0
        self._trying = 0
        self._closed = False

    async def take(self, *, fresh: bool = False) -> tuple[Wire, bool]:
        """A connection, and whether it was used before. Raises Away.

        After a failure nobody but one in a second waits for the next try: a cluster that is gone
        shall not hold up the requests for it, and with them those for the others.
        """
        loop = asyncio.get_running_loop()
        while self._idle and not fresh:
            wire = self._idle.pop()
            wire.on_lost = None
            if wire.is_open and loop.time() - wire.idle_since < IDLE_S:
                return wire, True
            wire.abort()
        if loop.time() < self._pause_until or (not self.is_up and self._trying):
            raise Away
        self._trying += 1
        try:
            async with asyncio.timeout(CONNECT_S):
                _, wire = await loop.create_connection(
                    Wire, self.address.host, self.address.port, ssl=self._tls
                )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            self._pause_until = loop.time() + _PAUSE_S
            self._note(up=False)
            raise Away from error
        finally:
            self._trying -= 1
        self._note(up=True)
        return wire, False

    def _note(self, *, up: bool) -> None:
        if up is not self.is_up:
            self.is_up = up
            self._tell(up)

    def give_back(self, wire: Wire) -> None:
        """Keep a connection whose exchange is over, if it can be used again; else end it."""
        usable = wire.reusable and wire.complete and wire.is_open
        if self._closed or not usable or len(self._idle) >= _MOST_IDLE:
            wire.abort()
            return
        wire.idle_since = asyncio.get_running_loop().time()
        wire.on_lost = self._forget
        self._idle.append(wire)

    def _forget(self, wire: Wire) -> None:
        if wire in self._idle:
            self._idle.remove(wire)

    def close(self) -> None:
        """End the idle connections; those at work end with their exchange."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()
