"""Calls to Unipile over real HTTP: what is retried and how, and what every fault ends as."""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from longlist.prospecting.sources.unipile import client as client_module
from longlist.prospecting.sources.unipile.client import UnipileClient, is_private
from longlist.prospecting.sources.unipile.double import ACCOUNT_ID, TOKEN, Double
from longlist.prospecting.sources.unipile.double_faults import Fault
from longlist.prospecting.sources.unipile.faults import (
    MAX_WAIT_S,
    Kind,
    UnipileFailed,
    failure_of,
    seconds_of,
)
from tests.prospecting.unipile_double import NOW, SEARCH_URL, Place, with_double

CALLS: dict[str, Callable[[UnipileClient], Awaitable[Any]]] = {
    "search": lambda client: client.search({"url": SEARCH_URL}, limit=5),
    "parameters": lambda client: client.parameters("LEAD_LISTS"),
    "post": lambda client: client.post("7300000000000000001"),
    "comments": lambda client: client.comments("urn:li:ugcPost:7300000000000000051", limit=5),
    "profile": lambda client: client.profile(Double().people[0].slug),
    "account": lambda client: client.account(),
}


def each_call() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", list(CALLS))


async def failure_in(place: Place, route: str = "search") -> UnipileFailed:
    """How a call fails."""
    async with place.connect() as client:
        with pytest.raises(UnipileFailed) as caught:
            await CALLS[route](client)
    return caught.value


def failing(fault: Fault, route: str = "search", **pace: Any) -> tuple[UnipileFailed, Place]:
    """How a call fails while the double has a fault, and where it did."""

    async def body(place: Place) -> tuple[UnipileFailed, Place]:
        place.double.set_faults(fault)
        return await failure_in(place, route), place

    return with_double(body, **pace)


@each_call()
def test_a_call_sends_the_token_the_account_and_nothing_for_the_wrong_eyes(route: str) -> None:
    async def body(place: Place) -> None:
        async with place.connect() as client:
            await CALLS[route](client)
        (request,) = place.double.requests
        assert request.headers["x-api-key"] == TOKEN
        assert TOKEN not in request.path + str(request.query)
        asked_for = request.path if route == "account" else request.query["account_id"]
        assert ACCOUNT_ID in asked_for
        assert place.double.calls == {route: 1}
        assert place.all_closed

    with_double(body)


TRANSIENT = [
    Fault("rate_limit"),
    Fault("rate_limit", retry_after="3"),
    Fault("error"),
    Fault("error", status=503, type="errors/no_client_session"),
    Fault("error", status=504, type="errors/request_timeout"),
    Fault("error", status=408),
    Fault("reset"),
    Fault("html"),
    Fault("html", status=502),
    Fault("broken_json"),
]


def _name(fault: Fault) -> str:
    return "-".join(str(part) for part in (fault.kind, fault.status, fault.retry_after) if part)


@each_call()
@pytest.mark.parametrize("fault", TRANSIENT, ids=_name)
def test_a_fault_that_passes_is_retried_until_it_has(fault: Fault, route: str) -> None:
    async def body(place: Place) -> None:
        async with place.connect() as client:
            expected = await CALLS[route](client)
            place.double.set_faults(msgspec.structs.replace(fault, times=4))
            assert await CALLS[route](client) == expected
        assert place.double.calls[route] == 1 + 5
        assert len(place.time.pauses) == 4

    with_double(body)


@pytest.mark.parametrize("fault", TRANSIENT, ids=_name)
def test_a_fault_that_stays_is_given_up_after_five_tries(fault: Fault) -> None:
    failure, place = failing(fault)
    assert place.double.calls["search"] == 5
    assert failure.kind is (Kind.RATE_LIMITED if "rate" in fault.kind else Kind.UNAVAILABLE)
    assert "Ada" not in failure.message


def test_pauses_double_and_are_jittered_over_their_whole_length() -> None:
    asked: list[float] = []

    def jitter(most: float) -> float:
        asked.append(most)
        return most / 4

    _, place = failing(Fault("error"), jitter=jitter, tries=7, total_s=1_000.0)
    assert asked == [1, 2, 4, 8, 16, 20]
    assert place.time.pauses == [0.25, 0.5, 1, 2, 4, 5]


def test_the_real_jitter_stays_within_its_bounds() -> None:
    drawn = [client_module.Pace().jitter(8.0) for _ in range(500)]
    assert min(drawn) >= 0
    assert max(drawn) <= 8
    assert min(drawn) < 2  # fails once in 10^62, as the next does
    assert max(drawn) > 6


def test_retry_after_is_waited_in_full() -> None:
    _, place = failing(Fault("rate_limit", retry_after="30"))
    assert place.time.pauses == [31] * 4  # the fifth try is the last


def test_retry_after_may_be_a_date() -> None:
    _, place = failing(Fault("rate_limit", retry_after="Thu, 01 Jan 2026 00:00:20 GMT"), tries=2)
    assert place.time.pauses == [21]


def test_a_server_error_may_say_when_to_come_back_as_well() -> None:
    failure = failure_of(503, b"{}", "7", NOW)
    assert (failure.retry_after_s, failure.passes) == (7, True)


def test_a_wait_that_is_too_long_is_not_begun() -> None:
    failure, place = failing(Fault("rate_limit", retry_after="3600"))
    assert place.time.pauses == []
    assert place.double.calls["search"] == 1
    assert failure.retry_after_s == 3600


def test_no_try_begins_after_the_whole_time_is_spent() -> None:
    _, place = failing(Fault("rate_limit", retry_after="40"), tries=100, total_s=100.0)
    assert place.time.pauses == [41, 41]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 12 ", 12),
        ("99999999999999999999", MAX_WAIT_S),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_WAIT_S),
        ("-3", None),
        ("1.5", None),
        ("\u0663", None),
        ("", None),
        ("soon", None),
        ("Thu, 99 Jan 2026 00:01:00 GMT", None),
        (None, None),
    ],
)
def test_retry_after_in_every_form(text: str | None, seconds: float | None) -> None:
    assert seconds_of(text, NOW) == seconds


def test_an_answer_that_drips_for_ever_ends() -> None:
    # No silence is long enough to notice: only the time for the whole answer is.
    failure, place = failing(Fault("slow"), answer_s=0.2, tries=2)
    assert failure.kind is Kind.UNAVAILABLE
    assert place.double.calls["search"] == 2


def test_an_answer_that_never_begins_ends() -> None:
    failure, place = failing(Fault("hang"), silence_s=0.2, tries=2)
    assert failure.kind is Kind.UNAVAILABLE
    assert place.double.calls["search"] == 2


def test_nobody_listening_is_a_fault_that_may_pass() -> None:
    async def body(place: Place) -> UnipileFailed:
        place.double.base_url = "http://127.0.0.1:1"
        return await failure_in(place)

    failure = with_double(body)
    assert (failure.kind, failure.passes) == (Kind.UNAVAILABLE, True)


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    failure, place = failing(Fault("huge"), max_bytes=100_000)
    assert failure.kind is Kind.UNREADABLE
    assert place.double.calls["search"] == 1


def test_a_redirect_is_not_followed() -> None:
    failure, place = failing(Fault("redirect"))
    assert failure.kind is Kind.ACCOUNT
    assert "base_url" in failure.message
    assert place.double.calls == {"search": 1}
    assert len(place.double.requests) == 1


def test_json_of_another_shape_is_not_asked_for_again() -> None:
    failure, place = failing(Fault("wrong_shape"))
    assert failure.kind is Kind.UNREADABLE
    assert place.double.calls["search"] == 1


@pytest.mark.parametrize("route", ["search", "comments", "parameters"])
def test_a_cursor_that_is_no_text_is_another_shape(route: str) -> None:
    failure, _ = failing(Fault("odd_cursor"), route)
    assert failure.kind is Kind.UNREADABLE


@pytest.mark.parametrize("fault", ["repeated_cursor", "endless"])
def test_lists_that_never_end_are_given_up(fault: Any) -> None:
    failure, place = failing(Fault(fault), "parameters")
    assert failure.kind is Kind.UNREADABLE
    assert place.double.calls["parameters"] == 10


def test_a_packed_answer_is_not_unpacked() -> None:
    """Nobody asked for one, and it could be a small one of a gigabyte."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'"}')
        body = gzip.compress(b'{"items": []}')
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()

    async def main() -> UnipileFailed:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            place = Place(Double())
            place.double.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return await failure_in(place)

    assert asyncio.run(main()).kind is Kind.UNREADABLE


@pytest.mark.parametrize(
    ("status", "type_", "kind", "word"),
    [
        (401, "missing_credentials", Kind.ACCOUNT, "token"),
        (401, "invalid_credentials", Kind.ACCOUNT, "token"),
        (401, "something_new", Kind.ACCOUNT, "token"),
        (401, "expired_credentials", Kind.ACCOUNT, "connect it again"),
        (401, "disconnected_account", Kind.ACCOUNT, "connect it again"),
        (401, "checkpoint_error", Kind.ACCOUNT, "check"),
        (402, "payment", Kind.ACCOUNT, "payment"),
        (403, "account_restricted", Kind.ACCOUNT, "allow"),
        (403, "feature_not_subscribed", Kind.ACCOUNT, "subscription"),
        (403, "resource_access_restricted", Kind.REFUSED, "refuses"),
        (404, "resource_not_found", Kind.MISSING, "not know"),
        (400, "invalid_parameters", Kind.REFUSED, "refuses"),
        (400, "invalid_url", Kind.REFUSED, "refuses"),
        (422, "invalid_account", Kind.ACCOUNT, "not a LinkedIn account"),
        (422, "unprocessable_entity", Kind.REFUSED, "refuses"),
        (422, "limit_exceeded", Kind.ACCOUNT, "limit"),
        (405, "method", Kind.REFUSED, "refuses"),
    ],
)
def test_what_is_not_retried(status: int, type_: str, kind: Kind, word: str) -> None:
    failure, place = failing(Fault("error", status=status, type=f"errors/{type_}"))
    assert failure.kind is kind
    assert word in failure.message
    assert "Ada" not in failure.message
    assert place.double.calls["search"] == 1


def test_a_404_of_another_web_server_is_not_a_person_who_is_not_there() -> None:
    failure, _ = failing(Fault("html", status=404), "profile")
    assert failure.kind is Kind.ACCOUNT
    assert "base_url" in failure.message


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b'{"type": 7}', b"\xff", b"[" * 10_000])
def test_an_error_may_have_any_body(body: bytes) -> None:
    assert failure_of(500, body, None, NOW).passes
    assert failure_of(401, body, None, NOW).kind is Kind.ACCOUNT
    assert not failure_of(204 + 100, body, None, NOW).passes


def test_an_unknown_account_is_told_as_such() -> None:
    async def body(place: Place) -> UnipileFailed:
        place.double.account_id = "another"
        client = UnipileClient(place.double.base_url, TOKEN, "a/../b", place.pace)
        async with client:
            with pytest.raises(UnipileFailed) as caught:
                await client.account()
        assert place.double.requests[0].path == "/api/v1/accounts/a%2F..%2Fb"
        return caught.value

    failure = with_double(body)
    assert failure.kind is Kind.ACCOUNT
    assert "account_id" in failure.message


@pytest.mark.parametrize("token", ["", "a\nb", "a\r\nX-Other: b", "schl\u00fcssel", "\x00"])
def test_a_token_that_cannot_be_sent_is_a_fault_of_the_account(token: str) -> None:
    with pytest.raises(UnipileFailed) as caught:
        UnipileClient("http://127.0.0.1:1", token, "x")
    assert caught.value.kind is Kind.ACCOUNT


def test_logs_and_errors_name_neither_token_nor_person(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def body(place: Place) -> list[str]:
        place.double.set_faults(Fault("error"))
        failure = await failure_in(place, "profile")
        texts = [repr(client) for client in place.clients]
        cause: BaseException | None = failure
        while cause is not None:
            texts += [str(cause), repr(cause)]
            cause = cause.__cause__
        return texts

    texts = with_double(body)
    texts += [record.getMessage() for record in caplog.records]
    assert any("unavailable, try 5" in text for text in texts)
    for text in texts:
        assert TOKEN not in text
        assert "Ada" not in text
        assert Double().people[0].slug not in text


def test_a_call_that_is_cancelled_hangs_up() -> None:
    async def body(place: Place) -> None:
        place.double.set_faults(Fault("hang"))

        async def ask() -> None:
            async with place.connect() as client:
                await CALLS["search"](client)

        task = asyncio.create_task(ask())
        await place.asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert place.all_closed
        assert place.time.pauses == []

    with_double(body)


def test_a_pause_that_is_cancelled_ends() -> None:
    async def body(place: Place) -> None:
        resting = asyncio.Event()

        async def sleep(_seconds: float) -> None:
            resting.set()
            await asyncio.Event().wait()

        place.pace = place.time.pace(sleep=sleep)
        place.double.set_faults(Fault("error"))
        task = asyncio.create_task(failure_in(place))
        await resting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert place.all_closed
        assert place.double.calls["search"] == 1

    with_double(body)


def test_one_call_at_a_time_goes_out_for_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(place: Place) -> int:
        most = 0
        answer = place.double._answer

        def counted(*args: Any) -> Any:
            nonlocal most
            most = max(most, len(place.double._busy))
            return answer(*args)

        monkeypatch.setattr(place.double, "_answer", counted)
        async with place.connect() as one, place.connect() as other:
            await asyncio.gather(*(CALLS["search"](c) for c in (one, other) for _ in range(5)))
        assert place.double.calls["search"] == 10
        return most

    assert with_double(body) == 1


def test_nothing_is_kept_of_an_account_that_nobody_asks_with() -> None:
    async def body(place: Place) -> None:
        async with place.connect() as client:
            await CALLS["account"](client)
            assert place.double.base_url in {url for _, url, _ in client_module._turns}

    with_double(body)
    gc.collect()
    assert len(client_module._turns) == 0


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.9", True),
        ("[::1]", True),
        ("fd00::1", True),
        ("localhost", True),
        ("unipile", True),
        ("unipile.internal", True),
        ("Unipile.Local.", True),
        ("8.8.8.8", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("api1.unipile.com", False),
        ("local.example.com", False),
        ("2001:4860:4860::8888", False),
    ],
)
def test_which_hosts_are_private(host: str, private: bool) -> None:
    assert is_private(host) is private
