"""SQLite's file as a whole: a consistent copy, its soundness, and whether somebody has it open."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from longlist.db import DatabaseAway

_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database; of no use, and harmful, beside another one."""


def copy(source: Path, target: Path) -> None:
    """Write a consistent copy to a new file that only its owner reads, and see it on disk.

    Readers and writers of the source go on meanwhile: the copy is one read transaction. Raises
    DatabaseAway and OSError.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(source, target)
    except sqlite3.Error as error:
        raise DatabaseAway(f"The database cannot be copied: {error}.") from error
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=30)) as reader,
        closing(sqlite3.connect(target)) as writer,
    ):
        reader.backup(writer)
        # A copy is one file: a write-ahead log beside it would be left behind.
        writer.execute("PRAGMA journal_mode = DELETE")


def problems(path: Path) -> list[str]:
    """What is wrong with a database file; empty when it is sound."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check")]
    except sqlite3.Error as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def is_in_use(path: Path) -> bool:
    """True while another process has the database open, also when it is idle."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            # Any other error is one of a damaged file, which nobody can be working on.
            return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return False


def set_aside(path: Path, folder: Path) -> None:
    """Move a database to a folder, with what SQLite keeps beside it."""
    for side in ("", *_SIDE_FILES):
        found = path.with_name(path.name + side)
        if found.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
            found.replace(folder / found.name)
