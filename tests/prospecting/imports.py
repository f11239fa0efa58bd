"""An import as a test drives it: uploaded over HTTP, worked off by hand, looked at over HTTP."""

from __future__ import annotations

from typing import Any

from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker


def imported(api: Tenant, content: bytes, media_type: str) -> tuple[Any, Any, Any]:
    """The upload, the job and its rows, after a worker that died with one row saved."""
    answer = api.send("POST", "AG/files", body=content, headers={"Content-Type": media_type})
    uploaded = answer.expect(201).data
    body = {"type": "file_import", "fileId": uploaded["fileId"], "audienceName": "Imported"}
    job_id = str(api.post("AG/prospecting", body).expect(202).data["jobId"])
    first = HandWorker(api.server, page_rows=1)
    assert first.run(job_id, pages=1)
    first.die()
    assert HandWorker(api.server, page_rows=1).run(job_id)
    job = api.get(f"AG/prospecting/{job_id}").expect(200).data
    rows = api.get(f"AG/prospecting/{job_id}/rows").expect(200).data["items"]
    return uploaded, job, rows
