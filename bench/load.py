"""The load generator: its own process, raw sockets and epoll, one request at a time a connection.

It reads one JSON command a line on standard input and answers one JSON line each. All request
bytes are built before the clock starts. Every answer's status is counted and its length followed
by `Content-Length`, or to the last chunk where a server sends chunks, so that an error or a cut
answer cannot pass for a quick success.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import sys
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench import procfs

_BUFFER_BYTES = 1 << 18
_DRAIN_SECONDS = 10.0
_PATIENCE = 5
_LAST_CHUNK = b"0\r\n\r\n"


class BrokenAnswer(Exception):
    """An answer without a length, or a connection the server closed amid the load."""


def build_requests(command: dict[str, Any]) -> list[bytes]:
    """The bytes to send, in turn, over and over.

    A write passes over every audience with a new name; the second pass writes another, and
    `nonce` differs in every round, so that no request ever finds the name it sends.
    """
    method, path, body = (command["target"][name] for name in ("method", "path", "body"))
    head = f"Host: 127.0.0.1:{command['ports'][0]}\r\nAccept: application/json\r\n"
    if command["key"]:
        head += f"Authorization: Bearer {command['key']}\r\n"
    if not body:
        return [f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode()]
    requests = []
    for turn in ("a", "b"):
        for position, audience_id in enumerate(command["audiences"]):
            name = f"Audience {position:04d} {command['nonce']}{turn}"
            filled = body.replace("{name}", name)
            requests.append(
                (
                    f"{method} {path.replace('{id}', audience_id)} HTTP/1.1\r\n{head}"
                    "Content-Type: application/json\r\n"
                    f"Content-Length: {len(filled)}\r\n\r\n{filled}"
                ).encode()
            )
    return requests


@dataclass
class Connection:
    """One keep-alive connection: `missing` is what the present answer still lacks."""

    sock: socket.socket
    missing: int = 0
    status: bytes = b""
    tail: bytes = b""
    sent_at: float = 0.0


@dataclass
class Window:
    """What was seen between the end of the warm-up and the end of the round."""

    latencies: array[float] = field(default_factory=lambda: array("d"))
    statuses: Counter[bytes] = field(default_factory=Counter)


class Load:
    """One round against one server."""

    def __init__(self, command: dict[str, Any]) -> None:
        self._requests = build_requests(command)
        self._turn = 0
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._length_name = b""
        self._chunked = False
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        ports = command["ports"]
        for number in range(command["connections"]):
            # One process of the server after the other, so that all get as many connections.
            port = ports[number % len(ports)]
            sock = socket.create_connection(("127.0.0.1", port), timeout=30)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[sock.fileno()] = Connection(sock)
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def start(self) -> None:
        """Send the first request on every connection."""
        for connection in self._connections.values():
            self._send(connection, time.perf_counter())

    def run(self, seconds: float, least: int = 0) -> tuple[Window, float]:
        """Keep every connection busy for `seconds`; gives what was seen and the true length.

        A server that has not given `least` answers by then gets up to _PATIENCE times as long: a
        few answers cut off by the clock would say little of it.
        """
        window = Window()
        started = time.perf_counter()
        end, last = started + seconds, started + seconds * _PATIENCE
        now = started
        while now < end or (len(window.latencies) < least and now < last):
            for descriptor, _ in self._poll.poll(1.0):
                connection = self._connections[descriptor]
                if self._receive(connection):
                    now = time.perf_counter()
                    window.latencies.append(now - connection.sent_at)
                    window.statuses[connection.status] += 1
                    self._send(connection, now)
            now = time.perf_counter()
        return window, now - started

    def finish(self) -> None:
        """Take the answers still under way, so that the next round meets an idle server."""
        waiting = set(self._connections)
        deadline = time.perf_counter() + _DRAIN_SECONDS
        while waiting and time.perf_counter() < deadline:
            for descriptor, _ in self._poll.poll(1.0):
                if self._receive(self._connections[descriptor]):
                    waiting.discard(descriptor)
        for connection in self._connections.values():
            connection.sock.close()
        self._poll.close()

    def _send(self, connection: Connection, now: float) -> None:
        request = self._requests[self._turn]
        self._turn = (self._turn + 1) % len(self._requests)
        connection.sent_at = now
        connection.sock.send(request)

    def _receive(self, connection: Connection) -> bool:
        """Read what is there; true when the answer is whole."""
        count = connection.sock.recv_into(self._view)
        if count == 0:
            raise BrokenAnswer("the server closed a connection")
        if self._chunked:
            return self._receive_chunks(connection, count)
        if connection.missing == 0:
            connection.missing = self._answer_bytes(connection, count)
            if self._chunked:
                connection.missing = 0
                return self._receive_chunks(connection, count)
        connection.missing -= count
        return connection.missing <= 0

    def _answer_bytes(self, connection: Connection, count: int) -> int:
        """Bytes of the whole answer whose first `count` are in the buffer."""
        buffer = self._buffer
        connection.status = bytes(buffer[9:12])
        head_end = buffer.find(b"\r\n\r\n", 0, count)
        if not self._length_name:
            self._learn_framing(head_end)
            if self._chunked:
                return 0
        at = buffer.find(self._length_name, 0, head_end)
        if head_end < 0 or at < 0:
            raise BrokenAnswer("an answer came without Content-Length in its first segment")
        digits = at + len(self._length_name)
        return head_end + 4 + int(buffer[digits : buffer.find(b"\r", digits)])

    def _receive_chunks(self, connection: Connection, count: int) -> bool:
        """As `_receive`, for a server that sends chunks: JSON never holds the last one's bytes."""
        if connection.missing == 0:
            connection.status = bytes(self._buffer[9:12])
            connection.tail = b""
        end = bytes(self._buffer[max(0, count - len(_LAST_CHUNK)) : count])
        connection.tail = (connection.tail + end)[-len(_LAST_CHUNK) :]
        connection.missing = int(connection.tail != _LAST_CHUNK)
        return connection.missing == 0

    def _learn_framing(self, head_end: int) -> None:
        """Find once a round how this server spells `Content-Length`, or that it sends chunks."""
        head = bytes(self._buffer[: max(head_end, 0)]).lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            self._length_name = bytes(self._buffer[at : at + len("\r\ncontent-length:")])
        elif b"\r\ntransfer-encoding: chunked" in head:
            self._chunked = True
        else:
            raise BrokenAnswer("the answer says neither its length nor that it is in chunks")


def _own_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def run_round(command: dict[str, Any]) -> dict[str, Any]:
    """Warm up, measure, drain; CPU of the named processes is read at the window's two ends."""
    load = Load(command)
    load.start()
    load.run(command["warmup"])
    own, server = _own_cpu_seconds(), procfs.cpu_seconds(command["pids"])
    database = procfs.cpu_seconds(command["database_pids"])
    window, seconds = load.run(command["seconds"], least=command["connections"])
    own = _own_cpu_seconds() - own
    server = procfs.cpu_seconds(command["pids"]) - server
    database = procfs.cpu_seconds(command["database_pids"]) - database
    load.finish()
    load_average = os.getloadavg()[0]
    requests = len(window.latencies)
    if not requests:
        raise BrokenAnswer("no answer came within the round")
    ordered = sorted(window.latencies)
    return {
        "requests": requests,
        "perSecond": requests / seconds,
        "statuses": {status.decode(): count for status, count in window.statuses.items()},
        "p50Ms": _percentile(ordered, 0.50) * 1e3,
        "p99Ms": _percentile(ordered, 0.99) * 1e3,
        "maxMs": ordered[-1] * 1e3,
        "loadCpuShare": own / seconds,
        "serverCpuShare": server / seconds,
        "serverCpuUs": server / requests * 1e6,
        "databaseCpuUs": database / requests * 1e6,
        "loadAverage": load_average,
    }


def main() -> None:
    """Serve commands until standard input ends."""
    for line in sys.stdin:
        try:
            answer = run_round(json.loads(line))
        except (BrokenAnswer, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
