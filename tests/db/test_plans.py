"""No statement costs more as the installation grows: each is asked for its plan, on both engines.

A server does everything once in a crowd of account groups, every statement that it sends is noted,
and the engine is asked how it would run it. Looked for are reads of all of a table that grows, of
rows of other groups than the one that asks, and of more than one partition.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from longlist.tables import METADATA, PARTITIONED
from tests.accounts.moving import Pair, move, settings_of
from tests.db.crowds import fill
from tests.db.everything import do_everything
from tests.db.plans import Plans, PostgresPlans, SqlitePlans, faults
from tests.db.statements import Site, Statement, Statements, noted, senders
from tests.harness.postgres import Postgres
from tests.harness.server import running_longlist

NOT_SENT: dict[Site, str] = {
    ("accounts/move_store.py", "stream"): "is sent by whoever reads the stream",
    ("prospecting/store.py", "stream_rows"): "is sent by whoever reads the stream",
    ("prospects/member_store.py", "stream"): "is sent by whoever reads the stream",
}
"""Functions with SQL that are not seen sending it."""
OF_ANOTHER_DATABASE = ("front/",)
READ_ALL: dict[Site, str] = {
    ("accounts/store.py", "list_all_everywhere"): "the operator lists all account groups",
    ("keys/store.py", "list_all_everywhere"): "the operator lists all keys",
    ("prospecting/source_store.py", "list_all_everywhere"): "the operator lists all sources",
    ("prospecting/file_store.py", "_names_everywhere"): (
        "held against all files of the folder, once a minute; files are kept for some days only"
    ),
    ("accounts/move_store.py", "list_files_everywhere"): (
        "a move between two databases that share a folder touches every file in it"
    ),
}
"""Functions whose statements may read all of something, and why."""
WHOLE_GROUPS = ("accounts/move", "prospects/export.py")
"""Where all that a group has, or most of it, is what is asked for."""


@dataclass
class Done:
    """Two servers that have done everything, with what they sent."""

    sqlite: sqlite3.Connection
    postgres: psycopg.Connection[tuple[object, ...]]
    sent: Statements


@pytest.fixture(scope="module")
def done(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    url, folder = postgres.new_database(), tmp_path_factory.mktemp("everything")
    with (
        running_longlist(settings_of(folder / "sqlite")) as embedded,
        running_longlist(settings_of(folder / "postgres", url)) as served,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        for server in (embedded, served):
            server.call(fill, server)
        with noted() as sent:
            do_everything(embedded, folder)
            api = do_everything(served, folder)
            there = Pair(served, embedded)
            for pair in (there, there.back()):
                move(pair, api.group)
        with sqlite3.connect(folder / "sqlite" / "longlist.sqlite3") as file:
            yield Done(file, connection, sent)
        file.close()


def _wrong(plans: Plans, statements: dict[str, Statement], *, generic: bool = False) -> list[str]:
    found = []
    for statement in statements.values():
        if statement.sites <= READ_ALL.keys():
            continue
        everywhere = all(function.endswith("_everywhere") for _, function in statement.sites)
        if generic and everywhere:
            # What is past its time is a third of everything to who does not know the time. Such a
            # plan is never taken: planned with it, the statement costs far less.
            continue
        whole = generic or all(path.startswith(WHOLE_GROUPS) for path, _ in statement.sites)
        reads = plans.reads(statement.sql, statement.values)
        for fault in faults(reads, whole_groups=whole, everywhere=everywhere):
            found.append(f"{sorted(statement.sites)} {fault}:\n{statement.sql}")
    return found


def test_everything_that_sends_sql_was_seen(done: Done) -> None:
    left = {
        site
        for site in senders() - done.sent.sites - NOT_SENT.keys()
        if not site[0].startswith(OF_ANOTHER_DATABASE)
    }
    assert not left, f"have them called in tests/db/everything.py: {sorted(left)}"
    assert len(done.sent.of["sqlite"]) > 250
    assert len(done.sent.of["postgres"]) > 250


def test_plans_of_sqlite(done: Done) -> None:
    statements = done.sent.of["sqlite"]
    assert _wrong(SqlitePlans(done.sqlite), statements) == []
    done.sqlite.execute("ANALYZE")
    assert _wrong(SqlitePlans(done.sqlite), statements) == []


def test_plans_of_postgres(done: Done) -> None:
    statements = done.sent.of["postgres"]
    leaves = ", ".join(
        str(name)
        for (name,) in done.postgres.execute(
            "SELECT oid::regclass::text FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        ).fetchall()
    )
    # As autovacuum leaves it, which looks at partitions and never at what they are parts of; then
    # as the server's own maintenance does.
    for statistics in (f"ANALYZE {leaves}", "ANALYZE"):
        done.postgres.execute(statistics)
        for generic in (False, True):
            plans = PostgresPlans(done.postgres, generic=generic)
            assert _wrong(plans, statements, generic=generic) == []


BAD = {
    "SELECT COUNT(*) FROM {table}": "reads all of",
    "SELECT 1 FROM {table} WHERE prospect_id = $1": "partitions",
    "DELETE FROM {table} WHERE account_group_id > $1": "partitions",
    "SELECT 1 FROM {table} WHERE account_group_id = $1": "all that an account group has",
}


@pytest.mark.parametrize("sql", BAD)
def test_what_is_wrong_is_found(done: Done, sql: str) -> None:
    statement = sql.format(table="memberships")
    values = [b"\x01" * 12] if "$1" in statement else []
    plans = PostgresPlans(done.postgres, generic=False)
    found = " ".join(faults(plans.reads(statement, values)))
    assert BAD[sql] in found
    for generic in (False, True):
        plans = PostgresPlans(done.postgres, generic=generic)
        assert faults(plans.reads(statement, values))
    assert faults(SqlitePlans(done.sqlite).reads(statement.replace("$1", "?"), values))


def test_another_groups_rows_are_found_out(done: Done) -> None:
    sql = "SELECT 1 FROM events WHERE created_at < $1"
    plans = PostgresPlans(done.postgres, generic=False)
    for reads in (
        plans.reads(sql, [5]),
        SqlitePlans(done.sqlite).reads(sql.replace("$1", "?"), [5]),
    ):
        (fault,) = faults(reads)
        assert "every account group" in fault
        assert faults(reads, everywhere=True) == []


def test_partitioned_are_the_tables_with_a_row_for_each_person() -> None:
    people = {
        table.name
        for table in METADATA.sorted_tables
        if {"prospect_id", "person"} & set(table.columns.keys()) or table.name == "prospects"
    }
    assert people | {"directory_words"} == set(PARTITIONED)
