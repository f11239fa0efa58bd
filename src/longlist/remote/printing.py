"""What commands print: tables on a terminal, tab-separated lines in a pipe, JSON when asked.

In a pipe each line is one thing and each column one fact, without a heading, so that `cut` and
`while read` work; a tab, line feed or backslash inside a text is written as `\\t`, `\\n` or `\\\\`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
import typer

from longlist.remote.exits import clean

ON_A_TERMINAL: Final = 100
"""Rows of a table that nobody asked for a number of: more would scroll away unread."""
_NOT_OF_THE_API: Final = ("etag", "retryAfter")
"""What the client adds to an answer from its headers."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Column(NamedTuple):
    """A column: its heading, what it shows of a thing, and whether it is a number."""

    head: str
    of: Callable[[Any], Any]
    is_number: bool = False


def shown(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def plain(value: Any) -> str:
    """A value as a program reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
    escaped = str(value).translate(_ESCAPES)
    return clean(escaped, len(escaped)) if not escaped.isprintable() else escaped


def jsonable(value: Any) -> Any:
    """A model of the client's as the API wrote it."""
    built = _as_written(msgspec.to_builtins(value, builtin_types=(datetime,)))
    if isinstance(built, dict):
        return {name: part for name, part in built.items() if name not in _NOT_OF_THE_API}
    return built


def _as_written(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_written(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_as_written(part) for part in value]
    return plain(value) if isinstance(value, datetime) else value


def show_json(value: Any) -> None:
    """Print a value as JSON on one line."""
    sys.stdout.write(msgspec.json.encode(jsonable(value)).decode() + "\n")


def show_list(
    items: Iterable[Any], columns: Sequence[Column], *, as_json: bool, limit: int | None = None
) -> None:
    """Print things as they come: all of them, or `limit`; a table has its own limit."""
    if as_json:
        _show_json_list(islice(items, limit))
    elif sys.stdout.isatty():
        _show_table(iter(items), columns, limit)
    else:
        for item in islice(items, limit):
            sys.stdout.write("\t".join(plain(column.of(item)) for column in columns) + "\n")


def _show_json_list(items: Iterable[Any]) -> None:
    """An array written piece by piece; one that breaks off is not closed, and so not valid."""
    before = "["
    for item in items:
        sys.stdout.write(before + msgspec.json.encode(jsonable(item)).decode())
        before = ","
    sys.stdout.write("]\n" if before == "," else "[]\n")


def _show_table(items: Iterator[Any], columns: Sequence[Column], limit: int | None) -> None:
    from rich.table import Table
    from rich.text import Text

    rows = list(islice(items, limit or ON_A_TERMINAL))
    if not rows:
        typer.echo("Nothing to show.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column.head,
            justify="right" if column.is_number else "left",
            # An id is there to be copied: it stays whole and on one line.
            no_wrap=column.is_number or column.head in ("ID", "AUDIENCE", "CREATED"),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(clean(shown(column.of(row)))) for column in columns))
    console().print(table)
    if limit is None and next(items, None) is not None:
        typer.echo(f"The first {len(rows)}; for more: --limit N, or a pipe for all.", err=True)


def show_record(pairs: Sequence[tuple[str, Any]], value: Any, *, as_json: bool) -> None:
    """Print one thing: its facts under each other, or `value` as JSON."""
    if as_json:
        show_json(value)
    elif sys.stdout.isatty():
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, part in pairs:
            lines = "\n".join(clean(line) for line in shown(part).split("\n"))
            table.add_row(name, Text(lines))
        console().print(table)
    else:
        for name, part in pairs:
            sys.stdout.write(f"{name}\t{plain(part)}\n")


def console() -> Any:
    """Rich's standard output, which takes texts as they are."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
