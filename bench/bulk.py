"""Fill a group with people and memberships straight in the tables, as no API could in the time.

Only `prospects`, `memberships` and the audiences' counts are written: what the PATCH, the list and
the pages read. The keys that identity is decided by are left out, so that nothing may be imported
into such a group afterwards.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import asyncpg

from bench.servers import LonglistInstall, Place

LARGEST_AUDIENCE = 5_000_000
_BATCH = 100_000
_BYTES_A_MEMBERSHIP = 1_000
_ID_BYTES = 12
_PEOPLE_COLUMNS = (
    "account_group_id", "id", "first_name", "last_name", "name", "linkedin_url",
    "public_identifier", "title", "email", "company_name", "created_at", "updated_at",
)  # fmt: skip
_MEMBER_COLUMNS = ("account_group_id", "audience_id", "prospect_id")
_FIRST = ("Ada", "Bram", "Chioma", "Dmitri", "Elif", "Farid", "Greta", "Hiroshi", "Ines", "Jonas")
_LAST = ("Abara", "Bergmans", "Castell", "Dorval", "Eklund", "Farkas", "Gunnar", "Holtz", "Ivanko")

Record = tuple[object, ...]
Rows = tuple[str, tuple[str, ...], Iterator[list[Record]]]


class NotFilled(Exception):
    """The disk or the time does not suffice; the text says which."""


@dataclass(frozen=True)
class Filling:
    """What is put where. `large` is the audience that takes the first LARGEST_AUDIENCE people.

    Memberships beyond those put each of the same people into one of the `others`.
    """

    group: bytes
    large: bytes
    others: list[bytes]
    memberships: int
    first_ms: int

    @property
    def people(self) -> int:
        """How many people there are."""
        return min(self.memberships, LARGEST_AUDIENCE)

    def person_id(self, number: int) -> bytes:
        """An id as Longlist makes them: milliseconds, then a tail; ten to the millisecond."""
        return ((self.first_ms + number // 10) << 48 | number).to_bytes(_ID_BYTES)

    def records_of_people(self, numbers: range) -> Iterator[Record]:
        """Rows of `prospects`, in the order of their ids."""
        for number in numbers:
            first, last = _FIRST[number % len(_FIRST)], _LAST[number // 10 % len(_LAST)]
            slug = f"{number * 2_654_435_761 % 2**32:08x}{number:08x}"
            at = self.first_ms + number // 10
            yield (
                self.group,
                self.person_id(number),
                first,
                last,
                f"{first} {last}",
                f"https://www.linkedin.com/in/{first.lower()}-{slug}",
                f"{first.lower()}-{slug}",
                "Head of Growth",
                f"{slug}@example.com",
                f"Company {number % 50_000}",
                at,
                at,
            )

    def counts(self) -> dict[bytes, int]:
        """Members of each audience."""
        rest = self.memberships - self.people
        share, over = divmod(rest, len(self.others))
        found = {other: share + (position < over) for position, other in enumerate(self.others)}
        return {**found, self.large: self.people}

    def records_of_large(self, numbers: range) -> Iterator[Record]:
        """Rows of `memberships` of the large audience, in the order of their key."""
        for number in numbers:
            yield self.group, self.large, self.person_id(number)

    def records_of_others(self) -> Iterator[Record]:
        """Rows of `memberships` of all others, in the order of their key."""
        counts = self.counts()
        for at, audience in sorted(enumerate(self.others), key=lambda pair: pair[1]):
            scattered = range(at, self.people, len(self.others))
            for number in islice(scattered, counts[audience]):
                yield self.group, audience, self.person_id(number)


def check_disk(place: Place, memberships: int) -> None:
    """Refuse what would fill the disk. Raises NotFilled."""
    free = shutil.disk_usage(place.folder).free
    wanted = memberships * _BYTES_A_MEMBERSHIP * 2
    if free < wanted:
        raise NotFilled(f"{free >> 30} GiB of disk are free, {wanted >> 30} GiB are wanted")


class Writer(Protocol):
    """Writes the records of a filling into one kind of database."""

    def write(self, tables: Sequence[Rows]) -> None:
        """Add the rows, without the second index of the memberships, which is made anew after."""

    def finish(self, counts: list[tuple[int, bytes, bytes]]) -> None:
        """Set the counts of audiences and leave the tables as age would have left them."""


def fill(
    install: LonglistInstall,
    filling: Filling,
    stops: Sequence[int],
    at_stop: Callable[[int], None],
    time_limit_seconds: float,
) -> float:
    """Write everything into an installation that is not running; the seconds it took.

    People come oldest first. Whenever as many as one of `stops` are there, `at_stop` is called
    with their number and may run the server. Raises NotFilled when the writing takes more than
    `time_limit_seconds`.
    """
    check_disk(install.place, filling.memberships)
    spent = 0.0

    def in_time(records: Iterator[Record]) -> Iterator[list[Record]]:
        nonlocal spent
        started = time.monotonic()
        while batch := list(islice(records, _BATCH)):
            yield batch
            now = time.monotonic()
            spent, started = spent + now - started, now
            if spent > time_limit_seconds:
                raise NotFilled(f"it took more than {time_limit_seconds:.0f} s to write")

    writer: Writer
    if install.place.postgres is None:
        writer = _SQLite(install)
    else:
        writer = _Postgres(install.place.postgres.url(install.place.database))
    there = 0
    for stop in (*sorted(set(stops)), filling.people):
        numbers = range(there, stop)
        tables = [
            ("prospects", _PEOPLE_COLUMNS, in_time(filling.records_of_people(numbers))),
            ("memberships", _MEMBER_COLUMNS, in_time(filling.records_of_large(numbers))),
        ]
        if stop == filling.people:
            others = in_time(filling.records_of_others())
            tables.append(("memberships", _MEMBER_COLUMNS, others))
        writer.write(tables)
        there = stop
        if stop in stops:
            at_stop(stop)
    writer.finish([(count, filling.group, id_) for id_, count in filling.counts().items()])
    return spent


class _SQLite:
    def __init__(self, install: LonglistInstall) -> None:
        self._file = install.sqlite_file

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        return connection

    def write(self, tables: Sequence[Rows]) -> None:
        connection = self._connect()
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master"
            " WHERE type = 'index' AND tbl_name = 'memberships' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for table, columns, batches in tables:
            marks = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
            for batch in batches:
                connection.execute("BEGIN")
                connection.executemany(statement, batch)
                connection.execute("COMMIT")
        for _, sql in indexes:
            connection.execute(sql)
        connection.close()

    def finish(self, counts: list[tuple[int, bytes, bytes]]) -> None:
        connection = self._connect()
        connection.executemany(
            "UPDATE audiences SET prospect_count = ? WHERE account_group_id = ? AND id = ?", counts
        )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()


class _Postgres:
    """By COPY, without the look-up of each reference, and vacuumed in the end."""

    def __init__(self, url: str) -> None:
        self._url = url

    def write(self, tables: Sequence[Rows]) -> None:
        asyncio.run(self._write(tables))

    def finish(self, counts: list[tuple[int, bytes, bytes]]) -> None:
        asyncio.run(self._finish(counts))

    async def _write(self, tables: Sequence[Rows]) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute("SET session_replication_role = replica")
            indexes = await connection.fetch(
                "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS sql"
                " FROM pg_index WHERE indrelid = 'memberships'::regclass AND NOT indisunique"
            )
            for index in indexes:
                await connection.execute(f"DROP INDEX {index['name']}")
            for table, columns, batches in tables:
                for batch in batches:
                    await connection.copy_records_to_table(table, records=batch, columns=columns)
            for index in indexes:
                # Of a partitioned table the definition says ONLY, which would leave its parts out.
                await connection.execute(index["sql"].replace(" ON ONLY ", " ON "))
            await connection.execute("ANALYZE")
        finally:
            await connection.close()

    async def _finish(self, counts: list[tuple[int, bytes, bytes]]) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.executemany(
                "UPDATE audiences SET prospect_count = $1 WHERE account_group_id = $2 AND id = $3",
                counts,
            )
            await connection.execute("VACUUM (FREEZE, ANALYZE)")
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()
