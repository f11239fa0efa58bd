"""On PostgreSQL what grows with people is in hash partitions, also where it was not before."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import psycopg
import pytest
from alembic import command

from longlist import schema_version
from longlist.db import statistics
from longlist.db.holding import holding
from longlist.db.postgres import PostgresDatabase
from longlist.schema_version import MigrationRefused
from longlist.tables import PARTITIONED, PARTITIONS
from tests.harness.postgres import Postgres

BEFORE = "0006"
GROUPS = 5
PEOPLE = 2_500
"""More than the migration copies in one transaction."""


def _id(kind: str, at: int, size: int = 12) -> bytes:
    return blake2b(f"{kind} {at}".encode(), digest_size=size).digest()


def _group(at: int) -> bytes:
    return _id("group", at % GROUPS)


def _audience(at: int) -> bytes:
    return _id("audience", at % GROUPS)


ROWS: dict[str, tuple[tuple[str, ...], Callable[[int], tuple[Any, ...]]]] = {
    "prospects": (
        ("account_group_id", "id", "name", "created_at", "updated_at"),
        lambda at: (_group(at), _id("person", at), f"Ada {at}", at, at),
    ),
    "prospect_keys": (
        ("account_group_id", "key", "prospect_id"),
        lambda at: (_group(at), _id("key", at, 16), _id("person", at)),
    ),
    "memberships": (
        ("account_group_id", "audience_id", "prospect_id"),
        lambda at: (_group(at), _audience(at), _id("person", at)),
    ),
    "job_rows": (
        ("account_group_id", "job_id", "position", "outcome"),
        lambda at: (_group(at), _id("job", at % GROUPS), at, "added"),
    ),
    "directory_people": (
        ("account_group_id", "number", "person"),
        lambda at: (_group(at), at, "{}"),
    ),
    "directory_words": (
        ("account_group_id", "rowid", "words"),
        lambda at: (_group(at), at, f"'w{at}'"),
    ),
}
"""For each table its columns, and the row of a person."""


class Old:
    """A database of the revision before, with rows in every table."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.db = PostgresDatabase(url, pool=3)
        command.upgrade(schema_version._config(self.db.url), BEFORE)
        with self.connected() as connection:
            connection.cursor().executemany(
                "INSERT INTO audiences (account_group_id, id, name, name_folded, type, created_at)"
                " VALUES (%s, %s, 'a', 'a', 'on_demand', 0)",
                [(_group(at), _audience(at)) for at in range(GROUPS)],
            )
            for table, (columns, row) in ROWS.items():
                with connection.cursor().copy(
                    f"COPY {table} ({', '.join(columns)}) FROM STDIN"
                ) as copy:
                    for at in range(PEOPLE):
                        copy.write_row(row(at))

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.url) as connection:
            yield connection

    def insert(
        self, connection: psycopg.Connection[Any], table: str, numbers: range | list[int]
    ) -> None:
        columns, row = ROWS[table]
        marks = ", ".join(["%s"] * len(columns))
        connection.cursor().executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
            [row(at) for at in numbers],
        )

    def all_rows(self, table: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            rows = connection.execute(f"SELECT t::text FROM {table} t")
            return sorted(rows.fetchall())


@pytest.fixture
def old(postgres: Postgres) -> Old:
    return Old(postgres.new_database())


def _partitions(old: Old) -> dict[str, set[str]]:
    with old.connected() as connection:
        rows = connection.execute(
            "SELECT inhparent::regclass::text, inhrelid::regclass::text FROM pg_inherits"
            " JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r'"
        ).fetchall()
    found: dict[str, set[str]] = {}
    for parent, part in rows:
        found.setdefault(parent, set()).add(part)
    return found


PARTS = {table: {f"{table}_{number:02}" for number in range(PARTITIONS)} for table in PARTITIONED}


def test_every_row_of_a_filled_database_is_there_after_it(old: Old) -> None:
    before = {table: old.all_rows(table) for table in PARTITIONED}
    assert all(len(rows) == PEOPLE for rows in before.values())
    told: list[str] = []
    schema_version.migrate(old.db, told.append)
    assert _partitions(old) == PARTS
    assert {table: old.all_rows(table) for table in PARTITIONED} == before
    assert [line.split(":")[0] for line in told] == [f"copied {table}" for table in PARTITIONED]
    with old.connected() as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
        ).fetchone()
        assert left == (0,)
        # Erased people may have left traces in the new tables.
        asked = connection.execute("SELECT value FROM installation WHERE name = 'scrub'").fetchone()
        assert asked == ("1",)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(
                "INSERT INTO memberships VALUES (%s, %s, %s)",
                (_group(0), _id("no", 0), _id("p", 0)),
            )


class Writer(threading.Thread):
    """Adds, changes and deletes rows of every table, as servers of the version before go on doing.

    `wanted` is what it has been told is written: by table, the numbers of the rows and whether each
    was changed.
    """

    def __init__(self, old: Old) -> None:
        super().__init__(name="a server of the version before")
        self.old = old
        self.stop = threading.Event()
        self.running = threading.Event()
        self.wanted = {table: dict.fromkeys(range(PEOPLE), False) for table in PARTITIONED}
        self.rounds = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.failure = error
            self.running.set()

    def _work(self) -> None:
        chance = random.Random(7)
        with self.old.connected() as connection:
            while not self.stop.is_set():
                for table in PARTITIONED:
                    self._step(connection, table, chance)
                self.rounds += 1
                self.running.set()

    def _step(self, connection: psycopg.Connection[Any], table: str, chance: random.Random) -> None:
        there = self.wanted[table]
        gone, changed = chance.sample(sorted(there), 2)
        new = PEOPLE + self.rounds
        keys = KEYS[table]
        where = " AND ".join(f"{key} = %s" for key in keys)

        def key(at: int) -> tuple[Any, ...]:
            columns, row = ROWS[table]
            found = dict(zip(columns, row(at), strict=True))
            return tuple(found[name] for name in keys)

        self.old.insert(connection, table, [new])
        connection.execute(f"DELETE FROM {table} WHERE {where}", key(gone))
        if table in CHANGES:
            statement = f"UPDATE {table} SET {CHANGES[table]} WHERE {where}"
            connection.execute(statement, key(changed))
            there[changed] = True
        connection.commit()
        del there[gone]
        there[new] = False


KEYS = {
    "prospects": ("account_group_id", "id"),
    "prospect_keys": ("account_group_id", "key"),
    "memberships": ("account_group_id", "audience_id", "prospect_id"),
    "job_rows": ("account_group_id", "job_id", "position"),
    "directory_people": ("account_group_id", "number"),
    "directory_words": ("account_group_id", "rowid"),
}
CHANGES = {
    "prospects": "name = name || ' changed'",
    "memberships": "touched_by = 'changed'",
    "job_rows": "reason = coalesce(reason, '') || 'changed'",
    "directory_people": "person = 'changed'",
}


def test_what_others_write_meanwhile_is_there_after_it(old: Old) -> None:
    writer = Writer(old)
    writer.start()
    try:
        assert writer.running.wait(60)
        schema_version.migrate(old.db)
        after = writer.rounds
    finally:
        writer.stop.set()
        writer.join(60)
    assert writer.failure is None
    assert after > 1, "nothing was written meanwhile"
    assert _partitions(old) == PARTS
    for table in PARTITIONED:
        columns, row = ROWS[table]
        with old.connected() as connection:
            names = ", ".join(columns[: len(KEYS[table])])
            found = connection.execute(f"SELECT {names}, {table}::text FROM {table}").fetchall()
        expected = {
            row(at)[: len(KEYS[table])]: changed for at, changed in writer.wanted[table].items()
        }
        is_changed = {tuple(line[:-1]): "changed" in line[-1] for line in found}
        if table == "memberships":
            is_changed = {tuple(line[:-1]): "6368616e676564" in line[-1] for line in found}
        assert len(found) == len(expected), table
        assert is_changed == expected, table


def test_the_planner_learns_of_a_table_that_has_doubled(old: Old) -> None:
    async def refreshed() -> list[str]:
        await old.db.start()
        try:
            return await statistics.refresh(old.db)
        finally:
            await old.db.close()

    schema_version.migrate(old.db)
    assert asyncio.run(refreshed()) == []
    with old.connected() as connection:
        old.insert(connection, "job_rows", range(PEOPLE, 2 * PEOPLE + 100))
    assert asyncio.run(refreshed()) == []
    with old.connected() as connection:
        # As autovacuum does it.
        connection.execute(f"ANALYZE {', '.join(sorted(PARTS['job_rows']))}".encode())
    assert asyncio.run(refreshed()) == ["job_rows"]
    assert asyncio.run(refreshed()) == []


def test_a_group_that_is_being_moved_is_not_let_go_of(old: Old) -> None:
    group = _group(0)

    async def during(work: str) -> None:
        await old.db.start()
        try:
            held = holding(old.db, group, b"\x01" * 12, [("prospects", "account_group_id")])
            await (held.hold() if work == "hold" else held.release())
        finally:
            await old.db.close()

    asyncio.run(during("hold"))
    with pytest.raises(MigrationRefused, match="moved"):
        schema_version.migrate(old.db)
    assert _partitions(old) == {}
    asyncio.run(during("release"))
    schema_version.migrate(old.db)
    assert _partitions(old) == PARTS


def test_an_attempt_that_was_cut_off_is_begun_anew(old: Old) -> None:
    with old.connected() as connection:
        connection.execute("CREATE SCHEMA longlist_0007")
        connection.execute("CREATE TABLE longlist_0007.prospects (id int)")
        connection.execute(
            "CREATE FUNCTION longlist_0007.mirror_prospects() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NULL; END $$"
        )
        connection.execute(
            "CREATE TRIGGER longlist_0007_mirror AFTER INSERT ON prospects FOR EACH ROW"
            " EXECUTE FUNCTION longlist_0007.mirror_prospects()"
        )
    before = old.all_rows("prospects")
    schema_version.migrate(old.db)
    assert old.all_rows("prospects") == before
    assert _partitions(old) == PARTS


def test_there_is_a_way_back(old: Old) -> None:
    before = {table: old.all_rows(table) for table in PARTITIONED}
    config = schema_version._config(old.db.url)
    command.upgrade(config, "0007")
    command.downgrade(config, BEFORE)
    assert _partitions(old) == {}
    assert {table: old.all_rows(table) for table in PARTITIONED} == before
