"""Every operation against the matrix, and through the guards that all share (contract 1.5)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from longlist.errors import NotFound
from longlist.keys.store import PERMISSIONS
from longlist.limits import Rate
from longlist.operations import Operation
from tests.gate.matrix import MATRIX
from tests.gate.requests import (
    IN_GROUP,
    PUBLIC,
    SCOPED,
    WITH_JSON,
    good,
    name_of,
    refusal_of,
    target_of,
)
from tests.harness.answer import ROUTER
from tests.harness.client import Client
from tests.harness.tenant import UNKNOWN, Tenant

each_scoped = pytest.mark.parametrize("operation", SCOPED, ids=name_of)
each_in_group = pytest.mark.parametrize("operation", IN_GROUP, ids=name_of)
each_with_json = pytest.mark.parametrize("operation", WITH_JSON, ids=name_of)
each_with_ids = pytest.mark.parametrize("operation", [o for o in SCOPED if o.ids], ids=name_of)


def _key(method: str, path: str) -> tuple[str, str]:
    return method, path.replace("/v1/accounts/{accountGroupId}", "AG")


ROWS = {_key(row.method, row.path): row for row in MATRIX}


@pytest.mark.parametrize("operation", [*SCOPED, *PUBLIC], ids=name_of)
def test_an_operation_is_as_the_matrix_says(operation: Operation) -> None:
    row = ROWS[_key(operation.method, operation.path)]
    assert operation.section == row.section
    wanted = {"any valid key": None, "no key": None}.get(row.permission, row.permission)
    assert operation.permission == wanted
    assert operation.public == (row.permission == "no key")
    assert set(operation.statuses) == row.statuses


def test_a_section_that_is_begun_is_whole() -> None:
    begun = {operation.section for operation in (*SCOPED, *PUBLIC)}
    there = {_key(operation.method, operation.path) for operation in (*SCOPED, *PUBLIC)}
    assert [key for key, row in ROWS.items() if row.section in begun and key not in there] == []


def test_names_of_operations_are_unique() -> None:
    ids = [operation.id for operation in (*SCOPED, *PUBLIC)]
    assert len(set(ids)) == len(ids)


@each_scoped
def test_without_a_key(api: Tenant, operation: Operation) -> None:
    for key in (None, "llk_x"):
        nobody = api.with_key(key)
        answer = nobody.send(operation.method, api.path(target_of(operation)), **good(operation))
        answer.expect(401, "UNAUTHORIZED")
        broken = nobody.send(operation.method, api.path(target_of(operation)) + "?x=1", body=b"{")
        assert broken.expect(401).untraced == answer.untraced


@each_scoped
def test_only_the_declared_permission_admits(api: Tenant, operation: Operation) -> None:
    for permission in PERMISSIONS:
        client = api.with_key(api.make_key([permission])[1])
        answer = client.send(operation.method, api.path(target_of(operation)), **good(operation))
        if operation.permission in (permission, None):
            assert answer.status not in (401, 403, 405, 500)
        else:
            answer.expect(403, "FORBIDDEN")
            assert answer.error["context"] == {"requiredPermission": operation.permission}


@each_in_group
def test_another_group_is_403_whatever_it_looks_like(
    api: Tenant, stranger: Tenant, operation: Operation
) -> None:
    bodies = []
    own = api.group.hex()
    for group in (
        stranger.group.hex(),
        UNKNOWN,
        "x",
        own.upper(),
        own + "0",
        "%00",
        "%E2%82%AC",
        "a b",
    ):
        target = target_of(operation, group=group.replace(" ", "%20"))
        answer = api.send(operation.method, target, **good(operation)).expect(403, "FORBIDDEN")
        assert "context" not in answer.error
        bodies.append(answer.untraced)
    assert all(body == bodies[0] for body in bodies)


@each_in_group
def test_403_comes_before_anything_of_the_request_is_looked_at(
    api: Tenant, stranger: Tenant, operation: Operation
) -> None:
    powerless = api.with_key(api.make_key([])[1])
    target = target_of(operation, id_="bad") + "?x=1"
    fault: dict[str, Any] = {
        "body": b"\xff",
        "headers": {"Content-Type": "text/plain", "If-Match": "bad"},
    }
    answer = powerless.send(operation.method, api.path(target), **fault).expect(403)
    assert "context" in answer.error, "the permission comes before the account group"
    elsewhere = powerless.send(operation.method, stranger.path(target), **fault).expect(403)
    assert elsewhere.untraced == answer.untraced
    foreign = api.send(operation.method, stranger.path(target), **fault).expect(403)
    assert "context" not in foreign.error


@each_scoped
def test_429_comes_before_403_and_after_401(api: Tenant, operation: Operation) -> None:
    _, key = api.make_key([], rate=Rate(1, 1))
    slow = api.with_key(key)
    target = api.path(target_of(operation))
    first = slow.send(operation.method, target, **good(operation))
    assert first.status == (403 if operation.permission else 200)
    answer = slow.send(operation.method, target + "?x=1", body=b"{").expect(429, "RATE_LIMITED")
    assert answer.error["context"] == {
        "limit": 1, "remaining": 0, "retryAfterSeconds": int(answer.headers["retry-after"]),
    }  # fmt: skip
    assert answer.headers["ratelimit"].startswith('"key";r=0;')


@each_with_json
def test_broken_json(api: Tenant, operation: Operation) -> None:
    target = target_of(operation)
    for body, code in (
        (b"{", "syntax"),
        (b"", "syntax"),
        (b"[]", "wrong_type"),
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"\\u0000":1}', "invalid_characters"),
        (b"\xef\xbb\xbf{}", "syntax"),
        (b'{"a":1e999}', "out_of_range"),
    ):
        answer = api.send(operation.method, target, body=body).expect(400, "VALIDATION_ERROR")
        assert [code] == [found for _, found in answer.issues]


@each_with_json
def test_an_unknown_member(api: Tenant, operation: Operation) -> None:
    body = {**good(operation)["json"], "unheardOf": 1}
    answer = api.send(operation.method, target_of(operation), json=body).expect(400)
    assert ("unheardOf", "unknown_field") in answer.issues


@each_scoped
def test_an_unknown_query_parameter(api: Tenant, operation: Operation) -> None:
    for query, field in (("unheardOf=1", "query.unheardOf"), ("LIMIT=1", "query.LIMIT")):
        target = f"{target_of(operation)}?{query}"
        answer = api.send(operation.method, target, **good(operation)).expect(refusal_of(operation))
        assert (field, "unknown_parameter") in answer.issues


@each_scoped
def test_a_repeated_query_parameter(api: Tenant, operation: Operation) -> None:
    if operation.query is None:
        target = f"{target_of(operation)}?x=1&x=1"
        api.send(operation.method, target, **good(operation)).expect(refusal_of(operation))
        return
    name = operation.query.__struct_encode_fields__[0]
    target = f"{target_of(operation)}?{name}=1&{name}=1"
    answer = api.send(operation.method, target, **good(operation)).expect(refusal_of(operation))
    assert (f"query.{name}", "repeated_parameter") in answer.issues


@each_scoped
def test_an_empty_query_parameter(api: Tenant, operation: Operation) -> None:
    for name in operation.query.__struct_encode_fields__ if operation.query else ["x"]:
        target = f"{target_of(operation)}?{name}="
        answer = api.send(operation.method, target, **good(operation)).expect(refusal_of(operation))
        assert {field for field, _ in answer.issues} == {f"query.{name}"}


@each_scoped
def test_a_body_of_another_media_type(api: Tenant, operation: Operation) -> None:
    target = target_of(operation)
    if operation.method not in ("POST", "PATCH", "PUT"):
        answer = api.send(
            operation.method, target, body=b"x", headers={"Content-Type": "text/plain"}
        )
        answer.expect(refusal_of(operation))
        return
    for kind in ("text/plain", "application/xml", None):
        headers = {"Content-Type": kind}
        answer = api.send(operation.method, target + "?x=1", body=b"x", headers=headers)
        answer.expect(415, "UNSUPPORTED_MEDIA_TYPE")
        assert answer.error["context"] == {"supported": list(operation.accepts)}
        assert ("accept-patch" in answer.headers) == (operation.method == "PATCH")


@pytest.mark.parametrize("operation", [o for o in SCOPED if not o.has_body], ids=name_of)
def test_an_operation_without_a_body_takes_none_or_an_empty_object(
    api: Tenant, operation: Operation
) -> None:
    target = target_of(operation)
    usual = api.send(operation.method, target)
    for body in (b"", b"{}", b" {}\n"):
        api.send(operation.method, target, body=body).expect(usual.status)
    for body in (
        b"[]",
        b"null",
        b'{"a": 1}',
        b"{",
        b"{}{}",
        b"x" * 5000,
        b"{}" + b" " * 5000 + b"1",
    ):
        api.send(operation.method, target, body=body).expect(
            refusal_of(operation), "VALIDATION_ERROR"
        )
    api.send(operation.method, target, chunks=[b"{", b"}"]).expect(usual.status)


def test_an_empty_object_is_one_however_it_is_written(api: Tenant) -> None:
    for body in (b"{ }", b"{\n}"):
        api.send("GET", "AG/audiences", body=body).expect(200)


@each_with_ids
def test_a_malformed_id(api: Tenant, operation: Operation) -> None:
    for id_ in ("x", "0" * 23, "0123456789ABCDEF01234567", "%00", "0123456789abcdef0123456%0A"):
        target = target_of(operation, id_=id_)
        answer = api.send(operation.method, target, **good(operation)).expect(refusal_of(operation))
        assert answer.issues[0] == (f"path.{operation.ids[0]}", "invalid_format")


@each_with_ids
def test_an_id_never_issued(api: Tenant, operation: Operation) -> None:
    if 404 not in operation.statuses:
        return
    answer = api.send(operation.method, target_of(operation), **good(operation))
    answer.expect(404, "NOT_FOUND")
    assert re.fullmatch("[a-z]+", answer.error["context"]["resource"])


def _allowed(operation: Operation) -> set[str]:
    """The methods that a request to this operation's path may have; literals come first."""
    found = set()
    path = operation.path
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        if any(o.method == method and o.path == path for o in (*SCOPED, *PUBLIC)):
            found.add(method)
    return found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())


@pytest.mark.parametrize("operation", [*SCOPED, *PUBLIC], ids=name_of)
def test_other_methods(api: Tenant, operation: Operation) -> None:
    nobody = api.with_key(None)
    target = api.path(target_of(operation))
    allowed = _allowed(operation)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "get"):
        if method in allowed:
            continue
        answer = nobody.send(method, target).expect(405, "METHOD_NOT_ALLOWED")
        assert set(answer.headers["allow"].split(", ")) == allowed
    options = nobody.send("OPTIONS", target).expect(204)
    assert set(options.headers["allow"].split(", ")) == allowed
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        if "PATCH" not in allowed:
            api.send("OPTIONS", target, headers={name: "PATCH"}).expect(204)


@pytest.mark.parametrize("operation", [*SCOPED, *PUBLIC], ids=name_of)
def test_a_trailing_slash_and_other_case_are_unknown_paths(
    api: Tenant, operation: Operation
) -> None:
    nobody: Client = api.with_key(None)
    target = api.path(target_of(operation))
    for unknown in (target + "/", "/" + target, target.upper(), target + "/x/y/z", target + ";x"):
        if ROUTER_KNOWS(unknown):
            continue
        answer = nobody.send(operation.method, unknown, **good(operation)).expect(404, "NOT_FOUND")
        assert "context" not in answer.error


def ROUTER_KNOWS(target: str) -> bool:
    """Whether a path is a known one after all: `;x` may be part of a malformed id."""
    try:
        ROUTER.find(target.encode(), "OPTIONS")
    except NotFound:
        return False
    return True


@pytest.mark.parametrize(
    "operation", [o for o in (*SCOPED, *PUBLIC) if o.method == "GET"], ids=name_of
)
def test_head_is_get_without_the_body(api: Tenant, operation: Operation) -> None:
    target = target_of(operation)
    got, head = api.get(target), api.send("HEAD", target)
    assert head.status == got.status
    changing = {"x-trace-id", "date", "ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"}
    assert set(head.headers) == set(got.headers)
    for name in set(got.headers) - changing:
        assert head.headers[name] == got.headers[name]
    api.with_key(None).send("HEAD", api.path(target)).expect(200 if operation.public else 401)
