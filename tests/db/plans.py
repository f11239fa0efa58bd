"""Asks each engine how it would run a statement, and finds what reads more than it has to."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import psycopg

from longlist.tables import METADATA, PARTITIONED
from tests.db.crowds import FEW

GROUP: Final = "account_group_id"
BIG: Final = {name for name in METADATA.tables if name not in FEW} | {"directory_words"}
"""Tables that grow with what an installation holds."""
GROUPED: Final = {name for name, table in METADATA.tables.items() if GROUP in table.columns} | {
    "directory_words"
}
"""Those of them whose rows belong to an account group."""
ONE_END: Final = "the first or the last"
_PARTITION: Final = re.compile(r"_(\d\d)\Z")


@dataclass(frozen=True)
class Read:
    """One place of a plan at which rows of a table are read."""

    table: str
    index: str
    """Empty where the table itself is read through; on SQLite also where it is the table's key."""
    condition: str
    """Of the index; empty where all of it is read."""
    partition: str = ""


class Plans(Protocol):
    """What an engine would do."""

    def reads(self, sql: str, values: Sequence[Any]) -> list[Read]:
        """Where rows of tables are read."""


class PostgresPlans:
    """Plans of PostgreSQL; `generic` ones are made without knowing the values."""

    def __init__(self, connection: psycopg.Connection[Any], *, generic: bool) -> None:
        self._cursor = psycopg.ClientCursor(connection)
        connection.execute(
            "SELECT set_config('plan_cache_mode', %s, false)",
            ["force_generic_plan" if generic else "force_custom_plan"],
        )
        # A partition here may be so small that to read it through is cheaper, which one of a big
        # installation never is: it is read through only where no index serves.
        connection.execute("SET enable_seqscan = off")
        rows = connection.execute(
            "SELECT indexrelid::regclass::text, indrelid::regclass::text FROM pg_index"
        )
        self._table_of: dict[str, str] = dict(rows.fetchall())

    def reads(self, sql: str, values: Sequence[Any]) -> list[Read]:
        """Where rows of tables are read."""
        self._cursor.execute(f"PREPARE asked AS {sql}".replace("%", "%%"), [])
        try:
            given = f"({', '.join(['%s'] * len(values))})" if values else ""
            self._cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{given}", list(values))
            found = self._cursor.fetchone()
        finally:
            self._cursor.execute("DEALLOCATE asked")
        assert found is not None
        nodes = _nodes(found[0][0]["Plan"], {})
        return [self._read(node, above) for node, above in nodes if _is_scan(node)]

    def _read(self, node: dict[str, Any], above: dict[str, Any]) -> Read:
        relation = node.get("Relation Name") or self._table_of[node["Index Name"]]
        number = _PARTITION.search(relation)
        table = relation[: number.start()] if number else relation
        index, condition = node.get("Index Name", ""), node.get("Index Cond", "")
        if (
            index
            and "Filter" not in node
            and (above.get("Node Type"), above.get("Plan Rows")) == ("Limit", 1)
        ):
            condition = condition or ONE_END
        return Read(table, index, condition, number[1] if number else "")


def _nodes(
    plan: dict[str, Any], above: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The nodes of a plan, each with the one above it."""
    yield plan, above
    for below in plan.get("Plans", ()):
        yield from _nodes(below, plan)


def _is_scan(node: dict[str, Any]) -> bool:
    kind = node["Node Type"]
    return kind in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan", "Tid Scan")


_SQLITE: Final = re.compile(
    r"(?P<how>SCAN|SEARCH) (?P<name>\w+)"
    r"(?: USING (?:COVERING )?(?:INDEX (?P<index>\w+)|PRIMARY KEY|INTEGER PRIMARY KEY|ROWID))?"
    r"(?: VIRTUAL TABLE (?P<virtual>.*))?(?: \((?P<condition>.*)\))?\Z"
)


class SqlitePlans:
    """Plans of SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def reads(self, sql: str, values: Sequence[Any]) -> list[Read]:
        """Where rows of tables are read; a name that the statement gives a table is resolved."""
        rows = self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", list(values))
        names = _names(sql)
        found = []
        for *_, detail in rows:
            match = _SQLITE.match(detail)
            if match is None or match["name"] not in names:
                continue
            condition = match["condition"] or (ONE_END if match["how"] == "SEARCH" else "")
            if match["virtual"]:
                condition = match["virtual"].partition(":")[2]
            found.append(Read(names[match["name"]], match["index"] or "", condition))
        return found


def _names(sql: str) -> dict[str, str]:
    """What the tables of a statement are called in it."""
    found: dict[str, str] = {}
    for table, name in re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO) (\w+)(?: (?:AS )?(\w+))?", sql):
        if table in METADATA.tables or table == "directory_words":
            found[table] = table
            found[name] = table
    return found


def faults(
    reads: Sequence[Read], *, whole_groups: bool = False, everywhere: bool = False
) -> list[str]:
    """What is wrong with a plan: it reads through a big table, or looks beyond the group.

    Of tables with rows for each person, which are in partitions, one partition has to do, and the
    condition has to say more than the group, unless `whole_groups` are what is asked for. With
    `everywhere` the condition may be one of another kind.
    """
    found = []
    for read in reads:
        if read.table not in BIG or read.index in FEW_ROWS or _ONE.search(read.condition):
            continue
        if not read.condition:
            if not (whole_groups and read.partition):
                found.append(f"reads all of {read.index or read.table}")
        elif read.table in GROUPED and GROUP not in read.condition:
            if not everywhere:
                found.append(f"reads {read.table} of every account group, by {read.condition}")
        elif read.table in PARTITIONED and not whole_groups and not _says_more(read.condition):
            found.append(f"reads all that an account group has in {read.table}")
    if len(partitions := {read.partition for read in reads if read.partition}) > 1:
        found.append(f"reads {len(partitions)} partitions")
    return found


FEW_ROWS: Final = {"ix_prospecting_jobs_live"}
"""Indexes of a few of a table's rows: jobs that are not over."""
_UNIQUE: Final = ("id", "hash", "api_key_id", "audience_id", "sequence", "number", "next_run_at")
_ONE: Final = re.compile(rf"(?<![a-z_])(?:{'|'.join(_UNIQUE)}) ?= ?|@@|M\d|^= |^[<>=]|{ONE_END}")
"""Conditions that few rows meet in all account groups together: ids are not used twice, the words
of a full-text index are another group's own, and its rows have numbers of their own."""


def _says_more(condition: str) -> bool:
    return len(re.findall(r"=|<|>|@@", condition)) > 1
