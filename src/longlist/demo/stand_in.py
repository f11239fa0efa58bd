"""The provider of the demo: the double of Unipile, at the pace of somebody who reads along."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from longlist.prospecting.sources.unipile.double import Double, Request, running

PAGE_S: Final = 4.0
"""A page of a search has 50 people: 2,000 people take almost three minutes. Below the time that a
worker gives a page to end in when it stops."""
PEOPLE: Final = 2_000
SEED: Final = 7
_SEARCH: Final = "/linkedin/search"
_PATIENCE_S: Final = 30.0


class Unhurried(Double):
    """The double, with pages of a search that take their time; everything else is quick."""

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path.endswith(_SEARCH):
            await asyncio.sleep(PAGE_S)
        await super()._respond(request, writer)


@contextlib.contextmanager
def standing_in(port: int) -> Iterator[Unhurried]:
    """The stand-in on 127.0.0.1, at the port or, where that is in use or 0, at a free one."""
    double = Unhurried(SEED, PEOPLE)
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(running(double, port))
            except OSError:
                await stack.enter_async_context(running(double))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), name="stand-in")
    thread.start()
    try:
        if not ready.wait(_PATIENCE_S):
            raise RuntimeError("The stand-in for the provider did not start.")
        yield double
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
