"""Notes every statement that is sent to a database, and which function of Longlist sent it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from asyncpg.connection import Connection

import longlist
from longlist.db import sqlite

ROOT = Path(longlist.__file__).parent
SENDING = {"one", "all", "all_in", "run", "many", "change", "stream"}
"""The methods of a transaction or snapshot that take SQL."""
_OF_POSTGRES = ("fetch", "fetchrow", "fetchval", "execute", "executemany", "cursor")
_PLANNED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
Site = tuple[str, str]
"""A module, as its path below the package, and a function of it."""


@dataclass
class Statement:
    """A text with the values that it was last sent with, and everybody who sent it."""

    sql: str
    values: Sequence[Any]
    sites: set[Site] = field(default_factory=set)


class Statements:
    """What was noted, by engine and text."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Statement]] = {"sqlite": {}, "postgres": {}}

    def note(self, engine: str, sql: str, values: Sequence[Any]) -> None:
        if not sql.lstrip().upper().startswith(_PLANNED):
            return
        site = _sender()
        if site is not None:
            found = self.of[engine].setdefault(sql, Statement(sql, values))
            found.values = values
            found.sites.add(site)

    @property
    def sites(self) -> set[Site]:
        """Everybody who sent anything."""
        return {
            site
            for statements in self.of.values()
            for statement in statements.values()
            for site in statement.sites
        }


def _sender() -> Site | None:
    """The innermost function of the package outside `db`; None where a test asks."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT):
            where = path.relative_to(ROOT)
            if where.parts[0] != "db":
                return where.as_posix(), frame.f_code.co_name
        frame = frame.f_back  # type: ignore[assignment]
    return None


@contextmanager
def noted() -> Iterator[Statements]:
    """While inside, what either engine is sent is noted."""
    found = Statements()

    def on_postgres(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(self: Any, sql: str, *args: Any, **more: Any) -> Any:
            values: Sequence[Any] = args
            if method.__name__ == "executemany":
                rows = list(args[0])
                args, values = (rows, *args[1:]), tuple(rows[0]) if rows else ()
            found.note("postgres", sql, values)
            return method(self, sql, *args, **more)

        return call

    bind, many = sqlite._bind, sqlite.SqliteTransaction.many

    def on_sqlite(sql: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        text, bound = bind(sql, values)
        found.note("sqlite", text, bound)
        return text, bound

    async def on_sqlite_many(self: Any, sql: str, rows: Any) -> None:
        rows = [tuple(row) for row in rows]
        if rows:
            found.note("sqlite", *bind(sql, rows[0]))
        await many(self, sql, rows)

    with ExitStack() as stack:
        for name in _OF_POSTGRES:
            method = on_postgres(getattr(Connection, name))
            stack.enter_context(patch.object(Connection, name, method))
        stack.enter_context(patch.object(sqlite, "_bind", on_sqlite))
        stack.enter_context(patch.object(sqlite.SqliteTransaction, "many", on_sqlite_many))
        yield found


def senders() -> set[Site]:
    """Every function of the package that sends SQL, found in its source."""
    found: set[Site] = set()
    for path in sorted(ROOT.rglob("*.py")):
        where = path.relative_to(ROOT)
        if where.parts[0] not in ("db", "migrations"):
            found |= {
                (where.as_posix(), name) for name in _senders_in(ast.parse(path.read_text()), "")
            }
    return found


def _senders_in(node: ast.AST, function: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        inside = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = child.name
        if isinstance(child, ast.Call) and _sends(child.func):
            yield function
        yield from _senders_in(child, inside)


def _sends(called: ast.expr) -> bool:
    if not isinstance(called, ast.Attribute) or called.attr not in SENDING:
        return False
    name = getattr(called.value, "id", None) or getattr(called.value, "attr", None)
    return name in ("tx", "snapshot")
