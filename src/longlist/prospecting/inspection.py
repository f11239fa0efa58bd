"""What an uploaded file is: format, encoding, columns, a preview and how many rows to expect.

Everything here blocks on the disk and is called in a thread. A further format is a module with a
`FORMAT` and one line in `_FORMATS`; nothing that calls this module changes with it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from longlist.errors import ValidationFailed
from longlist.prospecting import csv_header, ndjson_rows, parquet_rows, xlsx_package, xlsx_rows
from longlist.prospecting.rows import (
    HEAD_BYTES,
    PREVIEW_CHARACTERS,
    PREVIEW_ROWS,
    BrokenFile,
    Cursor,
    FileFormat,
    Inspection,
    Page,
    Row,
    refusal,
)

_FORMATS: Final[dict[str, FileFormat]] = {
    "csv": csv_header.FORMAT,
    "ndjson": ndjson_rows.FORMAT,
    "parquet": parquet_rows.FORMAT,
    "xlsx": xlsx_rows.FORMAT,
}
_EXACT_BYTES: Final = 8 * 1024 * 1024
_PAGE_ROWS: Final = 5000
_BLOCK_BYTES: Final = 1024 * 1024
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def inspect(path: Path, *, stated_format: str | None = None) -> Inspection:
    """Find out what a file is and whether it can be imported.

    `stated_format` is one of the contract's four or None. Raises ValidationFailed with one issue
    on `file` for everything contract 6.1 lists, as far as it shows in the first 64 KiB.
    """
    size = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        head = os.pread(file.fileno(), HEAD_BYTES, 0)
    if not head:
        raise csv_header.empty_file()
    found = _recognise(path, head)
    if stated_format is not None and stated_format != found:
        raise refusal(
            "invalid_format",
            f"The content of the file is not {stated_format}.",
            "State the format the file has, or leave the format out to have it found.",
        )
    reader = _FORMATS[found]
    try:
        inspection = reader.describe(path, head, size)
        preview = _look_at_head(path, inspection, reader)
        inspection = msgspec.structs.replace(inspection, preview=preview)
        if reader.counts:
            return inspection
        estimate = _estimate(path, inspection, reader)
        return msgspec.structs.replace(inspection, row_estimate=estimate)
    except BrokenFile as error:
        raise refusal(
            "syntax",
            str(error),
            "Save the data again with the program it comes from, or export it as CSV.",
        ) from error
    finally:
        reader.release(path)


def read_rows(path: Path, inspection: Inspection, *, start: Cursor, max_rows: int) -> Page:
    """Rows of a file of any format: see the module of the format."""
    return _FORMATS[inspection.format].read_rows(path, inspection, start=start, max_rows=max_rows)


def preview(path: Path, inspection: Inspection) -> list[dict[str, str | None]]:
    """The first rows again, of a file that was inspected before."""
    rows, _ = read_rows(path, inspection, start=inspection.start, max_rows=2 * PREVIEW_ROWS)
    shown = [_preview_row(inspection.columns, row) for row in rows if row.reason is None]
    return shown[:PREVIEW_ROWS]


def release(path: Path) -> None:
    """Close what is open between two pages of a file; call when no further page is wanted."""
    for reader in _FORMATS.values():
        reader.release(path)


def _recognise(path: Path, head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        if xlsx_package.is_workbook(path):
            return "xlsx"
        raise _archive()
    if head.startswith(_OLE):
        raise refusal(
            "invalid_format",
            "The file is a workbook with a password, or one in the older XLS format.",
            "Save it as XLSX without a password, or as CSV, and upload that.",
        )
    if head.startswith(b"PARE"):
        raise refusal(
            "invalid_format",
            "The Parquet file is encrypted.",
            "Write it without encryption and upload it again.",
        )
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf")):
        raise _archive()
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{") or (start[:1] == b"[" and start[1:].lstrip()[:1] in b"{]"):
        return "ndjson"
    return "csv"


def _archive() -> ValidationFailed:
    return refusal(
        "invalid_format",
        "The file is an archive or is compressed.",
        "Unpack it and upload the file inside.",
    )


def _look_at_head(
    path: Path, inspection: Inspection, reader: FileFormat
) -> list[dict[str, str | None]]:
    """The preview; raises a 400 for a row of the first 64 KiB that spoils the file."""
    preview: list[dict[str, str | None]] = []
    at: Cursor | None = inspection.start
    while at is not None and at.offset < HEAD_BYTES:
        begun = at
        rows, at = reader.read_rows(path, inspection, start=begun, max_rows=100)
        for before, row in enumerate(rows):
            error = reader.damage(row)
            if error is not None and _begins_in_head(path, inspection, reader, begun, before):
                raise error
            if row.reason is None and len(preview) < PREVIEW_ROWS:
                preview.append(_preview_row(inspection.columns, row))
    return preview


def _begins_in_head(
    path: Path, inspection: Inspection, reader: FileFormat, page: Cursor, before: int
) -> bool:
    """Whether the row after the first `before` rows of a page begins in the first 64 KiB."""
    if not before:
        return True
    _, at = reader.read_rows(path, inspection, start=page, max_rows=before)
    return at is not None and at.offset < HEAD_BYTES


def _preview_row(columns: list[str], row: Row) -> dict[str, str | None]:
    return {
        name: (value[:PREVIEW_CHARACTERS] if value.strip() else None)
        for name, value in zip(columns, row.values, strict=True)
    }


def _estimate(path: Path, inspection: Inspection, reader: FileFormat) -> int:
    """How many rows the file has: counted up to 8 MiB, beyond that from its line ends.

    Counting every row of a large file would hold the interpreter for seconds; counting line ends
    does not, and rows per line hardly vary within one file.
    """
    seen, at = 0, inspection.start
    while True:
        rows, after = reader.read_rows(path, inspection, start=at, max_rows=_PAGE_ROWS)
        seen += len(rows)
        if after is None:
            return seen
        at = after
        if inspection.size_bytes > _EXACT_BYTES and at.offset >= _BLOCK_BYTES:
            break
    with path.open("rb", buffering=0) as file:
        sampled = _line_ends(file.fileno(), inspection.data_offset, at.offset)
        rest = _line_ends(file.fileno(), at.offset, inspection.size_bytes)
        last = os.pread(file.fileno(), 2, inspection.size_bytes - 2)
    if not sampled:
        return seen + round(
            seen * (inspection.size_bytes - at.offset) / (at.offset - inspection.data_offset)
        )
    unfinished = 0 if b"\n" in last else 1
    return seen + max(1, round(rest * seen / sampled) + unfinished)


def _line_ends(fd: int, start: int, end: int) -> int:
    count = 0
    for offset in range(start, end, _BLOCK_BYTES):
        count += os.pread(fd, min(_BLOCK_BYTES, end - offset), offset).count(b"\n")
    return count
