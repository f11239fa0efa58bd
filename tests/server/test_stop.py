"""Starting and stopping: the application's lifespan, draining, signals."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from longlist.server import StartFailed, serve
from longlist.server.reader import Limits
from tests.server.raw_http import PATIENCE_S, RawClient, assert_refused, serving

WAIT = "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"

PROGRAM = """
import sys
import uvloop
from tests.server.raw_http import OddApp
from longlist.server.reader import Limits
from longlist.server import serve
uvloop.run(serve(OddApp(), host="127.0.0.1", port=0, limits=Limits(drain_s=10),
                 on_started=lambda running: print(running.port, flush=True)))
print("the caller has control again", flush=True)
"""


def test_a_stop_waits_for_the_request_at_work_and_takes_no_other() -> None:
    with (
        serving(Limits(drain_s=10)) as server,
        server.connect() as busy,
        server.connect() as idle,
    ):
        busy.send(WAIT)
        assert server.app.reached.wait(PATIENCE_S)
        server.running.stop()
        assert idle.at_end()
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        server.app.go_on.set()
        answer = busy.read_answer()
        assert answer.json == {"waited": True}
        assert answer.headers["connection"] == "close"
        assert busy.at_end()


def test_a_request_that_outlasts_the_drain_is_answered_503() -> None:
    with serving(Limits(drain_s=1)) as server, server.connect() as busy:
        busy.send(WAIT)
        assert server.app.reached.wait(PATIENCE_S)
        server.running.stop()
        assert_refused(busy.read_answer(), 503, "OVERLOADED")
        assert server.app.cancelled.wait(PATIENCE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_and_returns_to_the_caller(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        with RawClient(int(process.stdout.readline())) as client:
            client.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.read_answer().status == 200
            process.send_signal(number)
            assert client.at_end()
        assert process.stdout.read() == "the caller has control again\n"
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_failing_start_up_is_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "The schema is behind."})

    with pytest.raises(StartFailed):
        asyncio.run(serve(app, port=0))


def test_a_taken_port_is_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            message = await receive()
            await send({"type": message["type"] + ".complete"})

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartFailed):
        asyncio.run(serve(app, port=taken.getsockname()[1]))
