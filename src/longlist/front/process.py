"""The process of a front: opens the directory and serves until it is told to stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from longlist import serving
from longlist.console import Trouble, make_data_folder

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import FrameType

    from longlist.front.app import Front
    from longlist.server import Running
    from longlist.settings import Settings


def serve(settings: Settings) -> None:
    """Serve the front until SIGTERM or SIGINT. Raises Trouble, DatabaseAway and SettingError."""
    import uvloop

    from longlist.telemetry import configure_logs

    configure_logs(settings)
    if not settings.front_directory:
        make_data_folder(settings)
    with (
        serving.closing(serving.listen(settings.host, settings.port)) as sockets,
        serving.metrics_sockets(settings) as metrics,
    ):
        uvloop.run(run(settings, sockets, _started, metrics))


async def run(
    settings: Settings,
    sockets: Sequence[socket.socket],
    on_started: Callable[[Front, Running], None],
    metrics: Sequence[socket.socket] = (),
) -> None:
    """Serve on listening sockets, and its `metrics` on theirs. Raises Trouble and DatabaseAway."""
    from longlist import server, tracing
    from longlist.front.app import Front
    from longlist.front.directory import Directory, opened

    async with opened(settings) as db, tracing.of_process("front") as traces:
        front = Front(Directory(db), settings)
        entry: Any = front if traces is None else traces.of_requests(front)
        try:
            async with _exposing(front, metrics):
                await server.serve(
                    entry,
                    sockets=sockets,
                    limits=serving.limits_of(settings),
                    on_started=lambda running: on_started(front, running),
                )
        except server.StartFailed as error:
            raise Trouble(str(error)) from error


@asynccontextmanager
async def _exposing(front: Front, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    if not sockets:
        yield
        return
    from longlist.front.metrics import FrontMetrics
    from longlist.metrics_listener import listening

    async with listening(sockets, FrontMetrics(front).render):
        yield


def _started(front: Front, running: Running) -> None:
    """Let readiness fail from the first signal on; the server's own handler does the rest."""
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, before: Any = before) -> None:
            front.stopping = True
            before(number, frame)

        signal.signal(number, handle)
    sys.stdout.write(f"Longlist listens on {serving.url_of(running)} in front of its clusters.\n")
    sys.stdout.flush()
