"""The HTTP server of a process: listens, sweeps the deadlines of connections, stops gracefully.

uvicorn's server listens, runs the application's lifespan and drains; connections are our own
(`protocol.py`). The main of a process is `uvloop.run(serve(...))`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from longlist.server.protocol import BODY_DEADLINE, TRACE_ID, Connection
from longlist.server.reader import Limits

__all__ = ["BODY_DEADLINE", "TRACE_ID", "Limits", "Running", "StartFailed", "serve"]

logger: Final = logging.getLogger("longlist.server")

# Descriptors kept free for database files, uploads, sources and the worker.
_RESERVED_FILES: Final = 256
_FEWEST_CONNECTIONS: Final = 16
_MOST_FILES: Final = 1 << 20
# Connections ended in one go; answering thousands at once would hold up everyone else.
_ENDED_AT_ONCE: Final = 200
_BETWEEN_BATCHES_S: Final = 0.01
_SWEEP_S: Final = (0.02, 1.0)


class StartFailed(RuntimeError):
    """The application's start-up failed, or the address cannot be bound; the log says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has started: where it listens, and how to stop it from any thread."""

    addresses: tuple[tuple[str, int], ...]
    stop: Callable[[], None]

    @property
    def port(self) -> int:
        """The port of the first address."""
        return self.addresses[0][1]


class _Sweep:
    """Ends what is overdue on all connections, looking at them a few times per limit."""

    def __init__(self, connections: Iterable[Any], limits: Limits) -> None:
        self._connections = cast("Iterable[Connection]", connections)
        self._loop = asyncio.get_running_loop()
        shortest = min(limits.request_s, limits.keep_alive_s, limits.write_s, limits.linger_s)
        self._every_s = min(max(shortest / 4, _SWEEP_S[0]), _SWEEP_S[1])
        self._timer = self._loop.call_later(self._every_s, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        overdue = [
            connection
            for connection in self._connections
            if connection.read_deadline <= now or connection.write_deadline <= now
        ]
        for connection in overdue[:_ENDED_AT_ONCE]:
            connection.expire(now)
        wait_s = _BETWEEN_BATCHES_S if len(overdue) > _ENDED_AT_ONCE else self._every_s
        self._timer = self._loop.call_later(wait_s, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()


class _Server(uvicorn.Server):
    """uvicorn's server with the sweep, and with a stop by signal that returns to the caller."""

    def __init__(
        self,
        config: uvicorn.Config,
        limits: Limits,
        on_started: Callable[[Running], None] | None,
    ) -> None:
        super().__init__(config)
        self._limits = limits
        self._on_started = on_started
        self._sweep: _Sweep | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        await self.on_tick(0)  # sets the Date header before the first answer
        self._sweep = _Sweep(self.server_state.connections, self._limits)
        if self._on_started is not None:
            bound = sockets or [s for server in self.servers for s in server.sockets or ()]
            names = [s.getsockname() for s in bound]
            addresses = tuple((str(n[0]), int(n[1])) for n in names if isinstance(n, tuple))
            self._on_started(Running(addresses, self.ask_to_stop))

    def ask_to_stop(self) -> None:
        """Stop within a tenth of a second plus the time to drain; safe from any thread."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().shutdown(sockets=sockets)
        finally:
            if self._sweep is not None:
                self._sweep.stop()
            for connection in cast("list[Connection]", list(self.server_state.connections)):
                connection.cut()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT while serving.

        uvicorn raises a signal again after stopping, which would end the process before the
        caller can stop its worker. Here the caller simply gets control back. A second SIGINT
        cuts the wait for requests at work short.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _connections_possible(wanted: int) -> int:
    """Raise the limit of open files as far as it goes, and fit the connections below it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft == resource.RLIM_INFINITY or soft >= wanted + _RESERVED_FILES:
        return wanted
    possible = max(soft - _RESERVED_FILES, _FEWEST_CONNECTIONS)
    logger.warning(
        "Taking at most %d connections instead of %d: the limit of open files is %d.",
        possible,
        wanted,
        soft,
    )
    return possible


async def serve(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    sockets: Sequence[socket.socket] | None = None,
    limits: Limits | None = None,
    on_started: Callable[[Running], None] | None = None,
) -> None:
    """Serve `app` until SIGTERM, SIGINT or `Running.stop`, then drain and return.

    Listening `sockets` take the place of `host` and `port`; they are closed at the end. Requests
    at work get `limits.drain_s` seconds to finish; those that take longer are answered with 503.
    Raises StartFailed.
    """
    limits = limits or Limits()
    limits = replace(limits, connections=_connections_possible(limits.connections))
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=cast("type[asyncio.Protocol]", partial(Connection, limits=limits)),
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=cast(int, limits.drain_s),  # a float serves as well
    )
    server = _Server(config, limits, on_started)
    try:
        await server.serve(sockets=None if sockets is None else list(sockets))
    except SystemExit as exc:
        raise StartFailed("The server could not start; the log says why.") from exc
