"""A connection that is cut anywhere between request and answer doubles nothing.

A proxy before a real server forwards so many bytes of a request, or so many of its answer, and then
closes both sides. The client tries again; what it asked for must be there once.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from client.tests.backends import RealBackend
from tests.harness.server import Longlist as Server

from longlist_client import UrlUpload
from longlist_client.client import AccountGroup

STEP = {"audiences": 1, "jobs": 3}
"""One byte position in so many is cut; the client treats both alike."""


class CuttingProxy:
    """Forwards one connection after the other; `cut` says where the next request or answer ends."""

    def __init__(self, target_port: int, stack: ExitStack) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listener.settimeout(30)
        self.port: int = self._listener.getsockname()[1]
        self.cut: tuple[str, int] | None = None
        self.lengths = {"request": 0, "answer": 0}
        self.cuts_made = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        stack.callback(self._stop)

    def _stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near, socket.create_connection(self._target) as far, suppress(OSError):
                near.settimeout(30)
                far.settimeout(30)
                self._forward(near, far)

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        while message := _message(near):
            cut, self.cut = self.cut, None
            self.lengths["request"] = len(message)
            if self._is_cut(cut, "request", message, far):
                return
            message = _message(far)
            self.lengths["answer"] = len(message)
            if self._is_cut(cut, "answer", message, near):
                return

    def _is_cut(
        self, cut: tuple[str, int] | None, part: str, message: bytes, sink: socket.socket
    ) -> bool:
        """Forward the message, or only as much of it as the cut lets through."""
        if cut is None or cut[0] != part:
            sink.sendall(message)
            return False
        sink.sendall(message[: cut[1]])
        self.cuts_made += 1
        return True


def _message(source: socket.socket) -> bytes:
    """One whole HTTP message with a Content-Length, or none at the end."""
    message = b""
    while b"\r\n\r\n" not in message:
        piece = source.recv(65_536)
        if not piece:
            return b""
        message += piece
    head, _, body = message.partition(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    while len(body) < length:
        piece = source.recv(65_536)
        assert piece
        body += piece
    return head + b"\r\n\r\n" + body


@contextmanager
def _cut_off(server: Server) -> Iterator[tuple[RealBackend, CuttingProxy, str]]:
    with ExitStack() as stack:
        proxy = CuttingProxy(server.port, stack)
        yield RealBackend(server), proxy, f"http://127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("what", ["audiences", "jobs"])
def test_cut_anywhere_and_done_once(real_server: Server, what: str) -> None:
    source = UrlUpload(profile_urls=["https://www.linkedin.com/in/ada-example"])
    asked: list[str] = []

    def ask(account: AccountGroup) -> None:
        name = f"Number {len(asked):05}"
        if what == "jobs":
            asked.append(account.prospecting.start(source, audience_name=name).audience_id)
        else:
            asked.append(account.audiences.create(name=name, type="on_demand").id)

    with _cut_off(real_server) as (backend, proxy, url):
        with backend.client(base_url=url) as client:
            account = client.account(backend.group_id)
            ask(account)
            plan = [
                (part, at)
                for part, length in list(proxy.lengths.items())
                for at in range(0, length, STEP[what])
            ]
            for cut in plan:
                proxy.cut = cut
                ask(account)
        assert proxy.cuts_made == len(plan) > 300
        with backend.client() as client:
            account = client.account(backend.group_id)
            there = {a.id: a.name for a in account.audiences.list(include="filling", limit=200)}
            jobs = [job.audience_id for job in account.prospecting.list(limit=200)]
    assert len(set(asked)) == len(asked) == len(plan) + 1
    assert set(there) == set(asked)
    assert len(set(there.values())) == len(asked)
    assert sorted(jobs) == (sorted(asked) if what == "jobs" else [])
