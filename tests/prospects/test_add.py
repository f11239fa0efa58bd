"""POST prospects (contract 5.2): every outcome and reason, counts, the prospect's own fields."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.harness.client import at_once
from tests.harness.tenant import UNKNOWN, Tenant

FIELDS = [
    "id", "firstName", "lastName", "name", "headline", "about", "photoUrl", "linkedinUrl",
    "publicIdentifier", "providerId", "title", "location", "email", "phone", "company",
    "createdAt", "updatedAt",
]  # fmt: skip
COMPANY = ["name", "linkedinIdentifier", "linkedinUrl", "industry", "website", "domain", "size"]
ADA = {"email": "ada@example.com", "name": "Ada Example"}


def outcomes(data: Any) -> list[tuple[str, str | None]]:
    """Outcome and reason of each row, once positions and counts are found right."""
    items, counts = data["items"], data["counts"]
    assert list(data) == ["audienceId", "prospectCount", "counts", "items"]
    assert list(counts) == ["received", "added", "updated", "unchanged", "skipped", "failed"]
    assert [item["position"] for item in items] == list(range(1, len(items) + 1))
    assert counts["received"] == len(items)
    for name in list(counts)[1:]:
        assert counts[name] == sum(item["outcome"] == name for item in items)
    for item in items:
        assert list(item) == ["position", "outcome", "reason", "message", "prospectId"]
        assert (item["reason"] is None) == (item["outcome"] in ("added", "updated", "unchanged"))
        assert (item["message"] is None) == (item["reason"] is None)
    return [(item["outcome"], item["reason"]) for item in items]


@pytest.fixture
def audience(api: Tenant) -> str:
    return str(api.audience()["id"])


def test_every_field(api: Tenant, audience: str) -> None:
    given = {
        "firstName": " Ada ", "lastName": "Example", "headline": "Maker of examples",
        "about": "Two\r\nlines", "photoUrl": "https://img.example.com/a.png",
        "linkedinUrl": "http://de.linkedin.com/in/Ada-Example/?trk=x", "providerId": "P-1",
        "title": "CTO", "location": "Berlin", "email": "Ada@EXAMPLE.com", "phone": "+49 30 1",
        "company": {
            "name": "Example Ltd", "linkedinIdentifier": "example-ltd", "industry": "Testing",
            "linkedinUrl": "https://www.linkedin.com/company/example-ltd",
            "website": "https://example.com", "domain": "Example.com", "size": "11-50",
        },
    }  # fmt: skip
    data = api.add(audience, given)
    assert outcomes(data) == [("added", None)]
    assert (data["audienceId"], data["prospectCount"]) == (audience, 1)
    got = api.get(f"AG/prospects/{data['items'][0]['prospectId']}").expect(200).data
    assert list(got) == FIELDS
    assert list(got["company"]) == COMPANY
    assert (got["firstName"], got["name"], got["about"]) == ("Ada", "Ada Example", "Two\nlines")
    assert got["publicIdentifier"] == "ada-example"
    assert got["linkedinUrl"] == "https://www.linkedin.com/in/ada-example"
    assert got["email"] == "Ada@example.com"
    assert got["company"]["domain"] == "example.com"
    (listed,) = api.get(f"AG/audiences/{audience}/prospects").data["items"]
    assert listed == got


def test_fields_that_are_missing_are_null(api: Tenant, audience: str) -> None:
    id_ = api.prospect(audience, email="ada@example.com", title=None, company=None)
    got = api.get(f"AG/prospects/{id_}").data
    assert got["company"] == dict.fromkeys(COMPANY)
    empty = set(FIELDS) - {"id", "email", "company", "createdAt", "updatedAt"}
    assert all(got[name] is None for name in empty)


def test_added_updated_unchanged_and_duplicate(api: Tenant, audience: str) -> None:
    first = api.add(audience, ADA, ADA, {**ADA, "title": "CTO"}, {"email": "ada@EXAMPLE.com"})
    assert outcomes(first) == [
        ("added", None),
        ("skipped", "DUPLICATE_IN_SOURCE"),
        ("updated", None),
        ("skipped", "DUPLICATE_IN_SOURCE"),
    ]
    assert len({item["prospectId"] for item in first["items"]}) == 1
    assert first["prospectCount"] == 1
    assert outcomes(api.add(audience, ADA)) == [("unchanged", None)]
    assert outcomes(api.add(audience, {**ADA, "title": None})) == [("unchanged", None)]
    assert outcomes(api.add(audience, {**ADA, "title": "CEO"})) == [("updated", None)]
    got = api.get(f"AG/prospects/{first['items'][0]['prospectId']}").data
    assert (got["title"], got["name"]) == ("CEO", "Ada Example")


def test_a_known_person_is_added_to_another_audience(api: Tenant, audience: str) -> None:
    other = api.audience()["id"]
    id_ = api.prospect(audience, **ADA)
    data = api.add(other, {**ADA, "title": "CTO"})
    assert outcomes(data) == [("added", None)]
    assert data["items"][0]["prospectId"] == id_
    assert api.get(f"AG/prospects/{id_}").data["title"] == "CTO"


def test_by_prospect_id(api: Tenant, stranger: Tenant, audience: str) -> None:
    other = api.audience()["id"]
    id_ = api.prospect(audience, **ADA)
    theirs = stranger.prospect(stranger.audience()["id"], **ADA)
    assert theirs != id_
    data = api.add(
        other,
        {"prospectId": id_},
        {"prospectId": theirs},
        {"prospectId": UNKNOWN},
        {"prospectId": id_},
    )
    assert outcomes(data) == [
        ("added", None),
        ("failed", "NOT_FOUND"),
        ("failed", "NOT_FOUND"),
        ("skipped", "DUPLICATE_IN_SOURCE"),
    ]
    assert [item["prospectId"] for item in data["items"][1:3]] == [None, None]
    assert outcomes(api.add(other, {"prospectId": id_})) == [("unchanged", None)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "NO_IDENTITY"),
        ({"name": "Ada Example"}, "NO_IDENTITY"),
        ({"company": {"name": "Example Ltd"}}, "NO_IDENTITY"),
        ({"firstName": "Ada", "title": "CTO"}, "NO_IDENTITY"),
        ({"name": " ", "company": {"name": "Example Ltd"}}, "NO_IDENTITY"),
        ({"email": "ada"}, "INVALID_EMAIL"),
        ({"email": "a@example.com, b@example.com"}, "INVALID_EMAIL"),
        ({"email": "a b@example.com"}, "INVALID_EMAIL"),
        ({**ADA, "photoUrl": "javascript:alert(1)"}, "INVALID_URL"),
        ({**ADA, "photoUrl": "ftp://example.com/x"}, "INVALID_URL"),
        ({**ADA, "linkedinUrl": "https://www.linkedin.com/in/"}, "INVALID_URL"),
        ({**ADA, "linkedinUrl": "not a url"}, "INVALID_URL"),
        ({**ADA, "company": {"website": "ht!tp://x"}}, "INVALID_URL"),
        (
            {"linkedinUrl": "https://www.linkedin.com/in/ada", "publicIdentifier": "grace"},
            "INVALID_URL",
        ),
        ({**ADA, "title": "a\nb"}, "INVALID_TEXT"),
        ({**ADA, "name": "a\u202eb"}, "INVALID_TEXT"),
        ({**ADA, "about": "a\u0001b"}, "INVALID_TEXT"),
        ({**ADA, "providerId": "a/b"}, "INVALID_TEXT"),
        ({**ADA, "title": "x" * 256}, "FIELD_TOO_LONG"),
        ({**ADA, "headline": "x" * 501}, "FIELD_TOO_LONG"),
        ({**ADA, "about": "x" * 10_001}, "FIELD_TOO_LONG"),
        ({**ADA, "phone": "1" * 65}, "FIELD_TOO_LONG"),
        ({**ADA, "providerId": "x" * 129}, "FIELD_TOO_LONG"),
        ({**ADA, "photoUrl": "https://example.com/" + "x" * 2048}, "FIELD_TOO_LONG"),
        ({**ADA, "company": {"name": "x" * 256}}, "FIELD_TOO_LONG"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_bad_value_fails_its_row_alone(api: Tenant, audience: str, row: Any, reason: str) -> None:
    good = {"email": "grace@example.com"}
    data = api.add(audience, row, good)
    assert outcomes(data) == [("failed", reason), ("added", None)]
    assert data["prospectCount"] == 1
    assert data["items"][0]["prospectId"] is None


def test_name_and_company_know_only_those_who_have_nothing_else(api: Tenant, audience: str) -> None:
    named = {"name": "Ada Example", "company": {"name": "Example Ltd"}}
    id_ = api.prospect(audience, **named)
    again = {"firstName": "ADA", "lastName": " Example", "company": {"name": "EXAMPLE  Ltd"}}
    data = api.add(audience, again)
    assert data["items"][0]["prospectId"] == id_
    with_email = api.add(audience, {**named, "email": "ada@example.com"})
    assert outcomes(with_email) == [("added", None)]
    assert with_email["items"][0]["prospectId"] != id_


def test_the_first_key_that_both_have_decides(api: Tenant, audience: str) -> None:
    one = api.prospect(audience, providerId="P-1", email="shared@example.com")
    data = api.add(audience, {"providerId": "P-2", "email": "shared@example.com"})
    assert outcomes(data) == [("added", None)]
    assert data["items"][0]["prospectId"] != one
    slug = {"linkedinUrl": "https://www.linkedin.com/in/Ada"}
    data = api.add(audience, {**slug, "providerId": "P-1"})
    assert data["items"][0]["prospectId"] == one
    assert api.add(audience, {"publicIdentifier": "ADA"})["items"][0]["prospectId"] == one


def test_a_row_that_is_two_people_merges_nothing(api: Tenant, audience: str) -> None:
    one = api.prospect(audience, publicIdentifier="ada")
    two = api.prospect(audience, email="ada@example.com")
    before = [api.get(f"AG/prospects/{id_}").data for id_ in (one, two)]
    both = {"publicIdentifier": "ada", "email": "ada@example.com", "title": "CTO"}
    data = api.add(audience, both)
    assert outcomes(data) == [("failed", "AMBIGUOUS_MATCH")]
    assert one in data["items"][0]["message"]
    assert two in data["items"][0]["message"]
    assert [api.get(f"AG/prospects/{id_}").data for id_ in (one, two)] == before


def test_suppressed_people_are_skipped(api: Tenant, audience: str) -> None:
    entries = [
        ("email", "ADA@Example.com"),
        ("domain", "blocked.example"),
        ("public_identifier", "Grace"),
        ("provider_id", "P-9"),
    ]
    for kind, value in entries:
        api.post("AG/suppressions", {"kind": kind, "value": value}).expect(201)
    data = api.add(
        audience,
        {"email": "ada@example.com"},
        {"email": "x@blocked.example"},
        {"email": "x@sub.blocked.example"},
        {"linkedinUrl": "https://linkedin.com/in/grace"},
        {"providerId": "P-9"},
        {"providerId": "p-9"},
    )
    skipped, added = ("skipped", "SUPPRESSED"), ("added", None)
    assert outcomes(data) == [skipped, skipped, added, skipped, skipped, added]
    assert data["items"][0]["prospectId"] is None


def test_a_stored_person_who_is_suppressed_is_not_added_by_id(api: Tenant, audience: str) -> None:
    id_ = api.prospect(audience, **ADA)
    api.post("AG/suppressions", {"kind": "email", "value": "ada@example.com"}).expect(201)
    assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == 1
    data = api.add(api.audience()["id"], {"prospectId": id_})
    assert outcomes(data) == [("skipped", "SUPPRESSED")]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "prospects", "required"),
        ({"prospects": None}, "prospects", "null_not_allowed"),
        ({"prospects": {}}, "prospects", "wrong_type"),
        ({"prospects": []}, "prospects", "too_short"),
        ({"prospects": [{}] * 1001}, "prospects", "too_long"),
        ({"prospects": ["x"]}, "prospects[0]", "wrong_type"),
        ({"prospects": [None]}, "prospects[0]", "null_not_allowed"),
        ({"prospects": [ADA, {"email": 1}]}, "prospects[1].email", "wrong_type"),
        ({"prospects": [{"company": "x"}]}, "prospects[0].company", "wrong_type"),
        ({"prospects": [{"company": {"name": 1}}]}, "prospects[0].company.name", "wrong_type"),
        ({"prospects": [{"company": {"x": 1}}]}, "prospects[0].company.x", "unknown_field"),
        ({"prospects": [{**ADA, "x": 1}]}, "prospects[0].x", "unknown_field"),
        ({"prospects": [{**ADA, "id": UNKNOWN}]}, "prospects[0].id", "unknown_field"),
        ({"prospects": [{**ADA, "createdAt": None}]}, "prospects[0].createdAt", "unknown_field"),
        ({"prospects": [{"prospectId": "x"}]}, "prospects[0].prospectId", "invalid_format"),
        ({"prospects": [{"prospectId": 1}]}, "prospects[0].prospectId", "wrong_type"),
        ({"prospects": [{"prospectId": UNKNOWN, **ADA}]}, "prospects[0].prospectId", "exactly_one"),
        ({"prospects": [ADA], "x": 1}, "x", "unknown_field"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_bad_body_adds_nobody(
    api: Tenant, audience: str, body: Any, field: str, code: str
) -> None:
    answer = api.post(f"AG/audiences/{audience}/prospects", body).expect(400, "VALIDATION_ERROR")
    assert (field, code) in answer.issues, answer.error
    assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == 0


def test_a_thousand_at_once(api: Tenant, audience: str) -> None:
    rows = [{"email": f"person{at % 900}@example.com"} for at in range(1000)]
    data = api.add(audience, *rows)
    assert data["counts"] == {
        "received": 1000, "added": 900, "updated": 0, "unchanged": 0, "skipped": 100, "failed": 0,
    }  # fmt: skip
    assert data["prospectCount"] == api.get(f"AG/audiences/{audience}").data["prospectCount"] == 900


def test_a_filling_audience_takes_nobody(api: Tenant, audience: str) -> None:
    with api.filling(audience):
        answer = api.post(f"AG/audiences/{audience}/prospects", {"prospects": [ADA]})
        answer.expect(409, "AUDIENCE_NOT_READY")
    assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == 0


def test_the_event_of_an_addition(api: Tenant, audience: str) -> None:
    api.add(audience, ADA, ADA)
    (event,) = api.events("audience.members_changed")
    data = json.loads(event[2])
    assert (event[1], data["prospectCount"], data["counts"]["added"]) == (audience, 1, 1)
    assert "ada" not in event[2]
    api.add(audience, ADA)
    assert len(api.events("audience.members_changed")) == 1


def test_two_requests_at_once_make_one_person(api: Tenant) -> None:
    audiences = [api.audience()["id"] for _ in range(8)]
    for round_ in range(3):
        person = {"email": f"same{round_}@example.com"}
        answers = at_once([partial(api.add, audience, person) for audience in audiences])
        assert len({data["items"][0]["prospectId"] for data in answers}) == 1


def test_the_count_is_exact_under_concurrent_additions_and_removals(api: Tenant) -> None:
    first, second = api.audience()["id"], api.audience()["id"]
    rows = [{"email": f"person{at}@example.com"} for at in range(12)]
    ids = [item["prospectId"] for item in api.add(first, *rows)["items"]]
    calls: list[Any] = []
    for at in range(20):
        people = [rows[(at + step) % 12] for step in range(6)]
        calls.append(partial(api.post, f"AG/audiences/{first}/prospects", {"prospects": people}))
        calls.append(
            partial(api.post, f"AG/audiences/{second}/prospects", {"prospects": people[::-1]})
        )
        calls.append(partial(api.delete, f"AG/audiences/{first}/prospects/{ids[at % 12]}"))
        calls.append(partial(api.delete, f"AG/audiences/{second}/prospects/{ids[-at % 12]}"))
    answers = at_once(calls, threads=20)
    assert {answer.status for answer in answers} <= {200, 404}
    for audience in (first, second):
        rows_of = api.server.value(
            "SELECT COUNT(*) FROM memberships WHERE account_group_id = $1 AND audience_id = $2",
            api.group,
            bytes.fromhex(audience),
        )
        assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == rows_of
        assert len(api.get(f"AG/audiences/{audience}/prospects").data["items"]) == rows_of
    everybody = "SELECT COUNT(*) FROM prospects WHERE account_group_id = $1"
    assert api.server.value(everybody, api.group) == 12
