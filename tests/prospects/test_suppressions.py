"""The suppression list (contract 5.7)."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from tests.harness.client import at_once
from tests.harness.tenant import UNKNOWN, Tenant
from tests.harness.walk import check_cursors, check_limits, items, pages

LIST = "AG/suppressions"
VALUES = [
    ("email", "ada@example.com", "ADA@EXAMPLE.COM"),
    ("domain", "example.com", " Example.COM"),
    ("public_identifier", "ada-example", "ADA-Example"),
    ("provider_id", "P-1", " P-1 "),
]


def suppress(api: Tenant, kind: str = "email", value: str = "ada@example.com", **more: Any) -> Any:
    return api.post(LIST, {"kind": kind, "value": value, **more})


@pytest.mark.parametrize(("kind", "value", "spelling"), VALUES)
def test_a_new_entry_and_the_same_again(api: Tenant, kind: str, value: str, spelling: str) -> None:
    answer = suppress(api, kind, value, note=" a\r\nb").expect(201)
    assert list(answer.data) == ["id", "kind", "reason", "note", "createdAt"]
    assert re.fullmatch("[0-9a-f]{24}", answer.data["id"])
    assert (answer.data["kind"], answer.data["reason"], answer.data["note"]) == (
        kind,
        "manual",
        " a\nb",
    )
    again = suppress(api, kind, spelling, reason="unsubscribe", note="other").expect(200)
    assert again.data == answer.data
    assert items(api, LIST) == [answer.data]
    assert len(api.events("suppression.created")) == 1


def test_the_value_is_nowhere(api: Tenant) -> None:
    suppress(api, "email", "ada.sesame@example.com").expect(201)
    stored = api.server.rows("SELECT * FROM suppressions WHERE account_group_id = $1", api.group)
    assert "sesame" not in repr((stored, api.events()))


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"value": "x"}, "kind", "required"),
        ({"kind": "email"}, "value", "required"),
        ({"kind": "phone", "value": "1"}, "kind", "invalid_choice"),
        ({"kind": "name_company", "value": "x"}, "kind", "invalid_choice"),
        ({"kind": "email", "value": "ada"}, "value", "invalid_format"),
        ({"kind": "email", "value": "a@example.com b@example.com"}, "value", "invalid_format"),
        ({"kind": "email", "value": "x" * 300 + "@example.com"}, "value", None),
        ({"kind": "domain", "value": "a@example.com"}, "value", "invalid_format"),
        ({"kind": "domain", "value": "not a domain"}, "value", "invalid_format"),
        ({"kind": "provider_id", "value": "a/b"}, "value", "invalid_format"),
        ({"kind": "public_identifier", "value": "a b"}, "value", "invalid_format"),
        ({"kind": "email", "value": ""}, "value", "too_short"),
        ({"kind": "email", "value": None}, "value", "null_not_allowed"),
        (
            {"kind": "email", "value": "a@example.com", "reason": "erasure"},
            "reason",
            "invalid_choice",
        ),
        ({"kind": "email", "value": "a@example.com", "note": "x" * 501}, "note", "too_long"),
        (
            {"kind": "email", "value": "a@example.com", "note": "a\u0000"},
            "note",
            "invalid_characters",
        ),
    ],
)
def test_a_bad_entry(api: Tenant, body: Any, field: str, code: str | None) -> None:
    answer = api.post(LIST, body).expect(400)
    assert field in [found for found, _ in answer.issues]
    assert code is None or code in [found for _, found in answer.issues]
    assert items(api, LIST) == []


def test_null_equals_missing(api: Tenant) -> None:
    data = suppress(api, reason=None, note=None).expect(201).data
    assert (data["reason"], data["note"]) == ("manual", None)


def test_pages_and_filters(api: Tenant, stranger: Tenant) -> None:
    made = []
    for at in range(9):
        reason = "unsubscribe" if at % 3 == 0 else "manual"
        kind, value = ("email", f"p{at}@example.com") if at % 2 else ("domain", f"d{at}.example")
        made.append(suppress(api, kind, value, reason=reason).expect(201).data)
    suppress(stranger).expect(201)
    assert [item for page in pages(api, LIST, 4) for item in page] == made[::-1]
    emails = [item["id"] for item in made[::-1] if item["kind"] == "email"]
    assert [item["id"] for item in items(api, f"{LIST}?kind=email", 2)] == emails
    unsubscribed = [item["id"] for item in made[::-1] if item["reason"] == "unsubscribe"]
    assert [item["id"] for item in items(api, f"{LIST}?reason=unsubscribe", 1)] == unsubscribed
    assert items(api, f"{LIST}?reason=erasure") == []
    both = items(api, f"{LIST}?reason=unsubscribe&kind=email")
    assert [item["kind"] for item in both] == ["email"]
    check_limits(api, LIST)
    check_cursors(api, LIST, "kind=email", stranger)
    for bad in ("kind=name_company", "kind=", "reason=x", "value=x", "kind=email&kind=email"):
        api.get(f"{LIST}?{bad}").expect(400)


def test_a_deleted_entry_no_longer_holds_anybody_off(api: Tenant, stranger: Tenant) -> None:
    audience = api.audience()["id"]
    entry = suppress(api).expect(201).data
    assert api.add(audience, {"email": "ada@example.com"})["counts"]["skipped"] == 1
    stranger.delete(f"{LIST}/{entry['id']}").expect(404)
    api.delete(f"{LIST}/{entry['id']}").expect(200)
    answer = api.delete(f"{LIST}/{entry['id']}").expect(404)
    assert answer.error["context"] == {"resource": "suppression"}
    api.delete(f"{LIST}/{UNKNOWN}").expect(404)
    assert api.add(audience, {"email": "ada@example.com"})["counts"]["added"] == 1
    assert len(api.events("suppression.deleted")) == 1


def test_one_entry_under_concurrency(api: Tenant) -> None:
    answers = at_once([partial(suppress, api) for _ in range(16)])
    assert sorted(answer.status for answer in answers) == [200] * 15 + [201]
    assert len({answer.data["id"] for answer in answers}) == 1


def test_entries_are_of_one_group(api: Tenant, stranger: Tenant) -> None:
    suppress(api).expect(201)
    audience = stranger.audience()["id"]
    assert stranger.add(audience, {"email": "ada@example.com"})["counts"]["added"] == 1
