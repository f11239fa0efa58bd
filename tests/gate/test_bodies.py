"""Limits of bodies, media types and the routes that are for nobody's key (contract 1.1, 13)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from longlist.operations import Operation
from tests.gate.requests import SCOPED, WITH_JSON, name_of, target_of
from tests.harness.client import Client
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant

LARGE = {"addProspects", "startProspectingJob"}


@pytest.mark.parametrize("operation", WITH_JSON, ids=name_of)
def test_413_above_the_limit_of_the_route(api: Tenant, operation: Operation) -> None:
    limit = 8 << 20 if operation.id in LARGE else 1 << 20
    target = target_of(operation) + "?x=1"
    over = b"{" + b" " * limit + b"}"
    piece = b" " * 65_536
    for answer in (
        api.send(operation.method, target, body=over),
        api.send(operation.method, target, chunks=[b"{", *[piece] * (limit >> 16), b"}"]),
    ):
        answer.expect(413, "PAYLOAD_TOO_LARGE")
        assert answer.error["context"] == {"limitBytes": limit}
    api.send(operation.method, target, body=over[1:-1]).expect(400)


@pytest.mark.parametrize(
    "operation", [o for o in SCOPED if o.method == "POST" and not o.has_body], ids=name_of
)
def test_413_also_where_no_body_is_expected(api: Tenant, operation: Operation) -> None:
    target = target_of(operation)
    api.send(operation.method, target, body=b" " * ((1 << 20) + 1)).expect(413)


def test_401_and_403_come_before_413_and_415(api: Tenant) -> None:
    target = api.path("AG/audiences")
    over = b" " * ((1 << 20) + 1)
    api.with_key(None).send("POST", target, body=over).expect(401)
    reader = api.with_key(api.make_key(["audiences:read"])[1])
    reader.send("POST", target, body=over, headers={"Content-Type": "text/plain"}).expect(403)
    api.send("POST", target, body=over, headers={"Content-Type": "text/plain"}).expect(415)


def test_merge_patch_is_for_patch_alone(api: Tenant) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = api.post("AG/audiences", {"name": "x", "type": "on_demand"}, headers=headers)
    answer.expect(415)
    assert answer.error["context"] == {"supported": ["application/json"]}


def test_accept_is_not_looked_at(api: Tenant) -> None:
    for accept in ("text/html", "application/xml", "nothing", "*/*;q=0", "application/x-ndjson"):
        api.get("AG/audiences", headers={"Accept": accept}).expect(200)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_health_takes_no_key_and_ignores_its_query(api: Tenant, path: str) -> None:
    nobody = api.with_key(None)
    for target in (path, f"{path}?x=1&x=%FF"):
        answer = nobody.get(target).expect(200)
        if path != "/openapi.json":
            assert answer.data == {"status": "ok"}
    api.with_key("llk_bad").get(path).expect(200)
    assert nobody.send("HEAD", path).status == 200


def test_not_ready_while_stopping(api: Tenant, another_server: Callable[..., Longlist]) -> None:
    other = another_server()
    nobody = Client(other)
    other.installation.stopping = True
    answer = nobody.get("/readyz").expect(503, "OVERLOADED")
    checks = answer.error["context"]["checks"]
    assert set(checks.values()) <= {"ok", "failed"}
    assert "failed" in checks.values()
    nobody.get("/healthz").expect(200)
    other.installation.stopping = False
    nobody.get("/readyz").expect(200)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/accounts",
        "/V1/me",
        "/v1/accounts/",
        "/v1/me/x",
        "/elsewhere/../v1/me",
        "/v1//me",
        "/%2e%2e/etc/passwd",
        "/v1/accounts/x",
        "/v1/accounts/%2F/audiences/x/y",
        "/*",
    ],
)
def test_an_unknown_path_is_404_before_the_key(api: Tenant, path: str) -> None:
    answers = [
        api.with_key(key).get(path).expect(404, "NOT_FOUND") for key in (None, "llk_x", api.key)
    ]
    assert answers[0].untraced == answers[1].untraced == answers[2].untraced
    assert not [name for name in answers[2].headers if "ratelimit" in name]


def test_cors_only_for_listed_origins(api: Tenant, another_server: Callable[..., Longlist]) -> None:
    other = another_server(cors_origins="https://app.example.com")
    connection = other.take_connection()
    for origin, allowed in (
        ("https://app.example.com", "https://app.example.com"),
        ("https://evil.example.com", None),
        ("null", None),
    ):
        connection.request("OPTIONS", "/v1/me", headers={"Origin": origin})
        with connection.getresponse() as response:
            response.read()
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == allowed
            assert response.headers["Vary"] == "Origin"
    connection.close()


def test_load_beyond_the_setting_is_503_before_401(another_server: Callable[..., Longlist]) -> None:
    other = another_server(max_waiting_requests=1)
    other.app.under_way += 1
    nobody = Client(other)
    nobody.get("/v1/me").expect(503, "OVERLOADED")
    nobody.get("/nowhere").expect(404)
    nobody.delete("/v1/me").expect(405)
    other.app.under_way -= 1
    nobody.get("/v1/me").expect(401)
