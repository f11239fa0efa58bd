"""A file gives the same people in whatever order its rows stand."""

from __future__ import annotations

import csv
import io
import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longlist.prospecting import links
from longlist.prospects.identity import Keys
from longlist.prospects.linking import links_among
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker

FIELDS = ("providerId", "publicIdentifier", "email")
COLUMNS = ("Provider Id", "Profile", "Email", "Title")
MAPPING = dict(zip(COLUMNS, (*FIELDS, "title"), strict=True))

Row = tuple[str, str, str]


def person(name: str) -> Row:
    return (f"P-{name}", f"in-{name}", f"{name}@example.com")


def some_of(whole: Row, *fields: str) -> Row:
    return tuple(value if name in fields else "" for name, value in zip(FIELDS, whole, strict=True))  # type: ignore[return-value]


def as_csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([*row, "Buyer"] for row in rows)
    return text.getvalue().encode()


def start(api: Tenant, rows: Sequence[Row], **more: Any) -> Any:
    headers = {"Content-Type": "text/csv"}
    uploaded = api.send("POST", "AG/files", body=as_csv(rows), headers=headers).expect(201).data
    body = {"type": "file_import", "fileId": uploaded["fileId"], "audienceName": "Imported"}
    return api.post("AG/prospecting", {**body, "mapping": MAPPING, **more})


def take_in(api: Tenant, rows: Sequence[Row], page_rows: int = 1) -> Any:
    """The job of an import that dies in the middle and goes on."""
    job_id = str(start(api, rows).expect(202).data["jobId"])
    first = HandWorker(api.server, page_rows=page_rows)
    assert first.run(job_id, pages=1)
    first.die()
    assert HandWorker(api.server, page_rows=page_rows).run(job_id)
    return api.get(f"AG/prospecting/{job_id}").expect(200).data


def people(api: Tenant, audience_id: str) -> set[Row]:
    found = api.get(f"AG/audiences/{audience_id}/prospects?limit=200").expect(200).data["items"]
    everybody = [tuple(one[field] or "" for field in FIELDS) for one in found]
    assert len(set(everybody)) == len(everybody)
    return set(everybody)  # type: ignore[arg-type]


ADA = person("ada")
BRIDGED = [
    some_of(ADA, "email"),
    some_of(ADA, "publicIdentifier"),
    some_of(ADA, "email", "publicIdentifier"),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_two_rows_that_a_third_joins_are_one_person(api: Tenant, order: tuple[int, ...]) -> None:
    job = take_in(api, [BRIDGED[at] for at in order])
    counts = job["counts"]
    assert (counts["received"], counts["added"], counts["failed"]) == (3, 1, 0)
    assert people(api, job["audienceId"]) == {some_of(ADA, "email", "publicIdentifier")}


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_stored_person_is_found_by_what_another_row_knows(
    api: Tenant, order: tuple[int, ...]
) -> None:
    take_in(api, [some_of(ADA, "providerId")] * 2)
    rows = [some_of(ADA, "email"), some_of(ADA, "email", "providerId")]
    job = take_in(api, [rows[at] for at in order])
    assert job["counts"]["failed"] == 0
    assert people(api, job["audienceId"]) == {some_of(ADA, "email", "providerId")}


def test_a_row_that_joins_two_stored_people_is_never_a_merge(api: Tenant) -> None:
    take_in(api, [some_of(ADA, "email"), some_of(person("bob"), "email")])
    take_in(api, [some_of(ADA, "publicIdentifier"), some_of(person("bob"), "publicIdentifier")])
    job = take_in(api, BRIDGED)
    assert job["counts"]["added"] == 2
    rows = api.get(f"AG/prospecting/{job['jobId']}/rows").expect(200).data["items"]
    assert [row["reason"] for row in rows] == [None, None, "AMBIGUOUS_MATCH"]
    assert all(row["prospectId"] in rows[2]["message"] for row in rows[:2])


def test_a_dry_run_counts_as_the_import_does(api: Tenant) -> None:
    rehearsed = start(api, BRIDGED, dryRun=True).expect(200).data["counts"]
    assert rehearsed == take_in(api, BRIDGED)["counts"]


def test_rows_of_one_request_are_joined_too(api: Tenant) -> None:
    audience = api.post("AG/audiences", {"name": "By hand", "type": "on_demand"}).expect(201).data
    body = [
        {name: value for name, value in zip(FIELDS, row, strict=True) if value} for row in BRIDGED
    ]
    path = f"AG/audiences/{audience['id']}/prospects"
    counts = api.post(path, {"prospects": body}).expect(200).data["counts"]
    assert (counts["added"], counts["failed"]) == (1, 0)


def test_a_suppressed_person_is_known_by_every_row(api: Tenant) -> None:
    api.post("AG/suppressions", {"kind": "email", "value": ADA[2], "reason": "unsubscribe"}).expect(
        201
    )
    counts = take_in(api, BRIDGED)["counts"]
    assert counts["skipped"] == 3


def test_files_in_any_order_give_the_same_people(api: Tenant) -> None:
    """Hundreds of people in rows with some of their keys each, beside some already stored."""
    chance = random.Random(7)
    everybody = [person(f"p{at}") for at in range(60)]
    stored = [some_of(one, chance.choice(FIELDS)) for one in everybody[:20]]
    rows = [
        some_of(one, *chance.sample(FIELDS, chance.randint(1, 3)))
        for one in everybody
        for _ in range(chance.randint(1, 6))
    ]
    results = []
    for order in range(3):
        tenant = api if order == 0 else Tenant(api.server)
        take_in(tenant, stored)
        random.Random(order).shuffle(rows)
        job = take_in(tenant, rows, page_rows=50)
        assert job["counts"]["failed"] == 0
        results.append(people(tenant, job["audienceId"]))
    assert results[0] == results[1] == results[2]


def _keys(row: Row) -> Keys:
    return Keys(*(value.encode() or None for value in row))


@st.composite
def rows_without_contradiction(draw: st.DrawFn) -> list[Keys]:
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
    return [
        _keys(some_of(person(name), *draw(st.sets(st.sampled_from(FIELDS), min_size=1))))
        for name in names
    ]


@settings(max_examples=200, deadline=None)
@given(rows_without_contradiction(), st.randoms(use_true_random=False))
def test_links_do_not_depend_on_the_order(rows: list[Keys], chance: random.Random) -> None:
    found = links_among(rows).unions
    chance.shuffle(rows)
    assert links_among(rows).unions == found
    for keys, union in found.items():
        assert {key for _, key in keys.all()} < {key for _, key in union.all()}


def test_rows_that_contradict_each_other_are_not_joined() -> None:
    shared = "team@example.com"
    rows = [("", "in-ada", shared), ("", "in-bob", shared), ("", "", shared), ("P-1", "in-bob", "")]
    assert links_among([_keys(row) for row in rows]).unions == {}


def test_a_file_made_to_be_a_burden_is_taken_in_its_order(
    api: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MAX_LINKED", 2)
    counts = take_in(api, BRIDGED)["counts"]
    assert (counts["added"], counts["failed"]) == (2, 1)
