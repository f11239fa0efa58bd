"""The awaiting client: the same core, on the real server and on the mock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from client.tests.backends import Backend

from longlist_client import (
    AsyncLonglist,
    AudienceNotReady,
    FileImport,
    Job,
    JobNotCompleted,
    NotFound,
    PreconditionFailed,
    ProspectInput,
    Retries,
    UrlUpload,
)
from longlist_client.testing import MockLonglist

URLS = UrlUpload(profile_urls=["https://www.linkedin.com/in/ada-example"])


def test_audiences(backend: Backend) -> None:
    async def main() -> None:
        async with backend.async_client() as client:
            account = client.account(backend.group_id)
            made = await asyncio.gather(
                *(account.audiences.create(name=f"A{n}", type="on_demand") for n in range(5))
            )
            found = [a.id async for a in account.audiences.list(limit=2)]
            assert sorted(found) == sorted(a.id for a in made)
            first = made[0]
            named = await account.audiences.update(first.id, name="B", if_match=first.etag)
            assert (await account.audiences.get(first.id)) == named
            assert first.etag is not None
            assert named.etag is not None
            assert await account.audiences.get_if_changed(first.id, named.etag) is None
            with pytest.raises(PreconditionFailed):
                await account.audiences.delete(first.id, if_match=first.etag)
            await account.audiences.delete(first.id)
            with pytest.raises(NotFound):
                await account.audiences.get(first.id)
            assert [group.id async for group in client.accounts.list()] == [backend.group_id]

    asyncio.run(main())


def test_files_jobs_and_exports(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("Email\n" + "".join(f"p{n}@example.com\n" for n in range(300)))

    async def main() -> None:
        async with backend.async_client() as client:
            account = client.account(backend.group_id)
            file = await account.files.upload(path)
            assert file.size_bytes == path.stat().st_size
            started = await account.prospecting.start(
                FileImport(file_id=file.file_id), audience_name="A"
            )
            with pytest.raises(AudienceNotReady):
                await account.audiences.get(started.audience_id)
            seen: list[str] = []

            async def on_progress(job: Job) -> None:
                seen.append(job.status)

            await asyncio.to_thread(backend.finish_jobs, started.job_id)
            job = await account.prospecting.wait(started.job_id, on_progress=on_progress)
            assert seen == ["completed"]
            assert job.counts.added == 300
            async with account.audiences.export(started.audience_id, format="ndjson") as export:
                assert export.row_count == 300
                assert len({p.email async for p in export.prospects()}) == 300
            async with account.audiences.export(started.audience_id) as export:
                await export.save(tmp_path / "out.csv")
            async with account.prospecting.export_rows(job.job_id) as export:
                assert len([line async for line in export.lines()]) == 301
            added = await account.prospects.add(
                started.audience_id, [ProspectInput(email="p1@example.com")]
            )
            assert added.counts.unchanged == 1

    asyncio.run(main())
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 301


def test_a_cancelled_job(backend: Backend) -> None:
    async def main() -> None:
        async with backend.async_client() as client:
            account = client.account(backend.group_id)
            started = await account.prospecting.start(URLS, audience_name="A")
            await account.prospecting.cancel(started.job_id)
            with pytest.raises(JobNotCompleted):
                await account.prospecting.wait(started.job_id)

    asyncio.run(main())


def test_lost_answers() -> None:
    mock = MockLonglist()

    async def main() -> None:
        async with mock.async_client(retries=Retries(base_s=0.0)) as client:
            account = client.account(mock.account_group_id)
            mock.drop_next(2)
            made = await account.prospecting.start(URLS, audience_name="A")
            assert [job.job_id async for job in account.prospecting.list()] == [made.job_id]

    asyncio.run(main())


def test_a_blocking_client_awaits_nothing() -> None:
    mock = MockLonglist()

    async def on_progress(_job: Job) -> None:
        raise AssertionError("never awaited")

    with mock.client() as client:
        account = client.account(mock.account_group_id)
        job = account.prospecting.start(URLS, audience_name="A")
        made = []

        def asynchronous(job: Job) -> object:
            made.append(on_progress(job))
            return made[0]

        with pytest.raises(TypeError, match="cannot await"):
            account.prospecting.wait(job.job_id, on_progress=asynchronous)
        made[0].close()


def test_the_clients_are_two() -> None:
    assert not hasattr(AsyncLonglist, "__enter__")
