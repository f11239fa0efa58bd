"""`/mcp`: the tools over streamable HTTP, behind the gate of the API.

Each request stands alone: no sessions are kept, so that any process of an installation can answer
it, with the powers of the key it came with. It takes one token of that key's rate limit, and each
request that a tool makes of the API takes another, by the same rules as from outside.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

from longlist_client import AsyncLonglist, Retries
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from longlist.agents import PATH
from longlist.agents.caller import Caller
from longlist.agents.inside import Inside
from longlist.agents.protocol import server
from longlist.errors import LonglistError, MethodNotAllowed, Overloaded
from longlist.operations import Operation
from longlist.request import ClientGone, Receive, Request, Scope, Send

if TYPE_CHECKING:
    from longlist.app import App

_RETRIES: Final = Retries(attempts=3, total_s=5.0)
"""Within one process an answer is never lost; only a moment of load is worth waiting for."""


async def answer_agent(*_never: Any) -> None:
    """The name under which requests of agents are counted and logged."""
    raise NotImplementedError


OPERATION: Final = Operation(
    method="POST",
    path=PATH,
    section="",
    summary="Tools for agents",
    handler=answer_agent,
    answer=None,
    answer_name="",
)


class Web:
    """The application below `/mcp`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._secret = app.installation.derive(b"plans of agents")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = Request(scope, receive)
        status = 500

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-trace-id", request.trace_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        try:
            await self._admit(request)
            # Read here, so that who hangs up in the middle is none of the library's errors.
            body = await request.body(OPERATION.body_limit)
        except LonglistError as error:
            status = error.status
            await self._app.refuse(request, error, send)
        except ClientGone:
            status = 499
        else:
            await self._serve(request, scope, _again(body, receive), noting)
        finally:
            seconds = time.perf_counter() - started
            self._app.telemetry.request(request, OPERATION, status, seconds)

    async def _admit(self, request: Request) -> None:
        if request.method != "POST":
            # Neither sessions to end nor a stream of the server's own are to be had.
            raise MethodNotAllowed(("POST",))
        if self._app.is_full:
            raise Overloaded
        await self._app.gate.admit(request, OPERATION, None)

    async def _serve(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        # The gate has let this one header in.
        (header,) = request.header_values(b"authorization")
        client = AsyncLonglist(
            header.partition(" ")[2].strip(" "),
            base_url="http://longlist.invalid",
            retries=_RETRIES,
            traceparent=lambda: f"00-{request.trace_id}-{secrets.token_hex(8)}-01",
            transport=Inside(self._app, scope.get("client")),
        )
        async with client:
            tools = server(Caller(client, self._secret))
            manager = StreamableHTTPSessionManager(
                tools,
                json_response=True,
                stateless=True,
                max_request_body_size=OPERATION.body_limit,
            )
            async with manager.run():
                await manager.handle_request(scope, receive, send)


def _again(body: bytes, receive: Receive) -> Receive:
    """An ASGI receive that gives a body that has been read, and then what comes after it."""
    left = [body]

    async def given() -> MutableMapping[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return given
