"""Answers: in order, once each, closed or kept alive as is due."""

from __future__ import annotations

import contextlib
import logging

import pytest

from tests.server.raw_http import (
    CHUNKED,
    HEAD,
    HOST,
    LINE,
    TRACE,
    TRACEPARENT,
    ServerUnderTest,
    assert_refused,
)


class TestPipelines:
    def test_every_split_of_a_pipeline(self, server: ServerUnderTest) -> None:
        stream = (
            f"GET /one HTTP/1.1\r\n{HOST}\r\n"
            f"{LINE}{HOST}Content-Length: 2\r\n\r\nhi"
            f"{CHUNKED}2\r\nho\r\n0\r\nT: 1\r\n\r\n"
            f"GET /four HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"
        )
        for cut in range(1, len(stream), 3):
            with server.connect() as client:
                client.send(stream[:cut])
                client.send(stream[cut:])
                answers = [client.read_answer().json for _ in range(4)]
                assert client.at_end()
            assert [a["path"] for a in answers] == ["/one", "/echo", "/echo", "/four"]
            assert [a["body"] for a in answers] == ["", "hi", "ho", ""]

    def test_two_thousand_at_once_come_back_in_order(self, server: ServerUnderTest) -> None:
        count = 2_000
        with server.connect() as client:
            client.send("".join(f"GET /n{n} HTTP/1.1\r\n{HOST}\r\n" for n in range(count)))
            paths = [client.read_answer().json["path"] for _ in range(count)]
        assert paths == [f"/n{n}" for n in range(count)]

    def test_a_refusal_waits_for_the_answers_before_it(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(
                f"GET /wait HTTP/1.1\r\n{HOST}\r\nGET /two HTTP/1.1\r\n{HOST}\r\n"
                f"{CHUNKED}nonsense\r\n"
            )
            assert server.app.reached.wait(10)
            server.app.go_on.set()
            assert client.read_answer().json == {"waited": True}
            assert client.read_answer().json["path"] == "/two"
            assert_refused(client.read_answer(), 400, "VALIDATION_ERROR")
            assert client.at_end()
        # The broken third never began.
        assert server.app.paths() == ["/wait", "/two"]

    def test_nothing_follows_connection_close(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(
                f"GET /one HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"
                f"GET /two HTTP/1.1\r\n{HOST}\r\n"
            )
            answer = client.read_answer()
            assert answer.headers["connection"] == "close"
            assert client.at_end()
        assert server.app.paths() == ["/one"]

    def test_a_body_nobody_reads_is_skipped(self, server: ServerUnderTest) -> None:
        body = "x" * 300_000
        with server.connect() as client:
            client.send(
                f"POST /refuse HTTP/1.1\r\n{HOST}Content-Length: {len(body)}\r\n\r\n{body}"
                f"GET /two HTTP/1.1\r\n{HOST}\r\n"
            )
            assert client.read_answer().status == 401
            assert client.read_answer().json["path"] == "/two"

    def test_half_closed_client_gets_its_answers(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(f"GET /wait HTTP/1.1\r\n{HOST}\r\nGET /two HTTP/1.1\r\n{HOST}\r\n")
            client.sock.shutdown(1)
            assert server.app.reached.wait(10)
            server.app.go_on.set()
            assert client.read_answer().json == {"waited": True}
            assert client.read_answer().json["path"] == "/two"
            assert client.at_end()

    @pytest.mark.parametrize("start", [HEAD, HEAD + "Content-Length: 9\r\n\r\nhalf", "GE"])
    def test_half_a_request_is_malformed(self, server: ServerUnderTest, start: str) -> None:
        with server.connect() as client:
            client.send(start)
            client.sock.shutdown(1)
            assert_refused(client.read_answer(), 400, "VALIDATION_ERROR")
            assert client.at_end()
        assert server.app.bodies == {}

    def test_large_bodies(self, server: ServerUnderTest) -> None:
        size = 3_000_000
        with server.connect() as client:
            client.send(HEAD + f"Content-Length: {size}\r\n\r\n")
            client.send(b"x" * size)
            assert client.read_answer().json["length"] == size
            client.send(CHUNKED)
            for _ in range(30):
                client.send(b"186a0\r\n" + b"y" * 100_000 + b"\r\n")
            client.send("0\r\n\r\n")
            assert client.read_answer().json["length"] == size


class TestExpect:
    def test_continue_is_sent_when_the_body_is_read(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(HEAD + "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
            assert client.read_answer().status == 100
            client.send("hi")
            assert client.read_answer().json["body"] == "hi"
            client.send(f"GET /echo HTTP/1.1\r\n{HOST}\r\n")
            assert client.read_answer().status == 200

    def test_no_continue_for_a_refused_body(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(
                f"POST /refuse HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            answer = client.read_answer()
            assert (answer.status, answer.headers["connection"]) == (401, "close")
            assert client.at_end()

    @pytest.mark.parametrize(
        "head",
        [
            HEAD + "Expect: the-unexpected\r\nContent-Length: 2\r\n\r\nhi",
            HEAD + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            HEAD + "Expect: 100-continue\r\n\r\n",
            "POST /echo HTTP/1.0\r\n"
            + HOST
            + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        ],
        ids=["unknown", "body already there", "no body", "HTTP/1.0"],
    )
    def test_no_continue_where_none_is_due(self, server: ServerUnderTest, head: str) -> None:
        assert server.ask(head).status == 200

    def test_declared_length_is_refused_before_any_continue(self, server: ServerUnderTest) -> None:
        answer = server.ask(HEAD + f"Expect: 100-continue\r\nContent-Length: {1 << 31}\r\n\r\n")
        assert_refused(answer, 413, "PAYLOAD_TOO_LARGE")


class TestAnswers:
    def test_keep_alive_and_headers(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            for _ in range(3):
                client.send(f"GET /echo HTTP/1.1\r\n{HOST}\r\n")
                answer = client.read_answer()
                assert "connection" not in answer.headers
                assert "server" not in answer.headers
                assert answer.headers["date"].endswith(" GMT")

    def test_head_has_no_body(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(f"HEAD /echo HTTP/1.1\r\n{HOST}\r\nHEAD /stream HTTP/1.1\r\n{HOST}\r\n")
            assert int(client.read_answer(head_only=True).headers["content-length"]) > 0
            assert client.read_answer(head_only=True).status == 200
            client.send(f"HEAD /crash HTTP/1.1\r\n{HOST}\r\n")
            answer = client.read_answer(head_only=True)
            assert_refused(answer, 500, "INTERNAL_ERROR", head_only=True)
            assert client.at_end()

    def test_204_has_neither_body_nor_length(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(f"GET /empty HTTP/1.1\r\n{HOST}\r\nGET /echo HTTP/1.1\r\n{HOST}\r\n")
            answer = client.read_answer()
            assert answer.status == 204
            assert not {"content-length", "transfer-encoding"} & set(answer.headers)
            assert client.read_answer().status == 200

    def test_stream_is_chunked_on_http_1_1_alone(self, server: ServerUnderTest) -> None:
        answer = server.ask(f"GET /stream HTTP/1.1\r\n{HOST}\r\n")
        assert (answer.headers["transfer-encoding"], answer.body) == ("chunked", b"onetwo")
        answer = server.ask(f"GET /stream HTTP/1.0\r\n{HOST}\r\n")
        assert "transfer-encoding" not in answer.headers
        assert (answer.headers["connection"], answer.body) == ("close", b"onetwo")

    @pytest.mark.parametrize(
        "path", ["/crash", "/crash-after-head", "/silent", "/split-header", "/wrong-length"]
    )
    def test_a_failing_application_is_500(
        self, server: ServerUnderTest, path: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with server.connect() as client:
            client.send(f"GET {path} HTTP/1.1\r\n{HOST}traceparent: {TRACEPARENT}\r\n\r\n")
            answer = client.read_answer()
            assert_refused(answer, 500, "INTERNAL_ERROR")
            assert client.at_end()
        assert answer.json["traceId"] == TRACE
        [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert record.__dict__["trace_id"] == TRACE

    def test_a_failure_after_the_start_cuts_the_answer(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(f"GET /crash-in-body HTTP/1.1\r\n{HOST}\r\n")
            client.take_until(b"begun\r\n")
            with contextlib.suppress(ConnectionResetError):
                while client.more():
                    pass
            assert not client.seen.endswith(b"0\r\n\r\n")
        assert server.is_well()

    @pytest.mark.parametrize(
        ("header", "kept"),
        [
            (f"traceparent: {TRACEPARENT}\r\n", True),
            (f"traceparent: {TRACEPARENT.upper()}\r\n", False),
            (f"traceparent: {TRACEPARENT}\r\n" * 2, False),
            ("traceparent: 00-" + "0" * 32 + "-00f067aa0ba902b7-01\r\n", False),
            ("", False),
        ],
    )
    def test_trace_id(self, server: ServerUnderTest, header: str, kept: bool) -> None:
        answer = server.ask(f"GET /echo HTTP/1.1\r\n{HOST}{header}\r\n")
        assert (answer.json["traceId"] == TRACE) is kept
        refused = server.ask(f"POST /echo HTTP/1.1\r\n{header}{HOST}Content-Length: x\r\n\r\n")
        assert_refused(refused, 400, "VALIDATION_ERROR")
        assert (refused.json["traceId"] == TRACE) is kept

    def test_a_client_that_leaves_is_no_error(
        self, server: ServerUnderTest, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.app.stream_ended.clear()
        with server.connect() as client:
            client.send(f"GET /endless HTTP/1.1\r\n{HOST}\r\n")
            client.take(1000)
        assert server.app.stream_ended.wait(20)
        with server.connect() as client:
            client.send(HEAD + "Content-Length: 9\r\n\r\nhalf")
            assert server.app.reached.wait(10)
        assert server.app.disconnected.wait(20)
        assert server.is_well()
        assert [r for r in caplog.records if r.levelno >= logging.WARNING or r.exc_info] == []
