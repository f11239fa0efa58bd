"""Reads the answer of a query on a database of somebody else's, without a chance to change it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import asyncpg

Batch = tuple[list[str], list[Sequence[Any]]]
"""The names of the columns, and rows."""
_CONNECT_S: Final = 10.0
_POSTGRES: Final = ("postgresql://", "postgres://")


class OutsideFailed(Exception):
    """The database cannot be read; the text names neither a password nor a value."""


def is_postgres(database: str) -> bool:
    """True for the URL of a PostgreSQL database; any other text is the path of an SQLite file."""
    return database.startswith(_POSTGRES)


async def read_query(database: str, query: str, size: int) -> AsyncGenerator[Batch, None]:
    """Batches of up to `size` rows; at least one, empty where the query has no rows.

    One consistent state is read, in constant memory. Raises OutsideFailed.
    """
    reading = _read_postgres if is_postgres(database) else _read_sqlite
    async for batch in reading(database, query, size):
        yield batch


async def _read_postgres(database: str, query: str, size: int) -> AsyncGenerator[Batch, None]:
    try:
        connection = await asyncpg.connect(
            database,
            timeout=_CONNECT_S,
            statement_cache_size=0,
            server_settings={"application_name": "longlist directory"},
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise OutsideFailed(f"The database cannot be reached ({type(error).__name__}).") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            statement = await connection.prepare(query)
            columns = [attribute.name for attribute in statement.get_attributes()]
            cursor = await statement.cursor()
            rows = await cursor.fetch(size)
            yield columns, rows
            while rows:
                rows = await cursor.fetch(size)
                if rows:
                    yield columns, rows
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise OutsideFailed(f"The database refused the query ({_reason(error)}).") from None
    finally:
        connection.terminate()


def _reason(error: BaseException) -> str:
    # Errors of this class speak of the query alone; others may quote a value.
    if isinstance(error, asyncpg.SyntaxOrAccessError):
        return str(error)
    return type(error).__name__


async def _read_sqlite(database: str, query: str, size: int) -> AsyncGenerator[Batch, None]:
    try:
        connection = await asyncio.to_thread(_open_sqlite, database)
    except sqlite3.Error as error:
        raise OutsideFailed(f"The database file cannot be opened ({error}).") from None
    try:
        cursor = await asyncio.to_thread(connection.execute, query)
        columns = [found[0] for found in cursor.description or ()]
        rows = await asyncio.to_thread(cursor.fetchmany, size)
        yield columns, rows
        while rows:
            rows = await asyncio.to_thread(cursor.fetchmany, size)
            if rows:
                yield columns, rows
    except sqlite3.Error as error:
        raise OutsideFailed(f"The database refused the query ({error}).") from None
    finally:
        await asyncio.to_thread(connection.close)


def _open_sqlite(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(Path(path)))}?mode=ro", uri=True, check_same_thread=False
    )
    # Bytes that are no text reach the caller as such, who fails their row alone.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.execute("PRAGMA query_only = ON")
    return connection
