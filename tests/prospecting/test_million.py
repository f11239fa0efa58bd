"""The large imports of `scripts/million.py` in their short form, through a real server and worker.

Every row's outcome, the people of the audience and the counts have to be what was generated.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts import million
from tests.conftest import ENGINES
from tests.races import crowd
from tests.races.place import running_place

ROWS = 20_000


@pytest.fixture(scope="module", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[million.Server]:
    """`longlist serve` with its worker."""
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    folder = tmp_path_factory.mktemp(f"million-{request.param}")
    with running_place(folder, url) as place, million.serving(place) as server:
        yield server


@pytest.mark.parametrize("form", list(crowd.MEDIA_TYPES))
def test_every_row_of_a_large_file_is_accounted_for(server: million.Server, form: str) -> None:
    done = million.run(server, form, ROWS, per_second=20, limit_s=300, seed=len(form))
    assert done.counts["received"] == ROWS
    # Enough of each kind, and renames all along.
    assert min(done.counts[name] for name in ("added", "updated", "skipped", "failed")) > 100
    assert len(done.renames.taken_ms) > 10
