"""Rows of the first sheet of an XLSX workbook: values only, from any row on, in constant memory.

A cell becomes the text a person would type: dates in ISO form, whole numbers without a decimal
point, booleans as true and false, formulas as the value last computed. An error such as #N/A is
no value, so its cell is empty. Values beyond the last named column belong to no column and are
passed over; unlike in CSV they cannot push another cell out of its place.
"""

from __future__ import annotations

import datetime
import math
import re
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from longlist.errors import ValidationFailed
from longlist.prospecting import csv_header
from longlist.prospecting import rows as shared
from longlist.prospecting.csv_header import Record
from longlist.prospecting.paused import Paused
from longlist.prospecting.rows import (
    HEAD_BYTES,
    BrokenFile,
    Cursor,
    FileFormat,
    Inspection,
    Page,
    Row,
    refusal,
)
from longlist.prospecting.xlsx_package import Package, date_styles, find_parts, open_package
from longlist.prospecting.xlsx_sheet import Cell, Sheet, SheetRow, count_rows
from longlist.prospecting.xlsx_strings import SharedStrings, unescape

_SAMPLE_ROWS: Final = 500
_EXACT_BYTES: Final = 8 * 1024 * 1024
_EXACT_PAGE: Final = 5000
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,29})")
_MOST_EXACT: Final = 1e15
_DAY_MS: Final = 86_400_000
_LAST_DAY: Final = 2_958_465
"""31 December 9999, as days of the 1900 calendar."""


def describe(path: Path, _head: bytes, size: int) -> Inspection:
    """Find header and columns of the first sheet and count its rows; the 400s of an upload.

    The whole sheet is unpacked once for the count, so a broken archive is refused here.
    """
    package = open_package(path)
    try:
        part = find_parts(package).sheet
        counted = count_rows(package, part)
        unpacked = package.parts[part].file_size
        records, places = _sample(package, path)
    finally:
        package.close()
    index = csv_header.header_index(records)
    if index is None:
        raise csv_header.empty_file()
    header = records[index]
    columns = csv_header.column_names(header.cells)
    inspection = Inspection(
        format="xlsx",
        encoding=None,
        delimiter=None,
        skipped_lines=header.line,
        size_bytes=size,
        columns=columns,
        preview=[],
        row_estimate=max(0, counted - index - 1),
        data_offset=places[index].offset,
        data_line=places[index].line,
    )
    if unpacked > _EXACT_BYTES:
        return inspection
    return msgspec.structs.replace(inspection, row_estimate=_count_exactly(path, inspection))


def _count_exactly(path: Path, inspection: Inspection) -> int:
    seen, at = 0, inspection.start
    while True:
        rows, after = read_rows(path, inspection, start=at, max_rows=_EXACT_PAGE)
        seen += len(rows)
        if after is None:
            return seen
        at = after


def _sample(package: Package, path: Path) -> tuple[list[Record], list[Cursor]]:
    """The first rows that are not blank, and the cursor after each of them."""
    reader = _Reader(package, path, width=shared.MAX_COLUMNS + 1, start=None)
    records: list[Record] = []
    places: list[Cursor] = []
    try:
        while len(records) < _SAMPLE_ROWS:
            row = reader.next_row()
            after = reader.cursor()
            if row is not None:
                cells = row.values
                while cells and not cells[-1].strip():
                    cells = cells[:-1]
                if row.reason is not None and not records:
                    raise damage(row) or BrokenFile("The first row cannot be read.")
                records.append(Record(cells or [""], row.line - 1, row.line))
                places.append(after or Cursor(reader.offset, row.line + 1))
            if after is None or after.offset > HEAD_BYTES:
                break
    finally:
        reader.close_parts()
    return records, places


def damage(row: Row) -> ValidationFailed | None:
    """The 400 a row in the first 64 KiB of the sheet means, if it means one."""
    if row.reason == shared.INVALID_TEXT:
        return refusal(
            "invalid_characters",
            f"Row {row.line} of the sheet has a character that is not text.",
            "Type the text of that row again and upload the workbook.",
        )
    if row.reason == shared.FIELD_TOO_LONG:
        return refusal(
            "too_long",
            f"Row {row.line} of the sheet has a cell longer than {shared.CELL_BYTES} bytes.",
            "Shorten that cell and upload the workbook again.",
        )
    return None


def read_rows(path: Path, inspection: Inspection, *, start: Cursor, max_rows: int) -> Page:
    """Up to `max_rows` rows from `start` on, and the cursor of the next one or None at the end.

    Going on where the page before ended costs nothing; from any other cursor the sheet is first
    unpacked up to it. Blank rows are no rows. Raises BrokenFile.
    """
    reader = _paused.take(path, start)
    if reader is None:
        try:
            package = open_package(path)
        except ValidationFailed as refused:
            raise BrokenFile(refused.message) from refused
        try:
            reader = _Reader(package, path, width=len(inspection.columns), start=start)
        except BaseException:
            package.close()
            raise
    return _paused.page(path, reader, max_rows)


class _Reader:
    """One reading of the first sheet from a row on."""

    def __init__(self, package: Package, path: Path, *, width: int, start: Cursor | None) -> None:
        parts = find_parts(package)
        self._package = package
        self._width = width
        dates = date_styles(package, parts.styles)
        strings = SharedStrings(package, parts.strings, path.parent)
        self._texts = _Texts(strings, dates, parts.from_1904)
        try:
            if start is None:
                self._sheet = Sheet(package, parts.sheet, columns=width)
            else:
                self._sheet = Sheet(
                    package, parts.sheet, columns=width, offset=start.offset, line=start.line
                )
        except BaseException:
            strings.close()
            raise
        self._position = 1 if start is None else start.position

    @property
    def offset(self) -> int:
        """Where the rows end, once they have."""
        return self._sheet.end_offset

    def close_parts(self) -> None:
        self._sheet.close()
        self._texts.strings.close()

    def close(self) -> None:
        self.close_parts()
        self._package.close()

    def take(self, max_rows: int) -> Page:
        rows: list[Row] = []
        size = 0
        while len(rows) < max_rows and size < shared.PAGE_BYTES:
            if self._sheet.peek() is None:
                break
            row = self.next_row()
            if row is not None:
                rows.append(row)
                size += sum(map(len, row.values))
        return rows, self.cursor()

    def cursor(self) -> Cursor | None:
        """Where the next row with a cell begins, None after the last."""
        following = self._sheet.peek()
        if following is None:
            return None
        return Cursor(following.offset, following.line, self._position)

    def next_row(self) -> Row | None:
        """The next row, None if it turns out to be blank or there is none."""
        found = self._sheet.peek()
        if found is None:
            return None
        self._sheet.drop()
        row = self._row(found)
        if row is not None:
            self._position += 1
        return row

    def _row(self, found: SheetRow) -> Row | None:
        values = [""] * self._width
        long = filled = False
        text_of = self._texts.text_of
        for cell in found.cells:
            text = text_of(cell)
            if text is None:
                long = True
            else:
                values[cell.column] = text
                filled = filled or bool(text.strip())
        if long:
            return Row(self._position, found.line, [], shared.FIELD_TOO_LONG, shared.TOO_LONG)
        if not filled:
            return None
        if not shared.is_text(values):
            return Row(self._position, found.line, [], shared.INVALID_TEXT, shared.NOT_TEXT)
        return Row(self._position, found.line, values)


class _Texts(NamedTuple):
    """What the text of a cell depends on besides the cell."""

    strings: SharedStrings
    dates: frozenset[str]
    from_1904: bool

    def text_of(self, cell: Cell) -> str | None:
        """A cell's text; None if it is longer than 64 KiB. Raises BrokenFile."""
        text = cell.text
        if text is None:
            return None
        kind = cell.kind
        if kind == "s":
            return self.strings.get(text)
        if kind == "n":
            if cell.style in self.dates:
                return date_text(text, from_1904=self.from_1904)
            return number_text(text)
        if kind == "b":
            return {"1": "true", "0": "false"}.get(text.strip(), text)
        if kind == "e":
            return ""
        text = unescape(text)
        if len(text) * 4 > shared.CELL_BYTES:
            return None if len(text.encode("utf-8", "surrogatepass")) > shared.CELL_BYTES else text
        return text


def number_text(written: str) -> str:
    """A number as people write it: 4.0 and 4.0E0 are 4; what is no number stays as it is."""
    if _WHOLE.fullmatch(written):
        return written
    try:
        value = float(written)
    except ValueError:
        return written
    if not math.isfinite(value):
        return written
    return str(int(value)) if value.is_integer() and abs(value) < _MOST_EXACT else repr(value)


def date_text(written: str, *, from_1904: bool) -> str:
    """ISO date, time or both of a day count; a number that is no day stays a number.

    The 1900 calendar has a 29 February 1900 that never was: days before it are one less.
    """
    try:
        value = float(written)
    except ValueError:
        return written
    if not 0 <= value < _LAST_DAY + 1:
        return number_text(written)
    days, milliseconds = divmod(round(value * _DAY_MS), _DAY_MS)
    time = (datetime.datetime.min + datetime.timedelta(milliseconds=milliseconds)).time()
    shown = time.isoformat("milliseconds" if time.microsecond else "seconds")
    if days == 0 and not from_1904:
        return shown
    if from_1904:
        first = datetime.date(1904, 1, 1)
    else:
        first = datetime.date(1899, 12, 31 if days < 60 else 30)
    try:
        day = first + datetime.timedelta(days=days)
    except OverflowError:
        return number_text(written)
    return f"{day.isoformat()}T{shown}" if milliseconds else day.isoformat()


_paused: Final[Paused[_Reader]] = Paused()

FORMAT: Final = FileFormat(describe, read_rows, damage, counts=True, release=_paused.release)
