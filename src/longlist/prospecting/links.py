"""Looks a whole file through before it is taken in: which of its rows are one person.

See `prospects.linking` for why. A file has up to millions of rows, so they are sorted on disk: by
an SQLite database without a name, whose file the system forgets with the process. It holds keyed
hashes and no value. It is read again, with the same result, whenever a job goes on.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import msgspec

from longlist.prospecting.sources.file_import import FileImport
from longlist.prospects.identity import KEY_BYTES, KeyHasher, Keys, keys_of
from longlist.prospects.linking import Links, links_among
from longlist.prospects.person import RowRefused, make_person

MAX_LINKED: Final = 400_000
"""Distinct rows that hang together by repeated keys, at about 300 bytes of memory each. A file
with more of them is made to be a burden; it is taken in the order of its rows."""

_IDENTITY: Final = frozenset({"providerId", "publicIdentifier", "linkedinUrl", "email"})
_TO_LINK: Final = 2
_NONE: Final = bytes(KEY_BYTES)
_log = logging.getLogger("longlist.prospecting")
_PRAGMAS: Final = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -8192")
_KEYS: Final = tuple(f"substr(keys, {1 + KEY_BYTES * at}, {KEY_BYTES})" for at in range(3))
_LINKING: Final = tuple(
    f"INSERT OR IGNORE INTO linking SELECT {key} FROM rows WHERE {key} <> ?"
    f" GROUP BY {key} HAVING MIN(keys) <> MAX(keys)"
    for key in _KEYS
)
_LINKED: Final = "SELECT DISTINCT keys FROM rows WHERE " + " OR ".join(
    f"{key} IN linking" for key in _KEYS
)


def links_of(hasher: KeyHasher, file: FileImport) -> Links:
    """Look a file through, which takes a minute for millions of rows. Raises JobFailed."""
    mapping = {
        column: field if field in _IDENTITY else None for column, field in file.mapping.items()
    }
    if sum(field is not None for field in mapping.values()) < _TO_LINK:
        return Links()
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        for pragma in _PRAGMAS:
            scratch.execute(f"PRAGMA {pragma}")
        scratch.execute("CREATE TABLE rows (keys BLOB NOT NULL)")
        scratch.execute("CREATE TABLE linking (key BLOB PRIMARY KEY) WITHOUT ROWID")
        scratch.execute("BEGIN")
        rows = _packed(hasher, msgspec.structs.replace(file, mapping=mapping))
        scratch.executemany("INSERT INTO rows VALUES (?)", rows)
        for statement in _LINKING:
            scratch.execute(statement, (_NONE,))
        linked = scratch.execute(_LINKED).fetchmany(MAX_LINKED + 1)
    if len(linked) > MAX_LINKED:
        _log.warning("a file has too many rows that hang together: taken in the order of its rows")
        return Links()
    return links_among(_unpacked(keys) for (keys,) in linked)


def _packed(hasher: KeyHasher, file: FileImport) -> Iterator[tuple[bytes]]:
    """The keys of the rows that have some, in 48 bytes each."""
    for page in file.read_pages(None):
        for row in page.rows:
            if row.reason is not None:
                continue
            try:
                keys = keys_of(make_person(row.values), hasher)
            except RowRefused:
                continue
            three = (keys.provider_id, keys.public_identifier, keys.email)
            yield (b"".join([key or _NONE for key in three]),)


def _unpacked(packed: bytes) -> Keys:
    three = (packed[at : at + KEY_BYTES] for at in range(0, len(packed), KEY_BYTES))
    return Keys(*[None if key == _NONE else key for key in three])
