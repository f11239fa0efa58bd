"""Rows of a Parquet file from any row on, a batch at a time; needs the extra `longlist[parquet]`.

The columns are those of the file's schema; a struct gives one column for each of its members
(`company.name`), anything deeper, lists and maps stay JSON text. A place in the file is the number
of the next row: its row group is opened and the rows before it in that group are decoded and
dropped. Groups are read page by page, so their size does not matter.

Text is decoded here and not by the library, so that bytes which are not UTF-8 fail their own row
instead of the whole file.
"""

from __future__ import annotations

import base64
import math
import os
import struct
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longlist.errors import ValidationFailed
from longlist.prospecting import rows as shared
from longlist.prospecting.paused import Paused
from longlist.prospecting.rows import (
    BrokenFile,
    Cursor,
    FileFormat,
    Inspection,
    Page,
    Row,
    refusal,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

DAMAGED: Final = "The Parquet file is damaged."
MISSING: Final = "This server reads Parquet files only with the extra longlist[parquet] installed."

_FOOTER_BYTES: Final = 32 * 1024 * 1024
_TAIL: Final = struct.Struct("<I4s")
_MAGIC: Final = b"PAR1"
_BATCH_ROWS: Final = 2000
_BATCH_BYTES: Final = 16 * 1024 * 1024
_ROW_BYTES: Final = 32 * 1024 * 1024
_OPTIONS: Final[dict[str, Any]] = {
    "memory_map": False,
    "buffer_size": 256 * 1024,
    "pre_buffer": False,
    "arrow_extensions_enabled": False,
}
_LONG: Final = "\0long"
_BROKEN: Final = "\0"
"""These two stand for cells that are not text; no text holds NUL."""


def describe(path: Path, _head: bytes, size: int) -> Inspection:
    """Find the columns and the number of rows in the footer; raises the 400s of an upload."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise refusal(
            "invalid_format",
            MISSING,
            "Ask the operator for it, or export the same data as CSV or NDJSON.",
        ) from None
    file = _open(path)
    try:
        with _guarded():
            columns = [name for name, _ in _columns(file.schema_arrow)]
            count = _row_count(file)
    finally:
        file.close()
    if not shared.is_text(columns):
        raise refusal(
            "invalid_characters",
            "A column name has a character that is not text.",
            "Rename the column and upload the file again.",
        )
    shared.check_columns(columns)
    return Inspection(
        format="parquet",
        encoding=None,
        delimiter=None,
        skipped_lines=0,
        size_bytes=size,
        columns=columns,
        preview=[],
        row_estimate=count,
        data_offset=len(_MAGIC),
        data_line=1,
    )


def damage(row: Row) -> ValidationFailed | None:
    """The 400 a row that begins in about the first 64 KiB means, if it means one."""
    if row.reason == shared.INVALID_TEXT:
        return refusal(
            "invalid_characters",
            f"Row {row.line} of the file has a character that is not text.",
            "Write the text columns as UTF-8 and upload the file again.",
        )
    if row.reason == shared.FIELD_TOO_LONG:
        return refusal(
            "too_long",
            f"Row {row.line} of the file has a cell longer than {shared.CELL_BYTES} bytes.",
            "Shorten that cell or leave its column out, and upload the file again.",
        )
    return None


def read_rows(path: Path, inspection: Inspection, *, start: Cursor, max_rows: int) -> Page:
    """Up to `max_rows` rows from `start` on, and the cursor of the next one or None at the end.

    Raises BrokenFile for pages that cannot be decoded.
    """
    reader = _paused.take(path, start) or _Reader(path, inspection, start.position)
    return _paused.page(path, reader, max_rows)


class _Reader:
    """One reading of a file from the row `position` on, which counts from 1."""

    def __init__(self, path: Path, inspection: Inspection, position: int) -> None:
        self._path = path
        self._file = _open(path)
        try:
            with _guarded():
                self._count = _row_count(self._file)
                self._batches = self._read_from(position - 1)
        except BaseException:
            self._file.close()
            raise
        self._columns = len(inspection.columns)
        self._size = inspection.size_bytes
        self._position = position
        self._rows: deque[Row] = deque()

    def close(self) -> None:
        self._batches.close()
        self._file.close()

    def take(self, max_rows: int) -> Page:
        rows: list[Row] = []
        size = 0
        while len(rows) < max_rows and size < shared.PAGE_BYTES and self._fill():
            row = self._rows.popleft()
            rows.append(row)
            size += sum(map(len, row.values))
        return rows, self._cursor(rows[-1].position + 1) if rows and self._fill() else None

    def _cursor(self, position: int) -> Cursor:
        """The row's place: its offset is what it would be if all rows took the same bytes."""
        offset = len(_MAGIC) + (position - 1) * self._size // max(1, self._count)
        return Cursor(offset, position, position)

    def _fill(self) -> bool:
        """Whether a row is at hand, after reading on if need be."""
        while not self._rows:
            with _guarded():
                batch = next(self._batches, None)
                if batch is None:
                    return False
                self._take_batch(batch)
        return True

    def _read_from(self, row: int) -> Generator[Any, None, None]:
        """Batches from a row on, the first one cut to begin there."""
        metadata = self._file.metadata
        for group in range(metadata.num_row_groups):
            about = metadata.row_group(group)
            if row >= about.num_rows:
                row -= about.num_rows
                continue
            each = about.total_byte_size // max(1, about.num_rows)
            widest = max(1, each, _widest(self._path, self._file.metadata, group))
            for batch in self._file.iter_batches(
                batch_size=max(1, min(_BATCH_ROWS, _BATCH_BYTES // widest)),
                row_groups=[group],
                use_threads=False,
            ):
                if row >= batch.num_rows:
                    row -= batch.num_rows
                    continue
                yield batch.slice(row)
                row = 0

    def _take_batch(self, batch: pa.RecordBatch) -> None:
        columns = list(_flat(batch))
        if len(columns) != self._columns:
            raise BrokenFile(DAMAGED)
        texts = [_texts(column) for column in columns]
        doubtful = not all(map(shared.is_text, texts))
        for values in zip(*texts, strict=True):
            self._rows.append(self._row(list(values), doubtful))
            self._position += 1

    def _row(self, values: list[str], doubtful: bool) -> Row:
        at = self._position
        if doubtful and _LONG in values:
            return Row(at, at, [], shared.FIELD_TOO_LONG, shared.TOO_LONG)
        if doubtful and not shared.is_text(values):
            return Row(at, at, [], shared.INVALID_TEXT, shared.NOT_TEXT)
        return Row(at, at, values)


@contextmanager
def _guarded() -> Iterator[None]:
    """Turn what the library says of a broken file into BrokenFile, without its words."""
    import pyarrow

    try:
        yield
    except BrokenFile:
        raise
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise BrokenFile(DAMAGED) from error


def _open(path: Path) -> pq.ParquetFile:
    """Open a file whose footer is of a sane size. Raises BrokenFile."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        tail = os.pread(file.fileno(), _TAIL.size, max(0, size - _TAIL.size))
    if len(tail) < _TAIL.size:
        raise BrokenFile(DAMAGED)
    footer, magic = _TAIL.unpack(tail)
    if magic != _MAGIC:
        raise BrokenFile(DAMAGED)
    if footer > _FOOTER_BYTES:
        raise BrokenFile("The Parquet file describes itself at too great a length.")
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise BrokenFile(MISSING) from None
    with _guarded():
        return pq.ParquetFile(path, **_OPTIONS)


def _widest(path: Path, metadata: pq.FileMetaData, group: int) -> int:
    """The bytes that a row of a group could take if it had the longest text of each dictionary.

    A text stands in a dictionary once, however many rows refer to it, so neither the size of the
    group nor that of the file bounds what a batch of rows unpacks to. Raises BrokenFile.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    schema = metadata.schema
    leaves = map(schema.column, range(metadata.num_columns))
    names = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    with pq.ParquetFile(path, metadata=metadata, read_dictionary=names, **_OPTIONS) as file:
        batches = file.iter_batches(batch_size=1, row_groups=[group], use_threads=False)
        first = next(batches, None)
        widths = (
            []
            if first is None
            else [
                pc.max(pc.binary_length(words)).as_py() or 0
                for column in first.columns
                for words in _dictionaries(column)
            ]
        )
    if sum(widths) > _ROW_BYTES:
        raise BrokenFile("The file has texts far longer than a cell may be.")
    return sum(widths)


def _dictionaries(column: pa.Array) -> Iterator[pa.Array]:
    """The dictionaries in a column and in what is nested in it."""
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        yield column.dictionary
    elif types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from _dictionaries(column.field(index))
    elif types.is_map(kind):
        yield from _dictionaries(column.keys)
        yield from _dictionaries(column.items)
    elif types.is_nested(kind):
        yield from _dictionaries(column.values)


def _row_count(file: pq.ParquetFile) -> int:
    metadata = file.metadata
    count = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if rows < 0:
            raise BrokenFile(DAMAGED)
        count += rows
    return count


def _columns(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    """Name and type of each column, the members of a struct in its place."""
    import pyarrow

    for field in schema:
        if pyarrow.types.is_struct(field.type):
            for member in field.type:
                yield f"{field.name}.{member.name}", member.type
        else:
            yield field.name, field.type


def _flat(batch: pa.RecordBatch) -> Iterator[pa.Array]:
    import pyarrow

    for column in batch.columns:
        if pyarrow.types.is_struct(column.type):
            yield from column.flatten()
        else:
            yield column


def _texts(column: pa.Array) -> list[str]:
    """The cells of a column as text; nulls are empty."""
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        values = _texts(column.dictionary)
        return ["" if at is None else values[at] for at in column.indices.to_pylist()]
    if types.is_string(kind) or types.is_large_string(kind):
        wide = types.is_large_string(kind)
        column = column.cast(pyarrow.large_binary() if wide else pyarrow.binary())
        return [_decoded(value) for value in column.to_pylist()]
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return [_decoded(value) for value in column.to_pylist()]
    if types.is_floating(kind):
        return [_number(value) for value in column.to_pylist()]
    if types.is_decimal(kind):
        return ["" if value is None else format(value, "f") for value in column.to_pylist()]
    if types.is_timestamp(kind):
        if kind.tz is not None:
            column = column.cast(pyarrow.timestamp(kind.unit, tz="UTC"))
        return [_time(value) for value in column.cast(pyarrow.string()).to_pylist()]
    if types.is_time(kind):
        return [_time(value) for value in column.cast(pyarrow.string()).to_pylist()]
    if types.is_integer(kind) or types.is_boolean(kind) or types.is_date(kind):
        return [value or "" for value in column.cast(pyarrow.string()).to_pylist()]
    return [_json(cell) for cell in column]


def _decoded(value: bytes | None) -> str:
    if value is None:
        return ""
    if len(value) > shared.CELL_BYTES:
        return _LONG
    return value.decode("utf-8", "surrogateescape")


def _number(value: float | None) -> str:
    """A number as people write it; NaN is how data frames write that there is none."""
    if value is None or math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _time(written: str | None) -> str:
    """ISO text of what the library writes as `2026-03-04 05:06:00.000000Z`.

    A time that no calendar has, for which the library writes a remark, is none.
    """
    if written is None or written.startswith("<"):
        return ""
    zone = "Z" if written.endswith("Z") else ""
    seconds = written.removesuffix("Z").replace(" ", "T", 1)
    if "." in seconds:
        seconds = seconds.rstrip("0").rstrip(".")
    return seconds + zone


def _json(cell: pa.Scalar) -> str:
    try:
        value = cell.as_py(maps_as_pydicts="lossy")
        if value is None:
            return ""
        text = msgspec.json.encode(value, enc_hook=_plain).decode()
    except (UnicodeDecodeError, OverflowError, TypeError, ValueError):
        return _BROKEN
    return _LONG if len(text) * 4 > shared.CELL_BYTES < len(text.encode()) else text


def _plain(value: object) -> object:
    """What JSON has no word for: as text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    return str(value)


_paused: Final[Paused[_Reader]] = Paused()

FORMAT: Final = FileFormat(describe, read_rows, damage, counts=True, release=_paused.release)
