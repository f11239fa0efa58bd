"""The bare `executemany` that an import is compared with: the same rows, no index, no identity."""

from __future__ import annotations

import asyncio
import csv
import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import asyncpg

from bench.servers import Place

_SLICE_ROWS = 100_000
_TABLE = """CREATE TABLE bare (first_name TEXT, last_name TEXT, email TEXT,
  linkedin_url TEXT, title TEXT, company TEXT)"""
_SQLITE_INSERT = "INSERT INTO bare VALUES (?, ?, ?, ?, ?, ?)"
_POSTGRES_INSERT = "INSERT INTO bare VALUES ($1, $2, $3, $4, $5, $6)"


def _slices(path: Path) -> Iterator[list[list[str]]]:
    """The file's rows, parsed, in slices: reading them is not part of the measured time."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        next(reader)
        while rows := list(islice(reader, _SLICE_ROWS)):
            yield rows


def _sqlite_seconds(path: Path, folder: Path) -> float:
    connection = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(_TABLE)
    seconds = 0.0
    for rows in _slices(path):
        started = time.perf_counter()
        connection.execute("BEGIN")
        connection.executemany(_SQLITE_INSERT, rows)
        connection.execute("COMMIT")
        seconds += time.perf_counter() - started
    connection.close()
    (folder / "bare.sqlite3").unlink()
    return seconds


async def _postgres_seconds(path: Path, url: str) -> float:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_TABLE)
        seconds = 0.0
        for rows in _slices(path):
            started = time.perf_counter()
            async with connection.transaction():
                await connection.executemany(_POSTGRES_INSERT, rows)
            seconds += time.perf_counter() - started
        await connection.execute("DROP TABLE bare")
    finally:
        await connection.close()
    return seconds


def seconds_of_bare_insert(path: Path, place: Place) -> float:
    """Seconds that `executemany` takes for the rows of a file, on the kind of database of `place`.

    On PostgreSQL it runs in a database of its own on the same server.
    """
    if place.postgres is None:
        return _sqlite_seconds(path, place.folder)
    place.postgres.create_database("bench_bare")
    return asyncio.run(_postgres_seconds(path, place.postgres.url("bench_bare")))
