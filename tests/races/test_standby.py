"""A synchronous standby takes over from a primary that is killed under load: the short form."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.races import standby
from tests.races.place import running_place


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with (
        standby.running_pair() as pair,
        running_place(tmp_path, pair.url("longlist")) as place,
    ):

        async def scenario() -> standby.Failover:
            async with place.opened() as store:
                return await standby.race(
                    place, store, pair, seconds=4.5, apis=1, workers=1, clients=6, pause_s=0.5
                )

        outcome = asyncio.run(scenario())
    assert outcome.answers["503 OVERLOADED"], outcome
    assert outcome.renames, outcome
    assert set(outcome.back_s) == {"api-1"}
