"""Rows of a CSV file from any cursor on, in constant memory.

The stdlib reader works in strict mode over windows of whole lines. What makes it safe to resume
anywhere is that a window always begins where a row begins, and that every decision about a row
depends on the bytes from its first one on, never on where a page or a window happened to start.

An opening quote that is never closed would swallow the rest of the file. It shows in three ways:
text right after what looks like its closing quote, a cell beyond all measure, or the end of the
file. The row then fails, and reading goes on with the line after its first one. The lines passed
over meanwhile hold no other quoted cell that spans lines, so they are read one by one
(`Cursor.plain_until`); this also bounds the work to reading each byte about twice.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from itertools import accumulate, chain
from pathlib import Path
from typing import Final

from longlist.prospecting import rows as shared
from longlist.prospecting.rows import Cursor, Inspection, Page, Row
from longlist.prospecting.text_lines import Lines, codec, read_lines, skip_line

UNCLOSED_QUOTE: Final = "This row has a cell that begins with a quote and does not end with one."
STRAY_QUOTE: Final = "This row has text after a closing quote; double the quotes inside a cell."
TOO_MANY_CELLS: Final = "This row has more cells than the header has columns."

# A file of one column has no delimiter. Control characters do not stand in text, so this one
# leaves every line whole.
NO_DELIMITER: Final = "\x1f"

_WINDOW: Final = shared.CELL_BYTES
_GUARDED: Final = tuple("'" + first for first in "=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")


def read_rows(path: Path, inspection: Inspection, *, start: Cursor, max_rows: int) -> Page:
    """Up to `max_rows` rows from `start` on, and the cursor of the next one or None at the end.

    Blank lines are no rows. Missing cells at the end of a row are empty, since spreadsheets leave
    them out; more cells than columns fail the row unless the surplus is empty.
    """
    with path.open("rb", buffering=0) as file:
        reader = _Reader(file.fileno(), os.fstat(file.fileno()).st_size, inspection, start)
        return reader.take(max_rows), reader.cursor()


class Dialect(csv.Dialect):
    """CSV as RFC 4180 has it, with any delimiter; strict, so that a broken quote is noticed."""

    quotechar = '"'
    doublequote = True
    lineterminator = "\r\n"
    quoting = csv.QUOTE_MINIMAL
    strict = True

    def __init__(self, delimiter: str | None, skip_initial_space: bool = False) -> None:
        self.delimiter = delimiter or NO_DELIMITER
        self.skipinitialspace = skip_initial_space
        super().__init__()


class _Reader:
    """One reading of a file; `_offset`, `_line` and `_position` are those of the next row."""

    def __init__(self, fd: int, size: int, inspection: Inspection, start: Cursor) -> None:
        self._fd = fd
        self._size = size
        self._width = len(inspection.columns)
        self._encoding = inspection.encoding or "utf-8"
        self._dialect = Dialect(inspection.delimiter, inspection.skip_initial_space)
        self._own_export = inspection.own_export
        self._offset, self._line, self._position = start.offset, start.line, start.position
        self._plain_until = start.plain_until
        self._starts: list[int] | None = None
        self._rows: list[Row] = []
        self._room = 0

    def cursor(self) -> Cursor | None:
        if self._offset >= self._size:
            return None
        plain_until = self._plain_until if self._plain_until > self._offset else 0
        return Cursor(self._offset, self._line, self._position, plain_until)

    def take(self, max_rows: int) -> list[Row]:
        self._room = max_rows
        window = _WINDOW
        end = min(self._size, self._offset + shared.PAGE_BYTES)
        while self._room > 0 and self._offset < end:
            lines = read_lines(self._fd, self._size, self._offset, window, self._encoding)
            used = self._parse(lines, grown=window > _WINDOW)
            if used:
                self._offset += sum(lines.sizes[:used])
                self._line += used
                window = _WINDOW
            elif window < shared.RECORD_BYTES:
                window *= 4
            elif lines.texts:
                self._fail_open_quote(self._offset + sum(lines.sizes))
                self._offset += lines.sizes[0]
                self._line += 1
                window = _WINDOW
            else:
                self._fail(0, shared.FIELD_TOO_LONG, shared.TOO_LONG)
                self._offset = skip_line(self._fd, self._size, self._offset, self._encoding)
                self._line += 1
                window = _WINDOW
        return self._rows

    def _parse(self, lines: Lines, *, grown: bool) -> int:
        """Take rows from whole lines; how many lines were used up by finished rows."""
        used, count = 0, len(lines.texts)
        self._starts = None
        while used < count and self._room > 0:
            plain = self._plain_until > self._offset
            if plain and self._start_of(lines, used) < self._plain_until:
                self._parse_line(lines, used, grown)
                used += 1
                continue
            before = used
            used = self._parse_run(lines, used, grown)
            if used == before:
                break
        return used

    def _start_of(self, lines: Lines, index: int) -> int:
        """The byte offset of a line; the offsets are worked out once for the lines at hand."""
        if self._starts is None:
            self._starts = list(accumulate(lines.sizes, initial=self._offset))
        return self._starts[index]

    def _parse_line(self, lines: Lines, index: int, grown: bool) -> None:
        try:
            for values in csv.reader(lines.texts[index : index + 1], self._dialect):
                self._add(index, values, checked=lines.damaged or grown)
        except csv.Error:
            self._fail_line(lines, index)

    def _parse_run(self, lines: Lines, first: int, grown: bool) -> int:
        """Take rows until the lines, the room or the good rows end; the index of the next line."""
        ended = False

        def mark_end() -> Iterator[str]:
            nonlocal ended
            ended = True
            yield from ()

        texts = lines.texts if first == 0 else lines.texts[first:]
        reader = csv.reader(chain(texts, mark_end()), self._dialect)
        width, line, rows, position = self._width, self._line + first, self._rows, self._position
        irregular = lines.damaged or grown or self._own_export
        used, room = 0, self._room
        try:
            for values in reader:
                if irregular or len(values) != width or width == 1:
                    self._position, self._room = position, room
                    self._add(first + used, values, checked=lines.damaged or grown)
                    position, room = self._position, self._room
                else:
                    rows.append(Row(position, line + used, values))
                    position += 1
                    room -= 1
                used = reader.line_num
                if not room:
                    break
        except csv.Error:
            self._position, self._room = position, room
            return self._recover(lines, first + used, first + reader.line_num, ended)
        self._position, self._room = position, room
        return first + used

    def _recover(self, lines: Lines, begun: int, reached: int, ended: bool) -> int:
        """Give up the row that begins at line `begun`, unless it may still end further on."""
        if ended and not lines.at_end:
            return begun
        if ended:
            self._fail_open_quote(self._start_of(lines, len(lines.sizes)), begun)
        elif reached - 1 == begun:
            self._fail_line(lines, begun)
        else:
            self._fail_open_quote(self._start_of(lines, reached - 1), begun)
        return begun + 1

    def _add(self, index: int, values: list[str], *, checked: bool) -> None:
        """Take a row that needs a second look, or pass over a blank line."""
        if not values or (len(values) == 1 and not values[0].strip()):
            return None
        if len(values) > self._width:
            surplus = values[self._width :]
            if any(cell.strip() for cell in surplus):
                return self._fail(index, shared.MALFORMED_ROW, TOO_MANY_CELLS)
            values = values[: self._width]
        elif len(values) < self._width:
            values = values + [""] * (self._width - len(values))
        if checked and not shared.is_text(values):
            return self._fail(index, shared.INVALID_TEXT, shared.NOT_TEXT)
        if checked and self._too_long(values):
            return self._fail(index, shared.FIELD_TOO_LONG, shared.TOO_LONG)
        if self._own_export:
            values = [cell[1:] if cell.startswith(_GUARDED) else cell for cell in values]
        self._rows.append(Row(self._position, self._line + index, values))
        self._position += 1
        self._room -= 1
        return None

    def _too_long(self, values: list[str]) -> bool:
        name, errors = codec(self._encoding)
        return any(
            len(cell) * 4 > shared.CELL_BYTES and len(cell.encode(name, errors)) > shared.CELL_BYTES
            for cell in values
        )

    def _fail_line(self, lines: Lines, index: int) -> None:
        """Fail a row that is one line: by its length if that is beyond a cell's, else a quote."""
        text = lines.texts[index]
        if lines.sizes[index] > shared.CELL_BYTES:
            self._fail(index, shared.FIELD_TOO_LONG, shared.TOO_LONG)
        elif lines.damaged and not shared.is_text([text]):
            self._fail(index, shared.INVALID_TEXT, shared.NOT_TEXT)
        else:
            self._fail(index, shared.MALFORMED_ROW, STRAY_QUOTE)

    def _fail_open_quote(self, reached: int, index: int = 0) -> None:
        self._fail(index, shared.MALFORMED_ROW, UNCLOSED_QUOTE)
        self._plain_until = max(self._plain_until, reached)

    def _fail(self, index: int, reason: str, message: str) -> None:
        self._rows.append(Row(self._position, self._line + index, [], reason, message))
        self._position += 1
        self._room -= 1
