"""Deadlines and bounds: clients that are slow, silent, many, or that never read.

The limits are small here. No test looks at how long anything takes: each waits for what must
happen in the end, and what must not happen has ten times the time it would need.
"""

from __future__ import annotations

import gc
import logging
import resource
import select
import socket
import time
from contextlib import ExitStack

import pytest

from longlist.server.exchange import Exchange
from longlist.server.reader import PIECE_BYTES, Limits
from tests.server.raw_http import (
    BIG_BYTES,
    PATIENCE_S,
    TRACE,
    TRACEPARENT,
    RawClient,
    assert_refused,
    serving,
)

GET = "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = "POST /echo HTTP/1.1\r\nHost: localhost\r\n"
HALF_OPEN = 1_100
LONG_S = 60.0


def limits(
    *, request_s: float = LONG_S, keep_alive_s: float = LONG_S, write_s: float = LONG_S
) -> Limits:
    """Limits of which only the one under test can be reached."""
    return Limits(request_s=request_s, keep_alive_s=keep_alive_s, write_s=write_s, drain_s=1)


@pytest.mark.parametrize(
    "start",
    [
        "G",
        "GET /echo HTTP/1.1\r\nHost: local",
        POST,
        POST + "Content-Length: 10\r\n\r\n",
        POST + "Content-Length: 10\r\n\r\nhalf",
        POST + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        POST + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrail",
        GET.replace(
            "\r\n\r\n", "\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n"
        ),
    ],
    ids=[
        "method",
        "host",
        "headers",
        "no body",
        "half a body",
        "half a chunk",
        "trailer",
        "upgrade",
    ],
)
def test_an_incomplete_request_is_408(start: str) -> None:
    with serving(limits(request_s=0.2)) as server, server.connect() as client:
        client.send(start)
        assert_refused(client.read_answer(), 408, "REQUEST_TIMEOUT")
        assert client.at_end()
        assert server.app.bodies == {}
        assert server.is_well()


def test_a_slow_body_disconnects_the_application_and_keeps_the_trace() -> None:
    with serving(limits(request_s=0.2)) as server, server.connect() as client:
        client.send(POST + f"traceparent: {TRACEPARENT}\r\nContent-Length: 10\r\n\r\nhalf")
        answer = client.read_answer()
        assert_refused(answer, 408, "REQUEST_TIMEOUT")
        assert answer.json["traceId"] == TRACE
        assert server.app.disconnected.wait(PATIENCE_S)


def test_dripping_does_not_move_the_deadline() -> None:
    with serving(limits(request_s=0.5)) as server, server.connect() as client:
        client.send(POST + "Content-Length: 1000000\r\n\r\n")
        client.sock.settimeout(0.02)
        deadline = time.monotonic() + PATIENCE_S
        while b"\r\n\r\n" not in client.seen:
            assert time.monotonic() < deadline, "a dripping client was never refused"
            client.send("x")
            try:
                client.more()
            except TimeoutError:
                continue
        client.sock.settimeout(PATIENCE_S)
        assert_refused(client.read_answer(), 408, "REQUEST_TIMEOUT")


def test_an_upload_may_last_but_not_pause() -> None:
    with serving(limits(request_s=0.4)) as server:
        server.app.pause_s = PATIENCE_S
        with server.connect() as client:
            client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
            assert server.app.reached.wait(PATIENCE_S)
            for _ in range(8):
                time.sleep(0.15)
                client.send("x")
            assert client.read_answer().json["length"] == 8
            # The next request on the connection has the usual deadline again.
            client.send(POST + "Content-Length: 10\r\n\r\n")
            deadline = time.monotonic() + PATIENCE_S
            while len(server.app.requests) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            client.send("half")
            assert_refused(client.read_answer(), 408, "REQUEST_TIMEOUT")
        server.app.pause_s = 0.2
        with server.connect() as client:
            client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nxxx")
            assert_refused(client.read_answer(), 408, "REQUEST_TIMEOUT")
            assert client.at_end()


def test_silent_and_idle_connections_close_without_an_answer() -> None:
    with serving(limits(keep_alive_s=0.2)) as server:
        with server.connect() as client:
            assert client.at_end()
        with server.connect() as client:
            client.send(GET)
            assert client.read_answer().status == 200
            assert client.at_end()
        with server.connect() as client:
            client.send("\r\n\r\n")
            assert client.at_end()
        assert [scope["path"] for scope in server.app.requests] == ["/echo"]


def test_a_request_at_work_has_no_deadline() -> None:
    with serving(limits(request_s=0.1, keep_alive_s=0.1)) as server, server.connect() as client:
        # The half request behind it starts its clock when its turn comes.
        client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHo")
        time.sleep(1.0)
        server.app.go_on.set()
        assert client.read_answer().json == {"waited": True}
        assert_refused(client.read_answer(), 408, "REQUEST_TIMEOUT")
        assert client.at_end()


def test_an_application_that_does_not_read_costs_the_client_no_408() -> None:
    size = 600_000
    with serving(limits(request_s=0.2)) as server, server.connect() as client:
        client.send(f"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
        client.send(bytes(size // 2))
        time.sleep(1.0)
        server.app.go_on.set()
        client.send(bytes(size - size // 2))
        assert client.read_answer().json["length"] == size


def test_a_body_that_follows_its_answer_slowly_ends_the_connection() -> None:
    with serving(Limits(linger_s=0.2, drain_s=1)) as server, server.connect() as client:
        client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        assert client.read_answer().status == 401
        assert client.at_end()


def test_half_open_sockets_cost_the_others_nothing() -> None:
    """1,100 clients stop within their headers; others are served, and each of them gets a 408."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * HALF_OPEN + 300
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"NOT TESTED: the hard limit of open files is {hard}, {needed} are needed")
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    with ExitStack() as stack:
        server = stack.enter_context(serving(limits(request_s=3.0)))
        waiting: dict[int, RawClient] = {}
        for n in range(HALF_OPEN):
            client = stack.enter_context(server.connect())
            client.send("GET /half HTTP/1.1\r\nHost: localhost\r\nX-Half: " if n % 2 else "POST /h")
            waiting[client.sock.fileno()] = client
        with server.connect() as lively:
            for _ in range(200):
                lively.send(GET)
                assert lively.read_answer().status == 200
        poll = select.poll()
        for number in waiting:
            poll.register(number, select.POLLIN)
        while waiting:
            ready = poll.poll(PATIENCE_S * 1000)
            assert ready, f"{len(waiting)} half-open sockets were never answered"
            for number, _ in ready:
                client = waiting.pop(number)
                poll.unregister(number)
                assert_refused(client.read_answer(), 408, "REQUEST_TIMEOUT")
                assert client.at_end()
        assert server.is_well()
        assert "/half" not in server.app.paths()


@pytest.mark.parametrize("path", ["/endless", "/echo"])
def test_a_client_that_never_reads_is_cut(path: str) -> None:
    """One answer without end, or answers without end: memory is bounded, and so is time."""
    with serving(limits(write_s=0.3)) as server:
        with server.connect(receive_buffer=4096) as client:
            client.sock.settimeout(0.1)
            request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            if path == "/endless":
                client.send(request)
                assert server.app.stream_ended.wait(PATIENCE_S)
                # What the kernel takes on loopback, plus the write buffer; not gigabytes.
                assert server.app.streamed < 32_000_000
            deadline = time.monotonic() + PATIENCE_S
            with pytest.raises(ConnectionError):
                while time.monotonic() < deadline:
                    try:
                        client.sock.send(request * 100)
                    except TimeoutError:
                        continue
        assert server.is_well()


def test_a_slow_reader_that_reads_on_gets_everything() -> None:
    with serving(limits(write_s=1.0)) as server, server.connect(receive_buffer=65_536) as client:
        client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        client.take_until(b"\r\n\r\n")
        for _ in range(100):
            time.sleep(0.03)
            client.take(BIG_BYTES // 100)
        client.send(GET)
        assert client.read_answer().status == 200


def test_connections_above_the_limit_are_answered_503() -> None:
    with serving(Limits(connections=3, drain_s=1)) as server, ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(3)]
        for client in held:
            client.send(GET)
            assert client.read_answer().status == 200
        for _ in range(3):
            with server.connect() as refused:
                refused.send(GET)
                answer = refused.read_answer()
                assert_refused(answer, 503, "OVERLOADED")
                assert answer.headers["retry-after"] == "1"
                assert answer.json["error"]["context"] == {"retryAfterSeconds": 1}
                assert refused.at_end()
        held[0].send(GET)
        assert held[0].read_answer().status == 200
        held[1].sock.close()
        deadline = time.monotonic() + PATIENCE_S
        while server.ask(GET).status != 200:
            assert time.monotonic() < deadline, "a closed connection never made room"


def test_a_flood_of_requests_stays_bytes() -> None:
    """Requests sent ahead of their answers are not all turned into objects at once."""
    gc.collect()  # what other tests have left is not of this flood
    with serving(limits()) as server, server.connect() as client:
        client.sock.settimeout(0.3)
        flood = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n" * 1000
        with pytest.raises(TimeoutError):
            # The server stops reading, so that the sender blocks in the end.
            for _ in range(2_000):
                client.send(flood)
        assert server.app.paths() == ["/wait"]
        held = sum(isinstance(thing, Exchange) for thing in gc.get_objects())
        assert 1 <= held <= PIECE_BYTES // 31 + 1


def test_refusals_say_nothing_in_the_log_but_their_trace_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="longlist.http")
    with serving(limits(request_s=0.2)) as server, server.connect() as client:
        client.send("GET /secret-path HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer llk_secret\r\nX")
        answer = client.read_answer()
        assert_refused(answer, 408, "REQUEST_TIMEOUT")
    [record] = [r for r in caplog.records if r.name == "longlist.http"]
    assert record.__dict__["trace_id"] == answer.json["traceId"]
    assert "secret" not in caplog.text


def test_a_reset_in_the_middle_of_things_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(limits()) as server:
        for start in ("", "GE", POST, POST + "Content-Length: 9\r\n\r\nx", GET, GET * 50, "junk\0"):
            client = server.connect()
            client.send(start)
            # Linger with no time: close sends a reset.
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.sock.close()
        assert server.is_well()
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
