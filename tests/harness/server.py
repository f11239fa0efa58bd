"""A Longlist that listens on a free port of the loopback interface, in a thread of its own."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from longlist import schema_version, startup
from longlist.app import App
from longlist.context import Context, Installation
from longlist.db import Row, Transaction
from longlist.limits import MemoryLimiter
from longlist.server import Running, serve
from longlist.server.reader import Limits
from longlist.settings import Settings
from tests.harness import logs

PATIENCE_S = 60.0
"""Guards against hanging; no test depends on how much of it is used."""
PLENTY = 60_000_000
"""A rate that no test reaches."""


class Longlist:
    """A running server, with a way to its database that goes around HTTP."""

    def __init__(
        self, settings: Settings, installation: Installation, app: App, running: Running
    ) -> None:
        self.settings = settings
        self.installation = installation
        self.app = app
        self.port = running.port
        self._loop = asyncio.get_running_loop()
        self._idle: list[http.client.HTTPConnection] = []

    def call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """The result of an async function, run on the server's loop."""

        async def run() -> Any:
            return await function(*args)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(PATIENCE_S)

    def write(self, body: Callable[..., Awaitable[Any]], *args: Any, group: bytes = b"") -> Any:
        """What a store function returns, run as the command line would in one transaction."""

        async def run() -> Any:
            return await Context(self.installation, group).write(body, *args)

        return self.call(run)

    def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Every row of a query."""

        async def body(tx: Transaction) -> list[tuple[Any, ...]]:
            found: list[Row] = list(await tx.all(sql, *args))
            return [tuple(row) for row in found]

        result: list[tuple[Any, ...]] = self.call(self.installation.db.read_long, body)
        return result

    def value(self, sql: str, *args: Any) -> Any:
        """The first value of a query's first row."""
        return self.rows(sql, *args)[0][0]

    def change(self, *statements: tuple[Any, ...]) -> None:
        """Run statements, each with its arguments, in one transaction."""

        async def body(tx: Transaction) -> None:
            for sql, *args in statements:
                await tx.run(sql, *args)

        self.call(self.installation.db.write, body)

    def take_connection(self) -> http.client.HTTPConnection:
        """A connection for one request; give it back once its answer is read."""
        if self._idle:
            return self._idle.pop()
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        """Keep a connection for the next request."""
        self._idle.append(connection)

    def hang_up(self) -> None:
        """Close every idle connection."""
        while self._idle:
            self._idle.pop().close()


def bytes_of(path: Path) -> bytes:
    """The content of a file of the embedded database, read by another process.

    Whoever closes such a file lets go of all locks that its process has on it: the next process to
    come would think itself alone, and take the write-ahead log away from under the server.
    """
    return subprocess.run(["cat", str(path)], capture_output=True, check=True).stdout


def settings_for(data: Path | str, **more: Any) -> Settings:
    """Settings of a server under test: limits so high that only tests of limits meet them."""
    values: dict[str, Any] = {
        "data": str(data),
        "rate_limit_per_minute": PLENTY,
        "rate_limit_burst": PLENTY // 60,
        "bad_key_limit_per_minute": PLENTY,
        "log_level": "error",
    }
    return Settings(**(values | more))


@contextmanager
def running_longlist(settings: Settings) -> Iterator[Longlist]:
    """Migrate the settings' database and serve it; stopped gracefully at the end."""
    logs.keep_in_memory()
    schema_version.migrate(startup.database(settings))
    started: list[Longlist] = []
    stops: list[Callable[[], None]] = []
    failures: list[BaseException] = []
    ready = threading.Event()

    async def main() -> None:
        async with startup.installation(settings) as installation:
            app = App(installation, MemoryLimiter())

            def on_started(running: Running) -> None:
                started.append(Longlist(settings, installation, app, running))
                stops.append(running.stop)
                ready.set()

            # Connections wait between test modules for longer than a server would let them.
            limits = Limits(keep_alive_s=600)
            await serve(app, host="127.0.0.1", port=0, limits=limits, on_started=on_started)

    def run() -> None:
        try:
            uvloop.run(main())
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="longlist under test")
    thread.start()
    try:
        assert ready.wait(PATIENCE_S), "the server did not start"
        if failures:
            raise failures[0]
        yield started[0]
    finally:
        for longlist in started:
            longlist.hang_up()
        for stop in stops:
            stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the server did not stop"
    assert not failures, failures
