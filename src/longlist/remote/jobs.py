"""A job as somebody who waits for it sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from longlist.remote.progress import Progress

if TYPE_CHECKING:
    from longlist_client import AccountGroup, Job

PATIENCE_S: Final = 10.0
"""How long a job may be queued before it is said that nobody may be there to run it."""


def follow(
    account: AccountGroup, job_id: str, progress: Progress, seen: Callable[[Job], None]
) -> Job:
    """Wait for the end of a job; `seen` is told its state about once a second. The last state."""
    queued_since = time.monotonic()
    while True:
        job = account.prospecting.get(job_id, wait=1)
        seen(job)
        if job.is_terminal:
            return job
        if job.status == "queued" and time.monotonic() - queued_since > PATIENCE_S:
            progress.note("The job waits for a worker: is `longlist serve` or a worker running?")


def cancel(account: AccountGroup, job_id: str) -> Job:
    """Cancel a job unless it has ended meanwhile; its state after that."""
    from longlist_client import ValidationError

    try:
        account.prospecting.cancel(job_id)
    except ValidationError:
        job = account.prospecting.get(job_id)
        if not job.is_terminal:
            raise
        return job
    return account.prospecting.get(job_id)
