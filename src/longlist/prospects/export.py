"""Audiences as CSV and NDJSON, made batch by batch from an open snapshot (contract 5.4)."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

import msgspec

from longlist.context import Context
from longlist.ids import rfc3339
from longlist.prospects import member_store as members
from longlist.prospects import store
from longlist.prospects.person import FIELDS

COLUMNS: Final = ("id", *FIELDS, "createdAt", "updatedAt")
"""The header of the CSV: the fields of contract 5.0 in order, `company` flattened."""

_DANGEROUS: Final = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
_encode: Final = msgspec.json.Encoder()


def guarded(cell: str) -> str:
    """The cell, with a leading quote where a spreadsheet would take it for a formula."""
    return "'" + cell if cell.startswith(_DANGEROUS) else cell


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as RFC 4180 with CR LF; None is an empty cell, and formulas are guarded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([guarded(cell) if type(cell) is str else cell for cell in row] for row in rows)
    return text.getvalue().encode()


async def csv_chunks(ctx: Context, audience_id: bytes) -> AsyncIterator[bytes]:
    """The whole audience as CSV."""
    yield csv_lines([COLUMNS])
    async for batch in members.stream(ctx, audience_id):
        yield csv_lines(
            [row[0].hex(), *list(row)[1:-3], rfc3339(row[-3]), rfc3339(row[-2])] for row in batch
        )


async def ndjson_chunks(ctx: Context, audience_id: bytes) -> AsyncIterator[bytes]:
    """The whole audience, one prospect object a line."""
    async for batch in members.stream(ctx, audience_id):
        yield _encode.encode_lines([store.stored(row).shown for row in batch])
