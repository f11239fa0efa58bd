"""What every file format shares: a row, the place to go on from, and what a file was found to be.

Limits are bytes as they stand in the file, so that a row is judged alike whatever was read first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from longlist.errors import Issue, ValidationFailed

HEAD_BYTES: Final = 64 * 1024
"""The part of a file an upload answers for; a problem further in is a failed row of the job."""

CELL_BYTES: Final = 64 * 1024
"""The longest cell; a longer one fails its row with `FIELD_TOO_LONG`."""

RECORD_BYTES: Final = 1024 * 1024
"""How far a reader looks for the end of one row before it gives that row up."""

PAGE_BYTES: Final = 8 * 1024 * 1024
"""A page ends here even if it has fewer rows than asked for, so that its memory is bounded."""

MAX_COLUMNS: Final = 1000
PREVIEW_ROWS: Final = 5
PREVIEW_CHARACTERS: Final = 1000

MALFORMED_ROW: Final = "MALFORMED_ROW"
INVALID_TEXT: Final = "INVALID_TEXT"
FIELD_TOO_LONG: Final = "FIELD_TOO_LONG"

NOT_TEXT: Final = "This row has a character that is not text, or bytes of another encoding."
TOO_LONG: Final = "This row has a cell longer than 65536 bytes."


class Cursor(msgspec.Struct, frozen=True):
    """Where the next unread row begins; kept with the job, so that a crash costs no row.

    `offset` is a byte offset (of XLSX into the unpacked sheet), `line` counts from 1 and `position`
    is the next row's. Below the byte offset `plain_until` a row ends with its line, because a quote
    opened before it and never closed (see csv_rows).
    """

    offset: int
    line: int
    position: int = 1
    plain_until: int = 0


class Row(msgspec.Struct, gc=False):
    """One row of a file: its values in column order, or the reason why it could not be read.

    `position` counts rows from 1, `line` the lines of the file from 1; `message` never repeats
    what stands in the file.
    """

    position: int
    line: int
    values: list[str]
    reason: str | None = None
    message: str | None = None


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is, and all that is needed to read it again later.

    `row_estimate` is exact for files up to a few MiB and never below the rows seen. `data_offset`
    and `data_line` are where the first row begins. `own_export` tells Longlist's own CSV export,
    whose guard against spreadsheet formulas is taken off while reading.
    """

    format: str
    encoding: str | None
    delimiter: str | None
    skipped_lines: int
    size_bytes: int
    columns: list[str]
    preview: list[dict[str, str | None]]
    row_estimate: int
    data_offset: int
    data_line: int
    skip_initial_space: bool = False
    own_export: bool = False

    @property
    def start(self) -> Cursor:
        """The cursor of the first row."""
        return Cursor(offset=self.data_offset, line=self.data_line)


Page = tuple[list[Row], Cursor | None]


class ReadRows(Protocol):
    """Reads up to `max_rows` rows from `start` on; the cursor is None after the last row.

    A page may be short, even empty, before the end: only the cursor tells.
    """

    def __call__(
        self, path: Path, inspection: Inspection, *, start: Cursor, max_rows: int
    ) -> Page: ...


class FileFormat(NamedTuple):
    """A format this server reads: a further one is a further module with these functions.

    `describe` gets the path, the first 64 KiB and the size; the preview is filled in by the caller
    and so is the estimate, unless `counts` says that `describe` has made it. `damage` picks the
    rows that make an upload fail when found in the first 64 KiB. `release` closes what is open
    between the pages of a file.
    """

    describe: Callable[[Path, bytes, int], Inspection]
    read_rows: ReadRows
    damage: Callable[[Row], ValidationFailed | None]
    counts: bool = False
    release: Callable[[Path], None] = lambda _: None


class BrokenFile(OSError):
    """A file cannot be read from here on, though its bytes can; the text is safe to show."""


def refusal(code: str, message: str, details: str) -> ValidationFailed:
    """A file that cannot be taken: one issue on the member `file`."""
    return ValidationFailed(message, details, issues=(Issue("file", code, message),))


def check_columns(columns: Sequence[str]) -> None:
    """Raise unless there are 1 to 1,000 columns, each with a name of its own."""
    if not columns:
        raise refusal(
            "required",
            "The file names no columns.",
            "Put the column names into the first line, or into the members of the first objects.",
        )
    if len(columns) > MAX_COLUMNS:
        raise refusal(
            "out_of_range",
            f"The file has more than {MAX_COLUMNS} columns.",
            f"Keep the columns that describe a person, at most {MAX_COLUMNS}.",
        )
    if len(set(columns)) < len(columns):
        raise refusal(
            "duplicate_key",
            "Two columns of the file have the same name.",
            "Give every column a name of its own and upload the file again.",
        )


def is_text(values: Sequence[str]) -> bool:
    """Whether the values hold neither NUL nor bytes that could not be decoded."""
    joined = "".join(values)
    if "\0" in joined:
        return False
    try:
        joined.encode()
    except UnicodeEncodeError:
        return False
    return True
