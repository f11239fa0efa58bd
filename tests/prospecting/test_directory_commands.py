"""A directory in the operator's hands: the command line, a backup, an erasure down to the disk."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from longlist import startup
from longlist.prospecting import source_store as sources
from longlist.prospecting.sources.directory import PROVIDER
from longlist.prospecting.sources.kept import KeptDirectory
from longlist.settings import load as load_settings
from tests.cli.place import Place
from tests.harness.tenant import Tenant
from tests.prospecting.directories import PEOPLE, loaded, many, run, start, write_csv
from tests.prospects.test_erase import _check_disk


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An installation with one account group, and the programs of its database on the path."""
    url = request.getfixturevalue("postgres").new_database() if request.param != "sqlite" else ""
    made = Place(tmp_path, url)
    if url:
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT setting FROM pg_config WHERE name = 'BINDIR'"
            ).fetchone()
        assert row is not None
        made.environ["PATH"] = f"{row[0]}:{made.environ['PATH']}"
    made.run("migrate")
    made.run("accounts", "create", "Client")
    return made


def found(place: Place, query: str) -> list[str | None]:
    """The names that a search finds, in every directory of the only group."""

    async def search() -> list[str | None]:
        async with startup.installation(load_settings(place.environ)) as installation:
            from longlist.context import Context

            ctx = Context(installation, b"")
            every = await ctx.read(lambda c: sources.list_all_everywhere(c.tx))
            set_ups = [source.opened(installation) for source in every]
            wanted = KeptDirectory(query, 1000)
            source = PROVIDER.open(installation, every[0].group, set_ups, wanted, 100)
            async with aclosing(source.pages(None)) as pages:
                return [row.values["name"] async for page in pages for row in page.rows]

    return asyncio.run(search())


def add(place: Place, *more: str, code: int = 0) -> str:
    return place.run("sources", "add", "CRM", "--provider", "directory", *more, code=code)


def test_the_life_of_a_directory(place: Place) -> None:
    path = write_csv(place.folder / "people.csv", many(3))
    said = add(place, "--set", f"file={path}")
    assert "Took in 3 people of 3 rows." in said
    assert found(place, "many") == ["Person 0", "Person 1", "Person 2"]
    assert "3 people are searched" in place.run("sources", "test", "CRM")
    write_csv(path, PEOPLE)
    assert "Took in 6 people" in place.run("sources", "refresh", "CRM")
    assert found(place, "many") == []
    (shown,) = place.json("sources", "list")
    assert shown["settings"] == {"file": str(path)}
    archive = str(place.folder / "backup.tar")
    place.run("backup", archive)
    place.run("sources", "remove", "CRM")
    assert place.json("sources", "list") == []
    place.run("restore", archive, "--force")
    assert found(place, "acme") == ["Ada Sample", "Renée O'Model"]
    assert "Took in 6 people" in place.run("sources", "refresh", "CRM")
    assert found(place, "acme") == ["Ada Sample", "Renée O'Model"]


def test_a_directory_that_cannot_be_loaded_is_not_added(place: Place) -> None:
    path = place.folder / "missing.csv"
    assert "No such file" in add(place, "--set", f"file={path}", code=1)
    assert "either file=PATH or query" in add(place, code=2)
    secret = "postgresql://u:hush-4711@127.0.0.1:1/x"
    said = add(place, "--set", "query=SELECT 1", "--set", f"database={secret}", code=2)
    assert "hush" not in said
    assert place.json("sources", "list") == []


ZEPHYRINE: dict[str, Any] = {
    "firstName": "zephyrinefirst", "lastName": "zephyrinelast", "headline": "zephyrinehead",
    "about": "zephyrineabout " * 300, "title": "zephyrinetitle",
    "publicIdentifier": "zephyrineslug", "email": "zephyrinemail@example.com",
    "location": "zephyrinetown", "phone": "+99 000 4711-4712", "company.name": "zephyrinefirm",
}  # fmt: skip


def test_an_erasure_leaves_nothing_of_the_copy_on_disk(api: Tenant, tmp_path: Path) -> None:
    rows = [*many(400), ZEPHYRINE, *many(400, first=400)]
    loaded(api, tmp_path / "people.csv", rows)
    job = run(api, start(api, "zephyrinetitle"))
    (item,) = api.get(f"AG/audiences/{job['audienceId']}/prospects").data["items"]
    # The job's own row keeps what was searched for, here a word of hers.
    api.server.change(
        ("UPDATE prospecting_jobs SET source = '{}' WHERE account_group_id = $1", api.group)
    )
    api.delete(f"AG/prospects/{item['id']}").expect(200)
    _check_disk(api)
