"""Uploaded files of the mock: CSV and NDJSON, read whole into memory."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from longlist_client.testing import people
from longlist_client.testing.refusals import Refused, invalid
from longlist_client.testing.state import Json, Row, UploadedFile, new_id, now

FIELDS: Final = (*people.LONGEST, *(f"company.{field}" for field in people.LONGEST_OF_COMPANY))
IDENTITY: Final = frozenset({"providerId", "publicIdentifier", "linkedinUrl", "email"})
_OTHER_NAMES: Final = {
    "company": "company.name",
    "companyname": "company.name",
    "organization": "company.name",
    "emailaddress": "email",
    "mail": "email",
    "fullname": "name",
    "jobtitle": "title",
    "position": "title",
    "linkedin": "linkedinUrl",
    "profileurl": "linkedinUrl",
    "website": "company.website",
    "industry": "company.industry",
}


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


_NAMES: Final = {_plain(field): field for field in FIELDS} | _OTHER_NAMES


def _suggested(columns: list[str]) -> Json:
    """A field for each column that looks like one; the mock knows fewer words than the server."""
    taken: set[str] = set()
    mapping: Json = {}
    for column in columns:
        field = _NAMES.get(_plain(column))
        mapping[column] = field if field not in taken else None
        taken.add(field or "")
    return mapping


def _unreadable(message: str) -> Refused:
    return invalid(("", "invalid_format", message))


def _csv(text: str) -> tuple[list[str], list[Row], str]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [cell.strip() for cell in next(reader)]
        if len(set(columns)) != len(columns):
            raise _unreadable("A column name stands twice.")
        rows = [
            Row(dict(zip(columns, cells, strict=False)), reader.line_num)
            if len(cells) == len(columns)
            else Row({}, reader.line_num, ("MALFORMED_ROW", "The row has other columns."))
            for cells in reader
            if cells
        ]
    except csv.Error as error:
        raise _unreadable("The file is not CSV.") from error
    return columns, rows, delimiter


def _ndjson(text: str) -> tuple[list[str], list[Row], None]:
    columns: dict[str, None] = {}
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            person = json.loads(line)
        except ValueError:
            person = None
        if isinstance(person, dict):
            columns |= dict.fromkeys(person)
            rows.append(Row(person, number))
        else:
            rows.append(Row({}, number, ("MALFORMED_ROW", "The line is not a JSON object.")))
    return list(columns), rows, None


def read_file(content: bytes, wanted: str | None) -> UploadedFile:
    """The file of an upload. Raises the 400, and NotImplementedError for workbooks."""
    if not content:
        raise _unreadable("The file is empty.")
    if wanted in ("parquet", "xlsx") or content.startswith((b"PK", b"PAR1")):
        raise NotImplementedError("The mock reads CSV and NDJSON files only.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable("The mock reads UTF-8 only.") from error
    chosen = wanted or ("ndjson" if text.lstrip().startswith("{") else "csv")
    columns, rows, delimiter = _ndjson(text) if chosen == "ndjson" else _csv(text)
    moment = datetime.now(UTC) + timedelta(hours=24)
    data = {
        "fileId": new_id(),
        "format": chosen,
        "encoding": "utf-8",
        "delimiter": delimiter,
        "skippedLines": 0,
        "sizeBytes": len(content),
        "preview": [
            {column: _cell(row.person.get(column)) for column in columns} for row in rows[:5]
        ],
        "columns": columns,
        "rowEstimate": len(rows),
        "suggestedMapping": _suggested(columns),
        "createdAt": now(),
        "expiresAt": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return UploadedFile(data, rows)


def _cell(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


def mapping_issues(mapping: Json, columns: list[str]) -> list[tuple[str, str, str]]:
    """What is wrong with a mapping."""
    issues = []
    used: set[str] = set()
    for column, field in mapping.items():
        where = f"mapping.{column[:64]}"
        if column not in columns:
            issues.append((where, "unknown_column", "The file has no such column."))
        elif field is not None and field not in FIELDS:
            issues.append((where, "invalid_choice", "There is no such member of a prospect."))
        elif field in used:
            issues.append((where, "invalid_choice", "Another column has this field."))
        used.add(field or "")
    named = used & {"name", "firstName", "lastName"} and "company.name" in used
    if not issues and not used & IDENTITY and not named:
        issues.append(("mapping", "required", "Nobody could be known by these columns."))
    return issues


def mapped(row: Row, mapping: Json) -> Row:
    """A row of a file as a person."""
    person: Json = {}
    for column, field in mapping.items():
        value = _cell(row.person.get(column))
        if field is None or not value:
            continue
        whole, _, part = field.partition(".")
        if part:
            person.setdefault(whole, {})[part] = value
        else:
            person[field] = value
    return Row(person, row.line, row.refused)
