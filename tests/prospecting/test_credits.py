"""Credits: reserved at the start, settled at the end, never charged twice (contract 1.11)."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.harness.answer import Answer
from tests.harness.client import at_once
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker
from tests.races import invariants

STARTS = 1_000


def credits_of(api: Tenant) -> tuple[int | None, int | None]:
    """Available and reserved, as the caller sees them; what must always hold is checked."""

    async def rows(sql: str, *args: Any) -> list[tuple[Any, ...]]:
        async def body(tx: Any) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await tx.all(sql, *args)]

        found: list[tuple[Any, ...]] = await api.server.installation.db.read_long(body)
        return found

    api.server.call(partial(invariants.check, rows, api.group))
    (group,) = api.get("/v1/me").expect(200).data["accountGroups"]
    shown = group["credits"]
    assert shown["unlimited"] is (shown["available"] is None) is (shown["reserved"] is None)
    return shown["available"], shown["reserved"]


def upload(api: Tenant, rows: list[str]) -> str:
    body = "\n".join(["email", *rows]).encode()
    answer = api.send("POST", "AG/files", body=body, headers={"Content-Type": "text/csv"})
    return str(answer.expect(201).data["fileId"])


def addresses(count: int) -> list[str]:
    return [f"a{at}@example.com" for at in range(count)]


def start(api: Tenant, rows: list[str], **more: Any) -> str:
    """Import a file of e-mail addresses; the job id."""
    job = {"type": "file_import", "fileId": upload(api, rows), "audienceName": "Imported", **more}
    return str(api.post("AG/prospecting", job).expect(202).data["jobId"])


def of_urls(name: str, urls: int = 3, **more: Any) -> dict[str, Any]:
    profiles = [f"https://www.linkedin.com/in/{name}-{at}-example" for at in range(urls)]
    return {"type": "url_upload", "profileUrls": profiles, "audienceName": name, **more}


def job(api: Tenant, job_id: str) -> Any:
    return api.get(f"AG/prospecting/{job_id}").expect(200).data


def test_a_thousand_starts_at_once_never_reserve_more_than_there_is(api: Tenant) -> None:
    api.set(credits=301)

    def begin(number: int) -> Answer:
        return api.post("AG/prospecting", of_urls(f"n{number}"))

    answers = at_once([partial(begin, number) for number in range(STARTS)], threads=32)
    won = [answer for answer in answers if answer.status == 202]
    assert len(won) == 100
    for answer in answers:
        if answer.status != 202:
            answer.expect(402, "INSUFFICIENT_CREDITS")
            assert answer.error["context"] == {"required": 3, "available": 1}
    assert credits_of(api) == (1, 300)
    made = [
        api.server.value(f"SELECT COUNT(*) FROM {table} WHERE account_group_id = $1", api.group)
        for table in ("prospecting_jobs", "audiences")
    ]
    assert made == [100, 100], "a refused start makes neither a job nor an audience"
    worker = HandWorker(api.server)
    for answer in won[:50]:
        assert worker.run(answer.data["jobId"])
    for answer in won[50:]:
        api.post(f"AG/prospecting/{answer.data['jobId']}/cancel").expect(200)
    assert credits_of(api) == (151, 0)


def test_starts_ends_and_cancels_at_once(api: Tenant) -> None:
    """However they interleave: what was paid is what was imported, and nothing stays reserved."""
    api.set(credits=40)

    def one(number: int) -> int:
        answer = api.post("AG/prospecting", of_urls(f"n{number}", urls=4))
        if answer.status == 402:
            context = answer.error["context"]
            assert context["required"] == 4 > context["available"] >= 0
            return 0
        job_id = answer.expect(202).data["jobId"]
        if number % 3 == 0:
            api.post(f"AG/prospecting/{job_id}/cancel").expect(200)
        else:
            assert HandWorker(api.server, page_rows=2).run(job_id)
        return int(job(api, job_id)["counts"]["added"])

    imported = sum(at_once([partial(one, number) for number in range(60)], threads=16))
    assert imported <= 40
    assert credits_of(api) == (40 - imported, 0)


def test_one_idempotency_key_reserves_once(api: Tenant) -> None:
    api.set(credits=100)

    def begin() -> Answer:
        return api.post("AG/prospecting", of_urls("same"), headers={"Idempotency-Key": "one"})

    answers = at_once([begin] * 40)
    jobs = {answer.data["jobId"] for answer in answers if answer.status == 202}
    assert len(jobs) == 1
    assert {answer.status for answer in answers} <= {202, 409}
    assert credits_of(api) == (97, 3)


@pytest.mark.parametrize(("more", "price"), [({}, 1), ({"searchEmails": True}, 2)])
def test_imported_rows_are_charged_and_the_rest_comes_back(
    api: Tenant, more: dict[str, Any], price: int
) -> None:
    api.set(credits=100)
    rows = [*addresses(6), "a0@example.com", "not an address", "neither", "a1@example.com"]
    job_id = start(api, rows, **more)
    assert credits_of(api) == (100 - 10 * price, 10 * price)
    assert HandWorker(api.server, page_rows=3).run(job_id)
    assert job(api, job_id)["counts"]["added"] == 6
    assert credits_of(api) == (100 - 6 * price, 0)


def test_unchanged_rows_are_free_and_updated_ones_are_not(api: Tenant) -> None:
    api.set(credits=100)
    file = "email,title\na@example.com,CTO\nb@example.com,CFO\n"
    audience = api.audience()["id"]
    api.add(audience, {"email": "a@example.com", "title": "CTO"}, {"email": "b@example.com"})
    headers = {"Content-Type": "text/csv"}
    sent = api.send("POST", "AG/files", body=file.encode(), headers=headers).expect(201)
    body = {"type": "file_import", "fileId": sent.data["fileId"], "audienceId": audience}
    job_id = api.post("AG/prospecting", body).expect(202).data["jobId"]
    assert HandWorker(api.server).run(job_id)
    counts = job(api, job_id)["counts"]
    assert (counts["updated"], counts["unchanged"]) == (1, 1)
    assert credits_of(api) == (99, 0)


def test_max_results_bounds_the_estimate(api: Tenant) -> None:
    api.set(credits=5)
    file_id = upload(api, addresses(50))
    body = {"type": "file_import", "fileId": file_id, "audienceName": "Imported"}
    answer = api.post("AG/prospecting", {**body, "maxResults": 6})
    answer.expect(402, "INSUFFICIENT_CREDITS")
    assert answer.error["context"] == {"required": 6, "available": 5}
    answer = api.post("AG/prospecting", body).expect(402)
    assert answer.error["context"] == {"required": 50, "available": 5}
    api.post("AG/prospecting", {**body, "dryRun": True}).expect(200)
    assert credits_of(api) == (5, 0)
    job_id = api.post("AG/prospecting", {**body, "maxResults": 5}).expect(202).data["jobId"]
    assert credits_of(api) == (0, 5)
    assert HandWorker(api.server).run(job_id)
    assert credits_of(api) == (0, 0)


@pytest.mark.parametrize("end", ["fail", "cancel", "rescued too often"])
def test_a_job_that_does_not_complete_pays_for_what_it_imported(api: Tenant, end: str) -> None:
    api.set(credits=100)
    job_id = start(api, addresses(40))
    worker = HandWorker(api.server, page_rows=10)
    claim = worker.claim(job_id)
    assert claim is not None
    assert api.server.call(worker.work, claim, 2)
    assert credits_of(api) == (60, 40)
    if end == "fail":
        worker.fail(claim)
    elif end == "cancel":
        api.post(f"AG/prospecting/{job_id}/cancel").expect(200)
    else:
        worker.die(max_rescues=0)
    assert job(api, job_id)["status"] == ("cancelled" if end == "cancel" else "failed")
    assert credits_of(api) == (80, 0)
    assert not worker.resume(claim)
    api.post(f"AG/prospecting/{job_id}/cancel").expect(422)
    assert job(api, job_id)["counts"]["added"] == 20
    assert credits_of(api) == (80, 0)


def test_a_job_cancelled_before_it_ran_costs_nothing(api: Tenant) -> None:
    api.set(credits=10)
    job_id = start(api, addresses(10))
    assert credits_of(api) == (0, 10)
    api.post(f"AG/prospecting/{job_id}/cancel").expect(200)
    assert credits_of(api) == (10, 0)


def test_workers_that_are_killed_charge_nothing_twice(api: Tenant) -> None:
    api.set(credits=100)
    job_id = start(api, addresses(60))
    asleep = []
    for _ in range(4):
        worker = HandWorker(api.server, page_rows=7)
        claim = worker.claim(job_id)
        assert claim is not None
        assert api.server.call(worker.work, claim, 1)
        worker.die()
        asleep.append((worker, claim))
    assert credits_of(api) == (40, 60)
    for worker, claim in asleep:
        assert not worker.resume(claim), "a worker that was given up writes nothing"
    last = HandWorker(api.server, page_rows=7)
    assert last.run(job_id)
    for worker, claim in asleep:
        assert not worker.resume(claim)
    assert job(api, job_id)["counts"]["added"] == 60
    assert credits_of(api) == (40, 0)


def set_estimate(server: Longlist, file_id: str, rows: int) -> None:
    """As of a large file, whose rows are estimated and not counted."""
    id_ = bytes.fromhex(file_id)
    kept = json.loads(server.value("SELECT inspection FROM files WHERE id = $1", id_))
    (name,) = [name for name in kept if name.lower().replace("_", "") == "rowestimate"]
    text = json.dumps({**kept, name: rows})
    server.change(("UPDATE files SET inspection = $2 WHERE id = $1", id_, text))


def test_more_rows_than_expected_take_what_is_left_and_no_more(api: Tenant) -> None:
    api.set(credits=25)
    file_id = upload(api, addresses(40))
    set_estimate(api.server, file_id, 12)
    body = {"type": "file_import", "fileId": file_id, "audienceName": "Imported"}
    job_id = api.post("AG/prospecting", body).expect(202).data["jobId"]
    assert credits_of(api) == (13, 12)
    assert not HandWorker(api.server, page_rows=10).run(job_id)
    found = job(api, job_id)
    assert (found["status"], found["error"]["code"]) == ("failed", "INSUFFICIENT_CREDITS")
    assert found["counts"]["added"] == found["counts"]["received"] == 25
    assert credits_of(api) == (0, 0)


def test_more_rows_than_expected_complete_where_credits_suffice(api: Tenant) -> None:
    api.set(credits=100)
    file_id = upload(api, addresses(40))
    set_estimate(api.server, file_id, 12)
    body = {"type": "file_import", "fileId": file_id, "audienceName": "Imported"}
    job_id = api.post("AG/prospecting", body).expect(202).data["jobId"]
    assert HandWorker(api.server, page_rows=10).run(job_id)
    assert credits_of(api) == (60, 0)


def test_credits_set_while_a_job_runs_hold_from_then_on(api: Tenant) -> None:
    job_id = start(api, addresses(30))
    assert credits_of(api) == (None, None)
    worker = HandWorker(api.server, page_rows=10)
    assert worker.run(job_id, pages=1)
    worker.die()
    api.set(credits=15)
    assert not HandWorker(api.server, page_rows=10).run(job_id)
    assert job(api, job_id)["counts"]["added"] == 25
    assert credits_of(api) == (0, 0)


def test_a_quota_makes_a_job_wait_with_its_credits_reserved(api: Tenant) -> None:
    api.set(credits=30, **{"quota.FILE_IMPORT": 12})
    job_id = start(api, addresses(30))
    worker = HandWorker(api.server, page_rows=10)
    assert not worker.run(job_id)
    assert job(api, job_id)["status"] == "running"
    assert credits_of(api) == (0, 30)
    api.set(**{"quota.FILE_IMPORT": None})
    assert worker.run(job_id)
    assert credits_of(api) == (0, 0)
