"""A worker that a test leads by the hand: it claims a job and saves as many pages as it is told.

It uses the runner as the job engine does, without the engine: no beats, no queue, no processes.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Any

from longlist.ids import new_id
from longlist.jobs import Rest
from longlist.prospecting.runner import Claim, ProspectingRunner
from tests.harness.server import Longlist


class HandWorker:
    """One worker process, as far as the rows of the database can tell."""

    def __init__(self, server: Longlist, page_rows: int = 10) -> None:
        self.id = f"by-hand-{new_id().hex()}"
        self._server = server
        self._runner = ProspectingRunner(server.installation)
        self._page_rows = page_rows

    def waiting(self, among: list[str]) -> list[str]:
        """Those of the jobs that the queue offers, in its order."""
        offered = self._server.call(self._server.installation.db.read, self._runner.waiting, 10_000)
        return [job.job_id.hex() for job in offered if job.job_id.hex() in among]

    def claim(self, job_id: str) -> Claim | None:
        """Take the job, if it waits and may run."""
        return self._server.call(self._claim, job_id)  # type: ignore[no-any-return]

    async def _claim(self, job_id: str) -> Claim | None:
        write = self._server.installation.db.write
        claim: Claim | None = await write(self._runner.claim, bytes.fromhex(job_id), self.id)
        if claim is not None:
            source: Any = claim.source
            source.page_rows = self._page_rows
        return claim

    async def work(self, claim: Claim, pages: int | None = None) -> bool:
        """Save pages, all of them and the end unless told how many; False once it must stop."""
        write = self._server.installation.db.write_long
        saved = 0
        async with aclosing(self._runner.pages(claim)) as found:
            async for page in found:
                if saved == pages:
                    return True
                left: Any = Rest(page)
                while isinstance(left, Rest):
                    left = await write(self._runner.save, claim, left.page)
                if not left:
                    return False
                saved += 1
        return pages is not None or bool(await write(self._runner.finish, claim))

    async def run_to_the_end(self, job_id: str) -> bool:
        """Claim a job and work on it; False where it could not be claimed or brought to its end."""
        claim = await self._claim(job_id)
        return claim is not None and await self.work(claim)

    def run(self, job_id: str, pages: int | None = None) -> bool:
        """As `run_to_the_end`, or for some pages only: the job stays this worker's."""
        claim = self.claim(job_id)
        assert claim is not None
        return bool(self._server.call(self.work, claim, pages))

    def resume(self, claim: Claim) -> bool:
        """Go on with a claim that was lost, as a worker does that was only asleep."""
        return bool(self._server.call(self.work, claim))

    def fail(self, claim: Claim) -> None:
        """End the job as a source does that breaks."""
        end = partial(self._runner.fail, code="SOURCE_ERROR", message="The source broke.")
        assert self._server.call(self._server.installation.db.write, end, claim)

    def die(self, max_rescues: int = 5) -> None:
        """Be declared dead: the jobs wait again, or fail if they were rescued too often."""
        bury = self._runner.take_over
        self._server.call(self._server.installation.db.write, bury, self.id, max_rescues)
