"""An installation of real processes for each engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import ENGINES
from tests.harness.kept import Kept
from tests.races.place import Place, running_place


@pytest.fixture(scope="module", params=ENGINES)
def place(request: pytest.FixtureRequest, kept: Kept) -> Iterator[Place]:
    """One installation for each engine and module; a test ends the processes that it starts.

    What jobs a test leaves behind are nothing to the workers of the next module.
    """
    engine = request.param
    with running_place(kept.new_folder(f"races-{engine}"), kept.new_url(engine)) as made:
        yield made
