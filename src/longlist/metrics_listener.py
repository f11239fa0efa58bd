"""Answers `GET /metrics`, and nothing else, on sockets that are not the API's.

A responder of its own rather than the API's server: the API has no path for metrics, and these
must not be reachable where it is. One request a connection, a head of at most 8 KiB, five seconds
for all of it and a few connections at a time: what Prometheus needs, and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from longlist.telemetry import log, place_of

PATH: Final = "/metrics"
_HEAD_BYTES: Final = 8192
_PATIENCE_S: Final = 5.0
_MOST: Final = 16
_ACCEPT: Final = re.compile(r"^accept:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_PLAIN: Final = "text/plain; charset=utf-8"

Render = Callable[[str], Awaitable[tuple[str, bytes]]]
"""From an `Accept` header to media type and text."""


class _Listener:
    def __init__(self, render: Render) -> None:
        self._render = render
        self.tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection, unless there are too many."""
        if len(self.tasks) >= _MOST:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer), name="metrics")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head.decode("latin-1")))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # nobody waits for this answer any more, or it was no request
        finally:
            writer.transport.abort()

    async def _answer(self, head: str) -> bytes:
        method, _, rest = head.partition("\r\n")[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if path != PATH:
            return _message(404, _PLAIN, f"Metrics are at {PATH}.\n".encode(), method)
        if method not in ("GET", "HEAD"):
            return _message(405, _PLAIN, b"Only GET.\n", method, "Allow: GET, HEAD\r\n")
        accept = ",".join(_ACCEPT.findall(head.replace("\r\n", "\n")))
        try:
            media_type, text = await self._render(accept)
        except Exception as error:  # the next scrape may succeed; the server goes on
            log.error("metrics failed", reason=place_of(error))
            return _message(500, _PLAIN, b"The metrics could not be gathered.\n", method)
        return _message(200, media_type, text, method)


def _message(status: int, media_type: str, body: bytes, method: str, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {media_type}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        f"X-Content-Type-Options: nosniff\r\nConnection: close\r\n{more}\r\n"
    )
    return head.encode("latin-1") + (b"" if method == "HEAD" else body)


@asynccontextmanager
async def listening(sockets: Sequence[socket.socket], render: Render) -> AsyncIterator[None]:
    """Answer on listening sockets, which are closed at the end, until the block ends."""
    listener = _Listener(render)
    servers = [
        await asyncio.start_server(listener.accept, sock=each, limit=_HEAD_BYTES)
        for each in sockets
    ]
    try:
        yield
    finally:
        for server in servers:
            server.close()
        for task in list(listener.tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
