"""Another process keeps the embedded database's write lock, as a frozen one does."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from tests.harness.answer import Answer
from tests.races.place import Place


def test_writers_are_refused_together_and_not_in_turns(place: Place) -> None:
    if place.engine == "postgres":
        pytest.skip("PostgreSQL has no one write lock")
    api = place.start("api")

    async def scenario() -> tuple[list[Answer], Answer, Answer]:
        async with place.opened() as store:
            group = await store.tenant()
            connections = [group.on(api) for _ in range(64)]
            url = f"{group.path}/audiences/{await group.audience(connections[0])}"
            other = sqlite3.connect(place.settings.sqlite_path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            # A client waits for a minute: in turns most of these would have no answer by then.
            refused = await asyncio.gather(
                *(c.send("PATCH", url, {"name": f"N{n}"}) for n, c in enumerate(connections))
            )
            read = await connections[0].send("GET", url)
            other.execute("ROLLBACK")
            other.close()
            after = await connections[0].send("PATCH", url, {"name": "After"})
            for connection in connections:
                connection.close()
            return refused, read, after

    refused, read, after = asyncio.run(scenario())
    place.end()
    for answer in refused:
        answer.expect(503, "OVERLOADED")
    assert read.expect(200).data["name"] == "Raced"
    assert after.expect(200).data["name"] == "After"
