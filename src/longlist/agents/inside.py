"""The way from the tools at `/mcp` to the API of the same process: no socket, the same gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx2

from longlist.request import Receive, Scope, Send

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PIECES_AHEAD: Final = 8


class Inside(httpx2.AsyncBaseTransport):
    """Hands requests to an ASGI application; answers come piece by piece.

    `client` is the address that the caller really came from.
    """

    def __init__(self, app: App, client: tuple[str, int] | None) -> None:
        self._app = app
        self._client = client

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        path, _, query = request.url.raw_path.partition(b"?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.url.path,
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": self._client,
            "server": None,
        }
        exchange = _Exchange(body)
        exchange.task = asyncio.create_task(exchange.run(self._app, scope))
        status, headers = await exchange.head
        return httpx2.Response(status, headers=headers, stream=exchange, request=request)


class _Exchange(httpx2.AsyncByteStream):
    """One request under way: the application on one side, the client on the other."""

    task: asyncio.Task[None]

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES_AHEAD)
        self.head: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = (
            asyncio.get_running_loop().create_future()
        )

    async def run(self, app: App, scope: Scope) -> None:
        """Run the application to its end, however that comes."""
        try:
            await app(scope, self._receive, self._send)
        except Exception as error:
            if self.head.done():
                # A stream that breaks off must not look whole.
                await self._pieces.put(b"")
            else:
                self.head.set_exception(httpx2.ReadError(f"No answer ({type(error).__name__})."))
        else:
            await self._pieces.put(None)

    async def _receive(self) -> dict[str, Any]:
        if self._body is None:
            # The client is there until it closes the stream, which cancels this.
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.head.set_result((message["status"], list(message["headers"])))
        elif message.get("body"):
            await self._pieces.put(message["body"])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            if not piece:
                raise httpx2.ReadError("The answer broke off.")
            yield piece

    async def aclose(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
