"""Bringing the schema up: what is done unattended, what is refused, and what survives a crash."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from longlist import schema_version, startup
from longlist.settings import load
from tests.cli.place import PATIENCE_S, Place

OLDEST = "0001"
DYING = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from longlist import schema_version, startup
from longlist.settings import load
left = int(sys.argv[1])
@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left == 0:
        os._exit(9)
schema_version.migrate(startup.database(load()))
"""


def url_of(place: Place) -> str:
    return startup.database(load(place.environ)).url


def at_revision(place: Place, revision: str) -> None:
    place.data.mkdir(exist_ok=True)
    config = schema_version._config(url_of(place))
    command.upgrade(config, revision)


def set_revision(place: Place, revision: str) -> None:
    engine = create_engine(url_of(place))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    engine.dispose()


def test_a_server_migrates_what_it_may(place: Place) -> None:
    at_revision(place, OLDEST)
    if place.database_url:
        said = place.run("serve", code=1)
        assert "Run: longlist migrate" in said
        assert place.run("migrate").startswith("The database schema is now")
    else:
        with place.serving("--api-only") as server:
            assert server.stop() == 0
        (copy,) = place.data.glob(f"longlist-{OLDEST}-*.sqlite3")
        with closing(sqlite3.connect(copy)) as kept:
            assert kept.execute("SELECT version_num FROM alembic_version").fetchone() == (OLDEST,)
    assert place.run("migrate") == (f"The database schema is up to date ({schema_version.HEAD}).\n")


def test_a_schema_of_a_newer_version_is_refused_everywhere(place: Place) -> None:
    place.run("migrate")
    set_revision(place, "9999")
    for args in (["serve"], ["migrate"], ["keys", "list"]):
        assert "ahead of this version" in place.run(*args, code=1)


@pytest.mark.parametrize("at", [6, 14, 25])
def test_a_first_migration_that_is_killed_is_repeated(embedded: Place, at: int) -> None:
    embedded.data.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(at)],
        env=embedded.environ,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 9
    assert "now" in embedded.run("migrate")
    assert embedded.json("accounts", "list") == []


def test_two_that_migrate_at_once_both_succeed(place: Place) -> None:
    place.data.mkdir()
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "longlist", "migrate"],
            env={**os.environ, **place.environ},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert [each.wait(PATIENCE_S) for each in both] == [0, 0]
    assert place.json("accounts", "list") == []
