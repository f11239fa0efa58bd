"""POST audiences (contract 3.4)."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest

from tests.harness.client import at_once
from tests.harness.tenant import UNKNOWN, Tenant

CREATE = "AG/audiences"
GOOD = {"name": "Fintech CTOs", "type": "on_demand"}


@pytest.mark.parametrize("kind", ["on_demand", "monitoring"])
@pytest.mark.parametrize(
    "given", [{}, {"description": None}, {"description": ""}, {"description": " a\r\nb"}]
)
def test_a_new_audience(api: Tenant, kind: str, given: dict[str, Any]) -> None:
    answer = api.post(CREATE, {"name": " Caf\u00e9\u00a0", "type": kind, **given}).expect(201)
    data = answer.data
    assert list(data) == [
        "id",
        "name",
        "type",
        "description",
        "folderId",
        "prospectCount",
        "createdAt",
    ]
    assert re.fullmatch("[0-9a-f]{24}", data["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["createdAt"])
    words = " a\nb" if given.get("description") else None
    wanted = ("Caf\u00e9", kind, words, None, 0)
    assert (
        data["name"],
        data["type"],
        data["description"],
        data["folderId"],
        data["prospectCount"],
    ) == wanted
    assert answer.headers["location"] == api.path(f"{CREATE}/{data['id']}")
    got = api.get(answer.headers["location"]).expect(200)
    assert (got.data, got.etag) == (data, answer.etag)
    (event,) = api.events()
    assert (event[0], event[1], json.loads(event[2])) == ("audience.created", data["id"], data)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "name", "required"),
        ({"name": "x"}, "type", "required"),
        ({"type": "on_demand"}, "name", "required"),
        ({**GOOD, "name": None}, "name", "null_not_allowed"),
        ({**GOOD, "type": None}, "type", "null_not_allowed"),
        ({**GOOD, "type": "file_import"}, "type", "invalid_choice"),
        ({**GOOD, "type": "ON_DEMAND"}, "type", "invalid_choice"),
        ({**GOOD, "type": 1}, "type", "wrong_type"),
        ({**GOOD, "name": "\u200b"}, "name", "too_short"),
        ({**GOOD, "description": "x" * 2001}, "description", "too_long"),
        ({**GOOD, "folderId": UNKNOWN}, "folderId", "not_settable"),
        ({**GOOD, "folderId": None}, "folderId", "not_settable"),
        ({**GOOD, "id": UNKNOWN}, "id", "not_settable"),
        ({**GOOD, "prospectCount": 0}, "prospectCount", "not_settable"),
        ({**GOOD, "createdAt": None}, "createdAt", "not_settable"),
    ],
)
def test_a_bad_body(api: Tenant, body: Any, field: str, code: str) -> None:
    answer = api.post(CREATE, body).expect(400, "VALIDATION_ERROR")
    assert (field, code) in answer.issues
    if field == "folderId":
        assert "move-to-folder" in answer.error["details"]
    assert api.events() == []
    assert api.get(CREATE).data["items"] == []


def test_unique_names(api: Tenant, stranger: Tenant) -> None:
    api.audience("Same")
    api.post(CREATE, {**GOOD, "name": "Same"}).expect(201)
    stranger.set(uniqueAudienceNames=True)
    first = stranger.audience("Caf\u00e9")
    answer = stranger.post(CREATE, {**GOOD, "name": " CAFE\u0301 "}).expect(
        422, "AUDIENCE_NAME_TAKEN"
    )
    assert answer.issues == [("name", "taken")]
    assert answer.error["context"] == {"existingId": first["id"]}
    with stranger.filling(first["id"]):
        stranger.post(CREATE, {**GOOD, "name": "caf\u00e9"}).expect(422)
    api.post(CREATE, {**GOOD, "name": "caf\u00e9"}).expect(201)
    stranger.set(uniqueAudienceNames=False)
    stranger.post(CREATE, {**GOOD, "name": "caf\u00e9"}).expect(201)


def test_unique_names_under_concurrency(api: Tenant) -> None:
    api.set(uniqueAudienceNames=True)
    body = {**GOOD, "name": "Wanted"}
    answers = at_once([partial(api.post, CREATE, body) for _ in range(20)])
    assert sorted(answer.status for answer in answers) == [201] + [422] * 19
    (winner,) = [answer for answer in answers if answer.status == 201]
    losers = {a.error["context"]["existingId"] for a in answers if a.status == 422}
    assert losers == {winner.data["id"]}


def test_ids_and_times_rise_also_under_concurrency(api: Tenant) -> None:
    at_once([partial(api.audience, f"Audience {at}") for at in range(40)])
    listed = api.get(f"{CREATE}?limit=200").data["items"]
    order = [(item["createdAt"], item["id"]) for item in listed]
    assert len(order) == 40
    assert order == sorted(order, reverse=True)
