"""A front in a thread of its own, the clusters behind it, and clusters that break the rules."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import uvloop

from longlist.front import directory
from longlist.front.app import Front
from longlist.front.process import run
from longlist.server import Running
from longlist.serving import listen
from longlist.settings import Settings
from tests.harness import logs
from tests.harness.server import PATIENCE_S, Longlist, settings_for
from tests.harness.tenant import Tenant


class RunningFront:
    """A front that listens on a free port."""

    def __init__(self, settings: Settings, front: Front, running: Running) -> None:
        self.settings = settings
        self.front = front
        self.port = running.port
        self.stop = running.stop
        self._idle: list[http.client.HTTPConnection] = []

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

    def change(self, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Change the directory from another process, and wait until this front has seen it."""
        found = change(self.settings, body, *args)
        self.forget()
        return found

    def forget(self) -> None:
        """Have it ask the directory anew, as it does each second."""
        known = self.front._directory
        known._groups.clear()
        known._clusters = None
        self.front._looked = 0.0
        for member in self.front.clusters._members.values():
            member.pool._pause_until = 0.0


def change(settings: Settings, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Run a store function on a directory as the command line does."""

    async def go() -> Any:
        async with directory.opened(settings) as db:
            return await directory.change(db, body, *args)

    return asyncio.run(go())


@contextmanager
def running_front(directory_at: Path | str, **more: Any) -> Iterator[RunningFront]:
    """Serve a front of this directory; stopped gracefully at the end."""
    logs.keep_in_memory()
    settings = settings_for("/nonexistent", front_directory=str(directory_at), **more)
    started: list[RunningFront] = []
    failures: list[BaseException] = []
    ready = threading.Event()

    def on_started(front: Front, running: Running) -> None:
        started.append(RunningFront(settings, front, running))
        ready.set()

    def serve() -> None:
        try:
            uvloop.run(run(settings, listen("127.0.0.1", 0), on_started))
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="front under test")
    thread.start()
    try:
        assert ready.wait(PATIENCE_S), "the front did not start"
        if failures:
            raise failures[0]
        yield started[0]
    finally:
        for front in started:
            front.hang_up()
            front.stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the front did not stop"
    assert not failures, failures


def through(front: RunningFront, tenant: Tenant) -> Tenant:
    """The same group and key, asked through a front."""
    there = Tenant.__new__(Tenant)
    there.server = cast(Longlist, front)
    there.group, there.key_id, there.key = tenant.group, tenant.key_id, tenant.key
    return there


class Peer:
    """One connection to a cluster that breaks the rules, from the cluster's side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.seen = b""

    def read_head(self) -> bytes:
        """The head of the next request; empty where the connection ends before."""
        while b"\r\n\r\n" not in self.seen:
            data = self.sock.recv(65_536)
            if not data:
                return b""
            self.seen += data
        head, _, self.seen = self.seen.partition(b"\r\n\r\n")
        return head

    def read_body(self, head: bytes) -> bytes:
        """The body of a request, by its length."""
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        body = bytearray(self.seen)
        while len(body) < size:
            data = self.sock.recv(262_144)
            assert data, "the request ended within its body"
            body += data
        self.seen = bytes(body[size:])
        return bytes(body[:size])

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)


class OddCluster:
    """A cluster whose every connection is handled by `script`, in a thread of its own."""

    def __init__(self, script: Callable[[Peer], None]) -> None:
        self.script = script
        self.heads: list[bytes] = []
        self.connections = 0
        self.failures: list[BaseException] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="odd cluster", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._handle, args=(sock,), daemon=True).start()

    def _handle(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_S)
        with sock:
            try:
                self.script(Peer(sock))
            except (ConnectionError, TimeoutError):
                pass  # the front has hung up
            except BaseException as error:
                self.failures.append(error)

    def close(self) -> None:
        """Take no more connections."""
        if self._socket.fileno() >= 0:
            # A thread that waits in accept() holds the socket open until it is shut down.
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()


def answer_bytes(body: bytes = b'{"success":true}', status: bytes = b"200 OK") -> bytes:
    """An answer as a cluster would give it."""
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )
