"""An installation of real processes for each engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import ENGINES
from tests.races.place import Place, running_place


@pytest.fixture(scope="session", params=ENGINES)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """One installation for each engine and session; a test ends the processes that it starts."""
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    with running_place(tmp_path_factory.mktemp(f"races-{request.param}"), url) as made:
        yield made
