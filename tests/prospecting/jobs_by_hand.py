"""Jobs worked off by hand as the engine does it, and what has to hold however they ended."""

from __future__ import annotations

from functools import partial
from typing import Any

from longlist.jobs import JobFailed
from longlist.prospecting.runner import ProspectingRunner
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker

JOBS = "AG/prospecting"


def run(api: Tenant, job_id: str, page_rows: int = 3) -> Any:
    """Work on a job to its end; the job afterwards."""
    worker = HandWorker(api.server, page_rows=page_rows)
    claim = worker.claim(job_id)
    assert claim is not None
    try:
        assert worker.resume(claim)
    except JobFailed as failed:
        installation = api.server.installation
        runner = ProspectingRunner(installation)
        end = partial(runner.fail, code=failed.code, message=failed.message)
        assert api.server.call(installation.db.write, end, claim)
    return ended(api, job_id)


def ended(api: Tenant, job_id: str) -> Any:
    """The job, which has ended in good order: counts add up, its audience is free."""
    job = api.get(f"{JOBS}/{job_id}").expect(200).data
    assert job["status"] in ("completed", "failed")
    assert (job["error"] is None) == (job["status"] == "completed")
    counts = dict(job["counts"])
    received = counts.pop("received")
    assert received == sum(counts.values())
    rows = api.get(f"{JOBS}/{job_id}/rows?limit=200").expect(200).data["items"]
    assert [row["position"] for row in rows] == list(range(1, received + 1))
    audience = api.get(f"AG/audiences/{job['audienceId']}").expect(200).data
    assert audience["prospectCount"] == counts["added"] + counts["updated"] + counts["unchanged"]
    return job
