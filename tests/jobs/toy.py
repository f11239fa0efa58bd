"""A kind of job for the engine's tests: it writes one row a page, and tells who wrote it.

As a program it is a worker process: `python toy.py SQLITE_PATH DATABASE_URL TARGET SILENCE_MS`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import NamedTuple

from longlist import jobs, jobs_database, workers
from longlist.db import Database, Transaction, open_database
from longlist.ids import new_id

TABLES = (
    "CREATE TABLE workers (id TEXT PRIMARY KEY, started_at BIGINT, beat_at BIGINT)",
    """CREATE TABLE toy_jobs (
        id {bytes} PRIMARY KEY, partition TEXT, status TEXT, pages BIGINT, fetch_ms BIGINT,
        trouble TEXT, at_page BIGINT DEFAULT 0, token BIGINT DEFAULT 0, worker_id TEXT,
        rescues BIGINT DEFAULT 0, error_code TEXT)""",
    """CREATE TABLE toy_rows (
        job_id {bytes}, page BIGINT, worker_id TEXT, PRIMARY KEY (job_id, page))""",
)
_HELD = "id = $1 AND token = $2 AND status = 'running'"


class Claim(NamedTuple):
    job_id: bytes
    worker_id: str
    token: int
    at_page: int
    pages: int
    fetch_ms: int
    trouble: str


class Job(NamedTuple):
    """A row, for assertions."""

    status: str
    at_page: int
    token: int
    worker_id: str | None
    rescues: int
    error_code: str | None


class ToyRunner:
    """`trouble` is one of '', 'fails', 'breaks'."""

    async def waiting(self, tx: Transaction, limit: int) -> Sequence[jobs.Waiting]:
        rows = await tx.all(
            "SELECT id, partition FROM toy_jobs WHERE status IN ('queued', 'running')"
            " AND worker_id IS NULL ORDER BY id LIMIT $1",
            limit,
        )
        return [jobs.Waiting(row[0], row[1], first=False) for row in rows]

    async def held(self, tx: Transaction) -> Sequence[tuple[str, bytes]]:
        rows = await tx.all(
            "SELECT worker_id, id FROM toy_jobs WHERE status = 'running' AND worker_id IS NOT NULL"
        )
        return [(row[0], row[1]) for row in rows]

    async def claim(
        self, tx: Transaction, job_id: bytes, worker_id: str, *, alone: bool = False
    ) -> Claim | None:
        if alone:
            return None  # all toys are of one group
        row = await tx.one(
            "UPDATE toy_jobs SET status = 'running', token = token + 1, worker_id = $2"
            " WHERE id = $1 AND worker_id IS NULL AND status IN ('queued', 'running')"
            " RETURNING token, at_page, pages, fetch_ms, trouble",
            job_id,
            worker_id,
        )
        return None if row is None else Claim(job_id, worker_id, *row)

    async def take_over(self, tx: Transaction, worker_id: str, max_rescues: int) -> int:
        failed = await tx.run(
            "UPDATE toy_jobs SET status = 'failed', error_code = 'INTERNAL_ERROR', worker_id = NULL"
            " WHERE worker_id = $1 AND status = 'running' AND rescues >= $2",
            worker_id,
            max_rescues,
        )
        return failed + await tx.run(
            "UPDATE toy_jobs SET worker_id = NULL, token = token + 1, rescues = rescues + 1"
            " WHERE worker_id = $1 AND status = 'running'",
            worker_id,
        )

    async def release(self, tx: Transaction, claim: Claim) -> bool:
        return bool(
            await tx.run(
                f"UPDATE toy_jobs SET worker_id = NULL, token = token + 1 WHERE {_HELD}",
                claim.job_id,
                claim.token,
            )
        )

    async def pages(self, claim: Claim) -> AsyncGenerator[int, None]:
        for page in range(claim.at_page, claim.pages):
            await asyncio.sleep(claim.fetch_ms / 1000)
            if claim.trouble == "fails":
                raise jobs.JobFailed("SOURCE_ERROR", "The source failed.")
            if claim.trouble == "breaks":
                raise ValueError("row of jane.doe@example.com")
            yield page

    async def save(self, tx: Transaction, claim: Claim, page: int) -> bool:
        moved = await tx.run(
            f"UPDATE toy_jobs SET at_page = $3 WHERE {_HELD}",
            claim.job_id,
            claim.token,
            page + 1,
        )
        if moved:
            await tx.run(
                "INSERT INTO toy_rows (job_id, page, worker_id) VALUES ($1, $2, $3)",
                claim.job_id,
                page,
                claim.worker_id,
            )
        return bool(moved)

    def committed(self, claim: Claim) -> None:
        pass

    async def finish(self, tx: Transaction, claim: Claim) -> bool:
        return await self._end(tx, claim, "completed", None)

    async def fail(self, tx: Transaction, claim: Claim, code: str, message: str) -> bool:
        return await self._end(tx, claim, "failed", code)

    async def _end(self, tx: Transaction, claim: Claim, status: str, code: str | None) -> bool:
        return bool(
            await tx.run(
                f"UPDATE toy_jobs SET status = $3, error_code = $4, worker_id = NULL WHERE {_HELD}",
                claim.job_id,
                claim.token,
                status,
                code,
            )
        )


async def make_tables(tx: Transaction, bytes_type: str) -> None:
    for table in TABLES:
        await tx.run(table.format(bytes=bytes_type))


async def add(
    tx: Transaction, *, pages: int, fetch_ms: int = 0, partition: str = "", trouble: str = ""
) -> bytes:
    """Queue a job, as an API process does; without `partition` it has one of its own."""
    job_id = new_id()
    await tx.run(
        "INSERT INTO toy_jobs (id, partition, status, pages, fetch_ms, trouble)"
        " VALUES ($1, $2, 'queued', $3, $4, $5)",
        job_id,
        partition or job_id.hex(),
        pages,
        fetch_ms,
        trouble,
    )
    return job_id


async def cancel(tx: Transaction, job_id: bytes) -> None:
    """End a job as the API's cancel does: the worker is not asked."""
    await tx.run("UPDATE toy_jobs SET status = 'cancelled', worker_id = NULL WHERE id = $1", job_id)


async def get(tx: Transaction, job_id: bytes) -> Job:
    row = await tx.one(
        "SELECT status, at_page, token, worker_id, rescues, error_code FROM toy_jobs WHERE id = $1",
        job_id,
    )
    assert row is not None
    return Job(*row)


async def rows(tx: Transaction, job_id: bytes) -> list[tuple[int, str]]:
    found = await tx.all(
        "SELECT page, worker_id FROM toy_rows WHERE job_id = $1 ORDER BY page", job_id
    )
    return [(row[0], row[1]) for row in found]


def engine(db: Database, target: str, worker_id: str, slots: int = 2) -> jobs.Engine:
    """An engine on `target`: a PostgreSQL URL, or the path of DBOS's SQLite file."""
    postgres = "://" in target
    return jobs.Engine(
        db,
        jobs_database.postgres_target(target, worker_id)
        if postgres
        else jobs_database.embedded_target(Path(target)),
        worker_id,
        {"toy": ToyRunner()},
        slots=slots,
        one_writer=not postgres,
    )


async def main(sqlite_path: str, database_url: str, target: str, silence_ms: str) -> None:
    workers.SILENCE_MS = int(silence_ms)  # type: ignore[misc]
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    worker_id = workers.own_id()
    db = open_database(sqlite_path=Path(sqlite_path), database_url=database_url, session=worker_id)
    await db.start()
    print(worker_id, flush=True)
    await workers.run_until_stopped(engine(db, target, worker_id))
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
