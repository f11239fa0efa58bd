"""A cancel stops an import within a page, and nothing is written after its answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest

from longlist.prospecting import links
from longlist.prospecting.runner import ProspectingRunner
from longlist.prospecting.sources import SourcePage
from longlist.prospecting.sources.file_import import FileImport
from tests.harness.server import PATIENCE_S
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker
from tests.races import cancels, people
from tests.races.place import Place


@pytest.mark.parametrize("writers", [0, 4])
def test_a_cancel_stops_within_a_page(place: Place, writers: int) -> None:
    made = people.make(30_000, seed=30)
    place.slice_rows = 500
    api = place.start("api")
    place.start("worker")

    async def scenario() -> None:
        async with place.opened() as store:
            found = await cancels.cancelled(place, api, store, made, moment=3_000, writers=writers)
            assert found.pages_after <= 1

    try:
        asyncio.run(scenario())
    finally:
        place.slice_rows = 0
        place.end()


def test_a_file_is_not_looked_through_to_its_end_for_nobody(
    api: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that does it cannot be cancelled, and a worker that stops waits for its end."""
    content = b"Email,LinkedIn URL\n" + b"".join(
        b"p%d@example.com,https://www.linkedin.com/in/p%d\n" % (at, at) for at in range(50)
    )
    uploaded = api.send("POST", "AG/files", body=content, headers={"Content-Type": "text/csv"})
    body = {"type": "file_import", "fileId": uploaded.expect(201).data["fileId"]}
    job_id = str(
        api.post("AG/prospecting", {**body, "audienceName": "Imported"}).expect(202).data["jobId"]
    )
    claim = HandWorker(api.server, page_rows=5).claim(job_id)
    assert claim is not None
    looking, cancelled, left = threading.Event(), threading.Event(), threading.Event()
    read = FileImport.read_pages

    def slowly(self: FileImport, cursor: str | None) -> Iterator[SourcePage]:
        for page in read(self, cursor):
            yield page
            looking.set()
            assert cancelled.wait(PATIENCE_S)

    def links_of(*args: Any) -> Any:
        try:
            return real(*args)
        except links.Abandoned:
            left.set()
            raise

    real = links.links_of
    monkeypatch.setattr(FileImport, "read_pages", slowly)
    monkeypatch.setattr("longlist.prospecting.sources.opening.links_of", links_of)

    async def scenario() -> None:
        async with aclosing(ProspectingRunner(api.server.installation).pages(claim)) as pages:
            task = asyncio.create_task(anext(pages))
            assert await asyncio.to_thread(looking.wait, PATIENCE_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled.set()
            assert await asyncio.to_thread(left.wait, PATIENCE_S)

    api.server.call(scenario)
