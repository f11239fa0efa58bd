"""GET export (contract 5.4)."""

from __future__ import annotations

import csv
import io
import json
import threading
from typing import Any

import pytest

from tests.harness.tenant import UNKNOWN, Tenant

COMPANY = ["name", "linkedinIdentifier", "linkedinUrl", "industry", "website", "domain", "size"]
COLUMNS = [
    "id", "firstName", "lastName", "name", "headline", "about", "photoUrl", "linkedinUrl",
    "publicIdentifier", "providerId", "title", "location", "email", "phone",
    *[f"company.{name}" for name in COMPANY], "createdAt", "updatedAt",
]  # fmt: skip
PEOPLE: list[dict[str, Any]] = [
    {
        "email": "ada@example.com",
        "firstName": "Ada",
        "lastName": "Example",
        "about": 'Said "hi",\nleft',
    },
    {
        "publicIdentifier": "gr\u00e4ce",
        "company": {"name": "Example; Ltd", "domain": "example.com"},
    },
    {"providerId": "P-3", "title": "CTO, Benelux", "phone": "+49 30 1"},
]


def rows_of(text: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode(), newline="")))


def flat(prospect: Any) -> list[str]:
    """A prospect as a line of the CSV, formulas not yet guarded."""
    company = prospect["company"]
    values = [company[c[8:]] if c.startswith("company.") else prospect[c] for c in COLUMNS]
    return ["" if value is None else value for value in values]


@pytest.fixture
def audience(api: Tenant) -> str:
    id_ = str(api.audience()["id"])
    api.add(id_, *PEOPLE)
    return id_


def test_csv(api: Tenant, audience: str) -> None:
    answer = api.get(f"AG/audiences/{audience}/export").expect(200)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    disposition = f'attachment; filename="audience-{audience}.csv"'
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["x-row-count"] == "3"
    assert answer.body.endswith(b"\r\n")
    assert answer.body.replace(b"\r\n", b"").count(b"\r") == 0
    header, *rows = rows_of(answer.body)
    assert header == COLUMNS
    listed = api.get(f"AG/audiences/{audience}/prospects").data["items"]
    guarded = [["'" + v if v.startswith("+") else v for v in flat(item)] for item in listed]
    assert rows == guarded
    assert b'"Said ""hi"",\nleft"' in answer.body


def test_ndjson(api: Tenant, audience: str) -> None:
    listed = api.get(f"AG/audiences/{audience}/prospects").data["items"]
    for target, headers in (
        (f"AG/audiences/{audience}/export?format=ndjson", {}),
        (f"AG/audiences/{audience}/export", {"Accept": "application/x-ndjson"}),
        (f"AG/audiences/{audience}/export?format=ndjson", {"Accept": "text/csv"}),
    ):
        answer = api.get(target, headers=headers).expect(200)
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.headers["content-disposition"].endswith(f'audience-{audience}.ndjson"')
        assert answer.headers["x-row-count"] == "3"
        assert answer.body.endswith(b"\n")
        assert [json.loads(line) for line in answer.body.splitlines()] == listed


@pytest.mark.parametrize("accept", ["text/csv", "*/*", "application/json", "text/html", ""])
def test_everything_else_gets_csv(api: Tenant, audience: str, accept: str) -> None:
    for target in ("export", "export?format=csv"):
        answer = api.get(f"AG/audiences/{audience}/{target}", headers={"Accept": accept})
        assert answer.expect(200).headers["content-type"] == "text/csv; charset=utf-8"


def test_an_empty_audience(api: Tenant) -> None:
    empty = api.audience()["id"]
    answer = api.get(f"AG/audiences/{empty}/export").expect(200)
    assert answer.headers["x-row-count"] == "0"
    assert rows_of(answer.body) == [COLUMNS]
    assert api.get(f"AG/audiences/{empty}/export?format=ndjson").expect(200).body == b""


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_formulas_are_guarded_in_csv_and_verbatim_in_ndjson(api: Tenant, first: str) -> None:
    audience = api.audience()["id"]
    danger = f"{first}HYPERLINK(1)"
    api.add(audience, {"email": "ada@example.com", "title": danger, "company": {"name": danger}})
    row = rows_of(api.get(f"AG/audiences/{audience}/export").body)[1]
    assert (row[10], row[14]) == ("'" + danger, "'" + danger)
    line = json.loads(api.get(f"AG/audiences/{audience}/export?format=ndjson").body)
    assert line["title"] == danger


@pytest.mark.parametrize("first", ["\t", "\n", "\r\n"])
def test_leading_tabs_and_line_ends_are_guarded(api: Tenant, first: str) -> None:
    audience = api.audience()["id"]
    api.add(audience, {"email": "ada@example.com", "about": f"{first}=1"})
    row = rows_of(api.get(f"AG/audiences/{audience}/export").body)[1]
    assert row[5] == "'" + first.replace("\r\n", "\n") + "=1"


def test_an_export_imported_again_changes_nobody(
    api: Tenant, stranger: Tenant, audience: str
) -> None:
    lines = api.get(f"AG/audiences/{audience}/export?format=ndjson").body.splitlines()
    rows = [json.loads(line) for line in lines]
    inputs = [
        {k: v for k, v in row.items() if k not in ("id", "createdAt", "updatedAt")} for row in rows
    ]
    data = api.add(audience, *inputs)
    assert data["counts"]["unchanged"] == len(rows)
    assert [item["prospectId"] for item in data["items"]] == [row["id"] for row in rows]
    there = stranger.audience()["id"]
    assert stranger.add(there, *inputs[::-1])["counts"]["added"] == len(rows)
    copy = stranger.get(f"AG/audiences/{there}/export?format=ndjson").body.splitlines()
    for one, two in zip(rows, map(json.loads, copy), strict=True):
        for name in ("id", "createdAt", "updatedAt"):
            one.pop(name), two.pop(name)
        assert one == two


def test_many_rows_in_one_snapshot_while_others_write(api: Tenant) -> None:
    audience = api.audience()["id"]
    for start in range(0, 2000, 1000):
        api.add(audience, *[{"email": f"person{start + at}@example.com"} for at in range(1000)])
    stop = threading.Event()

    def write() -> None:
        at = 0
        while not stop.is_set() and at < 2000:
            api.add(audience, *[{"email": f"late{at + step}@example.com"} for step in range(20)])
            at += 20

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            answer = api.get(f"AG/audiences/{audience}/export").expect(200)
            emails = [row[12] for row in rows_of(answer.body)[1:]]
            assert len(emails) == len(set(emails)) == int(answer.headers["x-row-count"])
            assert len(emails) % 20 == 0
    finally:
        stop.set()
        writer.join()


def test_guards(api: Tenant, stranger: Tenant, audience: str) -> None:
    theirs = stranger.audience()["id"]
    for id_ in (UNKNOWN, theirs):
        api.get(f"AG/audiences/{id_}/export").expect(404, "NOT_FOUND")
    for query in ("format=xlsx", "format=", "format=CSV", "format=csv&format=csv", "limit=1"):
        api.get(f"AG/audiences/{audience}/export?{query}").expect(400)
    with api.filling(audience):
        api.get(f"AG/audiences/{audience}/export").expect(409, "AUDIENCE_NOT_READY")
