"""What routing, gate, decoding and envelope cost of a PATCH, without socket, server and database.

Runs in a process of its own: `python -m bench.pipeline RESULT_FILE`, with the settings of a
Longlist that has been set up, BENCH_KEY and BENCH_GROUP in the environment. The application is
Longlist's own; only the handler is replaced, by one that gives back an answer the real handler
made before. The bare application beside it is called by the same loop with the same request.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.figures import spread
from longlist import settings, startup
from longlist.app import App
from longlist.limits import MemoryLimiter
from longlist.operations import Operation, Router, Work
from longlist.telemetry import configure_logs

_CALLS = 10_000
_ROUNDS = 7

Message = MutableMapping[str, Any]
Application = Callable[..., Awaitable[None]]


class Silent:
    """Stands in for telemetry, so that its part can be told from the rest."""

    def request(self, *_: object) -> None:
        """Count and log nothing."""


class Request:
    """One request, sent over and over; `messages` keeps the last answer."""

    def __init__(self, method: str, path: str, body: bytes) -> None:
        self.messages: list[Message] = []
        self._body = {"type": "http.request", "body": body, "more_body": False}
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8080),
            "headers": [
                (b"host", b"127.0.0.1:8080"),
                (b"authorization", f"Bearer {os.environ['BENCH_KEY']}".encode()),
                (b"accept", b"application/json"),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ],
        }

    async def _receive(self) -> Message:
        return self._body

    async def _send(self, message: Message) -> None:
        self.messages.append(message)

    async def call(self, app: Application) -> bytes:
        """The body of one answer, which has to be a success."""
        self.messages.clear()
        await app(dict(self._scope), self._receive, self._send)
        start, end = self.messages
        if start["status"] // 100 != 2:
            raise RuntimeError(f"the application answered {start['status']}: {end['body']!r}")
        body: bytes = end["body"]
        return body

    async def microseconds(self, app: Application) -> float:
        """CPU time of one call, over many."""
        started = time.process_time()
        for _ in range(_CALLS):
            self.messages.clear()
            await app(dict(self._scope), self._receive, self._send)
        return (time.process_time() - started) / _CALLS * 1e6


def bare(start: Message, end: Message) -> Application:
    """An application that reads the body and sends two messages it has."""

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await receive()
        await send(start)
        await send(end)

    return app


def with_handler(app: App, operation: Operation) -> None:
    """Put `operation` in place of the one of the same name, in the router and nowhere else."""
    others = [known for known in app.router.operations if known.id != operation.id]
    app.router = Router([*others, operation])


async def measure() -> dict[str, Any]:
    """Microseconds of a call of each application, over the rounds."""
    configured = settings.load()
    configure_logs(configured)
    async with startup.installation(configured) as installation:
        return await _measure(App(installation, MemoryLimiter()))


async def _measure(app: App) -> dict[str, Any]:
    base = f"/v1/accounts/{os.environ['BENCH_GROUP']}/audiences"
    create = Request("POST", base, b'{"name": "Measured", "type": "on_demand"}')
    made = json.loads(await create.call(app))["data"]
    patch = Request("PATCH", f"{base}/{made['id']}", b'{"name": "Audience 0001 r1a"}')
    operation = next(known for known in app.router.operations if known.id == "updateAudience")
    kept: list[Any] = []

    async def update_audience(ctx: Any, *args: Any) -> Any:
        kept.append(await operation.handler(ctx, *args))
        return kept[-1]

    with_handler(app, dataclasses.replace(operation, handler=update_audience))
    await patch.call(app)
    start, end = patch.messages
    null = bare(dict(start), dict(end))
    answer = kept[-1]

    async def answer_again(ctx: Any, *args: Any) -> Any:
        return answer

    answer_again.__name__ = "update_audience"
    with_handler(app, dataclasses.replace(operation, handler=answer_again, work=Work.NONE))
    await patch.call(app)
    telemetry = app.telemetry
    taken: dict[str, list[float]] = {"bareUs": [], "pipelineUs": [], "withTelemetryUs": []}
    for _ in range(_ROUNDS):
        taken["bareUs"].append(await patch.microseconds(null))
        app.telemetry = cast(Any, Silent())
        taken["pipelineUs"].append(await patch.microseconds(app))
        app.telemetry = telemetry
        taken["withTelemetryUs"].append(await patch.microseconds(app))
    return {name: spread(values) for name, values in taken.items()}


def main() -> None:
    """Measure on the loop that the server runs on, and write the figures to the named file."""
    figures: dict[str, Any]
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(measure())
    except Exception as error:
        # Standard error is full of log lines: the caller reads the reason in the file.
        figures = {"error": f"{type(error).__name__}: {error}"}
    Path(sys.argv[1]).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
