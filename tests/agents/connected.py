"""An agent's side: the official client of the protocol, on either transport."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.harness.server import Longlist
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker

STDIO: Final = "stdio"
WEB: Final = "web"
PATIENCE_S: Final = 60.0
"""Guards against hanging; no test depends on how much of it is used."""


class Agent:
    """A connected agent."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def tools(self) -> dict[str, Any]:
        """The tools that are offered, by name."""
        return {tool.name: tool for tool in (await self.client.list_tools()).tools}

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers; it must not be a refusal."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.structured_content
        found: dict[str, Any] = result.structured_content
        return found

    async def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The error that a tool answers."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        assert list(result.structured_content) == ["error"]
        error: dict[str, Any] = result.structured_content["error"]
        assert error["whatToDo"]
        assert "llk_" not in str(error)
        return error


class Agency:
    """An account group with a key, and a way for agents to come in with it."""

    def __init__(self, server: Longlist, transport: str, folder: Path) -> None:
        self.server = server
        self.tenant = Tenant(server)
        self.worker = HandWorker(server)
        self.url = f"http://127.0.0.1:{server.port}"
        self.transport = transport
        self.folder = folder
        assert self.tenant.key is not None
        self.key = self.tenant.key

    def run(
        self,
        script: Callable[[Agent], Awaitable[None]],
        *more: str,
        key: str | None = None,
        url: str | None = None,
        mode: str = "auto",
    ) -> None:
        """Run an agent's script to its end; `more` are options of `longlist mcp`."""

        async def main() -> None:
            async with (
                asyncio.timeout(PATIENCE_S),
                self._way(key, url, more) as way,
                Client(way, mode=mode) as client,
            ):
                await script(Agent(client))

        asyncio.run(main())

    @asynccontextmanager
    async def _way(
        self, key: str | None, url: str | None, more: tuple[str, ...]
    ) -> AsyncIterator[Any]:
        if self.transport == STDIO:
            environ = {
                "LONGLIST_URL": url or self.url,
                "LONGLIST_API_KEY": key or self.key,
                "XDG_CONFIG_HOME": str(self.folder / "config"),
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            }
            args = ["-m", "longlist", "mcp", *more]
            yield StdioServerParameters(command=sys.executable, args=args, env=environ)
            return
        headers = {"Authorization": f"Bearer {key or self.key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S) as http:
            yield streamable_http_client(f"{url or self.url}/mcp", http_client=http)
