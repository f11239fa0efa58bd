"""Group commit: bodies that share a commit, and commits that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from longlist.db import DatabaseAway, DiskFull, Transaction
from longlist.db.sqlite import SqliteDatabase, connect


def _run(path: Path, work: Callable[[SqliteDatabase], Awaitable[Any]]) -> None:
    async def opened() -> None:
        db = SqliteDatabase(path / "test.sqlite3")
        await db.start()
        try:
            await db.write(_statement, "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b)")
            await work(db)
        finally:
            await db.close()

    asyncio.run(opened())


async def _statement(tx: Transaction, sql: str, *args: Any) -> int:
    return await tx.run(sql, *args)


async def _count(tx: Transaction) -> int:
    row = await tx.one("SELECT COUNT(*) FROM t")
    assert row is not None
    return int(row[0])


def test_writes_that_wait_together_share_commits(tmp_path: Path) -> None:
    async def work(db: SqliteDatabase) -> None:
        before = db.batches.count
        await asyncio.gather(
            *(db.write(_statement, "INSERT INTO t (b) VALUES ($1)", at) for at in range(400))
        )
        assert db.batches.count - before < 100
        assert await db.read(_count) == 400

    _run(tmp_path, work)


def test_every_connection_syncs_and_overwrites_what_it_deletes(tmp_path: Path) -> None:
    connection = connect(tmp_path / "x.sqlite3")
    settings = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
    }
    connection.close()
    assert settings == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1,
    }  # fmt: skip


def test_a_body_that_suspends_is_refused_and_undone(tmp_path: Path) -> None:
    async def sleeping(tx: Transaction) -> None:
        await tx.run("INSERT INTO t (b) VALUES (1)")
        await asyncio.sleep(0)

    async def work(db: SqliteDatabase) -> None:
        with pytest.raises(RuntimeError, match="awaited"):
            await db.write(sleeping)
        assert await db.read(_count) == 0

    _run(tmp_path, work)


def test_a_full_disk_fails_the_whole_batch_and_nothing_of_it_stays(tmp_path: Path) -> None:
    async def work(db: SqliteDatabase) -> None:
        await db.write(_statement, "INSERT INTO t (b) VALUES ($1)", b"x")
        pages = db._writer.execute("PRAGMA page_count").fetchone()[0]
        db._writer.execute(f"PRAGMA max_page_count = {pages + 10}")
        big = b"x" * 20_000
        outcomes = await asyncio.gather(
            *(db.write(_statement, "INSERT INTO t (b) VALUES ($1)", big) for _ in range(20)),
            return_exceptions=True,
        )
        written = [outcome for outcome in outcomes if outcome == 1]
        assert any(isinstance(outcome, DiskFull) for outcome in outcomes)
        assert all(outcome == 1 or isinstance(outcome, DiskFull) for outcome in outcomes)
        assert await db.read(_count) == 1 + len(written)
        db._writer.execute(f"PRAGMA max_page_count = {pages + 10_000}")
        assert await db.write(_statement, "INSERT INTO t (b) VALUES ($1)", big) == 1

    _run(tmp_path, work)


def test_another_process_that_holds_the_lock_is_waited_for(tmp_path: Path) -> None:
    async def work(db: SqliteDatabase) -> None:
        other = connect(db.path)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(db.write(_statement, "INSERT INTO t (b) VALUES (1)"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert await db.read(_count) == 0
        other.execute("COMMIT")
        assert await waiting == 1
        other.close()

    _run(tmp_path, work)


def test_closing_lets_waiting_writes_end_and_takes_no_more(tmp_path: Path) -> None:
    async def work(db: SqliteDatabase) -> None:
        writes = [
            asyncio.ensure_future(db.write(_statement, "INSERT INTO t (b) VALUES (1)"))
            for _ in range(50)
        ]
        await asyncio.sleep(0)
        await db.close()
        assert await asyncio.gather(*writes) == [1] * 50
        with pytest.raises(DatabaseAway):
            await db.write(_count)

    _run(tmp_path, work)
