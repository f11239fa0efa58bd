"""Searching the operator's own people: by a source's pages, and by jobs over the API."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from longlist.context import Context
from longlist.db import Transaction
from longlist.jobs import JobFailed
from longlist.prospecting import directory_store as store
from longlist.prospecting import source_store as sources
from longlist.prospecting.words import words_for, words_of
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker
from tests.prospecting.directories import (
    JOBS,
    PEOPLE,
    directory,
    forget,
    job_of,
    kept_rows,
    load,
    loaded,
    many,
    members,
    names,
    pages,
    run,
    start,
    write_csv,
)

ADA, SOREN, RENEE, WANG, BEN, IOANNA = (person["name"] for person in PEOPLE)


@pytest.mark.parametrize(
    ("query", "filters", "found"),
    [
        ("acme", {}, [ADA, RENEE]),
        ("ACME robotics", {}, [ADA, RENEE]),
        ("acme zurich", {}, [ADA]),
        ("robots walks", {}, [ADA]),
        ("soren lukasz", {}, [SOREN]),
        ("SØREN", {}, [SOREN]),
        ("strasse", {}, [SOREN]),
        ("renee o'model", {}, [RENEE]),
        ("東京", {}, [WANG]),
        ("东京大学", {}, [WANG]),
        ("王", {}, [WANG]),
        ("京東", {}, []),
        ("ιωαννα", {}, [IOANNA]),
        ("σοφια", {}, [IOANNA]),
        ("head", {}, [SOREN, BEN]),
        ("head", {"titles": ["head"]}, [SOREN]),
        ("head", {"titles": ["Head of Engineering", "CTO"]}, [SOREN]),
        ("germany", {"titles": ["engineer", "engineering"]}, [SOREN, BEN]),
        ("berlin", {}, [SOREN, BEN]),
        ("berlin", {"locations": ["Berlin"]}, [SOREN]),
        ("berlin", {"companies": ["berlin bread", "nobody"]}, [BEN]),
        ("acme", {"locations": ["Paris"], "industries": ["machinery"]}, [RENEE]),
        ("acme", {"locations": ["Paris"], "industries": ["software"]}, []),
        ("acme", {"titles": ["vp sales"], "companies": ["Acme, Robotics!"]}, [RENEE]),
        ("germany", {"locations": ["Berlin Hamburg"]}, []),
        ("robot", {}, []),
        ("engineer", {}, [BEN]),
        ("ada@example.com", {}, []),
    ],
)
def test_people_with_every_word_are_found(
    api: Tenant, tmp_path: Path, query: str, filters: dict[str, list[str]], found: list[str]
) -> None:
    made = loaded(api, tmp_path / "people.csv", PEOPLE)
    assert names(pages(api, [made], query, filters)) == found


HOSTILE = [
    "'", '"', "''", '""', "\"acme", "acme\"", "'acme", "acme*", "*", "**", "* acme *", "ac*me",
    "acme AND", "AND", "OR", "NOT", "NOT acme", "acme NOT robotics", "acme OR", "acme AND OR NOT",
    "NEAR(acme robotics)", "NEAR(acme robotics, 5)", "NEAR/2", "title:acme", "words : acme",
    "- acme", "-acme", "+acme", "^acme", "acme^2", "(acme", "acme)", "((((((((", "()", "{acme}",
    "acme & robotics", "acme &", "& |", "!acme", "!!", "acme <-> robotics", "acme:*", "acme:AB",
    "acme\\", "\\", "\\'", "%", "_", "acme; DROP TABLE directory_people; --", "$1", "?", ":a",
    "''; --", "/* acme */", "acme\u00a0robotics", "acme\u2003robotics", "🙂", "acme 🙂", "👩‍💻",
    "東 京", "京大學", "大学", "ﷺ", "\u0301", "a\u0301cme", "Ⅷ", "½", "٣", "ｱｸﾒ", "\U0001f1e9",
    "\U000e0041", "\ufffd", "\ufeffacme", "acme\u200b", "null", "none", "0", "1e3", "-1",
    "acme " * 80, "東" * 499, "(" * 499, '"' * 499, "a " * 249,
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_is_a_syntax(api: Tenant, tmp_path: Path, query: str) -> None:
    """Found are exactly those who have every word of the text, whatever it looks like."""
    made = loaded(api, tmp_path / "people.csv", PEOPLE)
    wanted = set(words_of(query, searched=True))
    places = ("name", "title", "company.name", "location", "company.industry", "headline", "about")
    expected = [
        person["name"]
        for person in PEOPLE
        if wanted and wanted <= set(words_of(" ".join(person.get(place, "") for place in places)))
    ]
    assert names(pages(api, [made], query)) == expected
    filters = {name: [query[:255]] for name in ("titles", "companies", "locations", "industries")}
    assert set(names(pages(api, [made], "acme", filters))) <= {ADA, RENEE}


def test_a_start_of_the_largest_size_is_searched(api: Tenant, tmp_path: Path) -> None:
    loaded(api, tmp_path / "people.csv", PEOPLE)
    for letter in ("東", "a", "\U00020000"):
        text = " ".join(letter * 127) if letter == "a" else letter * 255
        texts = [f"{text[:-4]}{at:04}" for at in range(49)]
        filters: dict[str, Any] = {
            name: [*texts, hit]
            for name, hit in (
                ("titles", "sales"), ("companies", "acme"), ("locations", "paris"),
                ("industries", "machinery"),
            )
        }  # fmt: skip
        job = run(api, start(api, "acme " * 99, filters=filters))
        assert (job["status"], job["counts"]["received"]) == ("completed", 1)


def test_every_page_size_gives_the_same_people_in_the_order_of_the_file(
    api: Tenant, tmp_path: Path
) -> None:
    made = loaded(api, tmp_path / "many.csv", [*PEOPLE, *many(23), *PEOPLE[:1]])
    whole = [row["name"] for row in many(23)]
    for page_rows in (1, 2, 7, 22, 23, 24, 100):
        found = pages(api, [made], "many", page_rows=page_rows)
        assert names(found) == whole
        assert [row.position for page in found for row in page.rows] == list(range(1, 24))
        for at, page in enumerate(found[:-1]):
            rest = pages(api, [made], "many", page_rows=page_rows, cursor=page.cursor)
            assert rest == found[at + 1 :]
    assert names(pages(api, [made], "many", limit=9, page_rows=4)) == whole[:9]
    assert pages(api, [made], "many", limit=9, page_rows=4)[-1].cursor is None


def test_several_directories_are_read_oldest_first(api: Tenant, tmp_path: Path) -> None:
    first = loaded(api, tmp_path / "a.csv", many(5), "First")
    empty = loaded(api, tmp_path / "b.csv", PEOPLE, "Nobody with many")
    unloaded = directory(api, tmp_path / "missing.csv", "Never loaded")
    last = loaded(api, tmp_path / "c.csv", many(5, first=3), "Last")
    every = [first, empty, unloaded, last]
    expected = [f"Person {at}" for at in (0, 1, 2, 3, 4, 3, 4, 5, 6, 7)]
    for page_rows in (1, 3, 5, 100):
        found = pages(api, every, "many", page_rows=page_rows)
        assert names(found) == expected
        assert [row.position for page in found for row in page.rows] == list(range(1, 11))
    assert names(pages(api, every, "many", limit=7, page_rows=3)) == expected[:7]
    job = run(api, start(api, "many"))
    assert job["status"] == "completed"
    assert job["counts"] == {
        "received": 10, "added": 8, "updated": 0, "unchanged": 0, "skipped": 2, "failed": 0,
    }  # fmt: skip
    assert members(api, job["audienceId"]) == sorted({*expected})


def test_a_job_that_dies_repeats_nobody(api: Tenant, tmp_path: Path) -> None:
    loaded(api, tmp_path / "a.csv", many(4), "First")
    loaded(api, tmp_path / "b.csv", many(5, first=4), "Second")
    job_id = start(api, "many", maxResults=8)
    for pages_saved in (1, 1, 1):
        worker = HandWorker(api.server, page_rows=2)
        assert worker.run(job_id, pages=pages_saved)
        worker.die()
    job = run(api, job_id)
    assert (job["status"], job["counts"]["added"]) == ("completed", 8)
    rows = api.get(f"{JOBS}/{job_id}/rows").data["items"]
    assert [(row["position"], row["outcome"]) for row in rows] == [
        (at, "added") for at in range(1, 9)
    ]


def test_fields_arrive_whole(api: Tenant, tmp_path: Path) -> None:
    loaded(api, tmp_path / "people.csv", PEOPLE)
    job = run(api, start(api, "robots"))
    (item,) = api.get(f"AG/audiences/{job['audienceId']}/prospects").data["items"]
    assert (item["name"], item["about"]) == (ADA, "Builds robots.\nLikes long walks.")
    assert (item["company"]["industry"], item["location"]) == ("Machinery", "Zürich, Switzerland")


def test_a_name_made_of_its_parts_never_counts_as_given(api: Tenant, tmp_path: Path) -> None:
    audience = api.audience()["id"]
    known = {"name": "Dr. Ada S.", "email": "ada@example.com"}
    api.add(audience, known)
    rows = [{"firstName": "Ada", "lastName": "Sample", "email": "ada@example.com"}]
    loaded(api, tmp_path / "people.csv", rows)
    job = run(api, start(api, "ada sample", audienceId=audience))
    assert job["counts"]["updated"] == 1
    assert members(api, audience) == ["Dr. Ada S."]


def test_a_refresh_while_a_job_reads_ends_the_job_and_a_new_one_completes(
    api: Tenant, tmp_path: Path
) -> None:
    made = loaded(api, tmp_path / "many.csv", many(6))
    job_id = start(api, "many")
    worker = HandWorker(api.server, page_rows=2)
    assert worker.run(job_id, pages=1)
    worker.die()
    write_csv(tmp_path / "many.csv", many(7))
    load(api, made)
    job = run(api, job_id)
    assert job["status"] == "failed"
    assert job["error"]["code"] == "SOURCE_ERROR"
    assert "refreshed" in job["error"]["message"]
    assert (job["counts"]["received"], job["counts"]["added"]) == (2, 2)
    again = run(api, start(api, "many", audienceId=job["audienceId"]))
    assert again["status"] == "completed"
    assert (again["counts"]["added"], again["counts"]["unchanged"]) == (5, 2)


def test_a_refresh_before_the_first_page_does_no_harm(api: Tenant, tmp_path: Path) -> None:
    made = loaded(api, tmp_path / "many.csv", many(6))
    job_id = start(api, "many")
    write_csv(tmp_path / "many.csv", many(7))
    load(api, made)
    assert run(api, job_id)["counts"]["added"] == 7


def test_a_directory_removed_while_a_job_reads_it_ends_the_job(api: Tenant, tmp_path: Path) -> None:
    made = loaded(api, tmp_path / "many.csv", many(6))
    other = loaded(api, tmp_path / "other.csv", many(6, first=20), "Other")
    job_id = start(api, "many")
    worker = HandWorker(api.server, page_rows=2)
    assert worker.run(job_id, pages=1)
    worker.die()
    forget(api, made)
    assert api.server.write(sources.remove, made.id, group=api.group)
    job = run(api, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "SOURCE_ERROR")
    assert job["counts"]["added"] == 2
    assert names(pages(api, [other], "many")) == [f"Person {at}" for at in range(20, 26)]
    with pytest.raises(JobFailed):
        pages(api, [made], "many", cursor='[2,"' + other.id.hex() + '",1,5]')


def test_without_a_directory_nothing_starts(api: Tenant, tmp_path: Path) -> None:
    body = {"type": "directory_search", "query": "cto", "audienceName": "CTOs"}
    for dry in (False, True):
        answer = api.post(JOBS, {**body, "dryRun": dry}).expect(422)
        assert answer.error["code"] == "SOURCE_NOT_CONFIGURED"
    directory(api, tmp_path / "missing.csv")
    job = run(api, start(api, "cto"))
    assert (job["status"], job["counts"]["received"]) == ("completed", 0)


def test_a_dry_run_tells_what_the_job_does(api: Tenant, tmp_path: Path) -> None:
    loaded(api, tmp_path / "a.csv", [*many(700), *PEOPLE], "First")
    loaded(api, tmp_path / "b.csv", many(30, first=690), "Second")
    audience = api.audience()["id"]
    api.add(audience, {"email": "p1@example.com"}, {"email": "p2@example.com", "title": "Many"})
    entry = {"kind": "email", "value": "p3@example.com"}
    api.post("AG/suppressions", entry).expect(201)
    body: dict[str, Any] = {
        "type": "directory_search", "query": "MANY", "audienceId": audience, "maxResults": 725,
    }  # fmt: skip
    told = api.post(JOBS, {**body, "dryRun": True}).expect(200).data
    assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == 2
    counts = {
        "received": 725, "added": 712, "updated": 2, "unchanged": 0, "skipped": 11, "failed": 0,
    }  # fmt: skip
    assert told["counts"] == counts
    assert told["estimatedCredits"] == 714
    job_id = str(api.post(JOBS, body).expect(202).data["jobId"])
    assert run(api, job_id, page_rows=300)["counts"] == counts
    nobody = api.post(JOBS, {**body, "query": "***", "dryRun": True})
    assert nobody.expect(200).data["counts"]["received"] == 0


def test_another_group_finds_nobody_of_ours(api: Tenant, stranger: Tenant, tmp_path: Path) -> None:
    made = loaded(api, tmp_path / "ours.csv", PEOPLE)
    theirs = loaded(stranger, tmp_path / "theirs.csv", many(3, headline="acme"))
    assert names(pages(stranger, [made], "acme")) == []
    assert names(pages(stranger, [theirs], "acme")) == ["Person 0", "Person 1", "Person 2"]
    assert names(pages(api, [made], "acme")) == [ADA, RENEE]


def test_suppressed_people_are_skipped(api: Tenant, tmp_path: Path) -> None:
    loaded(api, tmp_path / "people.csv", PEOPLE)
    entry = {"kind": "provider_id", "value": "ACoAAB1", "reason": "unsubscribe"}
    api.post("AG/suppressions", entry).expect(201)
    job_id = start(api, "acme")
    counts = run(api, job_id)["counts"]
    assert (counts["received"], counts["added"], counts["skipped"]) == (2, 1, 1)
    rows = api.get(f"{JOBS}/{job_id}/rows?outcome=skipped").data["items"]
    assert [row["reason"] for row in rows] == ["SUPPRESSED"]


def test_an_erased_person_is_gone_from_the_copy_and_stays_away(
    api: Tenant, stranger: Tenant, tmp_path: Path
) -> None:
    twice = [*PEOPLE, {"email": "ADA@example.com", "title": "acme again"}]
    made = loaded(api, tmp_path / "people.csv", twice)
    theirs = loaded(stranger, tmp_path / "theirs.csv", PEOPLE)
    job = run(api, start(api, "acme zurich"))
    (item,) = api.get(f"AG/audiences/{job['audienceId']}/prospects").data["items"]
    api.delete(f"AG/prospects/{item['id']}").expect(200)
    assert names(pages(api, [made], "acme")) == [RENEE]
    assert kept_rows(api)["directory_people"] == kept_rows(api)["directory_words"] == 5
    persons = api.server.rows(
        "SELECT person FROM directory_people WHERE account_group_id = $1", api.group
    )
    assert "ada@" not in str(persons).lower()
    assert load(api, made).endswith("Left out because they were erased: 2.")
    assert names(pages(api, [made], "acme")) == [RENEE]
    assert names(pages(stranger, [theirs], "acme")) == [ADA, RENEE]


def _plan(api: Tenant, query: str) -> str:
    """The database's plan of a search, as it is prepared."""
    installation = api.server.installation
    full_text, caught = installation.db.full_text, []

    class Explaining:
        async def all(self, sql: str, *args: Any) -> Sequence[Any]:
            caught.append((sql, args))
            return []

    ctx = Context(installation, api.group)
    ctx.tx = Explaining()  # type: ignore[assignment]
    wanted = [[[token]] for token in full_text_tokens(api, query)]

    async def explain(tx: Transaction) -> str:
        live = await tx.one(
            "SELECT number FROM directory_generations WHERE account_group_id = $1", api.group
        )
        assert live is not None
        await store.search(ctx, live[0], wanted, after=0, limit=50)
        sql, args = caught[0]
        prefix = "EXPLAIN " if api.server.settings.uses_postgres else "EXPLAIN QUERY PLAN "
        return "\n".join(str(row[-1]) for row in await tx.all(prefix + sql, *args))

    assert full_text is installation.db.full_text
    plan: str = api.server.call(installation.db.read_long, explain)
    return plan


def full_text_tokens(api: Tenant, query: str) -> list[str]:
    from longlist.prospecting.sources.kept import KeptFilters

    wanted = words_for(api.server.installation, api.group).of_search(query, KeptFilters())
    assert wanted is not None
    return [alternatives[0][0] for alternatives in wanted]


def test_a_search_uses_the_full_text_index(api: Tenant, tmp_path: Path) -> None:
    rows = [*many(3000), {"email": "rare@example.com", "title": "Rarest of all"}]
    loaded(api, tmp_path / "many.csv", rows)
    if api.server.settings.uses_postgres:
        # What the server does by itself some time after a load.
        api.server.rows(
            "SELECT gin_clean_pending_list(inhrelid) FROM pg_inherits"
            " WHERE inhparent = 'ix_directory_words_words'::regclass"
        )
        api.server.change(("ANALYZE directory_words",), ("ANALYZE directory_people",))
    plan = _plan(api, "rarest")
    if api.server.settings.uses_postgres:
        # The indexes of the one partition.
        assert re.search(r"directory_words_\d\d_words_idx", plan), plan
        assert re.search(r"directory_people_\d\d_pkey", plan), plan
    else:
        lines = plan.splitlines()
        (match,) = (line for line in lines if "VIRTUAL TABLE" in line)
        # M: a match; > and <: the range of one generation, in whose order it is read.
        assert match.startswith("SCAN directory_words VIRTUAL TABLE INDEX")
        assert "M" in match.partition(":")[2]
        assert match.endswith("><")
        assert any("PRIMARY KEY (account_group_id=? AND number=?)" in line for line in lines)


def test_the_index_of_sqlite_is_sound_after_all_this(api: Tenant, tmp_path: Path) -> None:
    made = loaded(api, tmp_path / "people.csv", PEOPLE)
    load(api, made)
    if api.server.settings.uses_postgres:
        return
    connection = sqlite3.connect(api.server.settings.sqlite_path)
    try:
        connection.execute("INSERT INTO directory_words(directory_words) VALUES('integrity-check')")
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    finally:
        connection.rollback()
        connection.close()
    assert job_of(api, start(api, "acme"))["status"] == "queued"
