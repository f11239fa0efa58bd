"""`longlist backup` and `longlist restore`."""

from __future__ import annotations

import tarfile
from pathlib import Path

import psycopg
import pytest

from longlist.backups import restore
from longlist.console import Trouble
from longlist.db import sqlite_file
from longlist.settings import load
from tests.cli.place import Place


@pytest.fixture
def filled(place: Place) -> Place:
    """An installation with one account group, an uploaded file, and pg_dump on the path."""
    if place.database_url:
        with psycopg.connect(place.database_url) as connection:
            found = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            row = found.fetchone()
        assert row is not None
        place.environ["PATH"] = f"{row[0]}:{place.environ['PATH']}"
    place.run("migrate")
    place.run("accounts", "create", "Kept")
    (place.data / "files").mkdir(exist_ok=True)
    (place.data / "files" / "aa.upload").write_text("Email\nada@example.com\n")
    (place.data / "files" / "bb.part").write_text("on its way")
    return place


def names(place: Place) -> list[str]:
    return [group["name"] for group in place.json("accounts", "list")]


def test_a_backup_brings_everything_back(filled: Place) -> None:
    archive = filled.folder / "backup.tar.gz"
    saved = filled.json("backup", str(archive))
    assert (saved["files"], saved["withSecret"]) == (1, True)
    assert archive.stat().st_mode & 0o777 == 0o600
    secret = (filled.data / "secret").read_text()
    filled.run("accounts", "create", "Later")
    (filled.data / "files" / "aa.upload").unlink()
    assert "exists already" in filled.run("backup", str(archive), code=1)
    assert "Add --force" in filled.run("restore", str(archive), code=1)
    assert names(filled) == ["Later", "Kept"]
    said = filled.run("restore", str(archive), "--force")
    assert said.startswith("Restored the backup of ")
    assert names(filled) == ["Kept"]
    assert (filled.data / "secret").read_text() == secret
    assert (filled.data / "files" / "aa.upload").exists()
    assert not list(filled.data.glob(".restore-*"))
    assert not list(filled.folder.glob(".longlist-backup-*"))


def test_a_backup_goes_into_an_empty_installation(
    filled: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    archive = filled.folder / "backup.tar"
    filled.run("backup", str(archive))
    url = request.getfixturevalue("postgres").new_database() if filled.database_url else ""
    (tmp_path / "new").mkdir()
    new = Place(tmp_path / "new", url)
    new.environ["PATH"] = filled.environ["PATH"]
    new.run("restore", str(archive))
    assert names(new) == ["Kept"]


def test_a_database_in_use_is_not_replaced(embedded: Place) -> None:
    archive = embedded.folder / "backup.tar"
    with embedded.serving("--api-only"):
        embedded.run("backup", str(archive))
        said = embedded.run("restore", str(archive), "--force", code=1)
    assert "A server uses the database" in said
    before = (embedded.data / "longlist.sqlite3").read_bytes()
    embedded.run("restore", str(archive), "--force")
    (aside,) = embedded.data.glob("replaced-*")
    assert (aside / "longlist.sqlite3").read_bytes() == before


def test_a_damaged_database_is_not_saved_but_can_be_replaced(embedded: Place) -> None:
    archive = embedded.folder / "backup.tar"
    embedded.run("migrate")
    embedded.run("accounts", "create", "Kept")
    embedded.run("backup", str(archive))
    file = embedded.data / "longlist.sqlite3"
    file.write_bytes(b"x" * file.stat().st_size)
    embedded.run("backup", str(embedded.folder / "second.tar"), code=1)
    assert not (embedded.folder / "second.tar").exists()
    embedded.run("doctor", code=1)
    embedded.run("restore", str(archive), "--force")
    assert names(embedded) == ["Kept"]


@pytest.mark.parametrize("member", ["../evil", "/tmp/evil", "files/../evil", "files/a.part", "x"])
def test_an_archive_with_other_members_is_refused(embedded: Place, member: str) -> None:
    archive = embedded.folder / "evil.tar"
    (embedded.folder / "content").write_text("evil")
    with tarfile.open(archive, "w") as tar:
        tar.add(embedded.folder / "content", member)
    with pytest.raises(Trouble, match="is not an archive"):
        restore(load(embedded.environ), archive, force=False)
    assert not list(embedded.folder.rglob("evil"))
    assert not (embedded.data / "longlist.sqlite3").exists()


def test_a_link_in_an_archive_is_refused(embedded: Place) -> None:
    archive = embedded.folder / "evil.tar"
    (embedded.folder / "secret").symlink_to("/etc/hostname")
    with tarfile.open(archive, "w") as tar:
        tar.add(embedded.folder / "secret", "secret")
    with pytest.raises(Trouble, match="is not an archive"):
        restore(load(embedded.environ), archive, force=False)


def test_a_copy_is_whole_and_alone(embedded: Place) -> None:
    embedded.run("migrate")
    source, copy = embedded.data / "longlist.sqlite3", embedded.folder / "copy.sqlite3"
    sqlite_file.copy(source, copy)
    assert sqlite_file.problems(copy) == []
    assert [path.name for path in embedded.folder.glob("copy*")] == ["copy.sqlite3"]
    with pytest.raises(FileExistsError):
        sqlite_file.copy(source, copy)
