"""A real server in a thread, raw sockets to talk to it, and an application that does odd things."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop
from starlette.types import Message, Receive, Scope, Send

from longlist.server import Running, serve
from longlist.server.protocol import BODY_DEADLINE, TRACE_ID
from longlist.server.reader import Limits

# Guards against hanging; no test depends on how much of it is used.
PATIENCE_S = 20.0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
LINE = "POST /echo HTTP/1.1\r\n"
HOST = "Host: localhost\r\n"
HEAD = LINE + HOST
CHUNKED = HEAD + "Transfer-Encoding: chunked\r\n\r\n"
BIG_BYTES = 16_000_000
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@dataclass
class OddApp:
    """An ASGI application whose paths name what it does; it writes down what reached it."""

    requests: list[Scope] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    streamed: int = 0
    stream_ended: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    disconnected: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    pause_s: float = 1.0

    def paths(self) -> list[str]:
        return [scope["path"] for scope in self.requests]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        self.requests.append(scope)
        self.reached.set()
        known = getattr(self, "on_" + scope["path"].strip("/").replace("-", "_"), self.on_echo)
        await known(scope, receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def wait(self) -> None:
        while not self.go_on.is_set():  # noqa: ASYNC110  (another thread sets it)
            await asyncio.sleep(0.01)

    async def read(self, scope: Scope, receive: Receive) -> bytes | None:
        body = b""
        while True:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                return None
            body += bytes(message["body"])
            if not message["more_body"]:
                self.bodies[scope["path"]] = body
                return body

    async def answer(self, send: Send, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def on_echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self.read(scope, receive)
        if body is None:
            return
        data = {
            "method": scope["method"],
            "path": scope["path"],
            "rawPath": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "length": len(body),
            "body": body[:1000].decode("latin-1"),
            "traceId": scope[TRACE_ID],
            "headers": [name.decode() for name, _ in scope["headers"]],
        }
        await self.answer(send, 200, data)

    async def on_refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(send, 401, {"read": False})

    async def on_crash(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("the application is broken")

    async def on_crash_after_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("the application is broken")

    async def on_crash_in_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        raise LookupError("the application is broken")

    async def on_silent(self, scope: Scope, receive: Receive, send: Send) -> None:
        return

    async def on_split_header(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"location", b"/x\r\nset-cookie: a=b")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def on_wrong_length(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"four"})

    async def on_empty(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b"not to be sent"})

    async def on_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def on_big(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % BIG_BYTES)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(BIG_BYTES)})

    async def on_endless(self, scope: Scope, receive: Receive, send: Send) -> None:
        piece = bytes(65_536)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.streamed += len(piece)
                await asyncio.sleep(0)
        finally:
            self.stream_ended.set()

    async def on_wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await self.answer(send, 200, {"waited": True})

    async def on_upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][BODY_DEADLINE](self.pause_s)
        await self.on_echo(scope, receive, send)

    async def on_unread(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.wait()
        await self.on_echo(scope, receive, send)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    head: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """A socket, and just enough HTTP to read answers strictly."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE_S)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        self.seen = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes | str) -> None:
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def more(self) -> bool:
        """Receive once; False at the end of the stream."""
        data = self.sock.recv(65_536)
        self.seen += data
        return bool(data)

    def take_until(self, mark: bytes) -> bytes:
        while mark not in self.seen:
            assert self.more(), f"the stream ended within an answer: {self.seen[:200]!r}"
        taken, _, self.seen = self.seen.partition(mark)
        return taken

    def take(self, count: int) -> bytes:
        while len(self.seen) < count:
            assert self.more(), f"the stream ended within a body: {self.seen[:200]!r}"
        taken, self.seen = self.seen[:count], self.seen[count:]
        return taken

    def read_answer(self, *, head_only: bool = False) -> Answer:
        head = self.take_until(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]*", first)
        assert match, first
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.decode().partition(": ")
            assert name.lower() not in headers, f"repeated header {name}"
            headers[name.lower()] = value
        body = b""
        if head_only or match[1] in (b"204", b"304") or match[1].startswith(b"1"):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in headers
            while size := int(self.take_until(b"\r\n"), 16):
                body += self.take(size)
                assert self.take(2) == b"\r\n"
            assert self.take(2) == b"\r\n"
        elif "content-length" in headers:
            body = self.take(int(headers["content-length"]))
        else:
            while self.more():
                pass
            body, self.seen = self.seen, b""
        return Answer(int(match[1]), headers, body, head)

    def at_end(self) -> bool:
        """Wait for the server to close; True if nothing more was sent before."""
        while self.more():
            pass
        return not self.seen


@dataclass
class ServerUnderTest:
    app: OddApp
    running: Running

    def connect(self, **options: Any) -> RawClient:
        return RawClient(self.running.port, **options)

    def ask(self, data: bytes | str) -> Answer:
        """Send bytes on a connection of their own and read one answer."""
        with self.connect() as client:
            client.send(data)
            return client.read_answer()

    def is_well(self) -> bool:
        return self.ask("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200


@contextmanager
def serving(limits: Limits | None = None) -> Iterator[ServerUnderTest]:
    """Run a server with an OddApp on a free port of the loopback interface."""
    app = OddApp()
    started: list[Running] = []
    ready = threading.Event()
    failures: list[BaseException] = []

    def on_started(running: Running) -> None:
        started.append(running)
        ready.set()

    def main() -> None:
        try:
            uvloop.run(serve(app, host="127.0.0.1", port=0, limits=limits, on_started=on_started))
        except BaseException as exc:
            failures.append(exc)
            ready.set()

    thread = threading.Thread(target=main, name="server under test")
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        assert not failures, failures
        yield ServerUnderTest(app, started[0])
    finally:
        app.go_on.set()
        if started:
            started[0].stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the server did not stop"
    assert not failures, failures


def assert_refused(answer: Answer, status: int, code: str, *, head_only: bool = False) -> None:
    """The answer is the error envelope of contract 1.3 and 1.4 and ends the connection."""
    headers = answer.headers
    assert answer.status == status, (answer.status, answer.body)
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["connection"] == "close"
    assert "server" not in headers
    assert re.fullmatch(r"(?!0{32})[0-9a-f]{32}", headers["x-trace-id"])
    if head_only:
        assert int(headers["content-length"]) > 0
        assert answer.body == b""
        return
    body = answer.json
    assert list(body) == ["success", "data", "error", "traceId"]
    assert body["success"] is False
    assert body["data"] is None
    assert body["traceId"] == headers["x-trace-id"]
    error = body["error"]
    assert (
        {"code", "message", "details"}
        <= set(error)
        <= {
            "code",
            "message",
            "details",
            "issues",
            "context",
        }
    )
    assert error["code"] == code
    assert error["message"].endswith(".")
    assert error["details"].endswith(".")
