"""A worker that dies between the last page and the end of its job: nothing is fetched anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing

import pytest

from longlist.jobs import JobFailed
from longlist.prospecting.reading import Page
from longlist.prospecting.runner import Claim, ProspectingRunner
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker
from tests.prospecting import scripted
from tests.races.people import make


@pytest.fixture(autouse=True)
def _scripted() -> Iterator[None]:
    with scripted.registered():
        yield


async def _fetched(api: Tenant, claim: Claim) -> list[Page]:
    async with aclosing(ProspectingRunner(api.server.installation).pages(claim)) as pages:
        return [page async for page in pages]


def _dies_before_the_end(api: Tenant, job_id: str, pages: int, rows: int) -> None:
    """Save every page and die; the next worker has nothing to fetch and completes the job."""
    first = HandWorker(api.server, page_rows=3)
    assert first.run(job_id, pages=pages)
    job = api.get(f"AG/prospecting/{job_id}").expect(200).data
    assert (job["status"], job["counts"]["received"]) == ("running", rows)
    first.die()
    second = HandWorker(api.server, page_rows=3)
    claim = second.claim(job_id)
    assert claim is not None
    assert api.server.call(_fetched, api, claim) == []
    assert second.resume(claim)
    after = api.get(f"AG/prospecting/{job_id}").expect(200).data
    assert (after["status"], after["counts"], after["progress"]) == ("completed", job["counts"], 1)


def test_a_provider_is_not_asked_again(api: Tenant) -> None:
    scripted.set_up(api)
    body = {"type": "linkedin_search", **scripted.LINKEDIN["linkedin_search"]}
    started = api.post("AG/prospecting", {**body, "audienceName": "Found"}).expect(202).data
    _dies_before_the_end(api, started["jobId"], pages=3, rows=8)


def test_a_file_is_not_read_again(api: Tenant) -> None:
    headers = {"Content-Type": "text/csv"}
    content = make(8, repeats=0, broken=0).content
    uploaded = api.send("POST", "AG/files", body=content, headers=headers).expect(201).data
    body = {"type": "file_import", "fileId": uploaded["fileId"], "audienceName": "Imported"}
    started = api.post("AG/prospecting", body).expect(202).data
    _dies_before_the_end(api, started["jobId"], pages=3, rows=8)


def test_profile_urls_are_not_taken_again(api: Tenant) -> None:
    urls = [f"https://www.linkedin.com/in/end-{at}" for at in range(8)]
    body = {"type": "url_upload", "profileUrls": urls, "audienceName": "Named"}
    started = api.post("AG/prospecting", body).expect(202).data
    _dies_before_the_end(api, started["jobId"], pages=3, rows=8)


def test_a_file_that_is_too_long_still_fails(api: Tenant) -> None:
    """All that may be imported is saved, but the file was not read to its end."""
    headers = {"Content-Type": "text/csv"}
    content = make(1_200, repeats=0, broken=0).content
    uploaded = api.send("POST", "AG/files", body=content, headers=headers).expect(201).data
    body = {"type": "file_import", "fileId": uploaded["fileId"], "audienceName": "Imported"}
    job_id = api.post("AG/prospecting", body).expect(202).data["jobId"]
    # As of a large file of which the estimate at its start was too low.
    api.server.change(
        (
            "UPDATE prospecting_jobs SET source = replace(source, $2, $3) WHERE id = $1",
            bytes.fromhex(job_id),
            f'"limit":{api.server.settings.file_rows_cap}',
            '"limit":1000',
        )
    )
    for rescues in range(3):
        worker = HandWorker(api.server, page_rows=300)
        claim = worker.claim(job_id)
        assert claim is not None
        with pytest.raises(JobFailed) as failed:
            worker.resume(claim)
        assert failed.value.code == "FILE_TOO_LONG"
        job = api.get(f"AG/prospecting/{job_id}").expect(200).data
        assert (job["status"], job["counts"]["added"]) == ("running", 1_000), rescues
        worker.die()
