"""`longlist mcp`: the tools on standard input and output, for an agent on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longlist.agents import EXTRA
from longlist.console import Trouble
from longlist.remote.command import AccountGroup, Key, Profile, Url

if TYPE_CHECKING:
    from longlist.remote.connection import Target


def mcp(
    *,
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Let the agent import files from here and export to here."
        ),
    ] = None,
    url: Url = None,
    key: Key = None,
    profile: Profile = None,
    account_group: AccountGroup = None,
) -> None:
    """Give an AI agent tools over the Model Context Protocol, on standard input and output.

    The agent has the powers of the key, and sees no other folder of this machine.
    """
    import anyio

    from longlist.remote.connection import target

    if find_spec("mcp") is None:
        raise Trouble(f"The tools for agents are not installed. Run: pip install '{EXTRA}'")
    where = target(url, key, profile, account_group)
    if where is None:
        raise typer.BadParameter("No server is known: set LONGLIST_URL and LONGLIST_API_KEY.")
    if files is not None and not files.is_dir():
        raise typer.BadParameter(f"{files} is not a folder.")
    anyio.run(_serve, where, files)


async def _serve(where: Target, files: Path | None) -> None:
    import secrets

    import httpx2
    from longlist_client import AsyncLonglist, ConfigurationError, Retries
    from mcp.server.stdio import stdio_server

    from longlist.agents.caller import Caller
    from longlist.agents.protocol import server
    from longlist.remote.connection import is_local

    transport = httpx2.AsyncHTTPTransport() if is_local(where.url) else None
    try:
        client = AsyncLonglist(
            where.key, base_url=where.url, retries=Retries(total_s=20.0), transport=transport
        )
    except ConfigurationError as error:
        raise Trouble(str(error)) from error
    async with client, stdio_server() as (incoming, outgoing):
        caller = Caller(client, secrets.token_bytes(32), where.account_group, files)
        tools = server(caller)
        await tools.run(incoming, outgoing, tools.create_initialization_options())
