"""An installation for each test, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.cli.place import Place
from tests.harness.server import Longlist, running_longlist, settings_for


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty installation."""
    if request.param == "sqlite":
        return Place(tmp_path)
    return Place(tmp_path, request.getfixturevalue("postgres").new_database())


@pytest.fixture
def embedded(tmp_path: Path) -> Place:
    """An empty installation on SQLite, for what does not touch the database."""
    return Place(tmp_path)


@pytest.fixture(scope="session")
def far_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Longlist]:
    """A Longlist on SQLite that the commands reach over HTTP alone."""
    with running_longlist(settings_for(tmp_path_factory.mktemp("far-data"))) as server:
        yield server


@pytest.fixture
def desk(far_server: Longlist, tmp_path: Path) -> Desk:
    """A person at a desk with a key for a fresh account group on it."""
    return Desk(far_server, tmp_path)
