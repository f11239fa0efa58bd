"""What the fastest import could take: ready rows into the tables that one needs, and nothing else.

    .venv/bin/python -m scripts.import_floor --rows 100000

Beside a bare insert into one table without an index, as `make bench` measures it, the same people
are written into the real tables of an empty database: a person, two identity keys, a membership
and an outcome each. Nothing is read, parsed, hashed, looked up or decided within the time, foreign
keys are not checked, every table is filled in the order of its key, and all of it is one
transaction. A third figure is the other half: the same people read from a CSV file as a job reads
them, with their keys hashed and the file looked through, and nothing done with them; it runs on a
core of its own in a job, so that the greater of the two bounds an import. Prints a line of JSON for
each engine.

PostgreSQL runs without fsync here, and is given its rows by COPY.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from longlist import schema_version, startup
from longlist.db.sqlite import connect
from longlist.ids import new_id, new_ids, now_ms
from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.inspection import inspect
from longlist.prospecting.mapping import suggest
from longlist.prospecting.reading import Reading
from longlist.prospecting.sources.file_import import FileImport
from longlist.settings import Settings
from tests.harness.postgres import running_postgres

BARE = ("first_name", "last_name", "email", "linkedin_url", "title", "company")
TABLES = {
    "prospects": (
        "account_group_id", "id", "first_name", "last_name", "name", "email", "linkedin_url",
        "public_identifier", "title", "company_name", "created_at", "updated_at",
    ),
    "prospect_keys": ("account_group_id", "key", "prospect_id"),
    "memberships": ("account_group_id", "audience_id", "prospect_id", "touched_by"),
    "job_rows": ("account_group_id", "job_id", "position", "line", "outcome", "prospect_id"),
}  # fmt: skip
PAGE_ROWS = 4000
Rows = list[tuple[Any, ...]]


def rows_of(count: int) -> tuple[Rows, dict[str, Rows]]:
    """The rows of the bare table and of the real ones. Keys are random, as hashes are."""
    chance = Random(1)
    group, audience, job, now = new_id(), new_id(), new_id(), now_ms()
    bare: Rows = []
    real: dict[str, Rows] = {table: [] for table in TABLES}
    for position, id_ in enumerate(new_ids(count), 1):
        slug = f"ada-{chance.getrandbits(64):016x}"
        url, company = f"https://www.linkedin.com/in/{slug}", f"Company {chance.randrange(50_000)}"
        person = ("Ada", "Abara", f"{slug}@example.com", url, "Founder", company)
        bare.append(person)
        first, last, email, url, title, company = person
        real["prospects"].append(
            (group, id_, first, last, f"{first} {last}", email, url, slug, title, company, now, now)
        )
        real["prospect_keys"] += [(group, chance.randbytes(16), id_) for _ in range(2)]
        real["memberships"].append((group, audience, id_, job))
        real["job_rows"].append((group, job, position, position + 1, "added", id_))
    real["prospect_keys"].sort()
    return bare, real


def on_sqlite(folder: Path, bare: Rows, real: dict[str, Rows]) -> dict[str, float]:
    """Seconds of both."""
    settings = Settings(data=str(folder))
    schema_version.migrate(startup.database(settings))
    connection = connect(settings.sqlite_path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(f"CREATE TABLE bare ({', '.join(BARE)})")
    taken = {}
    for name, tables in (("bare", {"bare": (BARE, bare)}), ("real", _with_rows(real))):
        began = time.perf_counter()
        connection.execute("BEGIN")
        for table, (columns, rows) in tables.items():
            marks = ", ".join("?" * len(columns))
            connection.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows
            )
        connection.execute("COMMIT")
        taken[name] = time.perf_counter() - began
    connection.close()
    return taken


def _with_rows(real: dict[str, Rows]) -> dict[str, tuple[tuple[str, ...], Rows]]:
    return {table: (columns, real[table]) for table, columns in TABLES.items()}


async def on_postgres(url: str, bare: Rows, real: dict[str, Rows]) -> dict[str, float]:
    """Seconds of both, the bare one by `executemany`."""
    connection = await asyncpg.connect(url)
    # Without foreign keys: their checks are triggers.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(f"CREATE TABLE bare ({', '.join(f'{name} TEXT' for name in BARE)})")
    began = time.perf_counter()
    async with connection.transaction():
        await connection.executemany("INSERT INTO bare VALUES ($1, $2, $3, $4, $5, $6)", bare)
    taken = {"bare": time.perf_counter() - began}
    began = time.perf_counter()
    async with connection.transaction():
        for table, columns in TABLES.items():
            await connection.copy_records_to_table(table, records=real[table], columns=columns)
    taken["real"] = time.perf_counter() - began
    await connection.close()
    return taken


def reading(folder: Path, bare: Rows) -> float:
    """Seconds for the pages of a CSV file of these people, in one process."""
    path = folder / "people.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("First Name", "Last Name", "Email", "LinkedIn URL", "Title", "Company")])
        writer.writerows(bare)
    found = inspect(path)
    suggested = suggest(found.columns, found.preview)
    stored = StoredFile(new_id(), path, found, suggested, 0, 0)
    source = FileImport(stored, suggested, len(bare), False, PAGE_ROWS)
    began = time.perf_counter()
    entries = sum(len(page.entries) for page in Reading(b"s" * 32, source, None, 0).pages())
    taken = time.perf_counter() - began
    assert entries == len(bare)
    return taken


def told(engine: str, rows: int, taken: dict[str, float]) -> None:
    """Print what a row takes, and the share that the bare insert is of it."""
    us = {f"{name}UsARow": round(seconds / rows * 1e6, 2) for name, seconds in taken.items()}
    share = {
        f"bareOf{name.capitalize()}": round(taken["bare"] / taken[name], 3)
        for name in taken
        if name != "bare"
    }
    sys.stdout.write(json.dumps({"engine": engine, "rows": rows, **us, **share}) + "\n")


def main() -> None:
    """Measure both engines."""
    parser = argparse.ArgumentParser(description="The least that an import could take.")
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    bare, real = rows_of(args.rows)
    with tempfile.TemporaryDirectory(prefix="longlist-floor-") as folder:
        read = {"reading": reading(Path(folder), bare)}
        told("sqlite", args.rows, on_sqlite(Path(folder), bare, real) | read)
        with running_postgres() as server:
            url = server.new_database()
            schema_version.migrate(startup.database(Settings(data=folder, database_url=url)))
            told("postgres", args.rows, asyncio.run(on_postgres(url, bare, real)) | read)


if __name__ == "__main__":
    main()
