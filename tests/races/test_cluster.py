"""Several machines' worth of processes on one PostgreSQL, killed at random: the short form."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.harness.postgres import Postgres
from tests.races import cluster
from tests.races.place import running_place


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled(postgres: Postgres, tmp_path: Path) -> None:
    with running_place(tmp_path, postgres.new_database()) as place:

        async def scenario() -> cluster.Outcome:
            async with place.opened() as store:
                return await cluster.race(
                    place, store, requests=20_000, seconds=7, clients=8, kill_every_s=1.5
                )

        outcome = asyncio.run(scenario())
    assert outcome.kills.total() >= 2, outcome
    assert outcome.renames, outcome
    assert outcome.jobs["completed"], outcome
