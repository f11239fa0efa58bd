"""DELETE prospect (contract 5.6): nothing is left but keyed hashes."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from longlist.tables import METADATA
from tests.harness.client import at_once
from tests.harness.tenant import UNKNOWN, Tenant

WORDS = [
    f"zephyrine{name}"
    for name in ("first", "last", "head", "about", "slug", "prov", "mail", "firm", "town")
]
ZEPHYRINE: dict[str, Any] = {
    "firstName": WORDS[0],
    "lastName": WORDS[1],
    "headline": WORDS[2],
    "about": f"{WORDS[3]}\n" * 300,
    "publicIdentifier": WORDS[4],
    "providerId": WORDS[5],
    "email": f"{WORDS[6]}@example.com",
    "location": WORDS[8],
    "phone": "+99 000 4711-4712",
    "company": {"name": WORDS[7], "domain": f"{WORDS[7]}.example"},
}


def dump(api: Tenant) -> str:
    """Every row of the group and of the tables without groups, as text; bytes also as hex."""
    found = []
    for table in METADATA.sorted_tables:
        grouped = "account_group_id" in table.columns
        where = " WHERE account_group_id = $1" if grouped else ""
        for row in api.server.rows(f"SELECT * FROM {table.name}{where}", *[api.group][:grouped]):
            shown = [value.hex() if isinstance(value, bytes) else value for value in row]
            found.append(repr((table.name, shown, row)))
    return "\n".join(found)


def test_nothing_of_the_person_is_left(api: Tenant) -> None:
    audience, other = api.audience()["id"], api.audience()["id"]
    body = {"prospects": [ZEPHYRINE]}
    key = {"Idempotency-Key": "an-add"}
    added = api.post(f"AG/audiences/{audience}/prospects", body, headers=key).expect(200).data
    id_ = added["items"][0]["prospectId"]
    api.add(other, {"prospectId": id_}, *[{"email": f"p{at}@example.com"} for at in range(30)])
    api.add(other, {"providerId": WORDS[5], "about": f"{WORDS[3]} again " * 40, "title": WORDS[2]})
    api.add(other, {"providerId": WORDS[5], "headline": "short", "title": "also short"})
    assert all(word in dump(api) for word in WORDS[:2])
    api.delete(f"AG/prospects/{id_}").expect(200)
    left = dump(api)
    assert "zephyrine" not in left
    assert "4711-4712" not in left
    _check_disk(api)


READ_ALL = """
import pathlib, sys
for file in pathlib.Path(sys.argv[1]).rglob("*"):
    if file.is_file():
        content = file.read_bytes().lower()
        for word in sys.argv[2:]:
            if word.encode() in content:
                print(file.name, word)
"""


def _check_disk(api: Tenant) -> None:
    """Scrub as the server does after an erasure, then look for the words in every file.

    By another process: SQLite's locks are lost when its own process closes the file elsewhere.
    """
    api.server.call(api.server.installation.db.scrub)
    if api.server.settings.uses_postgres:
        return
    command = [sys.executable, "-c", READ_ALL, api.server.settings.data, "zephyrine", "4711-4712"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == ""


def test_of_a_crowd_one_leaves_no_bytes(api: Tenant) -> None:
    """Pages that split and merge around the person must not keep a copy."""
    audience = api.audience()["id"]
    for batch in range(4):
        rows = [
            {"email": f"p{batch}-{at}@example.com", "about": "ordinary " * (at % 60)}
            for at in range(150)
        ]
        rows[70] = {
            **ZEPHYRINE,
            "email": f"zephyrinemail{batch}@example.com",
            "providerId": f"zephyrine{batch}",
            "publicIdentifier": f"zephyrine{batch}",
        }
        data = api.add(audience, *rows)
        assert data["counts"]["added"] == 150
        api.delete(f"AG/prospects/{data['items'][70]['prospectId']}").expect(200)
    assert "zephyrine" not in dump(api)
    _check_disk(api)


def test_every_audience_loses_the_person_in_the_same_moment(api: Tenant) -> None:
    audiences = [api.audience()["id"] for _ in range(3)]
    id_ = api.prospect(audiences[0], email="ada@example.com")
    for audience in audiences[1:]:
        api.add(audience, {"prospectId": id_}, {"email": "grace@example.com"})
    tags = [api.get(f"AG/audiences/{audience}").etag for audience in audiences]
    with api.filling(audiences[2]):
        api.delete(f"AG/prospects/{id_}").expect(200)
    shown = [api.get(f"AG/audiences/{audience}") for audience in audiences]
    assert [answer.data["prospectCount"] for answer in shown] == [0, 1, 1]
    assert all(answer.etag != tag for answer, tag in zip(shown, tags, strict=True))
    for answer in (api.get(f"AG/prospects/{id_}"), api.delete(f"AG/prospects/{id_}")):
        assert answer.expect(404).error["context"] == {"resource": "prospect"}
    (event,) = api.events("prospect.erased")
    assert json.loads(event[2]) == {"prospectId": id_}


@pytest.mark.parametrize(
    "again",
    [
        {"email": f"{WORDS[6].upper()}@EXAMPLE.com"},
        {"providerId": WORDS[5]},
        {"linkedinUrl": f"https://de.linkedin.com/in/{WORDS[4]}/"},
        {**ZEPHYRINE, "providerId": "another"},
    ],
)
def test_no_addition_brings_the_person_back(api: Tenant, again: Any) -> None:
    audience = api.audience()["id"]
    api.delete(f"AG/prospects/{api.prospect(audience, **ZEPHYRINE)}").expect(200)
    (item,) = api.add(audience, again)["items"]
    assert (item["outcome"], item["reason"]) == ("skipped", "SUPPRESSED")
    listed = api.get("AG/suppressions?reason=erasure").data["items"]
    assert {entry["kind"] for entry in listed} == {"email", "public_identifier", "provider_id"}
    assert all(entry["note"] is None for entry in listed)


def test_someone_known_by_name_and_company_alone_stays_away_too(api: Tenant) -> None:
    audience = api.audience()["id"]
    named = {"name": "Ada Example", "company": {"name": "Example Ltd"}}
    api.delete(f"AG/prospects/{api.prospect(audience, **named)}").expect(200)
    (item,) = api.add(audience, {"name": "ADA  example", "company": {"name": "example ltd"}})[
        "items"
    ]
    assert (item["outcome"], item["reason"]) == ("skipped", "SUPPRESSED")
    assert api.get("AG/suppressions").data["items"] == []
    other = api.add(audience, {"name": "Ada Example", "company": {"name": "Other Ltd"}})
    assert other["counts"]["added"] == 1


def test_an_entry_that_was_there_becomes_an_erasure(api: Tenant) -> None:
    audience = api.audience()["id"]
    id_ = api.prospect(audience, email="ada@example.com")
    entry = {"kind": "email", "value": "ada@example.com", "note": "asked by mail"}
    api.post("AG/suppressions", entry).expect(201)
    api.delete(f"AG/prospects/{id_}").expect(200)
    (shown,) = api.get("AG/suppressions").data["items"]
    assert (shown["reason"], shown["note"]) == ("erasure", None)


def test_a_stranger_erases_nobody(api: Tenant, stranger: Tenant) -> None:
    audience = stranger.audience()["id"]
    id_ = stranger.prospect(audience, email="ada@example.com")
    for one in (id_, UNKNOWN):
        api.delete(f"AG/prospects/{one}").expect(404)
    stranger.get(f"AG/prospects/{id_}").expect(200)
    ours = api.prospect(api.audience()["id"], email="ada@example.com")
    api.delete(f"AG/prospects/{ours}").expect(200)
    stranger.get(f"AG/prospects/{id_}").expect(200)


def test_erasures_beside_additions_removals_and_deletions(api: Tenant) -> None:
    audiences = [api.audience()["id"] for _ in range(4)]
    rows = [{"email": f"p{at}@example.com"} for at in range(24)]
    ids = [item["prospectId"] for item in api.add(audiences[0], *rows)["items"]]
    for audience in audiences[1:]:
        api.add(audience, *[{"prospectId": id_} for id_ in ids])
    calls: list[Any] = []
    for at in range(12):
        calls.append(partial(api.delete, f"AG/prospects/{ids[at]}"))
        people = {"prospects": rows[at : at + 8]}
        calls.append(partial(api.post, f"AG/audiences/{audiences[at % 3]}/prospects", people))
        calls.append(
            partial(api.delete, f"AG/audiences/{audiences[at % 3]}/prospects/{ids[at + 12]}")
        )
    calls.insert(9, partial(api.delete, f"AG/audiences/{audiences[3]}"))
    answers = at_once(calls, threads=20)
    assert {answer.status for answer in answers} <= {200, 404}
    assert [a.status for a in answers if a.operation and a.operation.id == "eraseProspect"] == [
        200
    ] * 12
    for audience in audiences[:3]:
        members = api.get(f"AG/audiences/{audience}/prospects").data["items"]
        assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == len(members)
        assert not {member["id"] for member in members} & set(ids[:12])
