"""Through the front every operation answers as its cluster does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from longlist.app import OPERATIONS
from longlist.request import Request
from tests.front.fronts import RunningFront, through
from tests.gate.requests import BODIES, IN_GROUP, target_of
from tests.harness.answer import Answer
from tests.harness.tenant import UNKNOWN, Tenant
from tests.harness.worker import HandWorker

VARYING = {"date", "x-trace-id", "ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"}
PEOPLE = 1_000


def shown(answer: Answer) -> tuple[int, Any, dict[str, str]]:
    """What two equal answers have in common."""
    headers = {name: value for name, value in answer.headers.items() if name not in VARYING}
    body = answer.untraced if answer.body[:1] == b"{" else answer.body
    return answer.status, body, headers


def requests() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """For each operation a good request, and such as each guard refuses."""
    for operation in IN_GROUP:
        target = target_of(operation)
        good: dict[str, Any] = {}
        if operation.id in BODIES:
            good = {"json": BODIES[operation.id]}
        elif operation.receive is not None:
            good = {"body": b"", "headers": {"Content-Type": "text/csv"}}
        if operation.id not in ("createAudience", "createFolder", "createSuppression"):
            yield operation.method, target, good
        yield operation.method, target, {**good, "headers": {"Authorization": None}}
        yield operation.method, target, {**good, "headers": {"Authorization": "Bearer nobody"}}
        yield operation.method, target + "?nonsense=1", good
        if operation.method in ("POST", "PATCH", "PUT"):
            yield operation.method, target, {"json": {"nonsense": True}}
            yield (
                operation.method,
                target,
                {"body": b"<a/>", "headers": {"Content-Type": "text/xml"}},
            )
            yield operation.method, target, {"chunks": [b"{", b"}"]}
        if operation.method == "GET":
            yield "HEAD", target, {}
        yield "OPTIONS", target, {"headers": {"Authorization": None}}
        yield "TRACE", target, {}


def test_every_operation_answers_the_same(api: Tenant, direct: Tenant) -> None:
    count = 0
    for method, target, more in requests():
        assert shown(api.send(method, target, **more)) == shown(
            direct.send(method, target, **more)
        ), (method, target, more)
        count += 1
    assert count > 6 * len(IN_GROUP)


def test_a_key_without_the_permission_and_one_of_another_group(
    api: Tenant, direct: Tenant, front: RunningFront
) -> None:
    _, weak = direct.make_key(["events:read"])
    stranger = Tenant(direct.server)
    for operation in IN_GROUP:
        for key in (weak, stranger.key):
            target = api.path(target_of(operation))
            asked = [
                shown(client.with_key(key).send(operation.method, target))
                for client in (api, direct)
            ]
            assert asked[0] == asked[1], operation.id
            assert asked[0][0] == 403


def test_a_group_without_an_entry_is_a_stranger(
    api: Tenant, direct: Tenant, front: RunningFront
) -> None:
    """For a valid key 403, for none 401; which one says nothing of the group."""
    _, weak = direct.make_key(["audiences:read"])
    elsewhere = Tenant(direct.server)  # there, and not in the directory
    for group in (UNKNOWN, elsewhere.group.hex(), "no-id", "%2e%2e", "a%2Fb"):
        path = f"/v1/accounts/{group}/audiences"
        for method, key in (("GET", weak), ("POST", weak), ("GET", api.key), ("GET", "llk_no")):
            mine, theirs = (client.with_key(key).send(method, path) for client in (api, direct))
            assert mine.status == theirs.status, (group, method)
            assert mine.untraced == theirs.untraced
            assert ("ratelimit" in mine.headers) is ("ratelimit" in theirs.headers)
    own = f"/v1/accounts/{elsewhere.group.hex()}/audiences"
    assert through(front, elsewhere).get(own).expect(403, "FORBIDDEN")


def test_unknown_paths_are_not_passed_on(api: Tenant, direct: Tenant) -> None:
    for target in (
        "/",
        "/v1",
        "/v2/accounts",
        "AG",
        "AG/audiences/",
        "AG/nothing",
        "/admin",
        "/mcp",
    ):
        mine = api.get(target)
        assert (
            mine.expect(404, "NOT_FOUND").untraced
            == direct.with_key(None).get(direct.path("AG/nothing")).untraced
        )


def test_a_life_of_an_audience(api: Tenant, direct: Tenant) -> None:
    once = {"Idempotency-Key": "the-first"}
    body = {"name": "Fintech CTOs", "type": "on_demand"}
    made = api.post("AG/audiences", body, headers=once).expect(201)
    assert api.post("AG/audiences", body, headers=once).expect(201).data == made.data
    assert direct.post("AG/audiences", body, headers=once).headers["idempotency-replayed"] == "true"
    other = {**body, "name": "Other"}
    api.post("AG/audiences", other, headers=once).expect(409, "IDEMPOTENCY_CONFLICT")
    target = f"AG/audiences/{made.data['id']}"
    assert made.headers["location"] == direct.path(target)
    read = api.get(target).expect(200)
    assert read.etag == made.etag == direct.get(target).etag
    api.get(target, headers={"If-None-Match": read.etag}).expect(304)
    stale = {"If-Match": '"stale"'}
    refused = api.patch(target, {"name": "New"}, headers=stale).expect(412)
    assert refused.etag == read.etag
    api.patch(target, {"name": "New"}, headers={"If-Match": read.etag}).expect(200)
    assert direct.get(target).data["name"] == "New"
    with direct.filling(made.data["id"]):
        busy = api.patch(target, {"name": "Newer"}).expect(409, "AUDIENCE_NOT_READY")
        assert busy.headers["retry-after"]
    assert api.delete(target).expect(200).data == {"deleted": True}
    api.get(target).expect(404)


def test_files_and_exports(api: Tenant, direct: Tenant) -> None:
    """An upload in chunks, a job, and the same bytes out of both."""
    head = b"Email,First Name,About\n"
    rows = [b"p%06d@example.com,Person,%b\n" % (n, b"x" * 100) for n in range(PEOPLE)]
    parts = [head, *(b"".join(rows[at : at + 250]) for at in range(0, PEOPLE, 250))]
    upload = api.send("POST", "AG/files", chunks=parts, headers={"Content-Type": "text/csv"})
    start = {
        "type": "file_import",
        "fileId": upload.expect(201).data["fileId"],
        "audienceName": "Imported",
    }
    job = api.post("AG/prospecting", start).expect(202).data
    assert HandWorker(direct.server).run(job["jobId"])
    assert api.get(f"AG/prospecting/{job['jobId']}?wait=1").data["status"] == "completed"
    for format_ in ("csv", "ndjson"):
        target = f"AG/audiences/{job['audienceId']}/export?format={format_}"
        mine, theirs = api.get(target).expect(200), direct.get(target)
        assert mine.body == theirs.body
        assert len(mine.body) > PEOPLE * 20
        assert mine.headers["x-row-count"] == str(PEOPLE)
        assert mine.headers["transfer-encoding"] == "chunked"


def test_the_trace_id_is_the_callers(api: Tenant, direct: Tenant) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    for target in ("AG/audiences", "/v1/me", "/v1/accounts", "AG/nothing", "/healthz"):
        assert api.get(target, headers=sent).headers["x-trace-id"] == trace
    two = [("traceparent", sent["traceparent"])] * 2
    assert api.get("AG/audiences", headers=two).headers["x-trace-id"] != trace


def test_bad_keys_count_against_the_clients_address(
    front: RunningFront, direct: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clusters believe the front, and the front nobody that it was not told to."""
    gate = direct.server.app.gate
    api = through(front, direct)
    seen: list[bytes] = []
    known = gate.client_of

    def noting(request: Request) -> bytes:
        seen.append(known(request))
        return seen[-1]

    monkeypatch.setattr(gate, "client_of", noting)
    for header in ({}, {"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}):
        api.with_key("llk_no").get(api.path("AG/audiences"), headers=header).expect(401)
    assert seen == [b"127.0.0.1"] * 3


def test_all_operations_are_known_to_the_front() -> None:
    assert {operation.id for operation in OPERATIONS if not operation.in_group} == {
        "listAccounts", "getMe", "getHealth", "getReadiness", "getOpenapi",
    }  # fmt: skip


def test_many_at_once(api: Tenant, direct: Tenant) -> None:
    """Requests side by side on as many connections: each gets its own answer."""
    ids = [api.audience(f"A {n}")["id"] for n in range(8)]
    wrong: list[Any] = []

    def ask(at: int) -> None:
        for _ in range(40):
            found = api.get(f"AG/audiences/{ids[at]}").expect(200).data
            if found["id"] != ids[at]:
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
