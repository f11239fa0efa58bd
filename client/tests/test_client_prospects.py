"""Prospects and suppressions through the client, on the real server and on the mock."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from client.tests.backends import Backend

from longlist_client import CompanyInput, NotFound, Prospect, ProspectInput, ValidationError
from longlist_client.client import AccountGroup

UNKNOWN = "0123456789abcdef01234567"
ADA = ProspectInput(
    first_name="Ada",
    last_name="Example",
    email="ada@Example.com",
    title="CTO",
    company=CompanyInput(name="Example Ltd", domain="example.com"),
)


def _audience(account: AccountGroup) -> str:
    return account.audiences.create(name="A", type="on_demand").id


def test_every_outcome(account: AccountGroup) -> None:
    audience_id = _audience(account)
    account.suppressions.create(kind="domain", value="blocked.example", note="asked us")
    added = account.prospects.add(
        audience_id,
        [
            ADA,
            ADA,
            ProspectInput(email="ada@example.com", phone="1"),
            ProspectInput(email="x@blocked.example"),
            ProspectInput(first_name="Nobody"),
            ProspectInput(email="not an address"),
            ProspectInput(prospect_id=UNKNOWN),
            ProspectInput(name="Grace Sample", company=CompanyInput(name="Sample BV")),
        ],
    )
    assert [(item.outcome, item.reason) for item in added.items] == [
        ("added", None),
        ("skipped", "DUPLICATE_IN_SOURCE"),
        ("updated", None),
        ("skipped", "SUPPRESSED"),
        ("failed", "NO_IDENTITY"),
        ("failed", "INVALID_EMAIL"),
        ("failed", "NOT_FOUND"),
        ("added", None),
    ]
    assert [item.position for item in added.items] == list(range(1, 9))
    assert added.prospect_count == 2
    counts = added.counts
    assert (counts.received, counts.added, counts.skipped, counts.failed) == (8, 2, 2, 3)
    again = account.prospects.add(audience_id, [ADA])
    assert [item.outcome for item in again.items] == ["unchanged"]


def test_one_person_stays_one(account: AccountGroup) -> None:
    audience_id = _audience(account)
    (first,) = account.prospects.add(audience_id, [ADA]).items
    known = ProspectInput(
        email="ADA@example.com", linkedin_url="https://nl.linkedin.com/in/Ada-Example/"
    )
    (second,) = account.prospects.add(audience_id, [known]).items
    assert second.prospect_id == first.prospect_id
    assert first.prospect_id is not None
    ada = account.prospects.get(first.prospect_id)
    assert (ada.name, ada.public_identifier) == ("Ada Example", "ada-example")
    assert (ada.company.name, ada.company.size) == ("Example Ltd", None)
    assert ada.etag is not None
    assert account.prospects.get_if_changed(ada.id, ada.etag) is None
    assert next(account.prospects.list(audience_id)).id == ada.id


def test_members_come_and_go(account: AccountGroup) -> None:
    audience_id = _audience(account)
    people = [ProspectInput(email=f"p{n}@example.com") for n in range(5)]
    added = account.prospects.add(audience_id, people)
    ids = [item.prospect_id for item in added.items]
    assert {p.id for p in account.prospects.list(audience_id, limit=2)} == set(ids)
    gone = str(ids[0])
    account.prospects.remove(audience_id, gone)
    with pytest.raises(NotFound):
        account.prospects.remove(audience_id, gone)
    assert account.audiences.get(audience_id).prospect_count == 4
    account.prospects.add(audience_id, [ProspectInput(prospect_id=gone)])
    assert account.audiences.get(audience_id).prospect_count == 5


def test_an_erased_person_does_not_come_back(account: AccountGroup) -> None:
    audience_id = _audience(account)
    (item,) = account.prospects.add(audience_id, [ADA]).items
    assert item.prospect_id is not None
    account.prospects.erase(item.prospect_id)
    with pytest.raises(NotFound):
        account.prospects.get(item.prospect_id)
    assert account.audiences.get(audience_id).prospect_count == 0
    (again,) = account.prospects.add(audience_id, [ADA]).items
    assert (again.outcome, again.reason) == ("skipped", "SUPPRESSED")
    (entry,) = account.suppressions.list(reason="erasure")
    assert entry.kind == "email"
    account.suppressions.delete(entry.id)
    (back,) = account.prospects.add(audience_id, [ADA]).items
    assert back.outcome == "added"


def test_suppressions(account: AccountGroup) -> None:
    made = account.suppressions.create(kind="email", value="a@example.com", reason="unsubscribe")
    same = account.suppressions.create(kind="email", value="A@EXAMPLE.com")
    assert same == made
    account.suppressions.create(kind="provider_id", value="ACo1")
    assert len(list(account.suppressions.list(limit=1))) == 2
    assert [s.id for s in account.suppressions.list(kind="email")] == [made.id]
    account.suppressions.delete(made.id)
    with pytest.raises(NotFound):
        account.suppressions.delete(made.id)


def test_look_up_by_provider_id(account: AccountGroup) -> None:
    audience_id = _audience(account)
    account.prospects.add(audience_id, [ProspectInput(provider_id="urn:li:1?x=1", name="Ada")])
    assert account.prospects.find_by_provider_id("nobody").resolution == "none"
    found = account.prospects.find_by_provider_id("urn:li:1?x=1")
    assert (found.resolution, found.matches[0].name) == ("single", "Ada")
    with pytest.raises(ValidationError) as caught:
        account.prospects.find_by_provider_id("é")
    assert caught.value.status == 422


def test_export(account: AccountGroup, tmp_path: Path) -> None:
    audience_id = _audience(account)
    people = [ProspectInput(email=f"p{n}@example.com", name="a\u2028b") for n in range(3)]
    assert account.prospects.add(audience_id, people).counts.failed == 3
    people = [
        ProspectInput(email=f"p{n}@example.com", name="=cmd()", about="Two\nlines, \u2028é")
        for n in range(3)
    ]
    account.prospects.add(audience_id, people)
    with account.audiences.export(audience_id) as export:
        assert export.row_count == 3
        assert export.content_type == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(export.lines()))
    assert [row["name"] for row in rows] == ["'=cmd()"] * 3
    assert rows[0]["about"] == "Two\nlines, \u2028é"
    assert "company.domain" in rows[0]
    with account.audiences.export(audience_id, format="ndjson") as export:
        found: list[Prospect] = list(export.prospects())
    assert [p.id for p in found] == [p.id for p in account.prospects.list(audience_id)]
    target = tmp_path / "export.csv"
    with account.audiences.export(audience_id) as export:
        export.save(target)
    assert len(list(csv.reader(io.StringIO(target.read_text(), newline="")))) == 4
    with pytest.raises(NotFound), account.audiences.export(UNKNOWN):
        pass


def test_an_empty_audience_exports_its_header(backend: Backend, account: AccountGroup) -> None:
    audience_id = _audience(account)
    with account.audiences.export(audience_id) as export:
        assert export.row_count == 0
        assert len(list(export.lines())) == 1
    with account.audiences.export(audience_id, format="ndjson") as export:
        assert list(export.prospects()) == []
