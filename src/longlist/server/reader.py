"""Requests out of bytes: strict HTTP/1.1 framing in bounded memory.

llhttp (through httptools) splits the bytes; what it leaves open is refused here: a wrong `Host`,
a transfer coding other than chunked, old or foreign versions, fragments, and whatever is too
long. A reader that has refused something reads nothing more.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple, NoReturn, Protocol

import httptools

from longlist.errors import (
    HeadersTooLarge,
    InternalError,
    LonglistError,
    PayloadTooLarge,
    UriTooLong,
    ValidationFailed,
)
from longlist.server.exchange import Header
from longlist.trace import trace_id_from

logger: Final = logging.getLogger("longlist.http")

# The most that is parsed at once, and so the slack of every bound on what has arrived.
PIECE_BYTES: Final = 8_192

_NOTABLE: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"traceparent")
)
_ABSOLUTE_TARGET: Final = re.compile(rb"(?i:https?)://([^/?#]*)(.*)\Z", re.DOTALL)
# RFC 3986 also has sub-delims in names; a comma or semicolon there means joined headers.
_HOST: Final = re.compile(
    rb"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,255})"
    rb"(?::(?P<port>[0-9]{0,5}))?\Z"
)
_MAX_HOST_BYTES: Final = 270
_MAX_PORT: Final = 65_535
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?= )")
# Any method llhttp knows and this server has no use for: it stands in for those it does not know.
_STAND_IN_METHOD: Final = b"PURGE"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take of the server: sizes in bytes, times in seconds."""

    target_bytes: int = 8_192
    header_bytes: int = 32_768
    header_count: int = 100
    # The largest body any route takes, with what multipart framing adds.
    body_bytes: int = 1 << 30
    request_s: float = 30.0
    keep_alive_s: float = 30.0
    # A client must take the answer within this time, or at least `write_progress_bytes` of it.
    write_s: float = 30.0
    write_progress_bytes: int = 32_768
    # How long a refused client may go on sending, so that it lives to read its answer.
    linger_s: float = 2.0
    # How long requests at work may take to finish when the server stops.
    drain_s: float = 20.0
    connections: int = 10_000


class Head(NamedTuple):
    """The head of a request whose framing is sound."""

    method: str
    version: str
    raw_path: bytes
    query: bytes
    headers: list[Header]
    trace_id: str
    keep_alive: bool
    continue_expected: bool


class Sink(Protocol):
    """Where a reader delivers. None of these may raise, save `on_begin` to stop the reader."""

    def on_begin(self) -> None:
        """The first byte of a request has arrived."""

    def on_head(self, head: Head) -> None:
        """All headers have arrived."""

    def on_body(self, body: bytes) -> None:
        """Part of the body has arrived."""

    def on_end(self) -> None:
        """The request has arrived in full."""

    def on_refusal(self, error: LonglistError) -> None:
        """The bytes are no acceptable request; the reader is of no use any more."""


@lru_cache(maxsize=1_024)
def _is_short_host(value: bytes) -> bool:
    match = _HOST.match(value)
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        return False
    if match["v6"] is not None:
        try:
            IPv6Address(match["v6"].decode())
        except AddressValueError:
            return False
    return True


def is_host(value: bytes) -> bool:
    """Say whether a value is a name, an IPv4 or a bracketed IPv6 address, with or without port."""
    return len(value) <= _MAX_HOST_BYTES and _is_short_host(value)


def _malformed(details: str) -> ValidationFailed:
    return ValidationFailed("The request is not well-formed HTTP.", details)


class RequestReader:
    """Parses the requests of one connection; the callbacks of httptools are its `on_*` methods."""

    __slots__ = (
        "_begun",
        "_closed",
        "_head_bytes",
        "_headers",
        "_in_head",
        "_last",
        "_limits",
        "_method",
        "_notable",
        "_parser",
        "_pending_bytes",
        "_refusal",
        "_sink",
        "_skips_body",
        "_synthetic",
        "_target",
        "receiving",
    )

    def __init__(self, sink: Sink, limits: Limits) -> None:
        self._sink = sink
        self._limits = limits
        self._parser: httptools.HttpRequestParser | None = None
        self._refusal: LonglistError | None = None
        self._closed = False
        # Between the first and the last byte of a request.
        self.receiving = False
        self._begun = 0  # messages so far
        self._in_head = False
        self._last = False
        self._synthetic = False
        self._skips_body = False
        self._pending_bytes = 0
        self._head_bytes = 0
        self._target = b""
        self._method: str | None = None
        self._headers: list[Header] = []
        self._notable: dict[bytes, bytes | None] = {}

    def close(self) -> None:
        """Read nothing more. Also unties the parser, which would keep the reader alive."""
        self._closed = True
        self._parser = None

    def trace_id(self) -> str:
        """The trace id of a request that is refused before its head was complete."""
        return trace_id_from(self._notable.get(b"traceparent"))

    def is_head_request(self) -> bool:
        """Say whether the request read last, as far as it goes, must be answered without a body."""
        parser = self._parser
        return bool(parser and self._target and parser.get_method() == b"HEAD")

    def feed(self, data: bytes) -> None:
        """Parse at most PIECE_BYTES more."""
        if self._closed:
            return
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        # What must hold for `data` to be the start of one request and nothing else.
        alone_at = -1 if self.receiving else self._begun + 1
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            self._ignore_upgrade(data[exc.args[0] :])
        except httptools.HttpParserError as exc:
            if not self._closed:  # else these are bytes after the last request
                self._parse_failed(exc, data, alone=self._begun == alone_at)
        else:
            if self.receiving:
                # A head or trailer that never ends gives no callback: count what it has taken.
                self._pending_bytes += len(data)
                limits = self._limits
                if self._pending_bytes > limits.target_bytes + limits.header_bytes + PIECE_BYTES:
                    self._refuse(HeadersTooLarge())

    # Refusals

    def _refuse(self, error: LonglistError) -> None:
        self._sink.on_refusal(error)
        self.close()

    def _stop(self, error: LonglistError) -> NoReturn:
        """Leave the parser from within a callback; `feed` passes the refusal on."""
        self._refusal = error
        raise error

    def _parse_failed(self, exc: httptools.HttpParserError, data: bytes, *, alone: bool) -> None:
        reason = str(exc)
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif isinstance(exc, httptools.HttpParserCallbackError):
            logger.error("Reading a request failed.", exc_info=exc.__context__ or exc)
            self._refuse(InternalError())
        elif "Invalid method" in reason or "after method" in reason:
            self._feed_unknown_method(data, alone=alone)
        elif reason == "Content-Length overflow":
            self._refuse(PayloadTooLarge(self._limits.body_bytes))
        else:
            self._refuse(_malformed("Send a request that follows RFC 9112."))

    def _feed_unknown_method(self, data: bytes, *, alone: bool) -> None:
        """Parse a request whose method llhttp does not know: that is for the routes to refuse."""
        data = data.lstrip(b"\r\n")
        match = _METHOD.match(data)
        if not alone or match is None or self._method is not None:
            self._refuse(_malformed("Start with a method, a target and a version."))
            return
        self._method = match[0].decode()
        self._parser = None
        self.receiving = False
        self.feed(_STAND_IN_METHOD + data[match.end() :])

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Go on with HTTP/1.1 after a request that offered another protocol.

        llhttp takes its body for the other protocol. A fresh parser is made to read it as a body.
        """
        if self._skips_body:
            self._skips_body = False
            self._parser = None
            length = self._notable.get(b"content-length")
            framing = (
                b"Transfer-Encoding: chunked" if length is None else b"Content-Length: " + length
            )
            self._synthetic = True
            self.feed(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
            self._synthetic = False
        if rest:
            self.feed(rest)

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begun += 1
        self._pending_bytes = 0
        if self._synthetic:
            return
        if self._closed:
            self._stop(_malformed("Send nothing after the last request of a connection."))
        self.receiving = self._in_head = True
        self._target = b""
        self._headers = []
        self._notable = {}
        self._head_bytes = 0
        self._sink.on_begin()

    def on_url(self, target: bytes) -> None:
        """Part of the request target."""
        if self._synthetic:
            return
        self._target += target
        if len(self._target) > self._limits.target_bytes:
            self._stop(UriTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those after a chunked body are dropped, as nothing here has a use for them."""
        if not self._in_head:
            return
        name = name.lower()
        value = value.rstrip(b" \t")
        if name in _NOTABLE:
            self._notable[name] = None if name in self._notable else value
        headers = self._headers
        headers.append((name, value))
        self._head_bytes += len(name) + len(value) + 4
        limits = self._limits
        if self._head_bytes > limits.header_bytes or len(headers) > limits.header_count:
            self._stop(HeadersTooLarge())

    def on_headers_complete(self) -> None:
        """Check what llhttp leaves open, and deliver the head."""
        parser = self._parser
        if self._synthetic or parser is None:
            return
        self._in_head = False
        version = parser.get_http_version()
        has_body = self._check_framing(version)
        method = self._method or parser.get_method().decode()
        self._method = None
        raw_path, query = self._split_target(method)
        notable = self._notable
        self._last = version == "1.0" or not parser.should_keep_alive()
        self._skips_body = has_body and b"upgrade" in notable and parser.should_upgrade()
        expect = notable.get(b"expect")
        self._sink.on_head(
            Head(
                method,
                version,
                raw_path,
                query,
                self._headers,
                trace_id_from(notable.get(b"traceparent")),
                not self._last,
                expect is not None
                and expect.lower() == b"100-continue"
                and has_body
                and version != "1.0",
            )
        )

    def on_body(self, body: bytes) -> None:
        """Part of a body."""
        self._pending_bytes = 0
        self._sink.on_body(body)

    def on_message_complete(self) -> None:
        """A request ends; what follows is the next one, if there may be a next one."""
        if self._skips_body:
            return
        self.receiving = False
        if self._last:
            self._closed = True
        self._sink.on_end()

    def _check_framing(self, version: str) -> bool:
        """Refuse what llhttp lets pass; say whether the request has a body."""
        if version not in ("1.1", "1.0"):
            self._stop(_malformed("Use HTTP/1.1."))
        notable = self._notable
        host = notable.get(b"host")
        if host is None or not is_host(host):
            self._stop(_malformed("Send exactly one Host header with a host and, if any, a port."))
        if b"transfer-encoding" in notable:
            coding = notable[b"transfer-encoding"]
            if coding is None or coding.lower() != b"chunked" or version == "1.0":
                self._stop(_malformed("Use no transfer coding but chunked, and that on HTTP/1.1."))
            return True
        length = notable.get(b"content-length")
        if length is None:
            return False
        size = int(length)
        if size > self._limits.body_bytes:
            self._stop(PayloadTooLarge(self._limits.body_bytes))
        return size > 0

    def _split_target(self, method: str) -> tuple[bytes, bytes]:
        """Split origin form, absolute form or the asterisk of OPTIONS into path and query."""
        target = self._target
        if target[:1] != b"/":
            absolute = _ABSOLUTE_TARGET.match(target)
            if absolute is not None and is_host(absolute[1]):
                target = absolute[2]
                if target[:1] != b"/":
                    target = b"/" + target
            elif target != b"*" or method != "OPTIONS":
                self._stop(_malformed("Send the path of a resource as the request target."))
        if method == "CONNECT" or b"#" in target:
            self._stop(_malformed("Send the path of a resource as the request target."))
        path, _, query = target.partition(b"?")
        return path, query
