"""The large imports of `scripts/million.py` in their short form, through a real server and worker.

Every row's outcome, the people of the audience and the counts have to be what was generated.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts import million
from tests.conftest import ENGINES
from tests.harness.kept import Kept
from tests.races import crowd
from tests.races.place import running_place

ROWS = 9_000
"""Several of the pages in which an engine takes rows in, the last of them not full."""


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest, kept: Kept) -> Iterator[million.Server]:
    """`longlist serve` with its worker."""
    folder, url = kept.new_folder(f"million-{request.param}"), kept.new_url(request.param)
    with running_place(folder, url) as place, million.serving(place) as server:
        yield server


@pytest.mark.parametrize("form", list(crowd.MEDIA_TYPES))
def test_every_row_of_a_large_file_is_accounted_for(
    server: million.Server, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "BROKEN", 0.03)
    done = million.run(server, form, ROWS, per_second=40, limit_s=300, seed=len(form))
    assert done.counts["received"] == ROWS
    # Enough of each kind, and renames all along.
    assert min(done.counts[name] for name in ("added", "updated", "skipped", "failed")) > 100
    assert len(done.renames.taken_ms) > 10
