"""Walks over paged lists (contract 1.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.harness.client import Client


def pages(
    client: Client,
    target: str,
    limit: int,
    between: Callable[[int], None] = lambda page: None,
    members: tuple[str, ...] = ("items", "nextCursor", "hasMore"),
) -> list[list[Any]]:
    """The items of every page, asserting what holds of each; `between` runs after a page."""
    found: list[list[Any]] = []
    cursor: str | None = None
    joint = "&" if "?" in target else "?"
    while True:
        more = "" if cursor is None else f"&cursor={cursor}"
        data = client.get(f"{target}{joint}limit={limit}{more}").expect(200).data
        assert tuple(data) == members
        assert data["hasMore"] is (data["nextCursor"] is not None)
        assert len(data["items"]) <= limit
        found.append(data["items"])
        cursor = data["nextCursor"]
        if cursor is None:
            return found
        assert len(data["items"]) == limit
        between(len(found))


def items(client: Client, target: str, limit: int = 200) -> list[Any]:
    """Every item of a list."""
    return [item for page in pages(client, target, limit) for item in page]


def check_cursors(
    client: Client, target: str, other_filter: str, foreign: Client | None = None
) -> None:
    """Assert that a list with three items or more refuses every cursor that is not its own."""
    joint = "&" if "?" in target else "?"

    def refused(cursor: str, more: str = "", who: Client = client) -> None:
        answer = who.get(f"{target}{joint}cursor={cursor}{more}").expect(400, "VALIDATION_ERROR")
        assert answer.issues == [("query.cursor", "invalid_cursor")], cursor

    first = client.get(f"{target}{joint}limit=1").expect(200).data
    cursor = first["nextCursor"]
    client.get(f"{target}{joint}limit=2&cursor={cursor}").expect(200)
    for at in range(len(cursor.rstrip("=")) - 1):
        for other in ("A", "z", "_"):
            altered = cursor[:at] + other + cursor[at + 1 :]
            if altered != cursor:
                refused(altered)
    for altered in (
        cursor[:-1],
        cursor + "A",
        cursor * 2,
        cursor.lower(),
        "x",
        "%00",
        "A" * 2000,
        "%F0",
    ):
        refused(altered) if altered != "%F0" else client.get(f"{target}{joint}cursor=%F0").expect(
            400
        )
    refused(cursor, more=f"&{other_filter}")
    if foreign is not None:
        refused(cursor, who=foreign)


def check_limits(client: Client, target: str) -> None:
    """Assert the bounds of `limit`."""
    joint = "&" if "?" in target else "?"
    for good in ("1", "200", "007", "50"):
        client.get(f"{target}{joint}limit={good}").expect(200)
    for bad, code in (
        ("0", "out_of_range"),
        ("201", "out_of_range"),
        ("9" * 400, "out_of_range"),
        ("-1", "invalid_format"),
        ("%2B1", "invalid_format"),
        ("1.0", "invalid_format"),
        ("1e1", "invalid_format"),
        ("ten", "invalid_format"),
        ("%D9%A1", "invalid_format"),
        ("", "invalid_format"),
        ("1%00", "invalid_format"),
        ("+1", "invalid_format"),
    ):
        answer = client.get(f"{target}{joint}limit={bad}").expect(400)
        assert answer.issues == [("query.limit", code)], bad
