"""What a client is made with, what it sends along, and that the key stays with it."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable

import httpx2
import pytest
from client.tests.backends import Backend

import longlist_client
from longlist_client import (
    KEEP,
    NO_RETRIES,
    Audience,
    AudienceNotReady,
    ConfigurationError,
    Forbidden,
    Longlist,
    LonglistError,
    Me,
    Retries,
    TransportError,
    Unauthorized,
    UnexpectedAnswer,
)
from longlist_client.client import AccountGroup

KEY = "llk_" + "Secret7" * 7


def _answering(answer: Callable[[httpx2.Request], httpx2.Response]) -> Longlist:
    transport = httpx2.MockTransport(answer)
    return Longlist(KEY, base_url="http://h:1/deep/", transport=transport, retries=NO_RETRIES)


def test_what_may_be_wrong_with_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGLIST_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="LONGLIST_API_KEY"):
        Longlist()
    for url in ("h:1", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h#x"):
        with pytest.raises(ConfigurationError):
            Longlist(KEY, base_url=url)
    for key in ("with space", "é", "line\n"):
        with pytest.raises(ConfigurationError) as caught:
            Longlist(key)
        assert key not in str(caught.value)


def test_key_and_address_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGLIST_API_KEY", KEY)
    monkeypatch.setenv("LONGLIST_URL", "https://longlist.example/")
    with Longlist() as client:
        assert repr(client) == "<Longlist at https://longlist.example>"
    with Longlist(base_url="http://127.0.0.1:1") as client:
        assert "127.0.0.1" in repr(client.account("g").audiences)


def test_what_every_request_carries() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(204)

    traces = iter(["00-" + "a" * 32 + "-" + "b" * 16 + "-01", None])
    transport = httpx2.MockTransport(answer)
    with Longlist(
        KEY,
        base_url="http://h:1/deep/",
        transport=transport,
        traceparent=lambda: next(traces),
        timeout=7,
    ) as client:
        with pytest.raises(UnexpectedAnswer):
            client.me()
        with pytest.raises(UnexpectedAnswer):
            client.account("g").prospecting.get("j", wait=30)
    first, second = seen
    assert str(first.url) == "http://h:1/deep/v1/me"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.headers["traceparent"].startswith("00-aaaa")
    assert first.headers["user-agent"].startswith(f"longlist-client/{longlist_client.__version__}")
    assert "traceparent" not in second.headers
    assert second.url.raw_path == b"/deep/v1/accounts/g/prospecting/j?wait=30"
    assert first.extensions["timeout"]["read"] == 7
    assert second.extensions["timeout"]["read"] == 37


def test_each_post_has_a_fresh_key() -> None:
    keys: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        keys.append(request.headers["idempotency-key"])
        raise httpx2.ReadError("cut", request=request)

    transport = httpx2.MockTransport(answer)
    retries = Retries(attempts=3, base_s=0.0)
    with Longlist(KEY, transport=transport, retries=retries) as client:
        for _ in range(2):
            with pytest.raises(TransportError):
                client.account("g").audiences.create(name="A", type="on_demand")
        with pytest.raises(TransportError):
            client.account("g").prospecting.cancel("j", idempotency_key="mine")
    assert keys == [keys[0]] * 3 + [keys[3]] * 3 + ["mine"] * 3
    assert keys[0] != keys[3]


def test_a_redirect_does_not_carry_the_key_away() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        return httpx2.Response(307, headers={"location": "http://elsewhere/"})

    with _answering(answer) as client, pytest.raises(UnexpectedAnswer):
        client.me()
    assert asked == ["h"]


def test_the_key_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadError("cut", request=request)

    shown: list[str] = []
    with _answering(fail) as client:
        account = client.account("g")
        transport = client.transport
        for thing in (client, account, account.audiences, transport.options, transport.options.key):
            shown += [repr(thing), str(thing)]
        try:
            client.me()
        except LonglistError as error:
            found = traceback.TracebackException.from_exception(error, capture_locals=True)
            shown += [repr(error), "".join(found.format()), repr(error.__cause__)]
    refused = httpx2.Response(401, json={"error": {"code": "UNAUTHORIZED", "message": "No."}})
    with _answering(lambda _request: refused) as client:
        with pytest.raises(Unauthorized) as caught:
            client.me()
        shown += [repr(caught.value), str(caught.value)]
    shown.append(caplog.text)
    assert KEY not in "\n".join(shown)
    assert len(shown) == 16


def test_an_answer_may_have_more_than_is_known() -> None:
    data = {
        "id": "a", "name": "A", "type": "of_tomorrow", "description": None, "folderId": None,
        "prospectCount": 1, "createdAt": "2026-03-04T05:06:07.089Z", "later": {"x": [1]},
    }  # fmt: skip
    body = {"success": True, "data": data, "error": None, "traceId": "t", "more": 1}
    answer = httpx2.Response(200, json=body, headers={"ETag": '"a-2"'})
    with _answering(lambda _request: answer) as client:
        found: Audience = client.account("g").audiences.get("a")
    assert (found.type, found.etag) == ("of_tomorrow", '"a-2"')


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"data": {"id": 1}}', b"\xff"])
def test_an_answer_that_is_none(content: bytes) -> None:
    answer = httpx2.Response(200, content=content)
    with _answering(lambda _request: answer) as client, pytest.raises(UnexpectedAnswer) as caught:
        client.me()
    assert caught.value.status == 200


def test_errors_can_be_pickled() -> None:
    error = {"code": "AUDIENCE_NOT_READY", "message": "No.", "context": {"jobId": "j"}}
    answer = httpx2.Response(409, json={"error": error, "traceId": "t"})
    with _answering(lambda _request: answer) as client, pytest.raises(AudienceNotReady) as caught:
        client.me()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (AudienceNotReady, str(caught.value))
    assert again.job_id == "j"
    assert str(pickle.loads(pickle.dumps(UnexpectedAnswer(200, "x")))) == "200: x"


def test_the_sentinel_says_what_it_is() -> None:
    assert repr(KEEP) == "KEEP"
    assert pickle.loads(pickle.dumps(KEEP)) is KEEP


def test_keys_and_their_reach(backend: Backend, account: AccountGroup) -> None:
    with backend.client(api_key="llk_" + "0" * 49) as nobody, pytest.raises(Unauthorized):
        nobody.me()
    reader_key = backend.make_key(["audiences:read"])
    with backend.client(api_key=reader_key) as reader:
        me: Me = reader.me()
        assert (me.permissions, me.key_prefix) == (["audiences:read"], reader_key[:12])
        (group,) = reader.accounts.list()
        assert group.id == backend.group_id == me.account_groups[0].id
        with pytest.raises(Forbidden) as caught:
            reader.account(backend.group_id).audiences.create(name="A", type="on_demand")
        assert caught.value.required_permission == "audiences:write"
        with pytest.raises(Forbidden) as caught:
            next(reader.account("no such group").audiences.list())
        assert caught.value.required_permission is None
        assert reader.health().status == reader.readiness().status == "ok"
        assert reader.openapi()["openapi"] == "3.1.0"
