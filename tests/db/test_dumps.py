"""A PostgreSQL database put back from a file: all of it or nothing, whatever was there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command

from longlist import schema_version
from longlist.db import DatabaseAway, dumps
from longlist.db.holding import holding
from longlist.db.postgres import PostgresDatabase
from longlist.tables import PARTITIONED
from tests.harness.postgres import Postgres

OLD = "0006"
MARK = "INSERT INTO installation (name, value) VALUES ('made by', 'the old version')"


@pytest.fixture(autouse=True)
def _client_programs(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = _values(
        postgres.new_database(), "SELECT setting FROM pg_config WHERE name = 'BINDIR'"
    )
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def _values(url: str, sql: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(sql.encode()).fetchall()]


def _state(url: str) -> tuple[list[Any], set[Any], list[Any]]:
    """The revision, what kinds of table those are that may be in partitions, and who made it."""
    names = ", ".join(f"'{table}'" for table in PARTITIONED)
    return (
        _values(url, "SELECT version_num FROM alembic_version"),
        set(_values(url, f"SELECT relkind::text FROM pg_class WHERE relname IN ({names})")),
        _values(url, "SELECT value FROM installation WHERE name = 'made by'"),
    )


@pytest.fixture
def old_dump(postgres: Postgres, tmp_path: Path) -> Path:
    """A file from before there were partitions."""
    db = PostgresDatabase(postgres.new_database(), pool=1)
    command.upgrade(schema_version._config(db.url), OLD)
    with psycopg.connect(db.dsn) as connection:
        connection.execute(MARK)
    dumps.dumps_of(db).save(tmp_path / "old.pgdump")
    return tmp_path / "old.pgdump"


@pytest.fixture
def new(postgres: Postgres) -> PostgresDatabase:
    """A database of this version."""
    db = PostgresDatabase(postgres.new_database(), pool=1)
    schema_version.migrate(db)
    return db


def test_an_older_version_comes_back_whole_and_alone(
    old_dump: Path, new: PostgresDatabase, tmp_path: Path
) -> None:
    kept = dumps.dumps_of(new)
    kept.save(tmp_path / "new.pgdump")
    kept.put_back(old_dump, tmp_path)
    assert _state(new.dsn) == ([OLD], {"r"}, ["the old version"])
    schema_version.migrate(new)
    after = ([schema_version.HEAD], {"p"}, ["the old version"])
    assert _state(new.dsn) == after
    kept.put_back(tmp_path / "new.pgdump", tmp_path)
    assert _state(new.dsn) == ([schema_version.HEAD], {"p"}, [])


def test_what_is_not_its_own_stays_and_what_holds_a_group_goes(
    old_dump: Path, new: PostgresDatabase, tmp_path: Path
) -> None:
    async def hold() -> None:
        await new.start()
        await holding(new, b"\x01" * 12, b"\x02" * 12, [("prospects", "account_group_id")]).hold()
        await new.close()

    asyncio.run(hold())
    with psycopg.connect(new.dsn) as connection:
        connection.execute("CREATE TABLE of_somebody_else AS SELECT 7 AS seven")
    held = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'moving\\_%'"
    assert _values(new.dsn, held) == [1]
    dumps.dumps_of(new).put_back(old_dump, tmp_path)
    assert _values(new.dsn, held) == [0]
    assert _values(new.dsn, "SELECT seven FROM of_somebody_else") == [7]


def test_what_cannot_be_put_back_changes_nothing(
    old_dump: Path, new: PostgresDatabase, tmp_path: Path
) -> None:
    before = _state(new.dsn)
    whole = old_dump.read_bytes()
    for name, content in (("cut off", whole[: len(whole) - 200]), ("none", b"PGDMP")):
        dump = tmp_path / name
        dump.write_bytes(content)
        with pytest.raises(DatabaseAway, match="failed"):
            dumps.dumps_of(new).put_back(dump, tmp_path)
        assert _state(new.dsn) == before
