"""Jobs that a provider fills: how they start, and how they end whatever the provider does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from longlist.db import DatabaseAway
from longlist.prospecting import source_store as sources
from longlist.prospecting.sources.kept import NO_PROVIDER_MESSAGE
from longlist.prospecting.sources.opening import (
    BROKE_MESSAGE,
    DISORDER_MESSAGE,
    UNREADABLE_MESSAGE,
)
from tests.harness.tenant import UNKNOWN, Tenant
from tests.harness.worker import HandWorker
from tests.prospecting.jobs_by_hand import JOBS, ended, run
from tests.prospecting.scripted import LINKEDIN, OPEN, TOKEN, registered, set_up

DIRECTORY: dict[str, Any] = {"query": "cto", "filters": {"titles": ["CTO"]}}
KINDS: dict[str, dict[str, Any]] = {**LINKEDIN, "directory_search": DIRECTORY}
URLS = [f"https://www.linkedin.com/in/person-{at}" for at in range(1, 9)]


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    with registered():
        yield


def body_of(kind: str, **more: Any) -> dict[str, Any]:
    own = {"profileUrls": URLS} if kind == "url_upload" else KINDS[kind]
    name = {} if "audienceId" in more else {"audienceName": "Found"}
    return {"type": kind, **own, **name, **more}


def start(api: Tenant, kind: str = "linkedin_search", **more: Any) -> str:
    return str(api.post(JOBS, body_of(kind, **more)).expect(202).data["jobId"])


def kept_rows(api: Tenant) -> int:
    count = "SELECT COUNT(*) FROM prospecting_jobs WHERE account_group_id = $1"
    return int(api.server.value(count, api.group))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_provider_a_start_is_refused_and_changes_nothing(api: Tenant, kind: str) -> None:
    for more in ({}, {"dryRun": True}, {"searchEmails": True}):
        api.post(JOBS, body_of(kind, **more)).expect(422, "SOURCE_NOT_CONFIGURED")
    assert kept_rows(api) == 0
    assert api.get("AG/audiences").expect(200).data["items"] == []


@pytest.mark.parametrize("kind", LINKEDIN)
def test_another_group_s_provider_does_not_count(api: Tenant, stranger: Tenant, kind: str) -> None:
    set_up(stranger)
    api.post(JOBS, body_of(kind)).expect(422, "SOURCE_NOT_CONFIGURED")
    api.post(JOBS, body_of("directory_search")).expect(422, "SOURCE_NOT_CONFIGURED")


def test_the_order_of_refusals(api: Tenant) -> None:
    """400, 404, 409, then the 422s in their order, then 402."""
    api.set(uniqueAudienceNames=True, credits=1)
    api.audience("Taken")
    monitored = api.folder(audience_type="monitoring")["id"]
    filling = api.audience("Filling")["id"]
    search = "linkedin_search"

    def refused(status: int, code: str, **more: Any) -> None:
        api.post(JOBS, body_of(search, **more)).expect(status, code)

    over = {"maxResults": 2_001}
    refused(400, "VALIDATION_ERROR", audienceId=UNKNOWN, **over)
    refused(404, "NOT_FOUND", audienceId=UNKNOWN)
    refused(404, "NOT_FOUND", folderId=UNKNOWN)
    with api.filling(filling):
        refused(409, "AUDIENCE_NOT_READY", audienceId=filling)
    wrong = {"audienceName": "Taken", "folderId": monitored, "dryRun": True}
    refused(422, "SOURCE_NOT_CONFIGURED", **wrong)
    set_up(api)
    refused(422, "FOLDER_TYPE_MISMATCH", **wrong)
    del wrong["folderId"]
    refused(422, "AUDIENCE_NAME_TAKEN", **wrong)
    del wrong["audienceName"]
    refused(422, "DRY_RUN_UNAVAILABLE", **wrong)
    refused(402, "INSUFFICIENT_CREDITS")
    assert start(api, maxResults=1)


@pytest.mark.parametrize("kind", LINKEDIN)
def test_a_dry_run_asks_no_provider(api: Tenant, kind: str) -> None:
    set_up(api, settings={"does": "cannot be opened"})
    for more in ({}, {"maxResults": 1}, {"audienceId": api.audience()["id"]}):
        answer = api.post(JOBS, body_of(kind, dryRun=True, **more))
        answer.expect(422, "DRY_RUN_UNAVAILABLE")
    found = api.post(JOBS, body_of("url_upload", dryRun=True)).expect(200).data
    assert found["counts"]["added"] == len(URLS)
    assert kept_rows(api) == 0


@pytest.mark.parametrize("kind", LINKEDIN)
def test_the_estimate_is_max_results_or_the_cap(api: Tenant, kind: str) -> None:
    api.set(credits=10_000, maxResultsCap=50)
    set_up(api)

    def reserved() -> int:
        account = api.get("/v1/me").expect(200).data["accountGroups"][0]
        return int(account["credits"]["reserved"])

    answer = api.post(JOBS, body_of(kind, maxResults=51)).expect(400, "VALIDATION_ERROR")
    assert answer.error["context"] == {"cap": 50}
    first = start(api, kind)
    assert reserved() == 50
    second = start(api, kind, maxResults=7, searchEmails=True)
    assert reserved() == 50 + 2 * 7
    assert run(api, first)["counts"]["added"] == 8
    assert run(api, second)["counts"]["added"] == 7
    left = api.get("/v1/me").expect(200).data["accountGroups"][0]["credits"]
    assert (left["reserved"], left["available"]) == (0, 10_000 - 8 - 2 * 7)


@pytest.mark.parametrize("kind", [*LINKEDIN, "url_upload"])
def test_jobs_of_each_kind_end_complete(api: Tenant, kind: str) -> None:
    set_up(api)
    job = run(api, start(api, kind))
    assert (job["status"], job["progress"], job["error"]) == ("completed", 1, None)
    assert job["sourceType"] == kind
    assert (job["counts"]["received"], job["counts"]["added"]) == (8, 8)
    people = api.get(f"AG/audiences/{job['audienceId']}/prospects").expect(200).data["items"]
    assert {person["publicIdentifier"] for person in people} == {f"person-{n}" for n in range(1, 9)}
    # With a provider profile URLs are enriched.
    assert {person["title"] for person in people} == ({"CTO"} if kind == "url_upload" else {None})
    again = run(api, start(api, kind, audienceId=job["audienceId"]))["counts"]
    assert (again["unchanged"], again["received"]) == (8, 8)


def test_several_set_ups_of_a_directory(api: Tenant) -> None:
    set_up(api, "badges", name="One", token=None)
    set_up(api, "badges", {"total": "2"}, name="Two", token=None)
    job = run(api, start(api, "directory_search"))
    assert (job["status"], job["counts"]["added"]) == ("completed", 8)


def test_profile_urls_need_no_provider(api: Tenant) -> None:
    job = run(api, start(api, "url_upload"))
    assert (job["status"], job["counts"]["added"]) == ("completed", 8)


@pytest.mark.parametrize(("most", "page_rows"), [(1, 3), (3, 3), (4, 3), (7, 10), (8, 8), (20, 3)])
def test_no_more_rows_than_were_asked_for(api: Tenant, most: int, page_rows: int) -> None:
    set_up(api)
    job = run(api, start(api, maxResults=most), page_rows)
    assert (job["status"], job["counts"]["received"]) == ("completed", min(most, 8))


def test_rows_that_fail_do_not_fail_the_job(api: Tenant) -> None:
    set_up(api, settings={"does": "fails rows"})
    job = run(api, start(api))
    assert job["status"] == "completed"
    assert (job["counts"]["added"], job["counts"]["failed"]) == (4, 4)
    rows = api.get(f"{JOBS}/{job['jobId']}/rows?outcome=failed").expect(200).data["items"]
    assert {(row["reason"], row["line"]) for row in rows} == {("NOT_FOUND", None)}


def test_rows_that_are_no_rows_fail_one_by_one(api: Tenant) -> None:
    set_up(api, settings={"does": "gives nonsense"})
    job = run(api, start(api))
    assert (job["status"], job["counts"]["added"]) == ("completed", 1)
    rows = api.get(f"{JOBS}/{job['jobId']}/rows?outcome=failed").expect(200).data["items"]
    bad = "MALFORMED_ROW"
    reasons = [bad, bad, "INVALID_TEXT", bad, bad, bad, "NO_IDENTITY"]
    assert [row["reason"] for row in rows] == reasons


@pytest.mark.parametrize(
    ("does", "imported", "message"),
    [
        ("cannot be opened", 0, BROKE_MESSAGE),
        ("breaks", 3, BROKE_MESSAGE),
        ("fails", 3, BROKE_MESSAGE),
        ("leaves gaps", 0, DISORDER_MESSAGE),
        ("repeats", 3, DISORDER_MESSAGE),
        ("ends the job", 3, "The account is not connected any more."),
    ],
)
def test_a_provider_that_goes_wrong_fails_its_job(
    api: Tenant, caplog: pytest.LogCaptureFixture, does: str, imported: int, message: str
) -> None:
    api.set(credits=100)
    set_up(api, settings={"does": does})
    with caplog.at_level(logging.DEBUG):
        job = run(api, start(api, maxResults=20))
    assert job["status"] == "failed"
    assert job["error"] == {"code": "SOURCE_ERROR", "message": message}
    assert job["counts"]["added"] == imported
    credits_ = api.get("/v1/me").expect(200).data["accountGroups"][0]["credits"]
    assert (credits_["available"], credits_["reserved"]) == (100 - imported, 0)
    for secret in (TOKEN, "ada@example.com"):
        assert secret not in caplog.text + str(job)
    if message == BROKE_MESSAGE:
        assert "The provider 'scripted' broke: " in caplog.text
    # The audience is free: it may be filled again.
    assert start(api, audienceId=job["audienceId"], maxResults=1)


def test_a_lost_database_is_not_the_provider_s_fault(api: Tenant) -> None:
    set_up(api, settings={"does": "loses the database"})
    worker = HandWorker(api.server, page_rows=3)
    claim = worker.claim(start(api))
    assert claim is not None
    with pytest.raises(DatabaseAway):
        worker.resume(claim)


def test_a_source_removed_before_the_job_ran(api: Tenant) -> None:
    made = set_up(api)
    job_id = start(api)
    assert api.server.write(sources.remove, made.id, group=api.group)
    job = run(api, job_id)
    assert job["error"] == {"code": "SOURCE_ERROR", "message": NO_PROVIDER_MESSAGE}
    api.post(JOBS, body_of("linkedin_search")).expect(422, "SOURCE_NOT_CONFIGURED")


def test_a_source_removed_while_the_job_runs(api: Tenant) -> None:
    made = set_up(api)
    worker = HandWorker(api.server, page_rows=3)
    job_id = start(api)
    claim = worker.claim(job_id)
    assert claim is not None
    assert api.server.call(worker.work, claim, 1)
    assert api.server.write(sources.remove, made.id, group=api.group)
    assert not worker.resume(claim)
    job = ended(api, job_id)
    assert job["error"] == {"code": "SOURCE_ERROR", "message": NO_PROVIDER_MESSAGE}
    assert job["counts"]["added"] == 3


def test_profile_urls_go_on_without_a_provider_that_was_removed(api: Tenant) -> None:
    made = set_up(api)
    job_id = start(api, "url_upload")
    assert api.server.write(sources.remove, made.id, group=api.group)
    assert run(api, job_id)["status"] == "completed"


def test_a_token_that_cannot_be_read_fails_the_job(api: Tenant) -> None:
    made = set_up(api)
    job_id = start(api)
    api.server.change(("UPDATE sources SET settings = '{}  ' WHERE id = $1", made.id))
    job = run(api, job_id)
    assert job["error"] == {"code": "SOURCE_ERROR", "message": UNREADABLE_MESSAGE}


def test_a_job_goes_on_after_its_worker_died(api: Tenant) -> None:
    set_up(api)
    job_id = start(api)
    first = HandWorker(api.server, page_rows=3)
    assert first.run(job_id, pages=1)
    first.die()
    job = run(api, job_id)
    assert (job["status"], job["counts"]["added"]) == ("completed", 8)


def test_a_page_cut_by_a_quota_is_asked_for_again(api: Tenant) -> None:
    set_up(api)
    api.set(**{"quota.LINKEDIN_CLASSIC": 4})
    job_id = start(api)
    worker = HandWorker(api.server, page_rows=3)
    assert not worker.run(job_id)
    assert api.get(f"{JOBS}/{job_id}").expect(200).data["counts"]["added"] == 4
    api.set(**{"quota.LINKEDIN_CLASSIC": None})
    job = run(api, job_id)
    assert (job["status"], job["counts"]["added"]) == ("completed", 8)


def test_a_source_is_closed_when_its_job_stops(api: Tenant) -> None:
    set_up(api)
    job_id = start(api)
    worker = HandWorker(api.server, page_rows=3)
    claim = worker.claim(job_id)
    assert claim is not None
    assert not OPEN
    assert api.server.call(worker.work, claim, 1)
    assert not OPEN
    api.post(f"{JOBS}/{job_id}/cancel").expect(200)
    assert not worker.resume(claim)
    assert not OPEN
