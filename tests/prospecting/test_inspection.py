"""What a file is found to be, and which files are refused at the door."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from longlist.errors import ValidationFailed
from longlist.prospecting import inspection
from longlist.prospecting.rows import HEAD_BYTES, Inspection, Row

NOTES = (
    "Notes:\n"
    '"When exporting your connection data, you may notice that some of the email addresses are'
    ' missing. You can learn more here https://example.org/help, or there."\n'
    "\n"
)
CONNECTIONS = (
    NOTES + "First Name,Last Name,URL,Email Address,Company,Position,Connected On\n"
    'Ann,Lee,https://www.linkedin.com/in/ann-lee,,"Acme, Inc.",Head of Sales,01 Mar 2026\n'
)


class Look(Protocol):
    def __call__(self, content: str | bytes, stated: str | None = None) -> Inspection: ...


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def inspect(content: str | bytes, stated: str | None = None) -> Inspection:
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return inspection.inspect(path, stated_format=stated)

    return inspect


def rows_of(tmp_path: Path, found: Inspection) -> list[Row]:
    rows, after = inspection.read_rows(
        tmp_path / "file", found, start=found.start, max_rows=1_000_000
    )
    assert after is None
    return rows


LAYOUTS: dict[str, tuple[str, str | None, int, list[str], list[list[str]]]] = {
    "comma": ("Name,Email\nAnn,a@x.org\n", ",", 0, ["Name", "Email"], [["Ann", "a@x.org"]]),
    "semicolon with commas in prose": (
        "Name;Notes\nAnn;hello, world, again\nBob;well, yes\n",
        ";",
        0,
        ["Name", "Notes"],
        [["Ann", "hello, world, again"], ["Bob", "well, yes"]],
    ),
    "semicolon with decimal commas": (
        "Foo;Bar\nA;1,5\nB;2,5\n",
        ";",
        0,
        ["Foo", "Bar"],
        [["A", "1,5"], ["B", "2,5"]],
    ),
    "comma with pipes in headlines": (
        "Name,Headline\nAnn,CEO | Founder | Speaker\nBob,CTO | Board\n",
        ",",
        0,
        ["Name", "Headline"],
        [["Ann", "CEO | Founder | Speaker"], ["Bob", "CTO | Board"]],
    ),
    "tab": (
        "Name\tCity, Land\nAnn\tBern, CH\n",
        "\t",
        0,
        ["Name", "City, Land"],
        [["Ann", "Bern, CH"]],
    ),
    "pipe": ("Name|Email\r\nAnn|a@x.org\r\n", "|", 0, ["Name", "Email"], [["Ann", "a@x.org"]]),
    "delimiters within quotes": (
        '"Name","Notes"\n"Lee; Ann","a;b;c"\n"Roe; Bob","d;e;f"\n',
        ",",
        0,
        ["Name", "Notes"],
        [["Lee; Ann", "a;b;c"], ["Roe; Bob", "d;e;f"]],
    ),
    "space before quotes": (
        'Name, Company, City\nAnn, "Acme, Inc.", Bern\n',
        ",",
        0,
        ["Name", "Company", "City"],
        [["Ann", "Acme, Inc.", "Bern"]],
    ),
    "CR line ends": ("Name,Email\rAnn,a@x.org\r", ",", 0, ["Name", "Email"], [["Ann", "a@x.org"]]),
    "one column": ("Email\na@x.org\nb@x.org\n", None, 0, ["Email"], [["a@x.org"], ["b@x.org"]]),
    "one column with commas": (
        "LinkedIn URL\nhttps://www.linkedin.com/sales/lead/A,NAME,x\n",
        None,
        0,
        ["LinkedIn URL"],
        [["https://www.linkedin.com/sales/lead/A,NAME,x"]],
    ),
    "LinkedIn connections": (
        CONNECTIONS,
        ",",
        3,
        ["First Name", "Last Name", "URL", "Email Address", "Company", "Position", "Connected On"],
        [
            [
                "Ann",
                "Lee",
                "https://www.linkedin.com/in/ann-lee",
                "",
                "Acme, Inc.",
                "Head of Sales",
                "01 Mar 2026",
            ]
        ],
    ),
    "a title row with its delimiters": (
        "Trade fair 2026,,\n,,\nName,Company,Stand\nAnn,Acme,7\n",
        ",",
        2,
        ["Name", "Company", "Stand"],
        [["Ann", "Acme", "7"]],
    ),
    "a note before names we do not know": (
        "List of 2026\n\nFoo,Bar,Baz\n1,2,3\n4,5,6\n",
        ",",
        2,
        ["Foo", "Bar", "Baz"],
        [["1", "2", "3"], ["4", "5", "6"]],
    ),
    "a separator line": (
        "sep=;\r\nName;Email\r\nA,B;a@x.org\r\n",
        ";",
        1,
        ["Name", "Email"],
        [["A,B", "a@x.org"]],
    ),
    "header only": ("Name,Email", ",", 0, ["Name", "Email"], []),
    "header and blank lines": ("\n\nName,Email\n\n  \n", ",", 2, ["Name", "Email"], []),
    "header over two lines": (
        '"First\nName",Email\nAnn,a@x.org\n',
        ",",
        0,
        ["First Name", "Email"],
        [["Ann", "a@x.org"]],
    ),
    "columns without a name": (
        "Name,,Email,\nAnn,x,a@x.org,y\n",
        ",",
        0,
        ["Name", "Column 2", "Email", "Column 4"],
        [["Ann", "x", "a@x.org", "y"]],
    ),
    "short first rows": (
        "Name,Email,City\nAnn\nBob\nEve,e@x.org,Bern\n",
        ",",
        0,
        ["Name", "Email", "City"],
        [["Ann", "", ""], ["Bob", "", ""], ["Eve", "e@x.org", "Bern"]],
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layout(case: str, look: Look, tmp_path: Path) -> None:
    text, delimiter, skipped, columns, values = LAYOUTS[case]
    found = look(text)
    assert (found.format, found.delimiter, found.skipped_lines) == ("csv", delimiter, skipped)
    assert found.columns == columns
    rows = rows_of(tmp_path, found)
    assert [row.values for row in rows] == values
    assert found.row_estimate == len(values)
    assert found.preview == [
        dict(zip(columns, [cell or None for cell in row], strict=True)) for row in values[:5]
    ]
    assert look(text, "csv") == found


def test_line_numbers_count_the_lines_before_the_header(look: Look, tmp_path: Path) -> None:
    assert [row.line for row in rows_of(tmp_path, look(CONNECTIONS))] == [5]


@pytest.mark.parametrize(
    ("codec", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("windows-1252", b""),
    ],
)
@pytest.mark.parametrize("repeat", [1, 3000])
def test_encodings(codec: str, mark: bytes, repeat: int, look: Look, tmp_path: Path) -> None:
    row = "Zoë;Müller GmbH;“Straße”\r\n"
    found = look(mark + ("Name;Firma;Ort\r\n" + row * repeat).encode(codec))
    assert (found.encoding, found.delimiter) == (codec, ";")
    assert found.columns == ["Name", "Firma", "Ort"]
    rows = rows_of(tmp_path, found)
    assert len(rows) == repeat == found.row_estimate
    assert {tuple(row.values) for row in rows} == {("Zoë", "Müller GmbH", "“Straße”")}
    assert rows[-1].line == repeat + 1


@pytest.mark.parametrize(("codec", "expected"), [("utf-8", "utf-8"), ("cp1252", "windows-1252")])
@pytest.mark.parametrize("cut", range(4))
def test_first_umlaut_beyond_the_head(
    codec: str, expected: str, cut: int, look: Look, tmp_path: Path
) -> None:
    start = "Name,Email\n"
    filler = "x" * 91 + ",a@x.org\n"
    text = start + filler * 700
    # The umlaut stands right at the border of the first 64 KiB.
    text = text[: HEAD_BYTES - cut - len(text[:HEAD_BYTES].splitlines()[-1])]
    text = text.rpartition("\n")[0] + "\n"
    text += "y" * (HEAD_BYTES - cut - len(text)) + "éé,b@x.org\nZoë,c@x.org\n"
    found = look(text.encode(codec))
    assert found.encoding == expected
    rows = rows_of(tmp_path, found)
    assert rows[-2].values[0].endswith("yéé") and rows[-1].values == ["Zoë", "c@x.org"]


def test_ndjson(look: Look, tmp_path: Path) -> None:
    people = [
        {"name": "Ann Lee", "company": {"name": "Acme"}, "email": None},
        {"name": "Bob Roe", "phone": 4930},
    ]
    found = look("\ufeff" + "\n".join(map(json.dumps, people)))
    assert (found.format, found.encoding, found.delimiter) == ("ndjson", "utf-8", None)
    assert found.columns == ["name", "company.name", "email", "phone"]
    assert found.row_estimate == 2
    assert found.preview == [
        {"name": "Ann Lee", "company.name": "Acme", "email": None, "phone": None},
        {"name": "Bob Roe", "company.name": None, "email": None, "phone": "4930"},
    ]
    assert [row.line for row in rows_of(tmp_path, found)] == [1, 2]


def archive(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return out.getvalue()


HEADER = "Name,Email\n"
REFUSED: dict[str, tuple[str | bytes, str | None, str]] = {
    "empty": (b"", None, "required"),
    "only a mark": (b"\xef\xbb\xbf", None, "required"),
    "only white space": (" \r\n\t\n", None, "required"),
    "no header, an address": ("ann@x.org,Ann\nbob@x.org,Bob\n", None, "required"),
    "no header, a profile": ("https://www.linkedin.com/in/ann\n", None, "required"),
    "no objects' members": ("{}\n{}\n", None, "required"),
    "repeated name": ("Name,Email, Name\n1,2,3\n", None, "duplicate_key"),
    "too many columns": (",".join(f"c{n}" for n in range(1001)) + "\n", None, "out_of_range"),
    "too many members": (json.dumps({f"c{n}": 1 for n in range(1001)}), None, "out_of_range"),
    "NUL": (HEADER + "Ann\0,a@x.org\n", None, "invalid_characters"),
    "NUL in the header": ("Na\0me,Email\n", None, "invalid_characters"),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10" * 9, None, "invalid_characters"),
    "no known encoding": (HEADER.encode() + b"Zo\x81,a@x.org\n", None, "invalid_characters"),
    "broken UTF-8": (
        (HEADER + "Zoë,Müller\n" * 5).encode() + b"Zo\xeb,x\n", None, "invalid_characters",
    ),
    "UTF-16 cut in half": (b"\xff\xfeN\0a\0,", None, "invalid_characters"),
    "UTF-32": (("\ufeff" + HEADER).encode("utf-32-le"), None, "invalid_characters"),
    "unclosed quote": (HEADER + 'Ann,"a@x.org\nBob,b@x.org\n', None, "syntax"),
    "unclosed quote, quotes after it": (HEADER + 'Ann,"a\nBob,"b"\n', None, "syntax"),
    "unclosed quote in the header": ('Name,"Email\nAnn,a@x.org\n', None, "syntax"),
    "endless header": ("Name," + "x" * 70_000, None, "syntax"),
    "long cell": (HEADER + "x" * 65_537 + ",b\n", None, "too_long"),
    "long quoted cell": (HEADER + '"' + "x\n" * 40_000 + '",b\n', None, "too_long"),
    "JSON array": ('[{"name": "Ann"}]', None, "invalid_format"),
    "JSON over lines": ('{\n "name": "Ann"\n}\n', None, "invalid_format"),
    "JSON in Windows-1252": ('{"name": "Zoë"}'.encode("cp1252"), None, "invalid_characters"),
    "CSV stated as NDJSON": (HEADER + "Ann,a@x.org\n", "ndjson", "invalid_format"),
    "CSV stated as Parquet": (HEADER + "Ann,a@x.org\n", "parquet", "invalid_format"),
    "NDJSON stated as CSV": ('{"name": "Ann"}\n', "csv", "invalid_format"),
    "broken Parquet": (b"PAR1" + b"\0" * 50 + b"PAR1", None, "syntax"),
    "XLSX without a sheet": (archive("xl/workbook.xml"), None, "syntax"),
    "XLSX stated as CSV": (archive("xl/workbook.xml"), "csv", "invalid_format"),
    "another archive": (archive("people.csv"), None, "invalid_format"),
    "broken archive": (b"PK\x03\x04 and no more", None, "invalid_format"),
    "gzip": (gzip.compress(HEADER.encode()), None, "invalid_format"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, look: Look) -> None:
    content, stated, code = REFUSED[case]
    with pytest.raises(ValidationFailed) as caught:
        look(content, stated)
    error = caught.value
    assert [(issue.field, issue.code) for issue in error.issues] == [("file", code)]
    assert error.message.endswith(".") and error.details.endswith(".")
    assert "x.org" not in error.message + error.details


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"Ann,a\xff\n", "INVALID_TEXT"),
        (b"Ann\0,a\n", "INVALID_TEXT"),
        (b'Ann,"a\n', "MALFORMED_ROW"),
        (b"x" * 70_000 + b",a\n", "FIELD_TOO_LONG"),
    ],
)
@pytest.mark.parametrize("beyond", [False, True])
def test_the_first_64_kib_decide(
    bad: bytes, reason: str, beyond: bool, look: Look, tmp_path: Path
) -> None:
    """The same row refuses the file in its last place within the head and fails alone after it."""
    border = HEAD_BYTES - (0 if beyond else 6)
    good = "Zoë,z@x.org\n".encode()
    head = b"Name,Email\n" + good * (border // len(good) - 5)
    head += b"y" * (border - len(head) - len(",z\n")) + b",z\n"
    assert len(head) == border
    content = head + bad + good * 2000
    if not beyond:
        with pytest.raises(ValidationFailed):
            look(content)
        return
    found = look(content)
    rows = rows_of(tmp_path, found)
    assert [row.reason for row in rows if row.reason] == [reason]
    assert found.row_estimate == len(rows)


def test_too_many_cells_are_a_failed_row_anywhere(look: Look, tmp_path: Path) -> None:
    found = look("Name,Email\nLee, Ann,a@x.org\nBob,b@x.org\n")
    assert [row.reason for row in rows_of(tmp_path, found)] == ["MALFORMED_ROW", None]
    assert found.preview == [{"Name": "Bob", "Email": "b@x.org"}]
    assert found.row_estimate == 2


def test_long_cells_are_cut_in_the_preview_only(look: Look, tmp_path: Path) -> None:
    found = look("Name,About\nAnn," + "x" * 5000 + "\n")
    assert found.preview[0]["About"] == "x" * 1000
    assert rows_of(tmp_path, found)[0].values[1] == "x" * 5000


@pytest.mark.parametrize(
    ("line", "codec"),
    [
        ("Ann Lee,a@x.org,Some Company\n", "utf-8"),
        ('Ann Lee,a@x.org,"Some\nCompany"\n', "utf-8"),
        ("Ann Lee,a@x.org,Some Company\r", "utf-8"),
        ("Ann Lee,a@x.org,Some Company\n", "utf-16"),
    ],
)
def test_estimate_of_a_large_file(line: str, codec: str, look: Look) -> None:
    end = "\r" if line.endswith("\r") else "\n"
    count = 9 * 1024 * 1024 // len(line.encode(codec)) + 1
    found = look((f"Name,Email,Company{end}" + line * count).encode(codec))
    assert found.size_bytes > 8 * 1024 * 1024
    assert abs(found.row_estimate - count) <= count // 1000


def test_inspection_survives_json(look: Look) -> None:
    found = look(CONNECTIONS)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inspection) == found
