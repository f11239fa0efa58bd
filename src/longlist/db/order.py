"""What a copy from one engine to the other needs: one order of rows, and one run of numbers."""

from __future__ import annotations

from longlist.db import Database, Transaction
from longlist.db.sqlite import SqliteDatabase


def by_bytes(db: Database, column: str) -> str:
    """SQL that orders and compares a text column by its bytes, whatever the database's language."""
    return column if isinstance(db, SqliteDatabase) else f'{column} COLLATE "C"'


async def next_number(db: Database, tx: Transaction, table: str, column: str) -> int:
    """A number above all that the table's numbering has given out. The caller is `exclusive`."""
    if isinstance(db, SqliteDatabase):
        row = await tx.one(f"SELECT COALESCE(MAX({column}), 0) + 1 FROM {table}")
    else:
        row = await tx.one(f"SELECT nextval(pg_get_serial_sequence('{table}', '{column}'))")
    assert row is not None
    return int(row[0])


async def number_after(db: Database, tx: Transaction, table: str, column: str, top: int) -> None:
    """Have the numbering go on above `top`. On SQLite it does once a row has the number."""
    if isinstance(db, SqliteDatabase):
        return
    await tx.one(
        f"SELECT setval(s, GREATEST(nextval(s), CAST($1 AS bigint)))"
        f" FROM CAST(pg_get_serial_sequence('{table}', '{column}') AS regclass) AS s",
        top,
    )
