"""Whole jobs that Unipile fills, against its double, in good days and bad."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from longlist.prospecting.sources.unipile.double import Double, in_thread
from longlist.prospecting.sources.unipile.double_faults import AnswerKind, Fault, WireKind
from tests.harness.tenant import Tenant
from tests.prospecting.jobs_by_hand import JOBS, run
from tests.prospecting.scripted import registered, set_up

PEOPLE = 25
OF_LISTS: dict[str, str] = {
    **dict.fromkeys(
        ("rate_limit", "error", "session_expired", "reset", "hang", "slow", "html", "broken_json",
         "wrong_shape", "huge", "redirect", "expired_cursor", "repeated_cursor", "endless",
         "empty_pages", "odd_cursor"), "failed"),
    **dict.fromkeys(("wrong_types", "not_objects", "placeholders", "companies"), "some rows"),
    **dict.fromkeys(
        ("no_name", "duplicates", "other_person", "renamed", "no_identifiers"), "all well"),
}  # fmt: skip
"""What becomes of a job that reads a list when each fault comes after the first call."""
OF_PROFILES: dict[str, str] = {
    **dict.fromkeys(
        ("rate_limit", "error", "session_expired", "reset", "hang", "slow", "html", "broken_json",
         "huge", "redirect"), "failed"),
    **dict.fromkeys(
        ("wrong_types", "wrong_shape", "other_person", "no_identifiers"), "some rows"),
    **dict.fromkeys(
        ("not_objects", "no_name", "placeholders", "companies", "duplicates", "repeated_cursor",
         "endless", "empty_pages", "odd_cursor", "expired_cursor", "renamed"), "all well"),
}  # fmt: skip
"""What becomes of a job that looks profiles up: lists are nothing to it."""


def test_no_fault_of_the_double_is_left_out() -> None:
    faults = {*get_args(WireKind), *get_args(AnswerKind)}
    assert faults == OF_LISTS.keys() == OF_PROFILES.keys()


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with in_thread(Double(count=PEOPLE)) as running:
        yield running


def body_of(double: Double, kind: str) -> dict[str, Any]:
    of_kinds: dict[str, dict[str, Any]] = {
        "linkedin_search": {"searchUrl": "https://www.linkedin.com/search/results/people/?k=cto"},
        "sales_navigator": {"savedSearchId": "50001"},
        "lead list": {"leadListId": "70001"},
        "post_commenters": {"postUrl": double.post_url()},
        "url_upload": {"profileUrls": [who.page for who in double.people]},
    }
    type_ = kind.replace("lead list", "sales_navigator")
    return {"type": type_, "audienceName": "Found", **of_kinds[kind]}


KINDS = ("linkedin_search", "sales_navigator", "lead list", "post_commenters", "url_upload")


def fill(api: Tenant, double: Double, kind: str, **more: Any) -> Any:
    settings = {"base_url": double.base_url, "account_id": double.account_id}
    set_up(api, "unipile", settings, token=double.token)
    job_id = api.post(JOBS, body_of(double, kind) | more).expect(202).data["jobId"]
    return run(api, job_id, page_rows=10)


def people_of(api: Tenant, job: Any) -> list[Any]:
    target = f"AG/audiences/{job['audienceId']}/prospects?limit=200"
    found: list[Any] = api.get(target).expect(200).data["items"]
    return found


def check(job: Any, outcome: str) -> None:
    """The job came to what was to be expected; that it ended in good order was seen before."""
    counts = job["counts"]
    assert job["status"] == ("failed" if outcome == "failed" else "completed"), job
    if outcome == "failed":
        assert job["error"]["code"] == "SOURCE_ERROR"
        assert counts["added"] < PEOPLE
    else:
        assert counts["added"] + counts["failed"] == PEOPLE
        assert bool(counts["failed"]) == (outcome == "some rows")


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_good_day_everybody_is_found(api: Tenant, double: Double, kind: str) -> None:
    double.set_faults()
    job = fill(api, double, kind)
    assert (job["status"], job["counts"]["added"]) == ("completed", PEOPLE)
    assert job["sourceType"] == body_of(double, kind)["type"]
    slugs = {person["publicIdentifier"] for person in people_of(api, job)}
    assert slugs == {who.slug for who in double.people}


def test_no_more_than_were_asked_for(api: Tenant, double: Double) -> None:
    double.set_faults()
    job = fill(api, double, "linkedin_search", maxResults=12)
    assert (job["status"], job["counts"]["received"]) == ("completed", 12)


def test_nobody_is_found(api: Tenant, double: Double) -> None:
    double.set_faults()
    job = fill(api, double, "sales_navigator", savedSearchId="50002")
    assert (job["status"], job["counts"]["received"]) == ("completed", 0)


@pytest.mark.parametrize("fault", OF_LISTS)
def test_a_fault_while_a_list_is_read(api: Tenant, double: Double, fault: Any) -> None:
    double.set_faults(Fault(kind=fault, after=1))
    job = fill(api, double, "linkedin_search", maxResults=100)
    check(job, OF_LISTS[fault])
    # What was read before stays, and the audience may be filled again.
    assert job["counts"]["added"] >= 10
    assert len(people_of(api, job)) == job["counts"]["added"]
    double.set_faults()
    again = {"type": "linkedin_search", "audienceId": job["audienceId"]}
    body = body_of(double, "linkedin_search") | again
    del body["audienceName"]
    job_id = api.post(JOBS, body).expect(202).data["jobId"]
    assert run(api, job_id, page_rows=10)["status"] == "completed"


@pytest.mark.parametrize("fault", OF_PROFILES)
def test_a_fault_while_profiles_are_looked_up(api: Tenant, double: Double, fault: Any) -> None:
    double.set_faults(Fault(kind=fault, after=1))
    job = fill(api, double, "url_upload")
    check(job, OF_PROFILES[fault])
    assert len(people_of(api, job)) == job["counts"]["added"] >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_refused(
    api: Tenant, double: Double, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    double.set_faults()
    settings = {"base_url": double.base_url, "account_id": double.account_id}
    set_up(api, "unipile", settings, token="hush-wrong-token")
    job_id = api.post(JOBS, body_of(double, kind)).expect(202).data["jobId"]
    with caplog.at_level(logging.DEBUG):
        job = run(api, job_id, page_rows=10)
    assert job["error"] == {"code": "SOURCE_ERROR", "message": "Unipile does not accept the token."}
    assert "hush" not in caplog.text + str(job)
    # The log of the HTTP client would name people by their URLs.
    assert double.people[0].slug not in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_is_not_there(api: Tenant, double: Double, kind: str) -> None:
    settings = {"base_url": "http://127.0.0.1:9", "account_id": double.account_id}
    set_up(api, "unipile", settings, token=double.token)
    job_id = api.post(JOBS, body_of(double, kind)).expect(202).data["jobId"]
    job = run(api, job_id)
    assert job["error"]["code"] == "SOURCE_ERROR"
    assert job["counts"]["added"] == 0


def test_saved_searches_and_lead_lists(api: Tenant, double: Double) -> None:
    double.set_faults()
    settings = {"base_url": double.base_url, "account_id": double.account_id}
    set_up(api, "unipile", settings, token=double.token)
    for target, expected in (
        ("saved-searches", double.saved_searches()),
        ("lead-lists", double.lead_lists()),
    ):
        items = api.get(f"AG/sales-navigator/{target}").expect(200).data["items"]
        assert {item["id"]: item["name"] for item in items} == expected


@pytest.mark.parametrize(
    ("fault", "wait_s"),
    [
        (Fault(kind="rate_limit", retry_after="900"), 900),
        (Fault(kind="rate_limit"), None),
        (Fault(kind="hang"), None),
        (Fault(kind="session_expired"), None),
        (Fault(kind="wrong_shape"), None),
    ],
    ids=lambda found: getattr(found, "kind", ""),
)
def test_lists_that_cannot_be_had(
    api: Tenant, double: Double, fault: Fault, wait_s: int | None
) -> None:
    double.set_faults(fault)
    settings = {"base_url": double.base_url, "account_id": double.account_id}
    set_up(api, "unipile", settings, token=double.token)
    for target in ("saved-searches", "lead-lists"):
        answer = api.get(f"AG/sales-navigator/{target}").expect(502, "UPSTREAM_ERROR")
        context = {"provider": "unipile"}
        assert answer.error["context"] == (
            context if wait_s is None else {**context, "retryAfterSeconds": wait_s}
        )
