"""A database of its own for a test, on each engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from longlist import schema_version
from longlist.db import Database, Transaction, open_database
from tests.conftest import ENGINES

Run = Callable[[Callable[[Database], Awaitable[Any]]], Any]
GROUP_SQL = (
    "INSERT INTO account_groups (id, name, max_results_cap, file_rows_cap, created_at)"
    " VALUES ($1, $2, 1, 1, 0)"
)


@pytest.fixture(params=ENGINES)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a coroutine with a fresh, migrated, open database."""
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgres" else ""

    def database() -> Database:
        return open_database(sqlite_path=tmp_path / "test.sqlite3", database_url=url, pool=10)

    schema_version.migrate(database())

    def call(work: Callable[[Database], Awaitable[Any]]) -> Any:
        async def opened() -> Any:
            db = database()
            await db.start()
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(opened())

    return call


async def add_group(tx: Transaction, id_: bytes, name: str = "a") -> None:
    """An account group."""
    await tx.run(GROUP_SQL, id_, name)
