"""`longlist accounts move` as an operator types it; see tests/accounts for what it does."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from longlist.schema_version import HEAD
from tests.cli.place import Place

SECRET = "a secret that both installations have"


@pytest.fixture
def target(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """An empty installation on the other engine, with no secret of its own yet."""
    url = "" if place.database_url else request.getfixturevalue("postgres").new_database()
    (tmp_path / "target").mkdir()
    made = Place(tmp_path / "target", url)
    made.run("migrate")
    for one in (place, made):
        one.environ["LONGLIST_REQUEST_TIMEOUT_S"] = "0.1"
    return made


@pytest.fixture
def group(place: Place) -> str:
    """A group with a key, and another that stays."""
    place.run("migrate")
    place.run("accounts", "create", "Stays")
    made: str = place.json("accounts", "create", "Goes")["id"]
    place.run("keys", "create", "--account-group", made, "--all", "--name", "Its key")
    return made


def names(place: Place) -> list[str]:
    return [group["name"] for group in place.json("accounts", "list")]


def to(target: Place) -> list[str]:
    """The options that name a target."""
    url = ["--to", target.database_url] if target.database_url else []
    return [*url, "--to-data", str(target.data)]


def test_there_and_run_again(place: Place, target: Place, group: str) -> None:
    done = place.json("accounts", "move", group, *to(target))
    assert (done["accountGroupId"], done["state"], done["keys"]) == (group, "moved", 1)
    assert {"source", "target", "tables", "exports", "files", "sharedKeys"} <= set(done)
    assert names(place) == ["Stays"]
    assert names(target) == ["Goes"]
    assert [key["name"] for key in target.json("keys", "list")] == ["Its key"]
    assert place.json("keys", "list") == []
    assert (target.data / "secret").read_text() == (place.data / "secret").read_text()
    assert place.json("accounts", "move", group, *to(target))["state"] == "there already"
    said = place.run("accounts", "move", group, *to(target))
    assert "there already" in said
    assert "secret" not in said


def test_the_same_data_folder(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """From the embedded database to a server's on the same machine: secret and files stay."""
    here = Place(tmp_path)
    here.run("migrate")
    made = here.json("accounts", "create", "Goes")["id"]
    there = Place(tmp_path, request.getfixturevalue("postgres").new_database())
    there.run("migrate")
    here.environ["LONGLIST_REQUEST_TIMEOUT_S"] = "0.1"
    here.run("accounts", "move", made, "--to", there.database_url)
    assert names(there) == ["Goes"]
    assert "postgresql://" in here.run("accounts", "move", made, "--to", there.database_url)


def test_another_secret(place: Place, target: Place, group: str) -> None:
    """In the database, in the data folder, or from the environment."""
    target.run("accounts", "create", "Has a secret of its own")
    said = place.run("accounts", "move", group, *to(target), code=1)
    assert "The target has another secret" in said
    (target.data / "secret").unlink()
    assert "another secret" in place.run("accounts", "move", group, *to(target), code=1)
    assert not (target.data / "secret").exists()
    assert names(place) == ["Goes", "Stays"]


def test_another_schema(place: Place, target: Place, group: str, tmp_path: Path) -> None:
    empty = Place(tmp_path / "empty")
    said = place.run("accounts", "move", group, "--to-data", str(empty.data), code=1)
    assert "There is no database" in said
    old = tmp_path / "old"
    old.mkdir()
    with sqlite3.connect(old / "longlist.sqlite3") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('0001')")
    database.close()
    said = place.run("accounts", "move", group, "--to-data", str(old), code=1)
    assert "The target is not ready" in said
    assert f"this version needs {HEAD}" in said
    shutil.rmtree(old)
    assert names(place) == ["Goes", "Stays"]


def test_a_target_that_cannot_be_reached(place: Place, target: Place, group: str) -> None:
    nowhere = "postgresql://longlist:hush-hush@127.0.0.1:1/longlist"
    said = place.run("accounts", "move", group, "--to", nowhere, code=1)
    assert "cannot be reached" in said
    assert "hush" not in said
    said = place.run("accounts", "move", group, "--to", nowhere, "--undo")
    assert "nothing was changed" in said
    assert "hush" not in said
    assert names(place) == ["Goes", "Stays"]


def test_wrong_command_lines(place: Place, target: Place, group: str) -> None:
    move = ("accounts", "move", group)
    assert "Name the target" in place.run(*move, code=1)
    assert "starts with postgresql://" in place.run(*move, "--to", "mysql://x", code=1)
    own = ["--to", place.database_url] if place.database_url else ["--to-data", str(place.data)]
    assert "is the database that" in place.run(*move, *own, code=1)
    assert "stand alone" in place.run(*move, *to(target), "--undo", "--keep", code=2)
    assert "not the id" in place.run("accounts", "move", "x", *to(target), code=1)
    unknown = "0" * 24
    assert "There is no account group" in place.run(
        "accounts", "move", unknown, *to(target), code=1
    )
    assert "no rows of a move" in place.run(*move, *to(target), "--verify-only", code=1)
    assert names(place) == ["Goes", "Stays"]


def test_kept_and_compared(place: Place, target: Place, group: str) -> None:
    done = place.json("accounts", "move", group, *to(target), "--keep")
    assert done["state"] == "moved, the old rows kept"
    assert place.json("accounts", "move", group, *to(target), "--verify-only")["state"] == "equal"
    place.run("accounts", "move", group, *to(target))
    assert "no rows of a move" in place.run(
        "accounts", "move", group, *to(target), "--verify-only", code=1
    )
