"""What a CSV file is: its delimiter, the lines before its header, and its column names.

Every delimiter is tried on the first 64 KiB with quotes respected. The one wins whose header names
fields we know; then the one under which the rows have as many cells as the header; then the one
that skips fewer lines. Counting characters, as sniffers do, falls for commas in prose and for
pipes in headlines.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from longlist.errors import ValidationFailed
from longlist.prospecting import csv_rows, mapping, text_lines
from longlist.prospecting import rows as shared
from longlist.prospecting.rows import FileFormat, Inspection, Row, refusal

# Where two fit alike the first is taken: commas stand in prose and pipes in headlines.
DELIMITERS: Final = ("\t", ";", ",", "|")

OWN_HEADER: Final = (
    "id", "firstName", "lastName", "name", "headline", "about", "photoUrl", "linkedinUrl",
    "publicIdentifier", "providerId", "title", "location", "email", "phone", "company.name",
    "company.linkedinIdentifier", "company.linkedinUrl", "company.industry", "company.website",
    "company.domain", "company.size", "createdAt", "updatedAt",
)  # fmt: skip

_SAMPLE_RECORDS: Final = 500
_TABLE_COLUMNS: Final = 2
_VALUE_CHARACTERS: Final = 200
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)
_VALUE: Final = re.compile(
    r"[^\s@]+@[^\s@]+\.[^\s@]+|(https?://|www\.)\S+|.*linkedin\.com/.*", re.IGNORECASE
)


class Record(NamedTuple):
    """A record of the sample: its cells, the index of its first line and of the line after it."""

    cells: list[str]
    line: int
    next_line: int


class _Layout(NamedTuple):
    """A reading of the sample; the better of two compares greater by `rank`."""

    rank: tuple[int, float, int, int]
    delimiter: str | None
    skip_space: bool
    header: Record


def describe(path: Path, head: bytes, size: int) -> Inspection:
    """Find out how the file is to be read; raises the 400s of an upload."""
    encoding, mark = text_lines.detect(path, head, size)
    name, errors = text_lines.codec(encoding)
    text = head[mark:].decode(name, errors)
    whole = len(head) >= size
    lines = list(io.StringIO(text, newline=""))
    if not text.strip():
        raise empty_file()
    if not whole and len(lines) > 1:
        lines.pop()
    layout = _layout(lines)
    header = layout.header
    if not _closed(lines, layout, whole):
        raise _open_header()
    columns = column_names(header.cells)
    offset = mark + len("".join(lines[: header.next_line]).encode(name, errors))
    return Inspection(
        format="csv",
        encoding=encoding,
        delimiter=layout.delimiter,
        skipped_lines=header.line,
        size_bytes=size,
        columns=columns,
        preview=[],
        row_estimate=0,
        data_offset=offset,
        data_line=header.next_line + 1,
        skip_initial_space=layout.skip_space,
        own_export=tuple(columns) == OWN_HEADER,
    )


def damage(row: Row) -> ValidationFailed | None:
    """The 400 a row in the first 64 KiB means, if it means one."""
    if row.reason == shared.INVALID_TEXT:
        return refusal(
            "invalid_characters",
            f"Line {row.line} of the file has a character that is not text.",
            "Save the file as UTF-8 and upload it again.",
        )
    if row.reason == shared.FIELD_TOO_LONG:
        return refusal(
            "too_long",
            f"Line {row.line} of the file has a cell longer than {shared.CELL_BYTES} bytes.",
            "Shorten that cell and upload the file again.",
        )
    if row.message == csv_rows.UNCLOSED_QUOTE:
        return refusal(
            "syntax",
            f"A quote that opens in line {row.line} of the file is never closed.",
            "Close the quote, or double it where it belongs to the text, and upload again.",
        )
    return None


FORMAT: Final = FileFormat(describe, csv_rows.read_rows, damage)


def empty_file() -> ValidationFailed:
    return refusal(
        "required", "The file is empty.", "Upload a file with a header line and at best some rows."
    )


def _open_header() -> ValidationFailed:
    return refusal(
        "syntax",
        "The header line has a quote that is not closed, or is longer than 65536 bytes.",
        "Check the quotes of the first lines and upload the file again.",
    )


def _layout(lines: list[str]) -> _Layout:
    separator = _SEPARATOR_LINE.fullmatch(lines[0])
    candidates = (separator[1],) if separator else DELIMITERS
    first = 1 if separator else 0
    found = [_try(lines, first, delimiter) for delimiter in candidates]
    layouts = [layout for layout in found if layout is not None]
    return max(layouts, key=lambda layout: layout.rank) if layouts else _one_column(lines, first)


def _try(lines: list[str], first: int, delimiter: str) -> _Layout | None:
    """The file under this delimiter, or None if it has fewer than two columns then."""
    quoted_after_space = re.compile(re.escape(delimiter) + ' +"')
    skip_space = delimiter != "\t" and any(map(quoted_after_space.search, lines[:_SAMPLE_RECORDS]))
    records = list(_records(lines, first, delimiter, skip_space))
    index = header_index(records)
    if index is None or len(records[index].cells) < _TABLE_COLUMNS:
        return None
    header, body = records[index], records[index + 1 :]
    width = len(header.cells)
    same = sum(len(record.cells) == width for record in body)
    regular = round(same / len(body), 1) if body else 1.0
    known = sum(mapping.is_known(cell) for cell in header.cells)
    return _Layout((known, regular, -header.line, width), delimiter, skip_space, header)


def _one_column(lines: list[str], first: int) -> _Layout:
    """A list of one column; its header is the first line that says anything."""
    records = list(_records(lines, first, None, False))
    if not records:
        raise empty_file()
    return _Layout((0, 1.0, 0, 1), None, False, records[0])


def _records(
    lines: list[str], first: int, delimiter: str | None, skip_space: bool
) -> Iterator[Record]:
    """The first records that are not blank; stops at a broken quote, which is judged later."""
    reader = csv.reader(lines[first:], csv_rows.Dialect(delimiter, skip_space))
    begun = first
    try:
        for cells in reader:
            after = first + reader.line_num
            if any(cell.strip() for cell in cells):
                yield Record(cells, begun, after)
            begun = after
            if reader.line_num >= _SAMPLE_RECORDS:
                return
    except csv.Error:
        # A file whose very first record is broken still needs a header to be complained about.
        if begun == first:
            yield Record(lines[first].split(delimiter or csv_rows.NO_DELIMITER), first, first + 1)


def header_index(records: list[Record]) -> int | None:
    """Which record is the header: the first that names two known fields, with only shorter ones
    before it; else the first that is not a note, a note being one cell among wider records.
    """
    if not records:
        return None
    for index, record in enumerate(records[:50]):
        if sum(map(mapping.is_known, record.cells)) > 1:
            return index if all(_filled(r) < _filled(record) for r in records[:index]) else 0
    if mapping.is_known(records[0].cells[0]):
        return 0
    usual = Counter(len(record.cells) for record in records).most_common(1)[0][0]
    for index, record in enumerate(records):
        note = _filled(record) == 1 and (len(record.cells) == 1 or usual > _TABLE_COLUMNS)
        if usual < _TABLE_COLUMNS or not note:
            return index
    return 0


def _filled(record: Record) -> int:
    return sum(bool(cell.strip()) for cell in record.cells)


def column_names(cells: list[str]) -> list[str]:
    """Column names: white space tidied, a nameless column called after its place.

    Raises a 400 where the line holds data rather than names, or names that do not do.
    """
    names = [" ".join(cell.split()) for cell in cells]
    if any(_VALUE.fullmatch(name[:_VALUE_CHARACTERS]) for name in names):
        raise refusal(
            "required",
            "The file has no header: its first line holds data.",
            "Put the column names into the first line and upload the file again.",
        )
    taken = set(names)
    for index, name in enumerate(names):
        if not name:
            fresh = f"Column {index + 1}"
            while fresh in taken:
                fresh += "_"
            names[index] = fresh
            taken.add(fresh)
    for name in names:
        if len(name.encode("utf-8", "surrogateescape")) > shared.CELL_BYTES:
            raise refusal("too_long", "A column name is too long.", "Shorten the column names.")
    if not shared.is_text(names):
        raise refusal(
            "invalid_characters",
            "A column name has a character that is not text.",
            "Save the file as UTF-8 and upload it again.",
        )
    shared.check_columns(names)
    return names


def _closed(lines: list[str], layout: _Layout, whole: bool) -> bool:
    """Whether the header record is whole within the lines at hand, its quotes in order."""
    header = layout.header
    own = lines[header.line : header.next_line]
    if not whole and own[-1][-1] not in "\r\n":
        return False
    try:
        records = list(csv.reader(own, csv_rows.Dialect(layout.delimiter, layout.skip_space)))
    except csv.Error:
        return False
    return sum(1 for record in records if record) == 1
