"""Rate limits by key (contract 1.9)."""

from __future__ import annotations

import time
from functools import partial

import pytest

from longlist.limits import Rate
from tests.harness.client import at_once
from tests.harness.tenant import Tenant


def test_the_bucket_in_the_headers(api: Tenant) -> None:
    slow = api.with_key(api.make_key(rate=Rate(6, 100))[1])
    answer = slow.get("/v1/me").expect(200)
    assert answer.headers["ratelimit-policy"] == '"key";q=100;w=1000'
    assert answer.headers["ratelimit"] == '"key";r=99;t=10'
    answer = slow.get("/v1/me")
    assert answer.headers["ratelimit"].startswith('"key";r=98;')
    assert answer.data["rateLimit"] == {"perMinute": 6, "burst": 100}


@pytest.mark.parametrize(
    ("per_minute", "burst", "window"), [(600, 100, 10), (29, 29, 60), (7, 7, 60)]
)
def test_the_window_is_the_seconds_that_refill_the_bucket(
    api: Tenant, per_minute: int, burst: int, window: int
) -> None:
    key = api.make_key(rate=Rate(per_minute, burst))[1]
    answer = api.with_key(key).get("/v1/me").expect(200)
    assert answer.headers["ratelimit-policy"] == f'"key";q={burst};w={window}'


def test_429_until_retry_after_is_over(api: Tenant) -> None:
    audience = api.audience()
    slow = api.with_key(api.make_key(rate=Rate(120, 3))[1])
    target = api.path(f"AG/audiences/{audience['id']}")
    for at in range(3):
        slow.patch(target, {"name": f"Name {at}"}).expect(200)
    answer = slow.patch(target, {"name": "Refused"}).expect(429, "RATE_LIMITED")
    assert answer.error["context"] == {"limit": 3, "remaining": 0, "retryAfterSeconds": 1}
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert api.get(target).data["name"] == "Name 2"
    time.sleep(int(answer.headers["retry-after"]))
    slow.patch(target, {"name": "Taken"}).expect(200)


def test_a_refused_request_costs_no_token(api: Tenant) -> None:
    slow = api.with_key(api.make_key(rate=Rate(60, 1))[1])
    slow.get("/v1/me").expect(200)
    refused = slow.get("/v1/me").expect(429)
    until = time.monotonic() + int(refused.headers["retry-after"])
    while time.monotonic() < until - 0.2:
        slow.get("/v1/me").expect(429)
        time.sleep(0.05)
    time.sleep(0.25)
    slow.get("/v1/me").expect(200)


def test_never_more_than_the_bucket_at_once(api: Tenant) -> None:
    slow = api.with_key(api.make_key(rate=Rate(1, 20))[1])
    statuses = [a.status for a in at_once([partial(slow.get, "/v1/me") for _ in range(60)])]
    assert statuses.count(200) == 20
    assert statuses.count(429) == 40


def test_keys_have_buckets_of_their_own(api: Tenant) -> None:
    one, two = (api.with_key(api.make_key(rate=Rate(1, 1))[1]) for _ in range(2))
    one.get("/v1/me").expect(200)
    one.get("/v1/me").expect(429)
    two.get("/v1/me").expect(200)


def test_health_is_not_limited_and_has_no_rate_headers(api: Tenant) -> None:
    slow = api.with_key(api.make_key(rate=Rate(1, 1))[1])
    for path in ("/healthz", "/readyz", "/openapi.json"):
        for _ in range(3):
            answer = slow.get(path).expect(200)
            assert not [name for name in answer.headers if "ratelimit" in name]
