"""Rows of CSV and NDJSON files, from any point on and whatever stands in them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longlist.prospecting import csv_rows, inspection
from longlist.prospecting import rows as shared
from longlist.prospecting.csv_header import OWN_HEADER
from longlist.prospecting.rows import Cursor, Inspection, Row

Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(content: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(content)
        return path

    return write_file


def found_as(path: Path, columns: str = "a,b,c", **changes: object) -> Inspection:
    """What an inspection would say of a file whose header line is `columns`."""
    fields: dict[str, object] = {
        "format": "csv",
        "encoding": "utf-8",
        "delimiter": ",",
        "skipped_lines": 0,
        "size_bytes": path.stat().st_size,
        "columns": columns.split(","),
        "preview": [],
        "row_estimate": 0,
        "data_offset": 0,
        "data_line": 1,
    }
    return Inspection(**{**fields, **changes})  # type: ignore[arg-type]


def read(path: Path, found: Inspection, page: int = 10**6) -> list[Row]:
    rows: list[Row] = []
    at: Cursor | None = found.start
    while at is not None:
        # A job keeps its cursor as JSON between pages.
        at = msgspec.json.decode(msgspec.json.encode(at), type=Cursor)
        more, at = inspection.read_rows(path, found, start=at, max_rows=page)
        assert len(more) <= page
        rows += more
    return rows


def outcome(rows: list[Row]) -> list[tuple[int, list[str] | str]]:
    """Line and values of each row, or line and reason."""
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert all((row.reason is None) == (row.message is None) for row in rows)
    return [(row.line, row.reason or row.values) for row in rows]


LONG = "x" * 70_000
HUGE = "x" * 3_000_000

CASES: dict[str, tuple[str, list[tuple[int, list[str] | str]]]] = {
    "plain": ("1,2,3\n4,5,6\n", [(1, ["1", "2", "3"]), (2, ["4", "5", "6"])]),
    "no last line end": ("1,2,3\n4,5,6", [(1, ["1", "2", "3"]), (2, ["4", "5", "6"])]),
    "CR LF": ("1,2,3\r\n4,5,6\r\n", [(1, ["1", "2", "3"]), (2, ["4", "5", "6"])]),
    "CR": ("1,2,3\r4,5,6\r", [(1, ["1", "2", "3"]), (2, ["4", "5", "6"])]),
    "quoted line breaks": (
        '1,"a\r\nb\rc\n",3\n4,"say ""hi""",6\n',
        [(1, ["1", "a\r\nb\rc\n", "3"]), (5, ["4", 'say "hi"', "6"])],
    ),
    "blank lines are no rows": (
        "\n1,2,3\n  \n\r\n4,5,6\n\n",
        [(2, ["1", "2", "3"]), (5, ["4", "5", "6"])],
    ),
    "a line of delimiters is a row": (",,\n1,2,3\n", [(1, ["", "", ""]), (2, ["1", "2", "3"])]),
    "missing cells are empty": ("1\n1,2\n", [(1, ["1", "", ""]), (2, ["1", "2", ""])]),
    "empty surplus is dropped": ("1,2,3,, \n", [(1, ["1", "2", "3"])]),
    "too many cells": ("1,2,3,4\n5,6,7\n", [(1, "MALFORMED_ROW"), (2, ["5", "6", "7"])]),
    "text after a quote": (
        '1,"A "B" C",3\n4,5,6\n',
        [(1, "MALFORMED_ROW"), (2, ["4", "5", "6"])],
    ),
    "a quote inside a cell": ('5" disk,b,c\n', [(1, ['5" disk', "b", "c"])]),
    "unclosed quote at the end": (
        '1,"2,3\n4,5,6\n7,8,9\n',
        [(1, "MALFORMED_ROW"), (2, ["4", "5", "6"]), (3, ["7", "8", "9"])],
    ),
    "unclosed quote before quoted cells": (
        '1,"2,3\n4,5,6\n7,"8,\n8",9\n"a","b","c"\n',
        [
            (1, "MALFORMED_ROW"),
            (2, ["4", "5", "6"]),
            (3, ["7", "8,\n8", "9"]),
            (5, ["a", "b", "c"]),
        ],
    ),
    "two unclosed quotes": (
        '1,"2,3\n4,5,6\n7,"8,9\n1,2,3\n',
        [(1, "MALFORMED_ROW"), (2, ["4", "5", "6"]), (3, "MALFORMED_ROW"), (4, ["1", "2", "3"])],
    ),
    "unclosed quote and much after it": (
        '1,"2,3\n' + "4,5,6\n" * 60_000,
        [(1, "MALFORMED_ROW"), *((n, ["4", "5", "6"]) for n in range(2, 60_002))],
    ),
    "long cell": (f"1,{LONG},3\n4,5,6\n", [(1, "FIELD_TOO_LONG"), (2, ["4", "5", "6"])]),
    "long quoted cell": (f'1,"{LONG}",3\n4,5,6\n', [(1, "FIELD_TOO_LONG"), (2, ["4", "5", "6"])]),
    "long row of short cells": (
        '"' + "y" * 30_000 + '",' + "z" * 30_000 + "," + "w" * 30_000 + "\n4,5,6\n",
        [(1, ["y" * 30_000, "z" * 30_000, "w" * 30_000]), (2, ["4", "5", "6"])],
    ),
    "line longer than any row": (
        f"1,2,3\n{HUGE}\n4,5,6\n",
        [(1, ["1", "2", "3"]), (2, "FIELD_TOO_LONG"), (3, ["4", "5", "6"])],
    ),
    "endless last line": (f"1,2,3\n{HUGE}", [(1, ["1", "2", "3"]), (2, "FIELD_TOO_LONG")]),
    "NUL": ("1,2\0,3\n4,5,6\n", [(1, "INVALID_TEXT"), (2, ["4", "5", "6"])]),
}


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("case", CASES)
def test_rows(case: str, encoding: str, write: Write) -> None:
    text, expected = CASES[case]
    path = write(text.encode(encoding))
    assert outcome(read(path, found_as(path, encoding=encoding))) == expected


def test_quotes_that_never_settle(write: Write) -> None:
    """Each line ends inside a quote, whether or not it begins inside one."""
    path = write(b'a","\n' * 250_000 + b"1,2,3\n")
    rows = read(path, found_as(path))
    assert len(rows) == 250_001 and rows[-1].values == ["1", "2", "3"]
    assert {row.reason for row in rows[:-1]} == {"MALFORMED_ROW"}


@pytest.mark.parametrize(
    ("encoding", "content", "expected"),
    [
        ("utf-8", b"1,\xff,3\n4,\xc3\xa9,6\n", [(1, "INVALID_TEXT"), (2, ["4", "é", "6"])]),
        ("utf-8", b'1,"\xff\n2",3\n4,5,6\n', [(1, "INVALID_TEXT"), (3, ["4", "5", "6"])]),
        ("windows-1252", b"1,\x81,3\n4,\xe9,6\n", [(1, "INVALID_TEXT"), (2, ["4", "é", "6"])]),
        (
            "utf-16-le",
            "1,\ud800,3\n4,\U0001f600,6\n".encode("utf-16-le", "surrogatepass"),
            [(1, "INVALID_TEXT"), (2, ["4", "\U0001f600", "6"])],
        ),
        (
            "utf-16-le",
            "1,2,3\n4,5,6".encode("utf-16-le")[:-1],
            [(1, ["1", "2", "3"]), (2, "INVALID_TEXT")],
        ),
    ],
)
def test_bytes_that_are_no_text(
    encoding: str, content: bytes, expected: list[tuple[int, list[str] | str]], write: Write
) -> None:
    path = write(content)
    assert outcome(read(path, found_as(path, encoding=encoding))) == expected


def test_bad_rows_repeat_nothing_of_the_file(write: Write) -> None:
    path = write(b'secret,"x" y,3\nsecret,2,3,4\nsecret,\xff,3\n' + b"secret" * 20_000 + b'\n1,"')
    rows = read(path, found_as(path))
    assert [row.reason for row in rows] == [
        "MALFORMED_ROW", "MALFORMED_ROW", "INVALID_TEXT", "FIELD_TOO_LONG", "MALFORMED_ROW",
    ]  # fmt: skip
    assert all(row.values == [] and "secret" not in (row.message or "") for row in rows)


def test_one_column_has_no_delimiter(write: Write) -> None:
    path = write(b'Lee, Ann; x|y\n"quoted"\n\nRoe\n')
    found = found_as(path, "Name", delimiter=None)
    assert outcome(read(path, found)) == [(1, ["Lee, Ann; x|y"]), (2, ["quoted"]), (4, ["Roe"])]


PIECES = st.sampled_from(
    ['"', '""', ",", "\n", "\r", "\r\n", "a", "Ünï", "\U0001f600", "'", " ", "x" * 9, "1,2,3\n",
     '"q\nq",2,3\n', 'a","\n']
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pieces=st.lists(PIECES, max_size=60),
    page=st.integers(1, 7),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]),
)
def test_pages_of_any_size_give_the_same_rows(
    pieces: list[str], page: int, encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes("".join(pieces).encode(encoding))
    found = found_as(path, encoding=encoding)
    whole = read(path, found)
    assert read(path, found, page) == whole
    lines = [row.line for row in whole]
    assert lines == sorted(set(lines))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pieces=st.lists(st.tuples(PIECES, st.integers(1, 30_000)), max_size=8),
    page=st.sampled_from([1000, 4999]),
)
def test_pages_across_windows_give_the_same_rows(
    pieces: list[tuple[str, int]], page: int, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes("".join(piece * count for piece, count in pieces).encode())
    found = found_as(path)
    assert read(path, found, page) == read(path, found)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    table=st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=3, max_size=3
        ),
        max_size=12,
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    page=st.integers(1, 5),
)
def test_what_a_csv_writer_writes_is_read_back(
    table: list[list[str]], delimiter: str, line_end: str, page: int, tmp_path: Path
) -> None:
    text = io.StringIO(newline="")
    # A writer that ends its lines with LF does not see that a lone CR wants quotes.
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows(table)
    path = tmp_path / "file"
    path.write_bytes(text.getvalue().encode())
    assert [row.values for row in read(path, found_as(path, delimiter=delimiter), page)] == table


def test_resume_reads_nothing_before_the_cursor(write: Write) -> None:
    content = b"".join(b"%d,b,c\n" % n for n in range(20_000))
    path = write(content)
    found = found_as(path)
    first, at = inspection.read_rows(path, found, start=found.start, max_rows=12_345)
    assert at is not None and at.position == 12_346 and at.line == 12_346
    path.write_bytes(b"\xff" * at.offset + content[at.offset :])
    rest, end = inspection.read_rows(path, found, start=at, max_rows=20_000)
    assert end is None and [row.reason for row in rest] == [None] * 7_655
    assert [row.values[0] for row in first + rest] == [str(n) for n in range(20_000)]


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_page_is_bounded_in_bytes(
    kind: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long rows make short pages, and blank lines without end an empty one."""
    monkeypatch.setattr(shared, "PAGE_BYTES", 2**20)
    cell = "y" * 60_000
    row = (
        f"{cell},{cell},{cell}\n"
        if kind == "csv"
        else json.dumps(dict.fromkeys("abc", cell)) + "\n"
    )
    path = write((row * 20 + "\n" * 2_500_000 + row).encode())
    found = found_as(path, format=kind)
    sizes: list[int] = []
    at: Cursor | None = found.start
    while at is not None:
        rows, at = inspection.read_rows(path, found, start=at, max_rows=5000)
        sizes.append(len(rows))
    assert sum(sizes) == 21
    assert 0 < sizes[0] < 8 and 0 in sizes


def test_own_export_comes_back_as_it_was(tmp_path: Path) -> None:
    guarded = [
        "=SUM(1)",
        "+49 30 1",
        "-",
        "@ann",
        "\uff1dx",
        "\tx",
        "\rx",
        "\nx",
        "'tis",
        "a=b",
        "",
    ]
    path = tmp_path / "export.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(OWN_HEADER)
        for value in guarded:
            safe = "'" + value if value[:1] in "=+-@\uff1d\t\r\n" and value else value
            writer.writerow([safe] * len(OWN_HEADER))
    found = inspection.inspect(path)
    assert found.own_export
    assert [row.values[2] for row in read(path, found, 3)] == guarded
    assert found.preview[0]["name"] == "=SUM(1)"


def test_quotes_of_other_files_stay(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(b"Name,Company\n'=x,'-y\n")
    found = inspection.inspect(path)
    assert [row.values for row in read(path, found)] == [["'=x", "'-y"]]


def test_ndjson_rows(write: Write) -> None:
    lines = [
        json.dumps({"name": "Ann", "company": {"name": "Acme", "size": 50}, "tags": ["a", 1]}),
        "",
        '{"name": "Bob", "company": null, "ok": true}',
        '{"name": ',
        '["Ann"]',
        '{"name": "a\\u0000b"}',
        '{"name": "\\ud800"}',
        '{"late": 1, "name": "' + LONG + '"}',
        '{"name": "' + HUGE + '"}',
        '{"name": "Zoë", "ok": 1.5}',
    ]
    found = inspection.inspect(write("\n".join(lines[:3]).encode()))
    path = write("\n".join(lines).encode())
    assert found.columns == ["name", "company.name", "company.size", "tags", "company", "ok"]
    expected: list[tuple[int, list[str] | str]] = [
        (1, ["Ann", "Acme", "50", '["a",1]', "", ""]),
        (3, ["Bob", "", "", "", "", "true"]),
        (4, "MALFORMED_ROW"),
        (5, "MALFORMED_ROW"),
        (6, "INVALID_TEXT"),
        (7, "MALFORMED_ROW"),
        (8, "FIELD_TOO_LONG"),
        (9, "FIELD_TOO_LONG"),
        (10, ["Zoë", "", "", "", "", "1.5"]),
    ]
    assert outcome(read(path, found)) == expected
    assert read(path, found, 1) == read(path, found)


def test_messages_are_sentences() -> None:
    for text in (csv_rows.UNCLOSED_QUOTE, csv_rows.STRAY_QUOTE, csv_rows.TOO_MANY_CELLS):
        assert text.endswith(".") and text[0].isupper()
