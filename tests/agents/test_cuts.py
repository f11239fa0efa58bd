"""A connection that is cut between `longlist mcp` and the server doubles nothing.

A relay carries requests on and drops some of their answers, or the requests themselves.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.agents.connected import Agency, Agent

ROUNDS = 6


class Relay:
    """Carries one request for each connection; every second answer to a POST is thrown away."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut = 0
        self._posts = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near, suppress(OSError):
                near.settimeout(30)
                self._carry(near)

    def _carry(self, near: socket.socket) -> None:
        request = _message(near)
        with socket.create_connection(self._target, timeout=30) as far:
            far.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            answer = b""
            while piece := far.recv(65_536):
                answer += piece
        if request.startswith(b"POST"):
            self._posts += 1
            if self._posts % 2:
                self.cut += 1
                near.sendall(answer[:20])
                return
        near.sendall(answer)

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)


def _message(source: socket.socket) -> bytes:
    message = b""
    while b"\r\n\r\n" not in message:
        message += source.recv(65_536)
    head, _, body = message.partition(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    while len(body) < sum(lengths):
        body += source.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextmanager
def _relay(port: int) -> Iterator[Relay]:
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.stop()


def test_a_cut_connection_doubles_nothing(stdio: Agency) -> None:
    async def script(agent: Agent) -> None:
        for at in range(ROUNDS):
            people = [{"email": f"ada{at}@example.com"}]
            names = {"name": f"Made {at}", "requestId": f"make {at}"}
            await agent.call("create_audience", **names)
            await agent.call(
                "start_import", newAudience=f"Filled {at}", people=people, requestId=f"go {at}"
            )

    with _relay(stdio.server.port) as relay:
        stdio.run(script, url=f"http://127.0.0.1:{relay.port}")
        assert relay.cut >= ROUNDS * 3 // 2
    jobs = stdio.tenant.get("AG/prospecting?limit=200").data["items"]
    assert len(jobs) == ROUNDS
    audiences = stdio.tenant.get("AG/audiences?include=filling&limit=200").data["items"]
    assert sorted(audience["name"] for audience in audiences) == sorted(
        f"{kind} {at}" for kind in ("Made", "Filled") for at in range(ROUNDS)
    )
