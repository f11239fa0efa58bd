"""No sequence of steps leaves an audience locked for nothing, or open while a job lives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from longlist import startup
from longlist.prospecting.sources import registry
from tests.harness import invented
from tests.races.lock_machine import Machine
from tests.races.place import Place


@pytest.fixture
def machine(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[Machine]]:
    """The machine on the open database of an engine, with the invented provider."""
    invented.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    registry.forget()
    loop = asyncio.new_event_loop()
    opening = startup.installation(place.settings)

    class OnEngine(Machine):
        pass

    OnEngine.loop = loop
    OnEngine.installation = loop.run_until_complete(opening.__aenter__())
    yield OnEngine
    loop.run_until_complete(opening.__aexit__(None, None, None))
    loop.close()
    registry.forget()


def test_the_lock_is_held_exactly_while_a_job_lives(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
