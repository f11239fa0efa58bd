"""An installation for each test, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.place import Place


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
