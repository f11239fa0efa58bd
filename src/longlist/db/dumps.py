"""A database as one file: saved, checked and put back, each engine by its own means."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, Protocol

from longlist.db import Database, DatabaseAway, postgres_programs, sqlite_file
from longlist.db.sqlite import SqliteDatabase

_DUMP_OPTIONS: Final = ("--format=custom", "--no-owner", "--no-privileges")
_RESTORE_OPTIONS: Final = ("--no-owner", "--no-privileges")
_END_MOVES: Final = """
DROP SCHEMA IF EXISTS longlist_0007 CASCADE;
DO $end$
DECLARE name text;
BEGIN
  FOR name IN SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'moving\\_%'
  LOOP EXECUTE 'DROP FUNCTION ' || name; END LOOP;
END $end$;
"""
"""Takes away what a migration or the move of an account group was doing."""


class Dumps(Protocol):
    """How one engine does it. Everything raises DatabaseAway and OSError."""

    engine: str
    file_name: str

    def save(self, target: Path) -> None:
        """Write a consistent state to a new file, also while the database is written to."""

    def problems(self, dump: Path) -> list[str]:
        """What is wrong with a saved file; empty when it is sound."""

    def is_damaged(self) -> bool:
        """True where the database itself cannot be read whole."""

    def is_open_elsewhere(self) -> bool:
        """True where a process is known to have the database open."""

    def put_back(self, dump: Path, aside: Path) -> None:
        """Replace the database; what there was is moved to the folder `aside` where it can be."""


def dumps_of(db: Database) -> Dumps:
    """The means of the database's engine. The database is not to be open."""
    if isinstance(db, SqliteDatabase):
        return _SqliteDumps(db.path)
    return _PostgresDumps(db.dsn)  # type: ignore[attr-defined]


def is_missing(db: Database) -> bool:
    """True where the embedded database has no file yet: opening it would make an empty one."""
    return isinstance(db, SqliteDatabase) and not db.path.exists()


def keep_copy(db: Database, revision: str) -> Path | None:
    """A copy beside the embedded database, named after its revision; None for a server's."""
    if not isinstance(db, SqliteDatabase):
        return None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    copy = db.path.with_name(f"{db.path.stem}-{revision}-{stamp}{db.path.suffix}")
    sqlite_file.copy(db.path, copy)
    return copy


class _SqliteDumps:
    engine = "sqlite"
    file_name = "longlist.sqlite3"

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, target: Path) -> None:
        sqlite_file.copy(self._path, target)
        if found := self.problems(target):
            raise DatabaseAway(f"The database is damaged: {found[0]}.")

    def problems(self, dump: Path) -> list[str]:
        return sqlite_file.problems(dump)

    def is_damaged(self) -> bool:
        return bool(sqlite_file.problems(self._path))

    def is_open_elsewhere(self) -> bool:
        return sqlite_file.is_in_use(self._path)

    def put_back(self, dump: Path, aside: Path) -> None:
        sqlite_file.set_aside(self._path, aside)
        dump.replace(self._path)


class _PostgresDumps:
    engine = "postgresql"
    file_name = "longlist.pgdump"

    def __init__(self, url: str) -> None:
        self._url = url

    def save(self, target: Path) -> None:
        # The job engine's own tables come back from our rows.
        options = [*_DUMP_OPTIONS, "--exclude-schema=dbos", f"--file={target}"]
        postgres_programs.run(self._url, "pg_dump", options)

    def problems(self, dump: Path) -> list[str]:
        with dump.open("rb") as file:
            return [] if file.read(5) == b"PGDMP" else ["it is not a dump of pg_dump"]

    def is_damaged(self) -> bool:
        return False  # a server tells by itself

    def is_open_elsewhere(self) -> bool:
        return False

    def put_back(self, dump: Path, aside: Path) -> None:
        postgres_programs.restore(self._url, dump, _emptied(), _RESTORE_OPTIONS)


def _emptied() -> str:
    """SQL that drops what is Longlist's own: also tables that no dump of an older version knows."""
    from longlist.tables import METADATA

    tables = ", ".join((*METADATA.tables, "directory_words", "alembic_version"))
    return f"DROP TABLE IF EXISTS {tables} CASCADE;{_END_MOVES}"
