"""The schema: migrations give what tables.py says, and a start refuses another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from longlist import schema_version, startup
from longlist.db import SchemaMismatch
from longlist.settings import Settings
from longlist.tables import METADATA, PARTITIONED, PARTITIONS
from tests.harness.server import settings_for

FULL_TEXT = "directory_words"
BESIDE_FTS5 = {f"{FULL_TEXT}_{part}" for part in ("config", "content", "data", "idx")}
"""Where SQLite keeps what is in the virtual table."""
PARTS = {f"{table}_{at:02}" for table in PARTITIONED for at in range(PARTITIONS)}
"""The partitions of PostgreSQL."""


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    return settings_for(tmp_path, database_url=url)


async def _open(settings: Settings) -> str:
    async with startup.installation(settings) as installation:
        return await installation.db.version()


@contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    engine = create_engine(startup.database(settings).url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def test_head_is_the_head_of_the_tree() -> None:
    assert schema_version.known_revisions()[0] == schema_version.HEAD


def is_shared(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    """Not `events.xact`, which PostgreSQL alone has: readers stop before what is still running.

    Nor the full-text index, which each engine has in its own form, nor the partitions.
    """
    if kind == "table" and name is not None and (name.startswith(FULL_TEXT) or name in PARTS):
        return False
    return (kind, name) != ("column", "xact")


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
def test_a_migrated_database_is_what_the_tables_say(settings: Settings) -> None:
    schema_version.migrate(startup.database(settings))
    with connected(settings) as connection:
        options: dict[str, Any] = {
            "compare_type": True, "compare_server_default": True, "include_object": is_shared,
        }  # fmt: skip
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []
        found = inspect(connection)
        beside = PARTS if settings.uses_postgres else BESIDE_FTS5
        expected = {*METADATA.tables, "alembic_version", FULL_TEXT, *beside}
        assert set(found.get_table_names()) == expected
        for table in METADATA.sorted_tables:
            assert found.get_pk_constraint(table.name)["name"] == f"pk_{table.name}"
            foreign = {constraint["name"] for constraint in found.get_foreign_keys(table.name)}
            assert foreign == {constraint.name for constraint in table.foreign_key_constraints}


@pytest.mark.filterwarnings("ignore:Did not recognize type 'tsvector'")
def test_the_full_text_index_is_in_the_form_of_its_engine(settings: Settings) -> None:
    schema_version.migrate(startup.database(settings))
    with connected(settings) as connection:
        columns = [column["name"] for column in inspect(connection).get_columns(FULL_TEXT)]
        if settings.uses_postgres:
            assert columns == ["account_group_id", "rowid", "words"]
            (index,) = inspect(connection).get_indexes(FULL_TEXT)
            assert (index["column_names"], index["dialect_options"]["postgresql_using"]) == (
                ["words"], "gin",
            )  # fmt: skip
            return
        assert columns == ["account_group_id", "words"]
        statement = text(f"SELECT sql FROM sqlite_master WHERE name = '{FULL_TEXT}'")
        (made,) = connection.execute(statement).scalars()
        assert "USING fts5" in made
        assert "tokenize = 'ascii'" in made


def test_migrating_again_changes_nothing(settings: Settings) -> None:
    for _ in range(2):
        schema_version.migrate(startup.database(settings))
    assert schema_version.current(startup.database(settings)) == schema_version.HEAD
    assert asyncio.run(_open(settings)).startswith(("SQLite 3.", "PostgreSQL "))


def test_an_empty_database_is_behind(settings: Settings) -> None:
    assert schema_version.current(startup.database(settings)) is None
    with pytest.raises(SchemaMismatch, match="longlist migrate"):
        asyncio.run(_open(settings))


def test_a_database_from_the_future_is_refused(settings: Settings) -> None:
    schema_version.migrate(startup.database(settings))
    with connected(settings) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="ahead"):
        asyncio.run(_open(settings))


def test_another_secret_is_refused(settings: Settings) -> None:
    schema_version.migrate(startup.database(settings))
    asyncio.run(_open(settings))
    asyncio.run(_open(settings))
    (settings.data_path / startup.SECRET_FILE).write_text(
        "another secret of forty characters, at least"
    )
    with pytest.raises(startup.SecretMismatch):
        asyncio.run(_open(settings))
