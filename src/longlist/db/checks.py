"""Whether a database is fit for use: what `longlist doctor` and a migration look at."""

from __future__ import annotations

from typing import Final, NamedTuple

from longlist.db import Database, Transaction
from longlist.db.sqlite import SqliteDatabase

OLDEST_POSTGRES: Final = 14
SKEW_MS: Final = 2_000
"""Clocks of server and database may differ by this much."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    good: bool
    detail: str


async def fitness(db: Database) -> list[Finding]:
    """Version and encoding of an open database."""
    version = await db.version()
    if isinstance(db, SqliteDatabase):
        encoding = await db.read(_first, "PRAGMA encoding")
        return [
            Finding("database", True, version),
            Finding("encoding", encoding == "UTF-8", encoding),
        ]
    number = int(await db.read(_first, "SHOW server_version_num"))
    new_enough = number >= OLDEST_POSTGRES * 10_000
    encoding = await db.read(_first, "SHOW server_encoding")
    return [
        Finding(
            "database",
            new_enough,
            version if new_enough else f"{version}; {OLDEST_POSTGRES} or later is needed",
        ),
        Finding(
            "encoding",
            encoding == "UTF8",
            encoding if encoding == "UTF8" else f"{encoding}; create the database with UTF8",
        ),
    ]


async def soundness(db: Database) -> list[Finding]:
    """What takes longer to find out: the file of SQLite, the durability of PostgreSQL."""
    if isinstance(db, SqliteDatabase):
        text = await db.read_long(_quick_check)
        return [Finding("integrity", text == "ok", f"quick_check: {text}")]
    fsync = await db.read(_first, "SHOW fsync")
    return [Finding("durability", fsync == "on", f"fsync is {fsync}")]


async def _first(tx: Transaction, sql: str) -> str:
    row = await tx.one(sql)
    assert row is not None
    return str(row[0])


async def _quick_check(tx: Transaction) -> str:
    rows = await tx.all("PRAGMA quick_check(3)")
    return "; ".join(str(row[0]) for row in rows)
