"""The rows of a worksheet as it is unpacked, from the start or from any row on.

A place in a sheet is a byte offset into its unpacked XML at which a row begins. To go on from one,
the bytes before it are unpacked and dropped, which is some hundred times quicker than parsing
them. What a sheet declares about its own size is not looked at.
"""

from __future__ import annotations

from collections import deque
from typing import IO, Final, NamedTuple, NoReturn

from longlist.prospecting.rows import CELL_BYTES, RECORD_BYTES, BrokenFile
from longlist.prospecting.xlsx_package import (
    BLOCK_BYTES,
    DAMAGED,
    Package,
    feed,
    guarded,
    new_parser,
)

LAST_ROW: Final = 1_048_576
_LAST_COLUMN: Final = 16_384
_DEPTH: Final = 64
_SKIP_BYTES: Final = 1024 * 1024
_PROLOGUE_BYTES: Final = 16 * 1024 * 1024


class Cell(NamedTuple):
    """A cell as it stands in the file: column from 0, type, style, and text (None: too long)."""

    column: int
    kind: str
    style: str
    text: str | None


class SheetRow(NamedTuple):
    """A row with at least one value: where its XML begins, its number from 1, its cells."""

    offset: int
    line: int
    cells: list[Cell]


class _Found(Exception):
    """The rows begin: parsing of the part before them is over."""


class _Ended(Exception):
    """The rows have ended; what follows them in the sheet is of no use."""


class Sheet:
    """One reading of a worksheet.

    `line` is the number that the next row has unless it says another; cells beyond `columns` are
    passed over.
    """

    def __init__(
        self, package: Package, part: str, *, columns: int, offset: int | None = None, line: int = 1
    ) -> None:
        self._stream: IO[bytes] = package.open(part)
        with guarded():
            root, begin = self._find_rows()
            prefix = root[: -len("worksheet")]
            prologue = f"<{root}>" if offset is None else f"<{root}><{prefix}sheetData>"
            offset = begin if offset is None else offset
            self._skip(offset)
        self._rows: deque[SheetRow] = deque()
        self._ended = False
        self.end_offset = offset
        self._fed = 0
        self._shift = offset - len(prologue)
        self._parser = new_parser()
        self._parse(prologue.encode())
        self._set_handlers(prefix, columns, line)

    def close(self) -> None:
        self._stream.close()

    def peek(self) -> SheetRow | None:
        """The next row, which stays; None after the last. Raises BrokenFile."""
        while not self._rows and not self._ended:
            with guarded():
                block = self._stream.read(BLOCK_BYTES)
            if not block:
                raise BrokenFile("The sheet ends before its last row does.")
            self._parse(block)
        return self._rows[0] if self._rows else None

    def drop(self) -> None:
        """Take the row that `peek` showed."""
        self._rows.popleft()

    def _parse(self, block: bytes) -> None:
        self._fed += len(block)
        try:
            feed(self._parser, block, self._fed)
        except _Ended:
            self._ended = True

    def _find_rows(self) -> tuple[str, int]:
        """The root's name and the offset of `sheetData`; the stream is back at its start then."""
        parser = new_parser()
        root = ""
        depth = begin = 0

        def start(name: str, _: dict[str, str]) -> None:
            nonlocal root, depth, begin
            depth += 1
            if depth > _DEPTH:
                raise BrokenFile(DAMAGED)
            root = root or name
            if depth == 2 and name == root[: -len("worksheet")] + "sheetData":
                # Only now: the parser runs on to the end of the block before it raises.
                begin = parser.CurrentByteIndex
                raise _Found

        def end(_: str) -> None:
            nonlocal depth
            depth -= 1

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        seen = 0
        while block := self._stream.read(BLOCK_BYTES):
            seen += len(block)
            try:
                feed(parser, block, seen)
            except _Found:
                break
            if seen > _PROLOGUE_BYTES:
                raise BrokenFile(DAMAGED)
        else:
            raise BrokenFile("The first sheet of the workbook has no rows.")
        if not root.endswith("worksheet"):
            raise BrokenFile(DAMAGED)
        self._stream.seek(0)
        return root, begin

    def _skip(self, left: int) -> None:
        """Unpack so many bytes without looking at them."""
        while left > 0:
            block = self._stream.read(min(left, _SKIP_BYTES))
            if not block:
                raise BrokenFile("The sheet ends before its last row does.")
            left -= len(block)

    def _set_handlers(self, prefix: str, columns: int, line: int) -> None:
        handlers = _Handlers(self, prefix, columns, line)
        self._parser.StartElementHandler = handlers.start
        self._parser.CharacterDataHandler = handlers.characters
        self._parser.EndElementHandler = handlers.end

    def offset_of_element(self) -> int:
        """Where in the sheet the element begins that is being handled."""
        return self._shift + self._parser.CurrentByteIndex

    def end_here(self) -> NoReturn:
        self.end_offset = self.offset_of_element()
        raise _Ended

    def add(self, row: SheetRow) -> None:
        self._rows.append(row)


class _Handlers:
    """Makes rows of what the parser finds in `sheetData`; called for every element."""

    __slots__ = (
        "_attributes", "_cells", "_column", "_columns", "_depth", "_kinds", "_line",
        "_next", "_offset", "_phonetic", "_pieces", "_sheet", "_size", "_taken", "_wanted",
    )  # fmt: skip

    def __init__(self, sheet: Sheet, prefix: str, columns: int, line: int) -> None:
        self._sheet = sheet
        self._columns = columns
        self._kinds = {prefix + name: name for name in ("c", "v", "t", "row", "rPh", "sheetData")}
        self._line = self._next = line
        self._offset = self._depth = self._taken = self._size = 0
        self._column = -1
        self._attributes: dict[str, str] = {}
        self._cells: list[Cell] = []
        self._pieces: list[str] = []
        self._wanted = self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        kind = self._kinds.get(name)
        if kind == "c":
            self._attributes = attributes
            self._column = _column(attributes.get("r", ""), self._column)
            self._taken += 1
            if self._taken > _LAST_COLUMN:
                raise BrokenFile(DAMAGED)
        elif kind == "v" or kind == "t":  # noqa: PLR1714 - for every cell
            self._wanted = self._column < self._columns and not self._phonetic
        elif kind == "row":
            self._offset = self._sheet.offset_of_element()
            self._line = _line(attributes.get("r", ""), self._next)
            self._next = self._line + 1
            self._cells = []
            self._column, self._taken, self._size = -1, 0, 0
        elif kind == "rPh":
            self._phonetic = True
        if self._depth > _DEPTH:
            raise BrokenFile(DAMAGED)

    def characters(self, text: str) -> None:
        if self._wanted:
            self._size += len(text)
            # What is beyond a row's measure is counted and not kept.
            if self._size <= RECORD_BYTES:
                self._pieces.append(text)

    def end(self, name: str) -> None:
        self._depth -= 1
        kind = self._kinds.get(name)
        if kind == "c":
            if self._pieces:
                self._add_cell()
        elif kind == "v" or kind == "t":  # noqa: PLR1714 - for every cell
            self._wanted = False
        elif kind == "row":
            if self._cells:
                self._sheet.add(SheetRow(self._offset, self._line, self._cells))
        elif kind == "rPh":
            self._phonetic = False
        elif kind == "sheetData":
            self._sheet.end_here()

    def _add_cell(self) -> None:
        pieces, given = self._pieces, self._attributes
        text: str | None = pieces[0] if len(pieces) == 1 else "".join(pieces)
        if self._size > RECORD_BYTES or len(text or "") > CELL_BYTES:
            text = None
        self._cells.append(Cell(self._column, given.get("t", "n"), given.get("s", "0"), text))
        self._pieces = []


def _line(reference: str, following: int) -> int:
    """The number a row states, if it comes after the rows before it; else the following one."""
    if reference.isascii() and reference.isdigit() and len(reference) <= 7:
        stated = int(reference)
        if following <= stated <= LAST_ROW:
            return stated
    return following


_columns: Final[dict[str, int]] = {}


def _column(reference: str, before: int) -> int:
    """The column from 0 that `AB12` names; without a reference, the one after the last."""
    letters = reference.rstrip("0123456789")
    known = _columns.get(letters)
    if known is not None:
        return known
    if not (letters.isascii() and letters.isalpha() and len(letters) <= 3):
        return before + 1
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    # At most three letters in either case: the table stays small.
    _columns[letters] = column - 1
    return column - 1


def count_rows(package: Package, part: str) -> int:
    """How many rows of a sheet hold a value, found without parsing; reads the whole part.

    A row of empty texts is counted too. Raises BrokenFile, also for a wrong checksum.
    """
    count = 0
    rest = b""
    with package.part(part) as stream:
        while block := stream.read(_SKIP_BYTES):
            pieces = (rest + block).split(b"row>")
            rest = pieces.pop()
            count += sum(b"v>" in piece or b"t>" in piece for piece in pieces)
            if len(rest) > 4 * _SKIP_BYTES:
                rest = rest[-_SKIP_BYTES:]
    return count
