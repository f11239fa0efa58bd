"""Idempotency-Key on every POST (contract 1.8)."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from longlist.ids import now_ms
from longlist.operations import Operation
from tests.gate.requests import POSTS, good, name_of, target_of
from tests.harness.answer import Answer
from tests.harness.client import at_once
from tests.harness.tenant import UNKNOWN, Tenant

KEY = {"Idempotency-Key": "first-of-many"}
PERSON = {"prospects": [{"email": "ada@example.com"}]}


class Works:
    """Requests that succeed, by operation id: target and body, with what they need made first."""

    def __init__(self, api: Tenant) -> None:
        self.api = api
        self.audience = api.audience()["id"]
        self.folder = api.folder()["id"]

    def request(self, operation: Operation) -> tuple[str, dict[str, Any]]:
        target = target_of(operation, id_=self.audience)
        if operation.id == "moveAudienceToFolder":
            return target, {"json": {"folderId": self.folder}}
        return target, good(operation)


SIMPLE = [
    operation
    for operation in POSTS
    if operation.id not in ("startProspectingJob", "cancelProspectingJob")
]
"""Jobs have tests of their own, since a replay answers with their current state."""
each_post = pytest.mark.parametrize("operation", POSTS, ids=name_of)
each_simple = pytest.mark.parametrize("operation", SIMPLE, ids=name_of)


def with_key(more: dict[str, Any], key: str = "first-of-many") -> dict[str, Any]:
    return {**more, "headers": {**more.get("headers", {}), "Idempotency-Key": key}}


@each_simple
def test_a_replay_gives_the_stored_answer_and_changes_nothing(
    api: Tenant, operation: Operation
) -> None:
    target, more = Works(api).request(operation)
    first = api.post(target, **with_key(more)).expect(operation.status)
    assert "idempotency-replayed" not in first.headers
    events, counts = len(api.events()), _counts(api)
    second = api.post(target, **with_key(more)).expect(operation.status)
    assert second.headers["idempotency-replayed"] == "true"
    assert second.data == first.data
    assert second.json["traceId"] != first.json["traceId"]
    for name in ("etag", "location"):
        assert second.headers.get(name) == first.headers.get(name)
    assert (len(api.events()), _counts(api)) == (events, counts)
    other = api.post(target, **with_key(more, "another")).status
    assert other in (operation.status, *operation.also)


def _counts(api: Tenant) -> list[Any]:
    tables = ("audiences", "folders", "prospects", "memberships", "suppressions", "files")
    return [
        api.server.value(f"SELECT COUNT(*) FROM {t} WHERE account_group_id = $1", api.group)
        for t in tables
    ]


@each_simple
def test_another_request_with_the_key_is_a_conflict(api: Tenant, operation: Operation) -> None:
    target, more = Works(api).request(operation)
    api.post(target, **with_key(more)).expect(operation.status)
    other = "AG/audiences/folders"
    if target == other:
        other = "AG/audiences"
    body = (
        {"name": "x", "audienceType": "on_demand"}
        if "folders" in other
        else {"name": "x", "type": "on_demand"}
    )
    api.post(other, body, headers=KEY).expect(409, "IDEMPOTENCY_CONFLICT")
    if operation.body is not None and operation.id != "moveAudienceToFolder":
        changed = json.loads(
            json.dumps(more["json"]).replace("ada@", "grace@").replace("ring", "rung")
        )
        if changed == more["json"]:
            changed = {**changed, "name": "Other"}
        api.post(target, changed, headers=KEY).expect(409, "IDEMPOTENCY_CONFLICT")


@each_simple
def test_fifty_at_once_have_one_effect(api: Tenant, operation: Operation) -> None:
    target, more = Works(api).request(operation)
    api.post(target, **more).expect(
        operation.status
    ) if operation.id == "createSuppression" else None
    before = len(api.events())
    answers = at_once([partial(api.post, target, **with_key(more)) for _ in range(50)], threads=25)
    done = [a for a in answers if a.status != 409]
    for answer in answers:
        if answer.status == 409:
            assert answer.code == "CONFLICT"
            assert answer.error["context"] == {"retryAfterSeconds": 1}
    assert len([a for a in done if "idempotency-replayed" not in a.headers]) == 1
    assert all(a.data == done[0].data for a in done)
    single = Tenant(api.server)
    single_target, single_more = Works(single).request(operation)
    single.post(single_target, **single_more)
    once = len(single.events()) - 2
    assert len(api.events()) - before == (0 if operation.id == "createSuppression" else once)


def test_members_in_other_order_and_other_white_space_are_the_same_request(api: Tenant) -> None:
    def post(body: bytes) -> Answer:
        return api.post("AG/audiences", body=body, headers=KEY)

    first = post(b'{"name":"A","type":"on_demand"}').expect(201)
    again = post(b' {"type" : "on_demand",\n "n\\u0061me": "A"}').expect(201)
    assert again.data == first.data
    post(b'{"name":"A ","type":"on_demand"}').expect(409, "IDEMPOTENCY_CONFLICT")
    post(b'{"name":"A","type":"on_demand","description":null}').expect(409)


def test_the_query_and_the_ids_are_part_of_the_request(api: Tenant) -> None:
    one, two = api.audience()["id"], api.audience()["id"]
    api.post(f"AG/audiences/{one}/prospects", PERSON, headers=KEY).expect(200)
    api.post(f"AG/audiences/{two}/prospects", PERSON, headers=KEY).expect(
        409, "IDEMPOTENCY_CONFLICT"
    )


def test_an_error_is_not_stored(api: Tenant) -> None:
    target = f"AG/audiences/{UNKNOWN}/prospects"
    api.post(target, PERSON, headers=KEY).expect(404)
    api.post("AG/audiences", {"name": ""}, headers=KEY).expect(400)
    audience = api.audience()["id"]
    with api.filling(audience):
        api.post(f"AG/audiences/{audience}/prospects", PERSON, headers=KEY).expect(409)
    answer = api.post(f"AG/audiences/{audience}/prospects", PERSON, headers=KEY).expect(200)
    assert "idempotency-replayed" not in answer.headers


def test_a_stored_answer_comes_before_404_409_412_and_422(api: Tenant) -> None:
    api.set(uniqueAudienceNames=True)
    body = {"name": "Unique", "type": "on_demand"}
    first = api.post("AG/audiences", body, headers=KEY).expect(201)
    api.post("AG/audiences", body).expect(422)
    assert api.post("AG/audiences", body, headers=KEY).expect(201).data == first.data
    audience = first.data["id"]
    add = {"Idempotency-Key": "second", "If-Match": '"stale"'}
    api.post(f"AG/audiences/{audience}/prospects", PERSON, headers=add).expect(200)
    with api.filling(audience):
        replayed = api.post(f"AG/audiences/{audience}/prospects", PERSON, headers=add).expect(200)
        assert replayed.headers["idempotency-replayed"] == "true"
    api.delete(f"AG/audiences/{audience}").expect(200)
    api.post(f"AG/audiences/{audience}/prospects", PERSON, headers=add).expect(200)
    api.post(f"AG/audiences/{audience}/prospects", PERSON).expect(404)
    api.post(f"AG/audiences/{audience}/prospects?x=1", PERSON, headers=add).expect(400)


def test_keys_belong_to_the_account_group(api: Tenant, stranger: Tenant) -> None:
    body = {"name": "A", "type": "on_demand"}
    ours = api.post("AG/audiences", body, headers=KEY).expect(201)
    theirs = stranger.post("AG/audiences", body, headers=KEY).expect(201)
    assert ours.data["id"] != theirs.data["id"]
    another = api.with_key(api.make_key()[1])
    same = another.post(api.path("AG/audiences"), body, headers=KEY).expect(201)
    assert same.data == ours.data


def test_a_replay_needs_the_permission_still(api: Tenant) -> None:
    body = {"name": "A", "type": "on_demand"}
    api.post("AG/audiences", body, headers=KEY).expect(201)
    reader = api.with_key(api.make_key(["audiences:read"])[1])
    reader.post(api.path("AG/audiences"), body, headers=KEY).expect(403)


def test_it_is_forgotten_after_a_day(api: Tenant) -> None:
    body = {"name": "A", "type": "on_demand"}
    first = api.post("AG/audiences", body, headers=KEY).expect(201)
    move = "UPDATE idempotency_keys SET created_at = $2 WHERE account_group_id = $1"
    day = 24 * 3_600_000
    api.server.change((move, api.group, now_ms() - day + 60_000))
    assert api.post("AG/audiences", body, headers=KEY).expect(201).data == first.data
    api.server.change((move, api.group, now_ms() - day - 1))
    assert api.post("AG/audiences", body, headers=KEY).expect(201).data != first.data


@each_post
@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "tab\there", "caf\xe9"])
def test_a_malformed_key_is_400(api: Tenant, operation: Operation, key: str) -> None:
    target, more = target_of(operation), good(operation)
    answer = api.post(target, **with_key(more, key)).expect(400, "VALIDATION_ERROR")
    assert answer.issues == [("header.Idempotency-Key", "invalid_format")]


def test_two_keys_are_400_and_255_characters_are_not(api: Tenant) -> None:
    body = {"name": "A", "type": "on_demand"}
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    api.post("AG/audiences", body, headers=twice).expect(400)
    longest = {"Idempotency-Key": "!~" * 127 + "k"}
    first = api.post("AG/audiences", body, headers=longest).expect(201)
    assert api.post("AG/audiences", body, headers=longest).expect(201).data == first.data
