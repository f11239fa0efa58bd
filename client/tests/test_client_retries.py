"""What is repeated, when and how long; the rules are driven step by step, without waiting."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from longlist_client import (
    NO_RETRIES,
    AnswerLost,
    ApiError,
    ConfigurationError,
    Conflict,
    LonglistError,
    NotFound,
    NotSent,
    Overloaded,
    PreconditionFailed,
    Retries,
    TimedOut,
    TransportError,
    UnexpectedAnswer,
    Unprocessable,
)
from longlist_client.exchange import Answer, Pause, Request, Send, exchange
from longlist_client.testing import MockLonglist
from longlist_client.uploads import Upload

OK = Answer(200, {}, b'{"data":{}}')
LOST = AnswerLost("cut")


def refusal(status: int, code: str, **headers: str) -> Answer:
    error = {"code": code, "message": "No.", "details": "Do not.", "later": 1}
    body = {"success": False, "data": None, "error": error, "traceId": "a" * 32}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, json.dumps(body).encode())


def request(method: str = "GET", *, key: str | None = None, body: Any = None) -> Request:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return Request(method, "/", "/", headers=headers, body=body)


def drive(
    sent: Request, results: Sequence[Answer | TransportError], retries: Retries | None = None
) -> tuple[Answer | LonglistError, list[float]]:
    """What comes of a request that meets these results in turn, and the pauses before each."""
    clock = [0.0]
    flow = exchange(sent, retries or Retries(base_s=0.0), lambda: clock[0])
    left = list(results)
    pauses = []
    try:
        step = next(flow)
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                clock[0] += step.seconds
                step = flow.send(None)
                continue
            assert isinstance(step, Send)
            assert step.request is sent
            result = left.pop(0)
            step = flow.throw(result) if isinstance(result, Exception) else flow.send(result)
    except StopIteration as end:
        assert not left
        return end.value, pauses
    except LonglistError as error:
        assert not left
        return error, pauses


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_a_lost_answer_is_asked_for_again(method: str) -> None:
    assert drive(request(method), [LOST, TimedOut("slow"), OK])[0] is OK


def test_a_post_is_repeated_with_its_key_only() -> None:
    assert drive(request("POST", key="k"), [LOST, OK])[0] is OK
    assert drive(request("POST"), [LOST])[0] is LOST
    not_sent = NotSent("nobody there")
    assert drive(request("POST"), [not_sent, OK])[0] is OK


@pytest.mark.parametrize(
    ("status", "code"),
    [(408, "REQUEST_TIMEOUT"), (429, "RATE_LIMITED"), (502, "UPSTREAM_ERROR"), (503, "OVERLOADED")],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_refusals_that_pass_are_met_with_patience(method: str, status: int, code: str) -> None:
    """The server says that it has changed nothing: no verb can double anything."""
    found, pauses = drive(request(method), [refusal(status, code, retry_after="7"), OK])
    assert found is OK
    assert pauses == [7.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 422, 500])
def test_other_refusals_are_final(status: int) -> None:
    found, pauses = drive(request(), [refusal(status, "LATER_CODE")])
    assert isinstance(found, ApiError)
    assert (found.status, found.code, found.trace_id) == (status, "LATER_CODE", "a" * 32)
    assert isinstance(found, Unprocessable) is (status == 422)
    assert pauses == []


def test_a_post_waits_for_its_own_first_attempt() -> None:
    running = refusal(409, "CONFLICT", retry_after="1")
    assert drive(request("POST", key="k"), [LOST, running, OK])[0] is OK
    found, _ = drive(request("POST", key="k"), [refusal(409, "CONFLICT")])
    assert isinstance(found, Conflict)


def test_a_refusal_after_a_lost_answer_says_so() -> None:
    """The lost attempt may have done it: neither success nor failure may be claimed."""
    found, _ = drive(request("DELETE"), [LOST, refusal(404, "NOT_FOUND")])
    assert isinstance(found, NotFound)
    assert found.after_lost_answer
    assert "may have been carried out" in str(found)
    found, _ = drive(request("PATCH"), [LOST, refusal(412, "PRECONDITION_FAILED")])
    assert isinstance(found, PreconditionFailed)
    assert found.after_lost_answer
    found, _ = drive(request("DELETE"), [NotSent("down"), refusal(404, "NOT_FOUND")])
    assert isinstance(found, NotFound)
    assert not found.after_lost_answer


def test_what_a_proxy_answers() -> None:
    page = Answer(502, {}, b"<html>Bad gateway</html>")
    assert drive(request("PATCH"), [page, OK])[0] is OK
    assert drive(request("GET"), [Answer(504, {}, b""), OK])[0] is OK
    found, _ = drive(request("POST"), [page])
    assert isinstance(found, UnexpectedAnswer)
    assert found.status == 502
    found, _ = drive(request(), [Answer(404, {}, b"\xff")])
    assert isinstance(found, UnexpectedAnswer)
    found, _ = drive(request("DELETE"), [page, refusal(404, "NOT_FOUND")])
    assert isinstance(found, NotFound)
    assert found.after_lost_answer


def test_attempts_are_bounded() -> None:
    found, pauses = drive(request(), [LOST] * 3, Retries(attempts=3, base_s=0.0))
    assert found is LOST
    assert len(pauses) == 2
    assert drive(request(), [LOST], NO_RETRIES) == (LOST, [])


def test_time_is_bounded() -> None:
    busy = refusal(503, "OVERLOADED", retry_after="20")
    found, pauses = drive(request(), [busy] * 4, Retries(attempts=9, base_s=0.0, total_s=60))
    assert isinstance(found, Overloaded)
    assert pauses == [20.0] * 3
    late = refusal(503, "OVERLOADED", retry_after="61")
    assert drive(request(), [late])[1] == []


def test_pauses_grow_with_full_jitter() -> None:
    retries = Retries(base_s=1.0, cap_s=8.0)
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (50, 8)):
        pauses = [retries.pause_s(attempt, None) for _ in range(200)]
        assert all(0 <= pause <= longest for pause in pauses)
        assert min(pauses) < longest / 2 < max(pauses)
        assert all(pause >= 3 for pause in [retries.pause_s(attempt, 3.0)])
    with pytest.raises(ConfigurationError):
        Retries(attempts=0)
    with pytest.raises(ConfigurationError):
        Retries(base_s=-1)


def test_a_proxy_may_name_a_moment_to_come_back() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    found, pauses = drive(request(), [refusal(503, "OVERLOADED", retry_after=moment), OK])
    assert found is OK
    assert 20 < pauses[0] <= 30
    assert drive(request(), [refusal(503, "OVERLOADED", retry_after="soon"), OK])[1] == [0.0]


class _OnceOnly:
    """A stream that cannot be rewound."""

    def __init__(self) -> None:
        self._left = b"x" * 10

    def seekable(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        piece, self._left = self._left[:size], self._left[size:]
        return piece


def test_a_stream_is_sent_once() -> None:
    stream: Any = _OnceOnly()
    upload = Upload(stream)
    sent = request("POST", key="k", body=upload)
    assert drive(sent, [NotSent("nobody there"), OK])[0] is OK
    assert b"".join(upload.pieces()) == b"x" * 10
    assert drive(sent, [LOST])[0] is LOST
    found, _ = drive(sent, [refusal(429, "RATE_LIMITED", retry_after="1")])
    assert isinstance(found, ApiError)
    again = Upload(b"bytes can be read again")
    assert b"".join(again.pieces()) == b"".join(again.pieces())
    assert drive(request("POST", key="k", body=again), [LOST, OK])[0] is OK


def test_answers_that_get_lost_double_nothing() -> None:
    mock = MockLonglist()
    with mock.client(retries=Retries(base_s=0.0)) as client:
        account = client.account(mock.account_group_id)
        mock.drop_next(2)
        made = account.audiences.create(name="A", type="on_demand")
        assert [a.id for a in account.audiences.list()] == [made.id]
        mock.refuse_next("OVERLOADED", times=2)
        mock.drop_next()
        renamed = account.audiences.update(made.id, name="B")
        assert renamed.name == "B"
        mock.drop_next()
        with pytest.raises(PreconditionFailed) as changed:
            account.audiences.update(made.id, name="C", if_match=renamed.etag)
        assert changed.value.after_lost_answer
        assert account.audiences.get(made.id).name == "C"
        with pytest.raises(PreconditionFailed) as changed:
            account.audiences.update(made.id, name="D", if_match=renamed.etag)
        assert not changed.value.after_lost_answer
        mock.drop_next()
        with pytest.raises(NotFound) as caught:
            account.audiences.delete(made.id)
        assert caught.value.after_lost_answer
        mock.drop_next()
        with pytest.raises(AnswerLost), mock.client(retries=NO_RETRIES) as impatient:
            impatient.account(mock.account_group_id).audiences.create(name="D", type="on_demand")


def test_pauses_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both transports wait as the rules say, here without taking the time."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    async def no_sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("anyio.sleep", no_sleep)
    mock = MockLonglist()
    mock.refuse_next("RATE_LIMITED", times=2, retry_after=5)
    with mock.client(retries=Retries(base_s=0.0)) as client:
        client.me()

    async def main() -> None:
        mock.refuse_next("OVERLOADED", retry_after=9)
        async with mock.async_client(retries=Retries(base_s=0.0)) as client:
            await client.me()

    asyncio.run(main())
    assert slept == [5.0, 5.0, 9.0]


def test_errors_of_the_network_are_told_apart() -> None:
    raised: list[Exception] = []

    def fail(_request: httpx2.Request) -> httpx2.Response:
        raise raised[0]

    for error, expected in (
        (httpx2.ConnectError("x"), NotSent),
        (httpx2.ConnectTimeout("x"), NotSent),
        (httpx2.PoolTimeout("x"), NotSent),
        (httpx2.ReadTimeout("x"), TimedOut),
        (httpx2.WriteError("x"), AnswerLost),
        (httpx2.ReadError("x"), AnswerLost),
        (httpx2.RemoteProtocolError("x"), AnswerLost),
        (httpx2.DecodingError("x"), UnexpectedAnswer),
        (httpx2.LocalProtocolError("x"), TransportError),
    ):
        raised[:] = [error]
        mock = MockLonglist()
        with (
            mock.client(transport=httpx2.MockTransport(fail), retries=NO_RETRIES) as client,
            pytest.raises(TransportError) as caught,
        ):
            client.me()
        assert type(caught.value) is expected
        assert caught.value.__cause__ is error
