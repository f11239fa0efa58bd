"""Where a directory comes from: settings that are refused, and databases of somebody else's."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from longlist.prospecting.sources import SourceRow
from longlist.prospecting.sources.directory import PROVIDER
from longlist.prospecting.sources.directory.origin import Origin
from longlist.prospecting.sources.providers import ProviderFailed, SetUp
from tests.harness.postgres import Postgres
from tests.harness.tenant import Tenant
from tests.prospecting.directories import directory, load, names, pages

QUERY = "SELECT full_name, work_email, firm AS company, NULL AS photo, joined FROM staff ORDER BY 1"
STAFF = [
    ("Ada Sample", "ada@example.com", "Acme Robotics", "2026-03-04"),
    ("Ben Nobody", None, "Berlin Bread", "2026-03-05"),
    ("Cleo Muster", "cleo@example.com", None, None),
]
DDL = "CREATE TABLE staff (full_name text, work_email text, firm text, joined date)"


def _sqlite(tmp_path: Path) -> str:
    path = tmp_path / "their crm?#%.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute(DDL)
        connection.executemany("INSERT INTO staff VALUES (?, ?, ?, ?)", STAFF)
    connection.close()
    return str(path)


def _postgres(postgres: Postgres) -> str:
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(DDL)
        for person in STAFF:
            connection.execute("INSERT INTO staff VALUES (%s, %s, %s, %s)", person)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return _sqlite(tmp_path)
    return _postgres(request.getfixturevalue("postgres"))


def origin(database: str | None = None, query: str = QUERY, token: str | None = None) -> Origin:
    settings = {"query": query} if database is None else {"query": query, "database": database}
    return Origin(SetUp(b"", "P", "directory", PROVIDER.check(settings), token))


def rows_of(found: Origin, size: int = 2) -> list[SourceRow]:
    async def read() -> list[SourceRow]:
        return [row async for batch in found.rows(size) for row in batch]

    return asyncio.run(read())


def test_a_query_gives_rows_by_the_names_of_its_columns(database: str) -> None:
    for size in (1, 2, 3, 100):
        rows = rows_of(origin(database), size)
        assert [row.position for row in rows] == [1, 2, 3]
        assert [row.values for row in rows] == [
            {"name": "Ada Sample", "email": "ada@example.com", "company.name": "Acme Robotics",
             "photoUrl": ""},
            {"name": "Ben Nobody", "email": "", "company.name": "Berlin Bread", "photoUrl": ""},
            {"name": "Cleo Muster", "email": "cleo@example.com", "company.name": "",
             "photoUrl": ""},
        ]  # fmt: skip


def test_a_database_is_loaded_and_searched(api: Tenant, database: str) -> None:
    made = directory(api, query=QUERY + " ;", database=database)
    assert load(api, made) == "Took in 3 people of 3 rows."
    assert names(pages(api, [made], "acme")) == ["Ada Sample"]
    told = api.server.call(PROVIDER.test, api.server.installation, api.group, made)
    assert told.startswith("The query answers with rows. Columns that are read: full_name -> name,")


def test_the_token_is_the_url_of_the_database(database: str) -> None:
    assert len(rows_of(origin(token=database))) == 3
    with pytest.raises(ProviderFailed, match="needs its database"):
        rows_of(origin())


@pytest.mark.parametrize(
    "query",
    [
        "WITH gone AS (DELETE FROM staff RETURNING *) SELECT * FROM gone",
        "WITH x AS (SELECT 1) DELETE FROM staff",
        "SELECT 1 AS email; DELETE FROM staff",
        "SELECT nobody FROM staff",
        "SELECT * FROM nowhere",
        "WITH",
    ],
)
def test_a_query_can_only_read(database: str, query: str) -> None:
    with pytest.raises(ProviderFailed, match="refused the query"):
        rows_of(origin(database, query))
    assert len(rows_of(origin(database))) == 3


def test_functions_that_write_are_refused_by_postgres(postgres: Postgres) -> None:
    url = _postgres(postgres)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE counter")
        connection.execute(
            "CREATE FUNCTION wipe() RETURNS text LANGUAGE sql AS"
            " $$ DELETE FROM staff; SELECT 'ada@example.com' $$"
        )
    for call in ("wipe()", "nextval('counter')::text"):
        with pytest.raises(ProviderFailed, match="refused the query"):
            rows_of(origin(url, f"SELECT {call} AS email"))
    assert len(rows_of(origin(url))) == 3


def test_no_message_tells_a_value_or_a_password(postgres: Postgres) -> None:
    url = _postgres(postgres)
    with pytest.raises(ProviderFailed) as failed:
        rows_of(origin(url, "SELECT CAST(full_name AS integer) AS email FROM staff"))
    assert "Ada" not in str(failed.value)
    secret = "postgresql://someone:hush-4711@127.0.0.1:1/nothing"
    with pytest.raises(ProviderFailed, match="cannot be reached") as failed:
        rows_of(origin(token=secret))
    assert "hush" not in str(failed.value)


def test_a_value_that_is_not_text_fails_its_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (email, n)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?)",
            [("a@example.com", 1), (b"\x00\x01", 2), ("c@example.com", 3.5), ("d\0@x.com", 4)],
        )
        connection.execute("INSERT INTO t VALUES (CAST(x'ff61' AS TEXT), 5)")
    connection.close()
    rows = rows_of(origin(str(path), "SELECT email FROM t ORDER BY n"))
    assert [row.reason for row in rows] == [
        None, "INVALID_TEXT", None, "INVALID_TEXT", "INVALID_TEXT",
    ]  # fmt: skip


def test_a_query_without_rows_or_people(database: str) -> None:
    assert rows_of(origin(database, QUERY.replace("ORDER", "WHERE 1 = 0 ORDER"))) == []
    with pytest.raises(ProviderFailed, match="Map a column"):
        rows_of(origin(database, "SELECT firm FROM staff"))
    with pytest.raises(ProviderFailed, match="name of its own"):
        rows_of(origin(database, "SELECT work_email, work_email FROM staff"))


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProviderFailed):
        rows_of(origin(str(tmp_path / "missing.sqlite3")))
    assert not (tmp_path / "missing.sqlite3").exists()
    (tmp_path / "text.sqlite3").write_text("this is no database at all, but a text\n" * 100)
    with pytest.raises(ProviderFailed, match="refused the query"):
        rows_of(origin(str(tmp_path / "text.sqlite3")))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "either file=PATH or query="),
        ({"file": "a.csv", "query": "SELECT 1"}, "either file=PATH or query="),
        ({"file": " "}, "either file=PATH or query="),
        ({"file": "a.csv", "database": "b"}, "goes with query"),
        ({"file": "a.csv", "format": "csv"}, "no setting format"),
        ({"file": "a.csv", "mapping": "email"}, "must be JSON"),
        ({"file": "a.csv", "mapping": '{"a": 1}'}, "must be JSON"),
        ({"query": "DELETE FROM staff", "database": "b"}, "begin with SELECT"),
        ({"query": "ATTACH 'x' AS y", "database": "b"}, "begin with SELECT"),
        ({"query": "SELECT 1", "database": "mysql://host/db"}, "postgresql://"),
        ({"query": "SELECT 1", "database": "postgresql://a:b@host/db"}, "is a secret"),
        ({"query": "SELECT 1", "database": "postgres://host/db?password=b"}, "is a secret"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        PROVIDER.check(settings)


def test_settings_in_normal_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"file": " people.csv "}, {"file": f"{tmp_path}/people.csv"}),
        ({"file": "~/p.csv", "mapping": '{ "a":null }'},
         {"file": "/home/ada/p.csv", "mapping": '{"a":null}'}),
        ({"query": "select 1;\n", "database": "sqlite:///crm.db"},
         {"query": "select 1", "database": f"{tmp_path}/crm.db"}),
        ({"query": "WITH x AS (SELECT 1) SELECT * FROM x", "database": "postgres://a@host/db"},
         {"query": "WITH x AS (SELECT 1) SELECT * FROM x", "database": "postgres://a@host/db"}),
    ]  # fmt: skip
    for given, normal in cases:
        assert PROVIDER.check(given) == normal
        assert PROVIDER.check(normal) == normal
