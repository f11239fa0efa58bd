"""Large files of invented people in every format, and what exactly has to become of each row.

People have random keys and two identity columns, of which some rows fill only one. Repeats stand
anywhere after the person's first row: as they were, written otherwise, or with a new title. Some
people come as three rows, of which only the last one met joins the other two.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

COLUMNS: Final = ("First Name", "Last Name", "Email", "LinkedIn URL", "Company", "Title")
MEDIA_TYPES: Final = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
REPEATS: Final = 0.05
BROKEN: Final = 0.01
FATES: Final = (
    ("added", ""),
    ("updated", ""),
    ("skipped", "DUPLICATE_IN_SOURCE"),
    ("failed", "INVALID_EMAIL"),
    ("failed", "NO_IDENTITY"),
    ("failed", "FIELD_TOO_LONG"),
    ("failed", "INVALID_URL"),
)
_ADDED, _UPDATED, _SKIPPED, _FIRST_FAILED = range(4)

_FIRST = ("Zoë", "Łukasz", "Nguyễn", "Ørjan", "Çelik", "𠮷野", "Mårten", "Ana", "Björk", "Ioana")
_LAST = ("Ångström", "Peña", "Đặng", "Müller-Ünal", "𐐀rdent", "O'Neill", "Šimůnek", "Strauß")
_COMPANIES = ("Café, Ωmega", 'Näher & "Söhne"', "株式会社𠀋", "Plain Ltd", "Rocket 🚀 Labs")
_TITLES = ("CTO", "Directrice générale", "Head of 🦉 Data", "Einkäufer")

_EMAIL, _URL, _NEW_TITLE, _JOINED = 1, 2, 4, 8
_BOTH = _EMAIL | _URL
_BLOCK = 20_000


class Expected(NamedTuple):
    """What has to come of a file: the fate of each row in order, and the sum of its people."""

    fates: bytearray
    people: int
    members: int

    @property
    def counts(self) -> dict[str, int]:
        """Rows by outcome."""
        found = Counter(FATES[fate][0] for fate in self.fates)
        names = ("added", "updated", "unchanged", "skipped", "failed")
        return {"received": len(self.fates)} | {name: found[name] for name in names}


class _Crowd:
    """Rows one after the other, and who was in them so far."""

    def __init__(self, rows: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._rows = rows
        self._keys = array("Q")
        self._state = bytearray()
        self._wanting: list[tuple[int, int]] = []
        """Rows still to come of people in three rows, with their identity columns."""
        self.fates = bytearray()

    def __iter__(self) -> Iterator[list[str]]:
        chance = self._chance
        while (left := self._rows - len(self.fates)) > 0:
            draw = chance.random()
            if left <= len(self._wanting) or (self._wanting and draw < REPEATS / 4):
                at = chance.randrange(len(self._wanting))
                yield self._again(*self._wanting.pop(at))
            elif self._keys and draw < REPEATS:
                yield self._repeat(chance.randrange(len(self._keys)))
            elif draw < REPEATS + BROKEN:
                yield self._broken(chance.randrange(len(FATES) - _FIRST_FAILED))
            else:
                yield self._somebody(left)

    def _somebody(self, left: int) -> list[str]:
        draw = self._chance.random()
        has = _EMAIL if draw < 0.1 else _URL if draw < 0.2 else _BOTH
        who = len(self._keys)
        self._keys.append(self._chance.getrandbits(64))
        state = has
        if has != _BOTH and draw % 0.1 < 0.01 and left > len(self._wanting) + 3:
            self._wanting += [(who, _BOTH - has), (who, _BOTH)]
            state |= _JOINED
        self._state.append(state)
        self.fates.append(_ADDED)
        return self._row(who, has)

    def _repeat(self, who: int) -> list[str]:
        state = self._state[who]
        # Where no row of the file has both, the other column alone would be somebody else.
        kinds = (_EMAIL, _URL, _BOTH) if state & _JOINED else (state & _BOTH, _BOTH)
        if state & _BOTH == _BOTH:
            kinds = (_EMAIL, _URL, _BOTH)
        return self._again(who, self._chance.choice(kinds))

    def _again(self, who: int, has: int) -> list[str]:
        state = self._state[who]
        title = _NEW_TITLE if self._chance.random() < 0.2 else state & _NEW_TITLE
        now = state & ~_NEW_TITLE | has | title
        self.fates.append(_SKIPPED if now == state else _UPDATED)
        self._state[who] = now
        return self._row(who, has, otherwise=self._chance.random() < 0.5)

    def _row(self, who: int, has: int, *, otherwise: bool = False) -> list[str]:
        key = self._keys[who]
        title = _TITLES[key % 4] + (" (new)" if self._state[who] & _NEW_TITLE else "")
        address = f"{key:016x}@example.com" if has & _EMAIL else ""
        url = f"https://www.linkedin.com/in/{_slug(key)}" if has & _URL else ""
        if otherwise:
            address = address.replace("example.com", "Example.COM")
            url = url.replace("https://www", "http://de") + ("/?trk=x" if url else "")
        names = [_FIRST[key % 10], _LAST[(key >> 8) % 8]]
        company = f"{_COMPANIES[(key >> 16) % 5]} {key % 5_000}"
        return [*names, address, url, company, title]

    def _broken(self, kind: int) -> list[str]:
        self.fates.append(_FIRST_FAILED + kind)
        key = self._chance.getrandbits(64)
        row = ["Broken", "Row", f"{key:016x}@example.com", "", "Plain Ltd", "CTO"]
        match FATES[_FIRST_FAILED + kind][1]:
            case "INVALID_EMAIL":
                row[2] = "not an address"
            case "NO_IDENTITY":
                row[:3] = ["", "", ""]
            case "FIELD_TOO_LONG":
                row[5] = "Wörk" * 100
            case _:
                row[3] = "https://www.linkedin.com/in/"
        return row

    def expected(self) -> Expected:
        people = 0
        for key, state in zip(self._keys, self._state, strict=True):
            address = f"{key:016x}@example.com" if state & _EMAIL else ""
            title = _TITLES[key % 4] + (" (new)" if state & _NEW_TITLE else "")
            slug = _slug(key) if state & _URL else ""
            people += digest(_FIRST[key % 10], address, slug, title)
        return Expected(self.fates, people & _MASK, len(self._keys))


_MASK = (1 << 64) - 1


def digest(*values: str) -> int:
    """A person as a number; the sum of many tells two crowds apart in whatever order they come."""
    text = "\n".join(values).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _slug(key: int) -> str:
    return f"{'zoë' if key % 8 == 0 else 'ana'}-{key:016x}"


def sum_of(export: Iterator[Mapping[str, str]]) -> tuple[int, int]:
    """How many people an exported audience has, and their sum as in `Expected`."""
    members = people = 0
    for row in export:
        members += 1
        people += digest(row["firstName"], row["email"], row["publicIdentifier"], row["title"])
    return members, people & _MASK


def _write_csv(path: Path, rows: Iterator[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def _write_ndjson(path: Path, rows: Iterator[list[str]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            filled = {name: value for name, value in zip(COLUMNS, row, strict=True) if value}
            file.write(json.dumps(filled, ensure_ascii=False) + "\n")


def _write_parquet(path: Path, rows: Iterator[list[str]]) -> None:
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])
    with parquet.ParquetWriter(path, schema) as writer:
        while block := list(islice(rows, _BLOCK)):
            columns = [[cell or None for cell in column] for column in zip(*block, strict=True)]
            arrays = [pyarrow.array(column, pyarrow.string()) for column in columns]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))


def _write_xlsx(path: Path, rows: Iterator[list[str]]) -> None:
    from openpyxl import Workbook

    book: Any = Workbook(write_only=True)
    sheet = book.create_sheet("People")
    sheet.append(COLUMNS)
    for row in rows:
        sheet.append([cell or None for cell in row])
    book.save(path)


_WRITERS: Final[dict[str, Callable[[Path, Iterator[list[str]]], None]]] = {
    "csv": _write_csv,
    "ndjson": _write_ndjson,
    "parquet": _write_parquet,
    "xlsx": _write_xlsx,
}


def write(path: Path, form: str, rows: int, *, seed: int = 1) -> Expected:
    """Write a file of a format, in constant memory but for 10 bytes a row; what has to come."""
    crowd = _Crowd(rows, seed)
    _WRITERS[form](path, iter(crowd))
    return crowd.expected()


def rows_of(lines: Iterator[str]) -> Iterator[Mapping[str, str]]:
    """Rows of a CSV stream."""
    return csv.DictReader(lines)


def mismatches(expected: Expected, told: Iterator[Mapping[str, str]], most: int = 5) -> list[str]:
    """Where the rows that a job tells of are not as they have to be; the first few."""
    wrong: list[str] = []
    at = 0
    for row in told:
        at += 1
        found = (row["outcome"], row["reason"])
        wanted = FATES[expected.fates[at - 1]] if at <= len(expected.fates) else ("nothing", "")
        if (found != wanted or int(row["position"]) != at) and len(wrong) < most:
            wrong.append(f"row {at}: {row['position']} {found}, not {wanted}")
    if at != len(expected.fates):
        wrong.append(f"{at} rows, not {len(expected.fates)}")
    return wrong


def text_lines(response: Any) -> Iterator[str]:
    """The lines of a body that is read as it comes."""
    return io.TextIOWrapper(response, encoding="utf-8", newline="")
