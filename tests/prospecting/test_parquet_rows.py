"""Rows of Parquet files: what a cell becomes, restarts, hostile files, memory."""

from __future__ import annotations

import datetime
import decimal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longlist.errors import ValidationFailed
from longlist.prospecting import inspection, parquet_rows
from longlist.prospecting.rows import BrokenFile, Cursor, Inspection, Row
from tests.harness.tenant import Tenant
from tests.prospecting.imports import imported
from tests.prospecting.test_xlsx_rows import READ_ALL, look, read

PARQUET = "application/vnd.apache.parquet"


def written(table: pa.Table, **how: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **how)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def people(count: int, **more: Any) -> pa.Table:
    names = [f"Person {n}" for n in range(count)]
    return pa.table({"name": names, "email": [f"p{n}@example.org" for n in range(count)], **more})


def test_a_file_is_described(tmp_path: Path) -> None:
    company = [{"name": "Acme", "domain": "acme.org"}, None, {"name": None, "domain": "b.org"}]
    content = written(people(3, company=company), row_group_size=2)
    path, found = look(tmp_path, content, "parquet")
    assert (found.format, found.encoding, found.delimiter) == ("parquet", None, None)
    assert found.columns == ["name", "email", "company.name", "company.domain"]
    assert (found.skipped_lines, found.row_estimate) == (0, 3)
    assert found.preview[1] == {
        "name": "Person 1", "email": "p1@example.org", "company.name": None, "company.domain": None,
    }  # fmt: skip
    rows = read(path, found)
    assert [(row.position, row.line) for row in rows] == [(1, 1), (2, 2), (3, 3)]
    assert [row.values[2:] for row in rows] == [["Acme", "acme.org"], ["", ""], ["", "b.org"]]


AT = datetime.datetime(2026, 3, 4, 5, 6)
CELLS: dict[str, tuple[pa.Array, list[str]]] = {
    "text": (pa.array(["Zoë\n", "", None]), ["Zoë\n", "", ""]),
    "large text": (pa.array(["Zoë", None], pa.large_string()), ["Zoë", ""]),
    "category": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", "", "a"]),
    "bytes": (pa.array(["Zoë".encode(), None]), ["Zoë", ""]),
    "bytes of one length": (pa.array([b"abc", None], pa.binary(3)), ["abc", ""]),
    "integers": (pa.array([1, None, -(2**63)]), ["1", "", str(-(2**63))]),
    "unsigned": (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
    "floats": (
        pa.array([1.0, 4.2, None, float("nan"), 1e300, float("inf")]),
        ["1", "4.2", "", "", "1e+300", "inf"],
    ),
    "booleans": (pa.array([True, False, None]), ["true", "false", ""]),
    "decimals": (
        pa.array([decimal.Decimal("12.50"), None, decimal.Decimal("0.00")]), ["12.50", "", "0.00"],
    ),
    "tiny decimals": (
        pa.array([decimal.Decimal("0.000000012")], pa.decimal128(20, 12)), ["0.000000012000"],
    ),
    "timestamps": (
        pa.array([AT, AT.replace(microsecond=120_000), None]),
        ["2026-03-04T05:06:00", "2026-03-04T05:06:00.12", ""],
    ),
    "timestamps with a zone": (
        pa.array([AT], pa.timestamp("ms", tz="Europe/Berlin")), ["2026-03-04T05:06:00Z"],
    ),
    "nanoseconds": (
        pa.array([1, None], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001", ""],
    ),
    "far years": (pa.array([2**62], pa.timestamp("us")), [""]),
    "dates": (pa.array([AT.date(), None]), ["2026-03-04", ""]),
    "times": (pa.array([datetime.time(5, 6, 7), None]), ["05:06:07", ""]),
    "lists": (pa.array([["a", "ü"], [], None]), ['["a","ü"]', "[]", ""]),
    "maps": (
        pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), ['{"k":1}', ""],
    ),
    "nested twice": (pa.array([{"a": {"b": 1.5}}, None]), ['{"b":1.5}', ""]),
    "dates in a list": (pa.array([[AT.date()]]), ['["2026-03-04"]']),
    "nulls": (pa.nulls(2), ["", ""]),
}  # fmt: skip


@pytest.mark.parametrize("case", CELLS)
@pytest.mark.parametrize("dictionary", [False, True])
def test_what_a_cell_becomes(case: str, dictionary: bool, tmp_path: Path) -> None:
    column, expected = CELLS[case]
    content = written(pa.table({"c": column}), use_dictionary=dictionary)
    path, found = look(tmp_path, content)
    assert [row.values for row in read(path, found)] == [[text] for text in expected]


def raw_strings(values: list[bytes]) -> pa.Array:
    """Text with these bytes, whether or not they are UTF-8."""
    binary = pa.array(values, pa.binary())
    return pa.StringArray.from_buffers(len(values), binary.buffers()[1], binary.buffers()[2])


@pytest.mark.parametrize("dictionary", [False, True])
def test_a_row_that_is_not_text_fails_alone(dictionary: bool, tmp_path: Path) -> None:
    count = 70_000
    values = [b"Ann %d" % n for n in range(count)]
    values[-3], values[-2] = b"Zo\xeb", b"A\0"
    path, found = look(
        tmp_path, written(pa.table({"c": raw_strings(values)}), use_dictionary=dictionary)
    )
    failed = [(row.position, row.reason) for row in read(path, found, 5000) if row.reason]
    assert failed == [(count - 2, "INVALID_TEXT"), (count - 1, "INVALID_TEXT")]


def test_a_list_that_is_not_text_fails_its_row(tmp_path: Path) -> None:
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2]), raw_strings([b"\xff", b"a"]))
    content = written(pa.table({"c": lists}))
    path = tmp_path / "file"
    path.write_bytes(content)
    found = parquet_rows.describe(path, b"", len(content))
    rows, _ = parquet_rows.read_rows(path, found, start=found.start, max_rows=9)
    assert [(row.reason, row.values) for row in rows] == [("INVALID_TEXT", []), (None, ['["a"]'])]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(
        st.sampled_from([None, "", "Ann", "Zoë", "x" * 300, "x" * 70_000]), min_size=1, max_size=40
    ),
    group=st.integers(1, 50),
    dictionary=st.booleans(),
    data=st.data(),
)
def test_any_pages_give_the_same_rows(
    names: list[str | None], group: int, dictionary: bool, data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    table = pa.table({"name": pa.array(names, pa.string()), "n": list(range(len(names)))})
    path.write_bytes(written(table, row_group_size=group, use_dictionary=dictionary))
    found = parquet_rows.describe(path, b"", path.stat().st_size)
    whole = read(path, found)
    assert [row.position for row in whole] == list(range(1, len(names) + 1))
    assert found.row_estimate == len(names)
    for name, row in zip(names, whole, strict=True):
        if name is not None and len(name) > 65_536:
            assert row.reason == "FIELD_TOO_LONG"
        else:
            assert row.values == [name or "", str(row.position - 1)]
    got: list[Row] = []
    at: Cursor | None = found.start
    while at is not None:
        size = data.draw(st.integers(1, 7))
        some, at = parquet_rows.read_rows(path, found, start=at, max_rows=size)
        assert len(some) <= size
        got += some
        if data.draw(st.booleans()):
            inspection.release(path)
    assert got == whole


def test_a_file_without_rows(tmp_path: Path) -> None:
    path, found = look(tmp_path, written(people(0)))
    assert (found.columns, found.row_estimate, read(path, found)) == (["name", "email"], 0, [])


def with_footer_length(length: int) -> bytes:
    return written(people(3))[:-8] + struct.pack("<I", length) + b"PAR1"


GOOD = written(people(3))
REFUSED: dict[str, tuple[bytes, str]] = {
    "no footer": (b"PAR1" + b"\0" * 50 + b"PAR1", "syntax"),
    "magic alone": (b"PAR1", "syntax"),
    "cut off": (GOOD[:-20], "syntax"),
    "footer longer than the file": (with_footer_length(1_000_000), "syntax"),
    "endless footer": (with_footer_length(2**32 - 1), "syntax"),
    "footer of noise": (GOOD[:-200] + b"\xff" * 192 + GOOD[-8:], "syntax"),
    "pages of noise": (b"PAR1" + b"\xff" * 200 + GOOD[204:], "syntax"),
    "encrypted": (b"PARE" + b"\0" * 50 + b"PARE", "invalid_format"),
    "no columns": (written(pa.table({})), "required"),
    "same column twice": (
        written(pa.table([pa.array(["a"]), pa.array(["b"])], names=["c", "c"])), "duplicate_key",
    ),
    "same column twice by a struct": (
        written(pa.table({"c.d": ["a"], "c": [{"d": "b"}]})), "duplicate_key",
    ),
    "1,001 columns": (written(pa.table({f"c{n}": ["a"] for n in range(1001)})), "out_of_range"),
    "not text": (written(pa.table({"c": raw_strings([b"\xff"])})), "invalid_characters"),
    "NUL": (written(pa.table({"c": ["a\0"]})), "invalid_characters"),
    "long cell": (written(pa.table({"c": ["x" * 65_537]})), "too_long"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path) -> None:
    content, code = REFUSED[case]
    with pytest.raises(ValidationFailed) as caught:
        look(tmp_path, content)
    error = caught.value
    assert [(issue.field, issue.code) for issue in error.issues] == [("file", code)]
    assert error.message.endswith(".") and error.details.endswith(".")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    how=st.sampled_from(["none", "snappy", "zstd"]),
    changes=st.lists(st.tuples(st.integers(4, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_bytes_are_refused_or_read(
    how: str, changes: list[tuple[int, int]], tmp_path: Path
) -> None:
    """Nothing but the errors of this package comes of a file, whatever was done to it."""
    lists, structs = [["a", "b"]] * 50, [{"x": "a", "y": {"z": 1.5}}] * 50
    table = people(50, lists=lists, structs=structs)
    content = bytearray(written(table, compression=how, row_group_size=20))
    for place, value in changes:
        content[max(4, place % len(content))] = value
    try:
        path, found = look(tmp_path, bytes(content))
        assert len(read(path, found, 7)) >= len(found.preview)
    except (ValidationFailed, BrokenFile) as error:
        assert str(error).endswith(".")
    finally:
        inspection.release(tmp_path / "file")


def test_damage_further_in_ends_the_reading(tmp_path: Path) -> None:
    content = bytearray(written(people(10_000), row_group_size=1000, use_dictionary=False))
    path, found = look(tmp_path, bytes(content))
    place = content.index(b"Person") and len(content) * 3 // 4
    content[place : place + 4000] = b"\xff" * 4000
    path.write_bytes(content)
    at: Cursor | None = found.start
    read_before = 0
    with pytest.raises(BrokenFile, match="damaged"):
        while at is not None:
            rows, at = inspection.read_rows(path, found, start=at, max_rows=100)
            read_before += len(rows)
    assert read_before >= 5000


def test_without_the_extra_an_upload_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValidationFailed, match=r"longlist\[parquet\]") as caught:
        look(tmp_path, GOOD)
    assert caught.value.issues[0].code == "invalid_format"


def test_a_format_is_loaded_when_it_is_needed() -> None:
    program = "import longlist.prospecting.inspection, sys; print('pyarrow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program]).strip() == b"False"


def grown_kib(path: Path, rows: int) -> int:
    run = [sys.executable, "-c", READ_ALL, str(path), "pyarrow.parquet"]
    estimate, count, grown = map(int, subprocess.check_output(run).split())
    assert (estimate, count) == (rows, rows)
    return grown


def test_a_group_larger_than_memory_takes_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(written(people(100_000, about=["x" * 2000] * 100_000), use_dictionary=False))
    assert pq.ParquetFile(path).metadata.row_group(0).total_byte_size > 200_000_000
    assert grown_kib(path, 100_000) < 120 * 1024


def test_one_long_text_in_every_row_takes_no_memory(tmp_path: Path) -> None:
    """Of 8 MiB for each of 3,000 rows: 24 GiB, in a file of some KiB."""
    words = pa.array(["x" * (8 << 20)])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), words)
    path = tmp_path / "file"
    path.write_bytes(written(pa.table({"c": column}), dictionary_pagesize_limit=64 << 20))
    assert path.stat().st_size < 2_000_000
    content: Inspection = parquet_rows.describe(path, b"", path.stat().st_size)
    rows, after = parquet_rows.read_rows(path, content, start=content.start, max_rows=5)
    assert [row.reason for row in rows] == ["FIELD_TOO_LONG"] * 5
    assert after is not None
    inspection.release(path)


def test_texts_beyond_all_measure_end_the_reading(tmp_path: Path) -> None:
    words = pa.array(["x" * (40 << 20)])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), words)
    content = written(pa.table({"c": column}), dictionary_pagesize_limit=64 << 20)
    with pytest.raises(ValidationFailed, match="far longer"):
        look(tmp_path, content)


def test_import_over_http(api: Tenant) -> None:
    table = pa.table(
        {
            "firstName": ["Ann", "Bob", "Cy"],
            "lastName": ["Lee", "Ray", "Fox"],
            "email": ["ann@example.org", None, "no address"],
            "company": [{"name": "Acme"}, {"name": "Acme"}, None],
        }
    )
    uploaded, job, rows = imported(api, written(table), PARQUET)
    assert (uploaded["format"], uploaded["rowEstimate"]) == ("parquet", 3)
    assert uploaded["suggestedMapping"]["company.name"] == "company.name"
    assert (job["status"], job["counts"]["received"]) == ("completed", 3)
    assert [(row["line"], row["outcome"]) for row in rows] == [
        (1, "added"), (2, "added"), (3, "failed"),
    ]  # fmt: skip
