"""Rows of an NDJSON file: one JSON object a line, in UTF-8, from any cursor on.

The columns are the members seen in the first 64 KiB; a nested object gives one column for each of
its members (`company.name`), anything deeper and every list stays JSON text. A member first seen
further in is no column.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from longlist.errors import ValidationFailed
from longlist.prospecting import csv_header
from longlist.prospecting import rows as shared
from longlist.prospecting.rows import Cursor, FileFormat, Inspection, Page, Row, refusal
from longlist.prospecting.text_lines import detect, read_lines, skip_line

NOT_AN_OBJECT: Final = "This line is not one JSON object."

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_WINDOW: Final = shared.CELL_BYTES


def describe(path: Path, head: bytes, size: int) -> Inspection:
    """Find the columns in the first 64 KiB; raises the 400s of an upload."""
    encoding, mark = detect(path, head, size)
    if encoding != "utf-8":
        raise refusal(
            "invalid_characters",
            "The file is not UTF-8, which JSON has to be.",
            "Save it as UTF-8 and upload it again.",
        )
    lines = head[mark:].splitlines()
    if not head[mark:].strip():
        raise csv_header.empty_file()
    if len(head) < size and len(lines) > 1:
        lines.pop()
    return Inspection(
        format="ndjson",
        encoding=encoding,
        delimiter=None,
        skipped_lines=0,
        size_bytes=size,
        columns=_columns(lines),
        preview=[],
        row_estimate=0,
        data_offset=mark,
        data_line=1,
    )


def _columns(lines: list[bytes]) -> list[str]:
    names: dict[str, None] = {}
    objects = 0
    for line in filter(bytes.strip, lines):
        fields = _fields(line.decode("utf-8", "surrogateescape"))
        if fields is None and not objects:
            raise refusal(
                "invalid_format",
                "The first line of the file is not one JSON object.",
                "Write one object a line, without a surrounding array and without line breaks"
                " inside an object.",
            )
        if fields is not None:
            objects += 1
            names.update(dict.fromkeys(fields))
    columns = [name for name in names if name.strip() and shared.is_text([name])]
    shared.check_columns(columns)
    return columns


def damage(row: Row) -> ValidationFailed | None:
    """The 400 a row in the first 64 KiB means; a broken line is only a failed row."""
    return None if row.reason == shared.MALFORMED_ROW else csv_header.damage(row)


def read_rows(path: Path, inspection: Inspection, *, start: Cursor, max_rows: int) -> Page:
    """Up to `max_rows` rows from `start` on, and the cursor of the next one or None at the end."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        rows: list[Row] = []
        offset, number, window = start.offset, start.line, _WINDOW
        end = min(size, offset + shared.PAGE_BYTES)
        while len(rows) < max_rows and offset < end:
            lines = read_lines(file.fileno(), size, offset, window, "utf-8")
            used = 0
            for line in lines.texts:
                if len(rows) >= max_rows:
                    break
                if line.strip():
                    position = start.position + len(rows)
                    rows.append(_row(line, position, number + used, inspection.columns))
                used += 1
            if used:
                offset += sum(lines.sizes[:used])
                number += used
                window = _WINDOW
            elif window < shared.RECORD_BYTES:
                window *= 4
            else:
                position = start.position + len(rows)
                rows.append(Row(position, number, [], shared.FIELD_TOO_LONG, shared.TOO_LONG))
                offset = skip_line(file.fileno(), size, offset, "utf-8")
                number += 1
                window = _WINDOW
    after = Cursor(offset, number, start.position + len(rows)) if offset < size else None
    return rows, after


def _row(line: str, position: int, number: int, columns: list[str]) -> Row:
    if not shared.is_text([line]):
        return Row(position, number, [], shared.INVALID_TEXT, shared.NOT_TEXT)
    fields = _fields(line)
    if fields is None:
        return Row(position, number, [], shared.MALFORMED_ROW, NOT_AN_OBJECT)
    values = [fields.get(name, "") for name in columns]
    if not shared.is_text(values):
        return Row(position, number, [], shared.INVALID_TEXT, shared.NOT_TEXT)
    if len(line) * 4 > shared.CELL_BYTES and any(
        len(value.encode()) > shared.CELL_BYTES for value in values
    ):
        return Row(position, number, [], shared.FIELD_TOO_LONG, shared.TOO_LONG)
    return Row(position, number, values)


def _fields(line: str) -> dict[str, str] | None:
    """The members of the object by column name, or None if the line is not one object."""
    try:
        value = _decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return dict(_flat(value)) if isinstance(value, dict) else None


def _flat(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, member in value.items():
        if isinstance(member, dict):
            for inner, nested in member.items():
                yield f"{name}.{inner}", _text(nested)
        else:
            yield name, _text(member)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else _encode(value).decode()


FORMAT: Final = FileFormat(describe, read_rows, damage)
