"""Fills a database with so many account groups that reading all of them would show in a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from sqlalchemy import Column, LargeBinary, Table, Text

from longlist.db import Transaction
from longlist.ids import now_ms
from longlist.tables import METADATA, PARTITIONED
from tests.harness.server import Longlist

GROUPS = 320
"""Some twenty in each partition: one of them is a small part of it."""
EACH = {"account_groups": 10, "audiences": 3, "monitors": 3, "events": 40, "directory_people": 20}
"""Rows for each group; of what there is for each person `PEOPLE`, of all else 5."""
PEOPLE = 40
MANY = 6_000
GENERATION = 5_000
FIRST = GENERATION << 32
"""Above the numbers of what other groups have; of the rows of a directory."""
FEW = {
    "account_group_moves",
    "installation",
    "rate_buckets",
    "workers",
    *(name for name in METADATA.tables if name.startswith("admin_")),
}
"""Tables that do not grow with account groups and what they hold."""
_WORDS = {
    "person": "{}",
    "type": "on_demand",
    "status": "completed",
    "state": "old",
    "outcome": "added",
}


def _id(kind: str, at: int, size: int) -> bytes:
    return blake2b(f"{kind} {at}".encode(), digest_size=size).digest()


def _kind(column: Column[Any]) -> str:
    """What an id names: the table that a foreign key, the name, or the table itself says."""
    for key in column.foreign_keys:
        return key.column.table.name
    return column.table.name if column.name == "id" else f"{column.name.removesuffix('_id')}s"


def _values_of(table: Table, each: int) -> list[tuple[str, Callable[[int], Any]]]:
    found: list[tuple[str, Callable[[int], Any]]] = []
    for column in table.columns:
        needed = not column.nullable or table.name == "prospects" or column.name == "next_run_at"
        if column.name != "sequence" and needed:
            found.append((column.name, _value_of(column, each)))
    return found


def _value_of(column: Column[Any], each: int) -> Callable[[int], Any]:
    kind, name = _kind(column), column.name
    if isinstance(column.type, LargeBinary):
        size = column.type.length or 12
        if name == "account_group_id":
            return lambda at: _id("account_groups", at % GROUPS, size)
        rows = GROUPS * EACH.get(kind, each)
        return lambda at: _id(kind, at % rows if at < FIRST else at, size)
    if isinstance(column.type, Text):
        return lambda at: _WORDS.get(name) or f"{name} {at}"
    if name.endswith("_at"):
        # Some hours ago, or ahead.
        sign, now = (1 if name in ("expires_at", "next_run_at") else -1), now_ms()
        return lambda at: now + sign * (2_000 + at % 10_000) * 4_000
    return lambda at: at


async def fill(server: Longlist) -> None:
    """Put rows of many groups into every table that grows."""

    async def body(tx: Transaction) -> None:
        for table in METADATA.sorted_tables:
            if table.name in FEW:
                continue
            each = EACH.get(table.name, PEOPLE if table.name in PARTITIONED else 5)
            columns = _values_of(table, each)
            await tx.insert(
                table.name,
                [name for name, _ in columns],
                [tuple(value(at) for _, value in columns) for at in range(GROUPS * each)],
            )
        rows = range(GROUPS * EACH["directory_people"])
        await _fill_words(tx, server, [(_id("account_groups", at % GROUPS, 12), at) for at in rows])

    await server.installation.db.write_long(body)


async def fill_group(server: Longlist, group: bytes) -> tuple[bytes, bytes]:
    """Give one group so many people that reading all of them would show.

    The audience that they are in, and a job that had them.
    """

    async def body(tx: Transaction) -> None:
        for name in ("audiences", "directory_generations", *PARTITIONED[:-1]):
            table = METADATA.tables[name]
            rows = MANY if name in PARTITIONED else 1
            columns = [pair for pair in _values_of(table, 1) if pair[0] != "account_group_id"]
            await tx.insert(
                name,
                ["account_group_id", *(column for column, _ in columns)],
                [
                    (group, *(_in_big_group(name, column, value, at) for column, value in columns))
                    for at in range(rows)
                ],
            )
        await _fill_words(tx, server, [(group, FIRST + at) for at in range(MANY)])

    await server.installation.db.write_long(body)
    return _id("audiences", FIRST, 12), _id("jobs", FIRST, 12)


def _in_big_group(table: str, column: str, value: Callable[[int], Any], at: int) -> Any:
    if column == "number":
        return GENERATION if table == "directory_generations" else FIRST + at
    return value(FIRST if column in ("audience_id", "job_id") else FIRST + at)


async def _fill_words(tx: Transaction, server: Longlist, rows: Sequence[tuple[bytes, int]]) -> None:
    value = server.installation.db.full_text.value("$3")
    await tx.many(
        f"INSERT INTO directory_words (account_group_id, rowid, words) VALUES ($1, $2, {value})",
        [(*row, f"w{row[1]}") for row in rows],
    )
