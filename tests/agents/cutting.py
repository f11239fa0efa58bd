"""A relay that cuts connections: within a request, right after it, or within its answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

_PATIENCE_S = 30.0


class Cut(NamedTuple):
    """Where a connection ends: after so much of the `request` or of its `answer` (0 to 1).

    `unheard`: the whole request goes on, and both sides are hung up on without waiting for the
    answer, so that whoever asks again does so while the first request is still being handled.
    """

    where: str
    part: float = 0.0


class Relay:
    """Carries one request for each connection, and cuts those that carry `needle` as planned.

    Requests that are not cut are those without it, and all once the plan is used up.
    """

    def __init__(self, port: int, needle: bytes, plan: list[Cut | None]) -> None:
        self._target = ("127.0.0.1", port)
        self._needle = needle
        self._plan = iter(plan)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.made: list[Cut] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="relay")
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._connected, args=(near,))
            thread.start()
            self._threads.append(thread)

    def _connected(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(self._target) as far:
            near.settimeout(_PATIENCE_S)
            far.settimeout(_PATIENCE_S)
            self._carry(near, far)

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        request = _message(near)
        cut = None
        if self._needle in request:
            with self._lock:
                cut = next(self._plan, None)
                if cut is not None:
                    self.made.append(cut)
        whole = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        if cut is not None and cut.where == "request":
            far.sendall(whole[: int(len(whole) * cut.part)])
            return
        far.sendall(whole)
        if cut is not None and cut.where == "unheard":
            return
        answer = b""
        while piece := far.recv(65_536):
            answer += piece
        near.sendall(answer if cut is None else answer[: int(len(answer) * cut.part)])

    def stop(self) -> None:
        """Accept no more; returns when nothing is under way."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._accepting, *self._threads):
            thread.join(_PATIENCE_S)
            assert not thread.is_alive()


def _message(source: socket.socket) -> bytes:
    """One HTTP request with its body."""
    message = b""
    while b"\r\n\r\n" not in message:
        message += _piece(source)
    head, _, body = message.partition(b"\r\n\r\n")
    length = sum(
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += _piece(source)
    return head + b"\r\n\r\n" + body


def _piece(source: socket.socket) -> bytes:
    piece = source.recv(65_536)
    if not piece:
        raise ConnectionError("hung up before the request was whole")
    return piece


@contextmanager
def relay(port: int, needle: bytes, plan: list[Cut | None]) -> Iterator[Relay]:
    """A relay before a server, stopped at the end."""
    found = Relay(port, needle, plan)
    try:
        yield found
    finally:
        found.stop()
