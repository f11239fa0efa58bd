"""One client connection: answers in order, bounded memory, and a deadline for every wait.

Every refusal is answered in the envelope, after the answers of the requests before it, and ends
the connection.

No timer belongs to a connection. It keeps two deadlines, and the server's sweep calls `expire`
on those that have passed: thousands of half-open sockets then cost a comparison each per sweep.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Scope
from uvicorn.config import Config
from uvicorn.server import ServerState

from longlist.errors import LonglistError, Overloaded, RequestTimeout, ValidationFailed
from longlist.server.exchange import Exchange, Header, error_answer
from longlist.server.reader import PIECE_BYTES, Head, Limits, RequestReader

logger: Final = logging.getLogger("longlist.http")

# Key in scope["extensions"]: a callable taking seconds. A route that takes uploads calls it before
# it reads the body: from then on the request may last, but no silence may be longer.
BODY_DEADLINE: Final = "longlist.body_deadline"
# Key in scope["extensions"]: a callable that ends the connection without an answer, for a request
# of which nobody can say whether it was done.
CUT: Final = "longlist.cut"
# Key in the scope: the trace id of the request, the same as in answers made here.
TRACE_ID: Final = "longlist.trace_id"

# Body bytes held for an application that has not asked for them yet; then reading pauses.
_HIGH_WATER: Final = 65_536
# Above the connection limit this many more may be told so; the rest are cut.
_TURNED_AWAY_AT_ONCE: Final = 256


class Connection(asyncio.Protocol):
    """An asyncio protocol made by uvicorn's server, one for each accepted socket."""

    __slots__ = (
        "_app",
        "_app_state",
        "_eof",
        "_extensions",
        "_input_closed",
        "_last_words",
        "_limits",
        "_loop",
        "_pause_s",
        "_paused",
        "_queue",
        "_reader",
        "_reading",
        "_running",
        "_scope_base",
        "_server",
        "_unfed",
        "_unsent",
        "read_deadline",
        "transport",
        "writable",
        "write_deadline",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
    ) -> None:
        self._app = cast(ASGIApp, config.loaded_app)
        self._server = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._limits = limits
        self._extensions = {BODY_DEADLINE: self.allow_pauses, CUT: self.cut}
        self._reader = RequestReader(self, limits)

        self.read_deadline = inf
        self.write_deadline = inf
        self.writable: asyncio.Event | None = None
        self._unsent = 0  # in the write buffer when the write deadline was set

        self._paused = False
        self._input_closed = False  # whatever else arrives is thrown away
        self._eof = False
        # Requests sent ahead stay bytes: parsing goes no further than the piece in which a
        # request had to queue.
        self._unfed = bytearray()
        self._pause_s: float | None = None
        # Requests: being read, at work, waiting behind it; then the answer that ends it all.
        self._reading: Exchange | None = None
        self._running: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._last_words: bytes | None = None

    # Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start waiting for a request, or turn the client away above the connection limit."""
        self.transport = cast(asyncio.Transport, transport)
        connections = cast("set[Any]", self._server.connections)
        connections.add(self)
        peer = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        self._scope_base: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": "http",
            "root_path": "",
            "server": tuple(local[:2]) if isinstance(local, tuple) else None,
            "client": tuple(peer[:2]) if isinstance(peer, tuple) else None,
            "extensions": self._extensions,
        }
        over = len(connections) - self._limits.connections
        if over <= 0:
            self.read_deadline = self._loop.time() + self._limits.keep_alive_s
        elif over <= _TURNED_AWAY_AT_ONCE:
            self.on_refusal(Overloaded())
        else:
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and let go of everything."""
        cast("set[Any]", self._server.connections).discard(self)
        self.read_deadline = self.write_deadline = inf
        self._close_input()
        self._queue.clear()
        if self._running is not None:
            self._running.disconnect()
            self._running = None
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, as far as the requests before it allow."""
        if self._input_closed:
            return
        if self._pause_s is not None:
            self.read_deadline = self._loop.time() + self._pause_s
        if len(data) <= PIECE_BYTES and not self._unfed and not self._queue:
            self._reader.feed(data)
        else:
            self._unfed += data
            self._feed_pieces()
        self.update_reading()

    def eof_received(self) -> bool:
        """Answer what was sent in full before closing; half a request is malformed."""
        self._eof = True
        if self._reader.receiving and not self._input_closed:
            self.on_refusal(
                ValidationFailed(
                    "The request is not well-formed HTTP.",
                    "Send the whole request before closing the connection.",
                )
            )
        # True keeps the socket open for the answers still to come.
        return self._running is not None

    def pause_writing(self) -> None:
        """The client does not take its answer as fast as it is made."""
        self.writable = asyncio.Event()
        self._unsent = self.transport.get_write_buffer_size()
        self.write_deadline = self._loop.time() + self._limits.write_s

    def resume_writing(self) -> None:
        """The client has taken most of what was waiting."""
        self.write_deadline = inf
        if self.writable is not None:
            self.writable.set()
            self.writable = None

    # The server's side

    def shutdown(self) -> None:
        """Finish the request at work, if any, and close; called when the server stops."""
        self._queue.clear()
        if self._running is not None:
            self._running.keep_alive = False
        elif not self._input_closed:
            self._hang_up()

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed."""
        if self.transport.is_closing():
            self.cut()
        elif self.write_deadline <= now:
            unsent = self.transport.get_write_buffer_size()
            if self._unsent - unsent < self._limits.write_progress_bytes:
                self.cut()
            else:
                self._unsent = unsent
                self.write_deadline = now + self._limits.write_s
        elif self._input_closed or not self._reader.receiving:
            self._close()
        elif self._paused:
            # It is the application that keeps the client waiting.
            self.read_deadline = now + self._limits.request_s
        else:
            self.on_refusal(RequestTimeout())

    # What an exchange asks for

    def write(self, data: bytes) -> None:
        """Queue bytes for the client."""
        self.transport.write(data)

    def standing_headers(self) -> Sequence[Header]:
        """Headers of every answer; the server renews their Date each second."""
        return self._server.default_headers

    def update_reading(self) -> None:
        """Pause the socket while there is enough to do, and read on when there is room."""
        reading = self._reading
        full = not self._input_closed and (
            bool(self._unfed or self._queue)
            or (reading is not None and reading.buffered > _HIGH_WATER)
        )
        if full is not self._paused and not self.transport.is_closing():
            self._paused = full
            if full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def allow_pauses(self, seconds: float) -> None:
        """Let the body of the request at work take its time, so long as no pause is longer.

        Without effect once the whole request is there.
        """
        if self._reading is not None and self._reading is self._running:
            self._pause_s = seconds
            self.read_deadline = self._loop.time() + seconds

    def finished(self, exchange: Exchange) -> None:
        """An answer is complete: go on with the next request, or close."""
        self._server.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            return
        if not exchange.keep_alive:
            self._hang_up()
            return
        if self._queue:
            self._start(self._queue.popleft())
        if self._unfed:
            self._feed_pieces()
        if self._running is None:
            self._rest()
        self.update_reading()

    def cut(self) -> None:
        """End the connection without another word."""
        self.read_deadline = self.write_deadline = inf
        self.transport.abort()

    # Ends

    def _rest(self) -> None:
        """Nothing is at work: say the last words, or wait for what comes next."""
        now = self._loop.time()
        limits = self._limits
        if self._last_words is not None:
            self.transport.write(self._last_words)
            self._last_words = None
            self._hang_up(linger=True)
        elif self._eof:
            self._close()
        elif self._input_closed:
            pass  # hanging up already
        elif not self._reader.receiving:
            self.read_deadline = now + limits.keep_alive_s
        elif self._reading is None:
            self.read_deadline = now + limits.request_s
        else:
            # It is answered and its body still arrives: the rest gets a short time.
            self.read_deadline = min(self.read_deadline, now + limits.linger_s)

    def _close(self) -> None:
        """Close when all is written; `expire` cuts the connection if that takes too long."""
        self._close_input()
        self.read_deadline = self._loop.time() + self._limits.write_s
        self.transport.close()

    def _close_input(self) -> None:
        self._input_closed = True
        self._reader.close()
        self._reading = None
        self._pause_s = None
        self._unfed.clear()

    def _hang_up(self, *, linger: bool = False) -> None:
        """Close after the last answer.

        A socket closed while the client still sends is reset, and the reset may overtake the
        answer. So only the sending half closes here, and what arrives is thrown away for a while.
        """
        linger = linger or self._reader.receiving
        self._close_input()
        self._queue.clear()
        if linger and not self._eof and self.transport.can_write_eof():
            self.read_deadline = self._loop.time() + self._limits.linger_s
            self.transport.write_eof()
            self.update_reading()
        else:
            self._close()

    def on_refusal(self, error: LonglistError) -> None:
        """Answer with an error, in its turn, and end the connection."""
        if self.transport.is_closing():
            return
        broken = self._reading
        trace_id = self._reader.trace_id() if broken is None else broken.trace_id
        head_only = self._reader.is_head_request() if broken is None else broken.is_head
        logger.info(
            "Refused a request: %d %s.", error.status, error.code, extra={"trace_id": trace_id}
        )
        self.read_deadline = inf
        self._close_input()
        if broken is not None:
            broken.disconnect()
            if broken is self._running:
                self._running = None
            elif broken in self._queue:
                self._queue.remove(broken)
            if broken.done:
                # Answered before its body turned out to be unusable.
                self._hang_up(linger=True)
                return
            if broken.started:
                self.cut()
                return
        self._last_words = error_answer(
            error, trace_id, head_only=head_only, standing=self.standing_headers()
        )
        if self._running is None:
            self._rest()

    # What the reader delivers

    def _feed_pieces(self) -> None:
        unfed = self._unfed
        while unfed and not self._queue:
            piece = bytes(unfed[:PIECE_BYTES])
            del unfed[:PIECE_BYTES]
            self._reader.feed(piece)

    def on_begin(self) -> None:
        """From the first byte of a request the clock runs, unless others are before it."""
        if self._running is None:
            self.read_deadline = self._loop.time() + self._limits.request_s

    def on_head(self, head: Head) -> None:
        """Start the application, or queue the request behind others."""
        path = unquote_to_bytes(head.raw_path) if b"%" in head.raw_path else head.raw_path
        scope = {
            **self._scope_base,
            "http_version": head.version,
            "method": head.method,
            "path": path.decode(errors="replace"),
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.headers,
            "state": self._app_state.copy(),
            TRACE_ID: head.trace_id,
        }
        exchange = Exchange(
            self,
            scope,
            head.trace_id,
            keep_alive=head.keep_alive,
            continue_expected=head.continue_expected,
        )
        self._reading = exchange
        if self._running is None:
            self._start(exchange)
        else:
            self._queue.append(exchange)

    def _start(self, exchange: Exchange) -> None:
        self._running = exchange
        if exchange is self._reading:
            # One that waited behind another starts its clock only now.
            self.read_deadline = min(self.read_deadline, self._loop.time() + self._limits.request_s)
        task = self._loop.create_task(exchange.run(self._app))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def on_body(self, body: bytes) -> None:
        """Part of a body, on to the application unless it has answered already."""
        exchange = self._reading
        if exchange is not None and not exchange.done:
            exchange.feed(body)

    def on_end(self) -> None:
        """The request is there in full: its clock stops."""
        exchange = self._reading
        if exchange is None:
            return
        self._reading = None
        self._pause_s = None
        self.read_deadline = inf
        exchange.end_body()
        if not exchange.keep_alive:
            self._input_closed = True
        if exchange.done:
            self._rest()
