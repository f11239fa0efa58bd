"""A revoked key stops within one second in every process (contract 1.2)."""

from __future__ import annotations

import asyncio

from tests.races import revocation
from tests.races.place import Place


def test_a_revoked_key_stops_in_every_process(place: Place) -> None:
    apis = [place.begin("api"), place.begin("api")]
    for api in apis:
        api.wait_started()

    async def scenario() -> list[float]:
        async with place.opened() as store:
            return await revocation.race(apis, store)

    late = asyncio.run(scenario())
    place.end()
    # The promise itself and no measurement of speed: a request sent later is refused.
    assert max(late) < revocation.SECOND
