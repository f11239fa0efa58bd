"""Where the people of a directory come from: its settings in normal form, and its rows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from longlist.db.outside import OutsideFailed, is_postgres, read_query
from longlist.errors import ValidationFailed
from longlist.jobs import JobFailed
from longlist.prospecting import inspection, mapping
from longlist.prospecting import rows as shared
from longlist.prospecting.directory_store import MAX_PEOPLE
from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.sources import SourceRow
from longlist.prospecting.sources.file_import import FileImport, in_threads
from longlist.prospecting.sources.providers import ProviderFailed, SetUp

_SETTINGS: Final = ("file", "query", "database", "mapping")
_QUERY: Final = re.compile(r"(select|with)\b", re.IGNORECASE)
_NOT_TEXT: Final = "This row has a value that is not text."

Mapped = dict[str, str | None]


def check(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings in normal form: see `Provider.check`."""
    given = {name: value.strip() for name, value in settings.items() if value.strip()}
    if unknown := sorted(set(given) - set(_SETTINGS)):
        raise ValueError(f"A directory has no setting {unknown[0]}; it has {', '.join(_SETTINGS)}.")
    if ("file" in given) == ("query" in given):
        raise ValueError("A directory needs either file=PATH or query=SELECT ...")
    if "file" in given:
        if "database" in given:
            raise ValueError("database goes with query, not with file.")
        given["file"] = str(Path(given["file"]).expanduser().absolute())
    else:
        given["query"] = given["query"].rstrip("; \n\t")
        if not _QUERY.match(given["query"]):
            raise ValueError("The query must begin with SELECT or WITH.")
    if "database" in given:
        given["database"] = _database(given["database"])
        if is_postgres(given["database"]) and _has_password(given["database"]):
            raise ValueError(
                "A URL with a password is a secret: leave database out and give the URL as the"
                " token."
            )
    if "mapping" in given:
        given["mapping"] = msgspec.json.encode(_own_mapping(given["mapping"])).decode()
    return given


def _database(text: str) -> str:
    """A PostgreSQL URL, or the absolute path of an SQLite file. Raises ValueError."""
    if is_postgres(text):
        return text
    if text.startswith("sqlite:///"):
        text = text.removeprefix("sqlite:///")
    elif "://" in text:
        raise ValueError("The database must be postgresql://... or the path of an SQLite file.")
    return str(Path(text).expanduser().absolute())


def _has_password(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.password) or "password" in parse_qs(parts.query)


def _own_mapping(text: str) -> Mapped:
    try:
        return msgspec.json.decode(text, type=Mapped)
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError(
            'The mapping must be JSON such as {"Work email": "email", "Firm": "company.name"}.'
        ) from None


class Origin(msgspec.Struct):
    """Where the people of one directory come from. Raises ProviderFailed throughout."""

    set_up: SetUp

    async def described(self) -> str:
        """What is there now: a sentence for the operator."""
        if "file" in self.set_up.settings:
            file = await asyncio.to_thread(self._file)
            many = f"about {file.inspection.row_estimate:,} rows"
            return f"{file.path.name} is {file.inspection.format} with {many}. " + _told(
                file.mapping
            )
        async with aclosing(self._query(1)) as batches:
            async for columns, rows in batches:
                return f"The query answers with {'rows' if rows else 'no rows'}. " + _told(
                    self._mapping(columns, [_texts(row) for row in rows])
                )
        raise ProviderFailed("The query did not answer.")

    async def rows(self, size: int) -> AsyncGenerator[list[SourceRow], None]:
        """The rows in their order, in batches of about `size`, in constant memory."""
        reading = self._file_rows(size) if "file" in self.set_up.settings else self._sql_rows(size)
        async with aclosing(reading) as batches:
            async for batch in batches:
                yield batch

    async def _file_rows(self, size: int) -> AsyncGenerator[list[SourceRow], None]:
        file = await asyncio.to_thread(self._file)
        source = FileImport(file, file.mapping, MAX_PEOPLE, False, size)
        try:
            async with aclosing(in_threads(source.read_pages(None))) as pages:
                async for page in pages:
                    yield page.rows
        except JobFailed as failure:
            raise ProviderFailed(
                f"The file cannot be read to its end ({failure.code})."
            ) from failure

    def _file(self) -> StoredFile:
        path = Path(self.set_up.settings["file"])
        try:
            found = inspection.inspect(path)
        except ValidationFailed as error:
            raise ProviderFailed(f"{path.name} cannot be used: {error.message}") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ProviderFailed(f"{path} cannot be read: {reason}.") from None
        return StoredFile(b"", path, found, self._checked(found.columns, found.preview), 0, 0)

    async def _sql_rows(self, size: int) -> AsyncGenerator[list[SourceRow], None]:
        mapped: Mapped | None = None
        position = 1
        async with aclosing(self._query(size)) as batches:
            async for columns, found in batches:
                rows = [_texts(row) for row in found]
                if mapped is None:
                    mapped = self._mapping(columns, rows)
                yield [_row(at, columns, row, mapped) for at, row in enumerate(rows, position)]
                position += len(rows)

    async def _query(
        self, size: int
    ) -> AsyncGenerator[tuple[list[str], list[Sequence[Any]]], None]:
        settings = self.set_up.settings
        database = self.set_up.token or settings.get("database")
        if not database:
            raise ProviderFailed(
                "A query needs its database: set database=PATH or a URL without a password, or"
                " give a URL with one as the token."
            )
        try:
            async with aclosing(read_query(_database(database), settings["query"], size)) as found:
                async for batch in found:
                    yield batch
        except ValueError as error:
            raise ProviderFailed(str(error)) from None
        except OutsideFailed as error:
            raise ProviderFailed(str(error)) from None

    def _mapping(self, columns: list[str], rows: Sequence[Sequence[str] | None]) -> Mapped:
        if not 0 < len(set(columns)) == len(columns) <= shared.MAX_COLUMNS:
            raise ProviderFailed(
                f"The query must give 1 to {shared.MAX_COLUMNS} columns, each with a name of its"
                " own."
            )
        shown = [row for row in rows if row is not None][: shared.PREVIEW_ROWS]
        return self._checked(
            columns, [dict(zip(columns, (v or None for v in row), strict=True)) for row in shown]
        )

    def _checked(
        self, columns: Sequence[str], preview: Sequence[Mapping[str, str | None]]
    ) -> Mapped:
        """The operator's mapping, else the suggested one, if people can be made with it."""
        own = self.set_up.settings.get("mapping")
        mapped = mapping.suggest(columns, preview) if own is None else _own_mapping(own)
        if issues := mapping.check(mapped, columns):
            issue = issues[0]
            raise ProviderFailed(f"{issue.field}: {issue.message}")
        return mapped


def _told(mapped: Mapped) -> str:
    pairs = [f"{column} -> {field}" for column, field in mapped.items() if field is not None]
    return f"Columns that are read: {', '.join(pairs)}."


def _texts(row: Sequence[Any]) -> list[str] | None:
    """The values of a row as text, empty for NULL; None where one is not text."""
    values = [_text(value) for value in row]
    if any(value is None for value in values):
        return None
    texts = [value for value in values if value is not None]
    return texts if shared.is_text(texts) else None


def _text(value: Any) -> str | None:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes() | bytearray() | memoryview():
            return None
        case list() | dict():
            return msgspec.json.encode(value, enc_hook=str).decode()
        case _:
            return str(value)


def _row(
    position: int, columns: Sequence[str], values: Sequence[str] | None, mapped: Mapped
) -> SourceRow:
    if values is None:
        return SourceRow(position, reason=shared.INVALID_TEXT, message=_NOT_TEXT)
    named = zip(columns, values, strict=True)
    return SourceRow(
        position, {field: value for name, value in named if (field := mapped.get(name)) is not None}
    )
