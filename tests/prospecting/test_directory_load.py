"""Loading a directory: all of it or nothing, beside those who search it, whatever comes between."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longlist.db import DatabaseAway
from longlist.prospecting import directory_store as store
from longlist.prospecting import source_store as sources
from longlist.prospecting.sources.directory import PROVIDER
from longlist.prospecting.sources.directory.load import Loader
from longlist.prospecting.sources.providers import Forgets, Provider, ProviderFailed, SetUp
from tests.harness.tenant import Tenant
from tests.prospecting.directories import (
    PEOPLE,
    directory,
    forget,
    kept_rows,
    load,
    loaded,
    many,
    names,
    pages,
    write_csv,
)

NOTHING = {"directory_generations": 0, "directory_people": 0, "directory_words": 0}


def holds(people: int) -> dict[str, int]:
    return {"directory_generations": 1, "directory_people": people, "directory_words": people}


def test_the_provider_is_what_its_users_expect() -> None:
    provider: Provider = PROVIDER
    assert isinstance(provider, Forgets)
    assert provider.serves == {"directory_search"}


def test_rows_that_cannot_be_used_are_counted(api: Tenant, tmp_path: Path) -> None:
    rows = [
        *PEOPLE,
        {"name": "Nobody Known"},
        {"email": "not-an-address"},
        {"email": "also not"},
        {"linkedinUrl": "ftp://example.com", "email": "a@example.com"},
        {"name": "x" * 300, "email": "b@example.com"},
    ]
    made = directory(api, write_csv(tmp_path / "people.csv", rows))
    assert load(api, made) == (
        "Took in 6 people of 11 rows. Rows that could not be used: 2 INVALID_EMAIL, 1 NO_IDENTITY,"
        " 1 INVALID_URL, 1 FIELD_TOO_LONG."
    )
    assert kept_rows(api) == holds(6)


def _ndjson(path: Path) -> None:
    path.write_text("".join(json.dumps(person) + "\n" for person in PEOPLE))


def _xlsx(path: Path) -> None:
    columns = list(dict.fromkeys(name for person in PEOPLE for name in person))
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(columns)
    for person in PEOPLE:
        sheet.append([person.get(column) for column in columns])
    book.save(path)


def _parquet(path: Path) -> None:
    columns = list(dict.fromkeys(name for person in PEOPLE for name in person))
    pq.write_table(pa.table({c: [person.get(c) for person in PEOPLE] for c in columns}), path)


@pytest.mark.parametrize("write", [_ndjson, _xlsx, _parquet])
def test_every_format_gives_the_same_people(
    api: Tenant, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "people.dat"
    write(path)
    made = directory(api, path)
    assert load(api, made) == "Took in 6 people of 6 rows."
    as_csv = loaded(api, tmp_path / "people.csv", PEOPLE, "The same")
    for query in ("acme", "berlin", "東京"):
        found, same = pages(api, [made], query), pages(api, [as_csv], query)
        assert [row.values for page in found for row in page.rows] == [
            row.values for page in same for row in page.rows
        ]


def test_a_mapping_of_the_operator_wins(api: Tenant, tmp_path: Path) -> None:
    rows = [{"Kontakt": "ada@example.com", "Wer": "Ada Sample", "Notiz": "acme"}]
    mapping = {"Kontakt": "email", "Wer": "name", "Notiz": None}
    path = write_csv(tmp_path / "people.csv", rows)
    made = directory(api, path, mapping=json.dumps(mapping))
    load(api, made)
    assert names(pages(api, [made], "ada")) == ["Ada Sample"]
    assert names(pages(api, [made], "acme")) == []
    wrong = directory(api, path, "Wrong", mapping='{"Nobody": "email"}')
    with pytest.raises(ProviderFailed, match="no column of this name"):
        load(api, wrong)


def test_a_refresh_replaces_everything_and_deletes_what_was(api: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    made = loaded(api, path, many(900))
    write_csv(path, many(500, first=700))
    assert load(api, made) == "Took in 500 people of 500 rows."
    assert names(pages(api, [made], "many")) == [f"Person {at}" for at in range(700, 1200)]
    assert kept_rows(api) == holds(500)
    forget(api, made)
    forget(api, made)
    assert kept_rows(api) == NOTHING
    assert pages(api, [made], "many") == []


@pytest.mark.parametrize("content", ["", "email\n", "email\nnot one\n", "PAR1 but not really"])
def test_what_gives_nobody_replaces_nobody(api: Tenant, tmp_path: Path, content: str) -> None:
    path = tmp_path / "people.csv"
    made = loaded(api, path, many(3))
    path.write_text(content)
    with pytest.raises(ProviderFailed):
        load(api, made)
    assert names(pages(api, [made], "many")) == ["Person 0", "Person 1", "Person 2"]
    assert kept_rows(api) == holds(3)
    path.unlink()
    with pytest.raises(ProviderFailed, match="No such file"):
        load(api, made)
    assert kept_rows(api) == holds(3)


def _breaking_query(tmp_path: Path) -> dict[str, str]:
    """A query that gives thousands of rows and then fails."""
    path = tmp_path / "theirs.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (n INTEGER)")
        numbers = [(n,) for n in [*range(5000), -(2**63)]]
        connection.executemany("INSERT INTO people VALUES (?)", numbers)
    connection.close()
    query = "SELECT 'p' || abs(n) || '@example.com' AS email, 'Many' AS title FROM people"
    return {"database": str(path), "query": query}


def test_a_load_that_breaks_half_way_leaves_the_old_people(api: Tenant, tmp_path: Path) -> None:
    made = loaded(api, tmp_path / "people.csv", many(3))
    broken = SetUp(made.id, made.name, made.provider, _breaking_query(tmp_path))
    with pytest.raises(ProviderFailed, match="refused the query"):
        load(api, broken)
    assert names(pages(api, [made], "many")) == ["Person 0", "Person 1", "Person 2"]
    assert kept_rows(api) == holds(3)


def _begun(api: Tenant, made: SetUp, people: int) -> int:
    """A load that dies with some people written; the number of its generation."""
    number: int = api.server.write(store.begin, made.id, group=api.group)
    written = [store.DirectoryPerson("{}", f"a{at}", [b"%016d" % at]) for at in range(people)]
    api.server.write(store.add, made.id, number, written, group=api.group)
    return number


def test_a_crash_leaves_the_old_people_and_the_next_load_clears_up(
    api: Tenant, tmp_path: Path
) -> None:
    made = loaded(api, tmp_path / "people.csv", many(3))
    _begun(api, made, 700)
    assert names(pages(api, [made], "many")) == ["Person 0", "Person 1", "Person 2"]
    assert kept_rows(api)["directory_people"] == 703
    load(api, made)
    assert kept_rows(api) == holds(3)


def test_a_crash_after_the_switch_is_cleared_up_too(api: Tenant, tmp_path: Path) -> None:
    made = loaded(api, tmp_path / "people.csv", many(1200))
    number = _begun(api, made, 1)
    api.server.write(store.publish, made.id, number, group=api.group)
    assert pages(api, [made], "many") == []
    assert api.server.write(store.delete_some, 100, group=api.group)
    load(api, made)
    assert kept_rows(api) == holds(1200)


def test_what_a_removed_directory_left_goes_with_the_next_load(api: Tenant, tmp_path: Path) -> None:
    lost = loaded(api, tmp_path / "lost.csv", many(700), "Lost")
    made = loaded(api, tmp_path / "people.csv", many(3))
    api.server.write(sources.remove, lost.id, group=api.group)
    with pytest.raises(ProviderFailed, match="removed"):
        load(api, lost)
    load(api, made)
    assert kept_rows(api) == holds(3)


def test_of_two_loads_at_once_the_later_one_wins(api: Tenant, tmp_path: Path) -> None:
    made = loaded(api, tmp_path / "people.csv", many(3))
    number = _begun(api, made, 5)
    load(api, made)
    for late in (partial(store.add, people=[]), store.publish):
        with pytest.raises(store.LoadLost):
            api.server.write(partial(late), made.id, number, group=api.group)
    assert names(pages(api, [made], "many")) == ["Person 0", "Person 1", "Person 2"]
    assert kept_rows(api) == holds(3)


def test_who_searches_during_a_load_sees_the_old_or_the_new_people(
    api: Tenant, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    made = loaded(api, path, many(800))
    write_csv(path, many(900, first=5000))
    old = [f"Person {at}" for at in range(800)]
    new = [f"Person {at}" for at in range(5000, 5900)]
    installation = api.server.installation
    source = PROVIDER.open(installation, api.group, [made], _everybody(), 2000)

    async def look() -> list[str | None]:
        return [row.values["name"] async for page in source.pages(None) for row in page.rows]

    async def both() -> list[list[str | None]]:
        loading = asyncio.ensure_future(PROVIDER.load(installation, api.group, made))
        seen = []
        while not loading.done():
            seen.append(await look())
        await loading
        return [*seen, await look()]

    seen = api.server.call(both)
    assert all(found in (old, new) for found in seen)
    assert (seen[0], seen[-1]) == (old, new)
    assert seen == sorted(seen, key=lambda found: found == new)


def _everybody() -> Any:
    from longlist.prospecting.sources.kept import KeptDirectory

    return KeptDirectory("many", 10_000)


def test_it_is_written_in_short_transactions(
    api: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    add = store.add

    async def counting(ctx: Any, source_id: bytes, number: int, people: Any) -> int:
        sizes.append(len(people))
        return await add(ctx, source_id, number, people)

    monkeypatch.setattr(store, "add", counting)
    loaded(api, tmp_path / "people.csv", many(5000))
    assert sum(sizes) == 5000
    assert max(sizes) <= api.server.installation.db.turn_rows // 2


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (store.begin, "Nothing was changed"),
        (store.add, "Nothing was changed"),
        (store.publish, "Nothing was changed"),
        (store.delete_some, "deleted by the next load"),
    ],
)
def test_the_database_may_go_away_at_every_step(
    api: Tenant, tmp_path: Path, step: Any, said: str
) -> None:
    path = tmp_path / "people.csv"
    made = loaded(api, path, many(3))
    write_csv(path, many(3, first=7))
    loader = Loader(api.server.installation, api.group, made)
    write, published = loader._write, False

    async def until_then(body: Any, *args: Any) -> Any:
        nonlocal published
        # Deleting comes first as well, before anything is loaded.
        if body is step and (published or step is not store.delete_some):
            raise DatabaseAway("The database is away.")
        published = published or body is store.publish
        return await write(body, *args)

    loader._write = until_then  # type: ignore[method-assign]
    try:
        told = api.server.call(loader.load)
    except ProviderFailed as failed:
        told = str(failed)
    assert said in told
    first = 7 if step is store.delete_some else 0
    expected = [f"Person {at}" for at in range(first, first + 3)]
    assert names(pages(api, [made], "many")) == expected
    load(api, made)
    assert kept_rows(api) == holds(3)


def test_a_test_tells_what_is_there_and_what_is_searched(api: Tenant, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "people.csv", many(3))
    made = directory(api, path)
    ask = partial(PROVIDER.test, api.server.installation, api.group, made)
    told = api.server.call(ask)
    assert told == (
        "people.csv is csv with about 3 rows. Columns that are read: name -> name, email -> email,"
        " title -> title. Nothing has been loaded yet."
    )
    load(api, made)
    assert " 3 people are searched, loaded on 20" in api.server.call(ask)
    assert kept_rows(api) == holds(3)
