"""The quota and the jobs that wait for it (contract 7.1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longlist.ids import now_ms, rfc3339
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker

QUOTA = "AG/prospecting/quota"
DAY_MS = 86_400_000
LIST_TYPES = {
    "LINKEDIN_CLASSIC": "linkedinClassicSearch",
    "SALES_NAVIGATOR": "salesNavigatorSearch",
    "POST_COMMENTERS": "postCommenters",
    "URL_UPLOAD": "urlUpload",
    "FILE_IMPORT": "fileImport",
    "DIRECTORY": "directorySearch",
}


def start(api: Tenant, rows: list[str], name: str = "Imported") -> tuple[str, str]:
    """Import a file of e-mail addresses: job id and audience id."""
    body = "\n".join(["email", *rows]).encode()
    file = api.send("POST", "AG/files", body=body, headers={"Content-Type": "text/csv"})
    job = {"type": "file_import", "fileId": file.expect(201).data["fileId"], "audienceName": name}
    data = api.post("AG/prospecting", job).expect(202).data
    return data["jobId"], data["audienceId"]


def addresses(count: int, of: str = "a") -> list[str]:
    return [f"{of}{at}@example.com" for at in range(count)]


def quota(api: Tenant, list_type: str = "FILE_IMPORT") -> Any:
    return api.get(f"{QUOTA}?listType={list_type}").expect(200).data


def job(api: Tenant, job_id: str) -> Any:
    return api.get(f"AG/prospecting/{job_id}").expect(200).data


def positions(api: Tenant, job_id: str) -> list[int]:
    rows = api.server.rows(
        "SELECT position FROM job_rows WHERE account_group_id = $1 AND job_id = $2"
        " ORDER BY position",
        api.group,
        bytes.fromhex(job_id),
    )
    return [row[0] for row in rows]


def test_without_a_limit(api: Tenant) -> None:
    assert api.get(QUOTA).expect(200).data["listType"] == "LINKEDIN_CLASSIC"
    for list_type, quota_type in LIST_TYPES.items():
        assert quota(api, list_type) == {
            "listType": list_type,
            "quotaType": quota_type,
            "used": 0,
            "limit": None,
            "remaining": None,
            "resetAt": None,
            "exhausted": False,
        }


@pytest.mark.parametrize("bad", ["listType=linkedin_classic", "listType=", "listType=X", "list=X"])
def test_other_list_types_are_400(api: Tenant, bad: str) -> None:
    api.get(f"{QUOTA}?{bad}").expect(400, "VALIDATION_ERROR")


def test_use_is_counted_without_a_limit_too(api: Tenant) -> None:
    job_id, _ = start(api, [*addresses(12), "a0@example.com", "not an address"])
    assert HandWorker(api.server).run(job_id)
    counts = job(api, job_id)["counts"]
    assert (counts["added"], counts["skipped"], counts["failed"]) == (12, 1, 1)
    found = quota(api)
    assert (found["used"], found["limit"], found["exhausted"]) == (12, None, False)
    assert quota(api, "URL_UPLOAD")["used"] == 0


def test_with_a_limit(api: Tenant, stranger: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 20})
    job_id, _ = start(api, addresses(12))
    before = now_ms() // DAY_MS
    assert HandWorker(api.server).run(job_id)
    found = quota(api)
    after = now_ms() // DAY_MS
    assert found["resetAt"] in {rfc3339((day + 1) * DAY_MS) for day in (before, after)}
    del found["resetAt"]
    assert found == {
        "listType": "FILE_IMPORT",
        "quotaType": "fileImport",
        "used": 12,
        "limit": 20,
        "remaining": 8,
        "exhausted": False,
    }
    api.set(**{"quota.FILE_IMPORT": 5})
    found = quota(api)
    assert (found["used"], found["remaining"], found["exhausted"]) == (12, 0, True)
    assert quota(stranger)["limit"] is None
    api.set(**{"quota.FILE_IMPORT": None})
    assert quota(api)["limit"] is None


def test_a_start_is_not_refused_and_the_job_stays_queued(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 0})
    worker = HandWorker(api.server)
    job_id, audience_id = start(api, addresses(3))
    assert worker.waiting([job_id]) == []
    assert worker.claim(job_id) is None
    assert job(api, job_id)["status"] == "queued"
    answer = api.get(f"AG/audiences/{audience_id}").expect(409, "AUDIENCE_NOT_READY")
    assert answer.error["context"]["jobStatus"] == "queued"
    api.set(**{"quota.FILE_IMPORT": 3})
    assert worker.waiting([job_id]) == [job_id]
    assert worker.run(job_id)
    assert job(api, job_id)["status"] == "completed"
    api.get(f"AG/audiences/{audience_id}").expect(200)


def test_a_page_is_cut_at_the_limit(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 7})
    worker = HandWorker(api.server, page_rows=10)
    rows = addresses(25)
    job_id, audience_id = start(api, rows)
    assert not worker.run(job_id)
    found = job(api, job_id)
    assert (found["status"], found["counts"]["received"], found["counts"]["added"]) == (
        "running", 7, 7,
    )  # fmt: skip
    assert quota(api)["exhausted"] is True
    context = api.get(f"AG/audiences/{audience_id}").expect(409).error["context"]
    assert (context["jobId"], context["jobStatus"]) == (job_id, "running")
    assert worker.waiting([job_id]) == []
    api.set(**{"quota.FILE_IMPORT": 12})
    assert worker.waiting([job_id]) == [job_id]
    assert not worker.run(job_id)
    assert positions(api, job_id) == list(range(1, 13))
    api.set(**{"quota.FILE_IMPORT": None})
    assert worker.run(job_id)
    found = job(api, job_id)
    assert found["status"] == "completed"
    assert found["counts"]["added"] == quota(api)["used"] == 25
    assert positions(api, job_id) == list(range(1, 26))
    assert api.get(f"AG/audiences/{audience_id}").expect(200).data["prospectCount"] == 25


def test_rows_that_import_nobody_use_nothing(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 2})
    rows = ["not an address", "a@example.com", "a@example.com", "no", "b@example.com"]
    job_id, _ = start(api, [*rows, "c@example.com"])
    worker = HandWorker(api.server)
    assert not worker.run(job_id)
    assert job(api, job_id)["counts"] == {
        "received": 5, "added": 2, "updated": 0, "unchanged": 0, "skipped": 1, "failed": 2,
    }  # fmt: skip
    api.set(**{"quota.FILE_IMPORT": 3})
    assert worker.run(job_id)
    assert job(api, job_id)["counts"]["added"] == 3


def test_a_job_that_ends_with_the_limit_completes(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 20})
    job_id, _ = start(api, addresses(20))
    assert HandWorker(api.server, page_rows=10).run(job_id)
    assert job(api, job_id)["status"] == "completed"
    assert quota(api)["exhausted"] is True


def test_the_next_day_brings_a_new_quota(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 4})
    worker = HandWorker(api.server)
    job_id, _ = start(api, addresses(7))
    assert not worker.run(job_id)
    assert worker.waiting([job_id]) == []
    api.server.change(
        ("UPDATE prospecting_quotas SET day = day - 1 WHERE account_group_id = $1", api.group)
    )
    found = quota(api)
    assert (found["used"], found["remaining"], found["exhausted"]) == (0, 4, False)
    assert worker.waiting([job_id]) == [job_id]
    assert worker.run(job_id)
    assert quota(api)["used"] == 3
    assert positions(api, job_id) == list(range(1, 8))


def test_another_kind_and_another_group_go_on(api: Tenant, stranger: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 0})
    urls = {
        "type": "url_upload",
        "profileUrls": ["https://www.linkedin.com/in/ada-example"],
        "audienceName": "URLs",
    }
    other_kind = api.post("AG/prospecting", urls).expect(202).data["jobId"]
    elsewhere, _ = start(stranger, addresses(2))
    worker = HandWorker(api.server)
    assert worker.waiting([other_kind, elsewhere]) == [other_kind, elsewhere]
    assert worker.run(other_kind)
    assert worker.run(elsewhere)
    assert quota(api, "URL_UPLOAD")["used"] == 1


def test_a_job_that_waits_takes_nobodys_turn(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 0})
    stuck = [start(api, addresses(1), f"Stuck {at}")[0] for at in range(3)]
    urls = {
        "type": "url_upload",
        "profileUrls": ["https://www.linkedin.com/in/ada-example"],
        "audienceName": "URLs",
    }
    free = api.post("AG/prospecting", urls).expect(202).data["jobId"]
    assert HandWorker(api.server).waiting([*stuck, free]) == [free]


def test_a_waiting_job_can_be_cancelled(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 4})
    job_id, audience_id = start(api, addresses(7))
    assert not HandWorker(api.server).run(job_id)
    api.post(f"AG/prospecting/{job_id}/cancel").expect(200)
    assert api.get(f"AG/audiences/{audience_id}").expect(200).data["prospectCount"] == 4


def test_waiting_is_no_rescue(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 1})
    worker = HandWorker(api.server)
    job_id, _ = start(api, addresses(9))
    for limit in range(2, 10):
        assert not worker.run(job_id)
        api.set(**{"quota.FILE_IMPORT": limit})
    assert worker.run(job_id)
    assert api.server.rows(
        "SELECT rescues, added FROM prospecting_jobs WHERE account_group_id = $1", api.group
    ) == [(0, 9)]


@pytest.mark.parametrize("limit", [1, 37, 100])
def test_jobs_side_by_side_never_import_more_than_the_limit(api: Tenant, limit: int) -> None:
    api.set(**{"quota.FILE_IMPORT": limit})
    jobs = [start(api, addresses(30, f"job{at}-"), f"Job {at}")[0] for at in range(6)]

    async def run_all() -> list[bool]:
        runs = [HandWorker(api.server, page_rows=7).run_to_the_end(job_id) for job_id in jobs]
        return list(await asyncio.gather(*runs))

    ended: list[bool] = api.server.call(run_all)
    assert not all(ended)
    found = [job(api, job_id) for job_id in jobs]
    assert sum(each["counts"]["added"] for each in found) == limit == quota(api)["used"]
    assert [each["status"] == "completed" for each in found] == ended
    api.set(**{"quota.FILE_IMPORT": None})
    ended = [done or HandWorker(api.server).run(id_) for id_, done in zip(jobs, ended, strict=True)]
    assert all(ended)
    for job_id in jobs:
        assert positions(api, job_id) == list(range(1, 31))
    assert quota(api)["used"] == 180


def test_a_killed_worker_counts_nothing_twice(api: Tenant) -> None:
    api.set(**{"quota.FILE_IMPORT": 100})
    killed, other = HandWorker(api.server), HandWorker(api.server)
    job_id, _ = start(api, addresses(35))
    claim = killed.claim(job_id)
    assert claim is not None
    assert api.server.call(killed.work, claim, 2)
    killed.die()
    assert other.run(job_id)
    assert not killed.resume(claim)
    assert quota(api)["used"] == job(api, job_id)["counts"]["added"] == 35
