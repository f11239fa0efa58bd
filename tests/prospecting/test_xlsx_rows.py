"""Rows of XLSX workbooks: what a cell becomes, restarts, hostile files, memory."""

from __future__ import annotations

import datetime
import io
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longlist.errors import ValidationFailed
from longlist.prospecting import inspection, xlsx_package, xlsx_rows, xlsx_strings
from longlist.prospecting.rows import BrokenFile, Cursor, Inspection, Row
from tests.harness.tenant import Tenant
from tests.prospecting.imports import imported
from tests.prospecting.workbooks import (
    BOOK,
    MAIN,
    inline,
    packed,
    parts,
    relations,
    sheet_of,
    table,
    workbook,
)

HEADER = '<row r="1">' + inline("A1", "Name") + inline("B1", "Value") + "</row>"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def look(tmp_path: Path, content: bytes, stated: str | None = None) -> tuple[Path, Inspection]:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path, inspection.inspect(path, stated_format=stated)


def read(path: Path, found: Inspection, page: int = 1_000_000) -> list[Row]:
    rows: list[Row] = []
    at: Cursor | None = found.start
    while at is not None:
        some, at = inspection.read_rows(path, found, start=at, max_rows=page)
        assert len(some) <= page
        rows += some
    return rows


def values_of(tmp_path: Path, content: bytes) -> list[list[str]]:
    return [row.values for row in read(*look(tmp_path, content))]


def test_a_workbook_is_described(tmp_path: Path) -> None:
    content = table(["Name", "E-mail"], ["Ann", "a@x.org"], [], ["Bob", "b@x.org"])
    path, found = look(tmp_path, content, "xlsx")
    assert (found.format, found.encoding, found.delimiter) == ("xlsx", None, None)
    assert found.columns == ["Name", "E-mail"]
    assert found.preview[0] == {"Name": "Ann", "E-mail": "a@x.org"}
    assert (found.skipped_lines, found.row_estimate) == (0, 2)
    assert [(row.position, row.line) for row in read(path, found)] == [(1, 2), (2, 4)]


CELLS: dict[str, tuple[str, str]] = {
    "text": (inline("B2", " Zoë <&> "), " Zoë <&> "),
    "shared text": ('<c r="B2" t="s"><v>1</v></c>', "shared"),
    "whole number": ('<c r="B2"><v>4915112345678</v></c>', "4915112345678"),
    "whole number in floating point": ('<c r="B2"><v>42.0</v></c>', "42"),
    "whole number with exponent": ('<c r="B2"><v>4.915112345678E+12</v></c>', "4915112345678"),
    "fraction": ('<c r="B2"><v>4.2000000000000002</v></c>', "4.2"),
    "huge": ('<c r="B2"><v>1E+300</v></c>', "1e+300"),
    "no number after all": ('<c r="B2"><v>nan</v></c>', "nan"),
    "true": ('<c r="B2" t="b"><v>1</v></c>', "true"),
    "false": ('<c r="B2" t="b"><v>0</v></c>', "false"),
    "date": ('<c r="B2" s="1"><v>46085</v></c>', "2026-03-04"),
    "date and time": ('<c r="B2" s="2"><v>46085.2125</v></c>', "2026-03-04T05:06:00"),
    "time": ('<c r="B2" s="2"><v>0.5</v></c>', "12:00:00"),
    "before the leap day of 1900": ('<c r="B2" s="1"><v>1</v></c>', "1900-01-01"),
    "after the leap day of 1900": ('<c r="B2" s="1"><v>61</v></c>', "1900-03-01"),
    "last day": ('<c r="B2" s="1"><v>2958465</v></c>', "9999-12-31"),
    "no day": ('<c r="B2" s="1"><v>-5</v></c>', "-5"),
    "beyond all days": ('<c r="B2" s="1"><v>1E+18</v></c>', "1e+18"),
    "format with a quoted word": ('<c r="B2" s="3"><v>46085</v></c>', "46085"),
    "ISO date": ('<c r="B2" t="d"><v>2026-03-04</v></c>', "2026-03-04"),
    "formula": ('<c r="B2" t="str"><f>A1&amp;"x"</f><v>Annx</v></c>', "Annx"),
    "formula never computed": ('<c r="B2"><f>1+1</f></c>', ""),
    "formula that failed": ('<c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', ""),
    "rich text without readings": (
        '<c r="B2" t="inlineStr"><is><r><t>An</t></r><r><t>na</t></r>'
        "<rPh sb='0' eb='1'><t>x</t></rPh></is></c>",
        "Anna",
    ),
    "escaped characters": (inline("B2", "a_x000D_b_x005F_x000D_"), "a\rb_x000D_"),
    "escaped pair": (inline("B2", "_xD83D__xDE00_"), "\N{GRINNING FACE}"),
    "without a reference": ('<c t="inlineStr"><is><t>next</t></is></c>', "next"),
}  # fmt: skip


@pytest.mark.parametrize("case", CELLS)
def test_what_a_cell_becomes(case: str, tmp_path: Path) -> None:
    cell, expected = CELLS[case]
    rows = HEADER + '<row r="2">' + inline("A2", "Ann") + cell + "</row>"
    assert values_of(tmp_path, workbook(rows, ["first", "shared"])) == [["Ann", expected]]


def test_the_calendar_of_1904(tmp_path: Path) -> None:
    rows = HEADER + '<row r="2">' + inline("A2", "Ann") + '<c r="B2" s="1"><v>44623</v></c></row>'
    book = BOOK.replace("<sheets>", '<workbookPr date1904="1"/><sheets>')
    assert values_of(tmp_path, workbook(rows, book=book)) == [["Ann", "2026-03-04"]]


@pytest.mark.parametrize(
    ("code", "is_date"),
    [
        ("General", False), ("0.00", False), ("@", False), ("#,##0.00 [$€-407]", False),
        ('0 "days"', False), ("0.0\\d", False), ("[Red]0", False), ("0.00E+00", False),
        ("dd/mm/yyyy", True), ("[$-409]d mmm yy;@", True), ("h:mm AM/PM", True), ("[h]:mm", True),
    ],
)  # fmt: skip
def test_date_formats(code: str, is_date: bool) -> None:
    assert xlsx_package.is_date_format(code) is is_date


def test_what_openpyxl_writes_is_read_alike(tmp_path: Path) -> None:
    written: list[list[Any]] = [
        ["Ann", 42, 1.5, True, datetime.datetime(2026, 3, 4, 5, 6), datetime.date(2026, 3, 4)],
        ["Bob", -7, 1e20, False, datetime.datetime(1999, 12, 31, 23, 59, 59), None],
    ]
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["Name", "Whole", "Part", "Flag", "At", "On"])
    for row in written:
        book.active.append(row)
    book.create_sheet("Second").append(["not", "read"])
    buffer = io.BytesIO()
    book.save(buffer)
    assert values_of(tmp_path, buffer.getvalue()) == [
        ["Ann", "42", "1.5", "true", "2026-03-04T05:06:00", "2026-03-04"],
        ["Bob", "-7", "1e+20", "false", "1999-12-31T23:59:59", ""],
    ]


def test_lines_before_the_header_are_skipped(tmp_path: Path) -> None:
    content = table(
        ["Visitors of the fair"], [], ["First Name", "Email", "Company"],
        ["Ann", "a@x.org", "Acme"], ["Bob", "b@x.org", "Acme"],
    )  # fmt: skip
    path, found = look(tmp_path, content)
    assert (found.skipped_lines, found.columns) == (2, ["First Name", "Email", "Company"])
    assert [row.line for row in read(path, found)] == [4, 5]


def test_dimensions_and_references_may_lie(tmp_path: Path) -> None:
    rows = (
        HEADER + f'<row r="9">{inline("A9", "Ann")}{inline("ZZZ9", "beyond")}</row>'
        f"<row>{inline('A1', 'Bob')}</row><row r='3'>{inline('?', 'Cy')}</row>"
        f"<row r='99999999'>{inline('B7', 'Di')}</row>"
    )
    path, found = look(tmp_path, packed(parts(sheet_of(rows, "A1:B2"))))
    assert [(row.line, row.values) for row in read(path, found)] == [
        (9, ["Ann", ""]), (10, ["Bob", ""]), (11, ["Cy", ""]), (12, ["", "Di"]),
    ]  # fmt: skip
    assert found.row_estimate == 4


def test_blank_rows_are_no_rows(tmp_path: Path) -> None:
    blank = "".join(f'<row r="{n}"><c r="A{n}" s="1"/></row>' for n in range(3, 30_000))
    rows = HEADER + f'<row r="2">{inline("A2", "Ann")}</row>' + blank
    rows += f'<row r="30000">{inline("A30000", "  ")}</row>'
    path, found = look(tmp_path, workbook(rows))
    assert found.row_estimate == 1
    assert [row.line for row in read(path, found)] == [2]


def test_a_header_alone_is_a_file_without_rows(tmp_path: Path) -> None:
    path, found = look(tmp_path, workbook(HEADER))
    assert (found.row_estimate, read(path, found)) == (0, [])


def test_a_prefix_and_unknown_elements(tmp_path: Path) -> None:
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}" xmlns:y="urn:y"><x:sheetData><x:row>'
        "<x:c t='str'><x:v>Name</x:v></x:c></x:row><x:row><y:row><x:c t='str'><x:v>Ann</x:v></x:c>"
        "</y:row></x:row></x:sheetData></x:worksheet>"
    )
    path, found = look(tmp_path, packed(parts(sheet)))
    assert [row.values for row in read(path, found)] == [["Ann"]]
    assert [row.values for row in read(path, found, 1)] == [["Ann"]]


def test_shared_strings_may_be_many_and_asked_for_in_any_order(tmp_path: Path) -> None:
    count = 3000
    strings = ["Name", *(f"Person {n} " + "x" * 40 for n in range(count))]
    order = [(n * 1811) % count + 1 for n in range(count)]
    rows = '<row><c t="s"><v>0</v></c></row>' + "".join(
        f'<row><c t="s"><v>{n}</v></c></row>' for n in order
    )
    path, found = look(tmp_path, workbook(rows, strings))
    assert [row.values[0] for row in read(path, found, 700)] == [strings[n] for n in order]


def test_shared_strings_outgrow_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_strings, "_IN_MEMORY_BYTES", 10)
    test_shared_strings_may_be_many_and_asked_for_in_any_order(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


TEXTS = st.sampled_from(["", "", " ", "Ann", "Zoë\n", "x" * 700, "x" * 70_000, "_x0000_"])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.lists(TEXTS, max_size=3), max_size=30), data=st.data())
def test_any_pages_give_the_same_rows(
    rows: list[list[str]], data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(table(["Name", "Email", "Company"], *rows))
    found = xlsx_rows.describe(path, b"", path.stat().st_size)
    whole = read(path, found)
    filled = [n for n, row in enumerate(rows, 2) if any(text.strip() for text in row)]
    assert [row.line for row in whole] == filled
    assert [row.position for row in whole] == list(range(1, len(whole) + 1))
    for row in whole:
        texts = rows[row.line - 2]
        if row.reason is None:
            assert row.values == texts + [""] * (3 - len(texts))
        else:
            expected = "FIELD_TOO_LONG" if any(len(t) > 65_536 for t in texts) else "INVALID_TEXT"
            assert row.reason == expected
    got: list[Row] = []
    at: Cursor | None = found.start
    while at is not None:
        size = data.draw(st.integers(1, 5))
        some, at = xlsx_rows.read_rows(path, found, start=at, max_rows=size)
        got += some
        if data.draw(st.booleans()):
            inspection.release(path)
    assert got == whole
    assert found.row_estimate == len(whole)


def understated(content: bytes, name: bytes, size: int) -> bytes:
    """The archive with another unpacked size in the directory and header of one part."""
    for mark, at, names in ((b"PK\1\2", 24, 46), (b"PK\3\4", 22, 30)):
        for found in re.finditer(re.escape(mark), content):
            start = found.start()
            if content[start + names : start + names + len(name)] == name:
                stated = struct.pack("<I", size)
                content = content[: start + at] + stated + content[start + at + 4 :]
    return content


def encrypted(content: bytes) -> bytes:
    at = content.index(b"PK\1\2") + 8
    return content[:at] + b"\1" + content[at + 1 :]


SHEET = b"xl/worksheets/sheet1.xml"
GOOD = table(["Name", "Email"], ["Ann", "a@x.org"])
LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    + sheet_of("<row><c t='str'><v>&b;</v></c></row>").partition("\n")[2]
)
FAR = (
    '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    + sheet_of("<row><c t='str'><v>&a;</v></c></row>").partition("\n")[2]
)
EXTERNAL = relations(("r1", "worksheet", "http://127.0.0.1:1/sheet.xml")).replace(
    "Target=", 'TargetMode="External" Target='
)

REFUSED: dict[str, tuple[bytes, str]] = {
    "unpacks beyond 4 GiB": (understated(GOOD, SHEET, 0xFFFF_FFF0), "out_of_range"),
    "unpacks to more than it says": (understated(GOOD, SHEET, 100), "syntax"),
    "encrypted parts": (encrypted(GOOD), "invalid_format"),
    "encrypted as a whole": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "invalid_format"),
    "bzip2": (packed(parts(sheet_of(HEADER)), zipfile.ZIP_BZIP2), "invalid_format"),
    "XLSB": (packed({"xl/workbook.bin": "x"}), "invalid_format"),
    "no sheet": (packed(parts("", book=f'<workbook xmlns="{MAIN}"/>')), "required"),
    "only a chart": (
        packed(parts("", related=relations(("r1", "chartsheet", "x.xml")))), "required",
    ),
    "sheet missing": (
        packed(parts("", related=relations(("r1", "worksheet", "x.xml")))), "syntax",
    ),
    "sheet elsewhere": (packed(parts("", related=EXTERNAL)), "required"),
    "sheet without rows": (packed(parts(f'<worksheet xmlns="{MAIN}"/>')), "syntax"),
    "empty sheet": (workbook(""), "required"),
    "sheet of blanks": (workbook('<row><c r="A1"/></row>'), "required"),
    "no header": (table(["ann@example.org", "Ann"], ["b@example.org", "Bob"]), "required"),
    "same column twice": (table(["Name", "Name"], ["Ann", "Bob"]), "duplicate_key"),
    "1,001 columns": (
        workbook("<row>" + "".join(f"<c t='str'><v>C{n}</v></c>" for n in range(1001)) + "</row>"),
        "out_of_range",
    ),
    "long cell": (table(["Name", "Email"], ["x" * 65_537, "y"]), "too_long"),
    "long shared text": (
        workbook(HEADER + '<row><c t="s"><v>0</v></c></row>', ["ü" * 40_000]), "too_long",
    ),
    "NUL": (table(["Name", "Email"], ["a_x0000_", "y"]), "invalid_characters"),
    "lone surrogate": (table(["Name", "Email"], ["a_xD800_", "y"]), "invalid_characters"),
    "billion laughs": (packed(parts(LAUGHS)), "syntax"),
    "outside entity": (packed(parts(FAR)), "syntax"),
    "broken XML": (packed(parts(sheet_of("<row><c></row>"))), "syntax"),
    "rows cut off": (packed(parts(sheet_of(HEADER)[:-30])), "syntax"),
    "UTF-16": (packed(parts(sheet_of(HEADER).replace("UTF-8", "UTF-16"))), "syntax"),
    "endless nesting": (workbook("<row>" + "<a>" * 100_000), "syntax"),
    "endless tag": (workbook(f'<row a="{"x" * 3_000_000}"/>'), "syntax"),
    "endless row": (workbook("<row>" + "<c/>" * 20_000), "syntax"),
    "shared text missing": (workbook(HEADER + '<row><c t="s"><v>7</v></c></row>'), "syntax"),
    "shared text of no number": (
        workbook(HEADER + '<row><c t="s"><v>x</v></c></row>', ["a"]), "syntax",
    ),
    "cut in half": (GOOD[: len(GOOD) // 2], "invalid_format"),
    "no archive": (b"PK\3\4 and no more", "invalid_format"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path) -> None:
    content, code = REFUSED[case]
    with pytest.raises(ValidationFailed) as caught:
        look(tmp_path, content)
    error = caught.value
    assert [(issue.field, issue.code) for issue in error.issues] == [("file", code)]
    assert error.message.endswith(".") and error.details.endswith(".")


def test_a_wrong_checksum_anywhere_in_the_sheet_is_refused(tmp_path: Path) -> None:
    rows = [["Name", "Email"], *([f"Person {n}", f"p{n}@x.org"] for n in range(20_000))]
    content = bytearray(packed(parts(sheet_of(
        "".join(f"<row>{inline('A1', a)}{inline('B1', b)}</row>" for a, b in rows)
    )), zipfile.ZIP_STORED))  # fmt: skip
    content[content.index(b"Person 19990")] = ord("p")
    with pytest.raises(ValidationFailed, match="damaged"):
        look(tmp_path, bytes(content))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stored=st.booleans(),
    changes=st.lists(st.tuples(st.integers(4, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_bytes_are_refused_or_read(
    stored: bool, changes: list[tuple[int, int]], tmp_path: Path
) -> None:
    """Nothing but the errors of this package comes of a file, whatever was done to it."""
    rows = HEADER + '<row><c t="s"><v>1</v></c><c s="1"><v>46085</v></c></row>' * 20
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    content = bytearray(packed(parts(sheet_of(rows), ["Ann", "Bob"]), method))
    for place, value in changes:
        content[max(4, place % len(content))] = value
    try:
        path, found = look(tmp_path, bytes(content))
        assert len(read(path, found, 7)) >= len(found.preview)
    except (ValidationFailed, BrokenFile) as error:
        assert str(error).endswith(".")
    finally:
        inspection.release(tmp_path / "file")


def test_an_endless_directory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_package, "_DIRECTORY_BYTES", 4096)
    content = packed(parts(sheet_of(HEADER)) | {f"xl/media/{n}.png": "" for n in range(200)})
    with pytest.raises(ValidationFailed) as caught:
        look(tmp_path, content)
    assert caught.value.issues[0].code == "invalid_format"


def test_damage_further_in_ends_the_reading(tmp_path: Path) -> None:
    rows = "".join(f"<row>{inline('A1', 'Ann ' * 50)}</row>" for _ in range(1000))
    path, found = look(tmp_path, workbook(HEADER + rows))
    path.write_bytes(workbook(HEADER + rows + "<row><c></row>"))
    with pytest.raises(BrokenFile):
        read(path, found, 100)


def test_a_bad_row_further_in_fails_alone(tmp_path: Path) -> None:
    rows = "".join(f"<row>{inline('A1', 'Ann ' * 50)}</row>" for _ in range(1000))
    bad = f"<row>{inline('A1', '_x0000_')}</row><row>{inline('A1', 'x' * 70_000)}</row>"
    path, found = look(tmp_path, workbook(HEADER + rows + bad + rows))
    failed = [(row.position, row.reason) for row in read(path, found, 300) if row.reason]
    assert failed == [(1001, "INVALID_TEXT"), (1002, "FIELD_TOO_LONG")]


READ_ALL = """
import resource, sys
from pathlib import Path
from longlist.prospecting import inspection
path = Path(sys.argv[1])
if len(sys.argv) > 2: __import__(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = inspection.inspect(path)
at, count = found.start, 0
while at is not None:
    rows, at = inspection.read_rows(path, found, start=at, max_rows=5000)
    count += len(rows)
print(found.row_estimate, count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_100_000_rows_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        texts = ["Name", "Email"] + [f"{n} {'Person' * 8}" for n in range(200_000)]
        content = parts("", texts)
        del content[SHEET.decode()]
        for name, text in content.items():
            archive.writestr(name, text)
        with archive.open(SHEET.decode(), "w") as part:
            start, _, end = sheet_of("|").partition("|")
            part.write(start.encode())
            for n in range(0, len(texts), 2):
                cells = f'<c t="s"><v>{n}</v></c><c t="s"><v>{n + 1}</v></c>'
                part.write(f"<row>{cells}</row>".encode())
            part.write(end.encode())
    run = [sys.executable, "-c", READ_ALL, str(path)]
    estimate, count, grown_kib = map(int, subprocess.check_output(run).split())
    assert (estimate, count) == (100_000, 100_000)
    assert grown_kib < 80 * 1024


def test_import_over_http(api: Tenant) -> None:
    content = table(
        ["First Name", "Last Name", "Email", "Company"],
        ["Ann", "Lee", "ann@example.org", "Acme"],
        [],
        ["Bob", "Ray", "no address", "Acme"],
    )
    uploaded, job, rows = imported(api, content, XLSX)
    assert (uploaded["format"], uploaded["rowEstimate"]) == ("xlsx", 2)
    assert (uploaded["encoding"], uploaded["delimiter"]) == (None, None)
    assert uploaded["suggestedMapping"]["Email"] == "email"
    assert (job["status"], job["counts"]["received"]) == ("completed", 2)
    assert [(row["line"], row["outcome"]) for row in rows] == [(2, "added"), (4, "failed")]
