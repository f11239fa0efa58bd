"""Keys: how they are sent, what stops one, and that nothing tells bad ones apart (contract 1.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from longlist.ids import now_ms
from longlist.keys import secret, store
from longlist.operations import Operation
from tests.gate.requests import SCOPED, good, name_of, target_of
from tests.harness import logs
from tests.harness.client import Client, at_once
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant

STOPS_WITHIN_S = 1.0
SLACK_S = 2.0
"""For a machine under load: the look-up itself and the requests around it."""


def until_refused(client: Client, target: str) -> float:
    """Seconds until a request is refused with 401."""
    started = time.monotonic()
    while client.get(target).status != 401:
        assert time.monotonic() - started < STOPS_WITHIN_S + SLACK_S, "the key still works"
        time.sleep(0.02)
    return time.monotonic() - started


def revoke(api: Tenant, key_id: bytes) -> None:
    assert api.server.write(store.revoke_everywhere, key_id)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_case_insensitive(api: Tenant, scheme: str) -> None:
    api.get("/v1/me", headers={"Authorization": f"{scheme} {api.key}"}).expect(200)


def test_every_bad_key_gets_the_same_answer(api: Tenant) -> None:
    key = str(api.key)
    expired = api.make_key(expires_at=now_ms() - 1)[1]
    revoked_id, revoked = api.make_key()
    revoke(api, revoked_id)
    typo = key[:-1] + ("a" if key[-1] != "a" else "b")
    bearers = [
        "", "x", "llk_", key[:-1], key + "x", typo, key.upper(), secret.new_key(), expired, revoked,
        f"{key} {key}", f'"{key}"', f"llk_{'!' * 49}", "llk_" + "\xe9" * 49, f"{key},", "null",
    ]  # fmt: skip
    values = [f"Bearer {bearer}" for bearer in bearers]
    values += [key, f"Basic {key}", f"Token {key}", f"Bearer{key}", "Bearer", "", f"Bearer\t{key}"]
    nobody = api.with_key(None)
    answers = [nobody.get("/v1/me", headers={"Authorization": value}) for value in values]
    answers.append(nobody.get("/v1/me"))
    twice = [("Authorization", f"Bearer {key}")] * 2
    answers.append(nobody.get("/v1/me", headers=twice))
    answers.append(nobody.get(f"/v1/me?access_token={key}"))
    answers.append(nobody.get("/v1/me", headers={"Cookie": f"Authorization=Bearer {key}"}))
    answers.append(nobody.get("/v1/me", headers={"X-API-Key": key}))
    for answer in answers:
        answer.expect(401, "UNAUTHORIZED")
        assert answer.untraced == answers[0].untraced
        assert set(answer.headers) == set(answers[0].headers)


@pytest.mark.parametrize("operation", SCOPED, ids=name_of)
def test_an_expired_key_is_refused_everywhere(api: Tenant, operation: Operation) -> None:
    expired = api.with_key(api.make_key(expires_at=now_ms() - 1)[1])
    target = api.path(target_of(operation))
    expired.send(operation.method, target, **good(operation)).expect(401)


def test_a_key_works_until_it_expires(api: Tenant) -> None:
    client = api.with_key(api.make_key(expires_at=now_ms() + 400)[1])
    client.get("/v1/me").expect(200)
    until_refused(client, "/v1/me")


def test_a_revoked_key_stops_within_a_second_in_every_process(
    api: Tenant, another_server: Callable[..., Longlist]
) -> None:
    other = another_server()
    key_id, key = api.make_key()
    here, there = Client(api.server, key), Client(other, key)
    for client in (here, there):
        client.get("/v1/me").expect(200)
    revoke(api, key_id)
    at_once([partial(until_refused, client, "/v1/me") for client in (here, there)])
    for client in (here, there):
        client.get("/v1/me").expect(401)


def test_a_rotated_key_has_another_secret_and_the_same_id(api: Tenant) -> None:
    key_id, key = api.make_key(["audiences:read"])
    old = api.with_key(key)
    before = old.get("/v1/me").expect(200).data
    new = api.with_key(api.server.write(store.rotate_everywhere, key_id))
    after = new.get("/v1/me").expect(200).data
    assert after["keyId"] == before["keyId"] == key_id.hex()
    assert after["keyPrefix"] == str(new.key)[:12] != before["keyPrefix"]
    assert after["permissions"] == before["permissions"]
    until_refused(old, "/v1/me")


def test_write_does_not_include_read(api: Tenant) -> None:
    writer = api.with_key(api.make_key(["audiences:write"])[1])
    writer.post(api.path("AG/audiences"), {"name": "x", "type": "on_demand"}).expect(201)
    writer.get(api.path("AG/audiences")).expect(403)


def test_a_key_reaches_all_of_its_groups_and_no_other(api: Tenant, stranger: Tenant) -> None:
    both = api.with_key(api.make_key(groups=[api.group, stranger.group])[1])
    for tenant in (api, stranger):
        made = both.post(tenant.path("AG/audiences"), {"name": "x", "type": "on_demand"}).expect(
            201
        )
        tenant.get(f"AG/audiences/{made.data['id']}").expect(200)
    neither = api.with_key(api.make_key(groups=[])[1])
    neither.get(api.path("AG/audiences")).expect(403)
    api.get(stranger.path("AG/audiences")).expect(403)


def test_a_key_is_stored_hashed_and_never_logged(api: Tenant) -> None:
    api.get("/v1/me").expect(200)
    api.with_key(f"{api.key}x").get("/v1/me").expect(401)
    stored = api.server.rows("SELECT hash, prefix FROM api_keys WHERE id = $1", api.key_id)
    assert stored == [(secret.hash_of(str(api.key)), str(api.key)[:12])]
    assert str(api.key)[12:] not in repr(list(logs.LINES))


def test_a_request_is_in_the_log_by_its_trace_id(api: Tenant) -> None:
    answer = api.get("AG/audiences?q=Confidential").expect(200)
    (line,) = logs.of(answer.json["traceId"])
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["route"] == "/v1/accounts/{accountGroupId}/audiences"
    assert "Confidential" not in repr(line)


def test_bad_keys_are_limited_by_address_and_good_ones_are_not(
    api: Tenant, another_server: Callable[..., Longlist]
) -> None:
    other = another_server(bad_key_limit_per_minute=5)
    bad, good_one, nobody = Client(other, "llk_x"), Client(other, api.key), Client(other)
    for _ in range(5):
        bad.get("/v1/me").expect(401)
    answer = bad.get("/v1/me").expect(429, "RATE_LIMITED")
    assert not [name for name in answer.headers if "ratelimit" in name]
    good_one.get("/v1/me").expect(200)
    for _ in range(10):
        nobody.get("/v1/me").expect(401)
    unbelieved = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    bad.get("/v1/me", headers=unbelieved).expect(429)


def test_a_trusted_proxy_says_who_the_client_is(
    api: Tenant, another_server: Callable[..., Longlist]
) -> None:
    other = another_server(bad_key_limit_per_minute=2, trusted_proxies="127.0.0.0/8, 10.0.0.0/8")
    bad = Client(other, "llk_x")

    def ask(forwarded: str) -> int:
        return bad.get("/v1/me", headers={"X-Forwarded-For": forwarded}).status

    assert [ask("203.0.113.9") for _ in range(3)] == [401, 401, 429]
    assert ask("203.0.113.10") == 401
    assert ask("198.51.100.1, 203.0.113.9, 10.1.2.3") == 429
    assert Client(other, api.key).get("/v1/me").status == 200
