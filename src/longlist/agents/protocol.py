"""The tools as a server of the Model Context Protocol; the only file with the protocol's types."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any, Final

import mcp_types as types
import msgspec
from longlist_client import LonglistError
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from longlist.agents.arguments import schema_of
from longlist.agents.caller import Caller
from longlist.agents.refusals import Refused, refused
from longlist.agents.tools import BY_NAME, INSTRUCTIONS, TOOLS, Tool

# What the library tells of each session is for those who write it.
logging.getLogger("mcp").setLevel(logging.WARNING)

_SCHEMAS: Final = {tool.name: schema_of(tool.takes) for tool in TOOLS}


def server(caller: Caller) -> Server[Any]:
    """A server with the tools that the caller's key may use."""

    async def list_tools(
        _ctx: Any, _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        try:
            permissions = (await caller.me()).permissions
        except LonglistError as error:
            # The model meets the same refusal at its first call, and is told what to do.
            logging.getLogger(__name__).warning("The key was not looked up: %s", type(error))
            return types.ListToolsResult(tools=[_described(tool) for tool in TOOLS])
        offered = [_described(tool) for tool in TOOLS if tool.is_for(permissions)]
        return types.ListToolsResult(tools=offered)

    async def call_tool(_ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = BY_NAME.get(params.name)
        if tool is None:
            raise MCPError(
                types.INVALID_PARAMS, f"There is no such tool. There are: {', '.join(BY_NAME)}."
            )
        try:
            return _answer(await _call(caller, tool, params.arguments or {}), is_error=False)
        except Refused as error:
            return _answer(error.answer(), is_error=True)

    made: Server[Any] = Server(
        "longlist",
        version=version("longlist"),
        title="Longlist",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=_SCHEMAS.get,
    )
    # Its spans would carry the texts of errors; requests are traced where they reach the API.
    made.middleware.clear()
    return made


async def _call(caller: Caller, tool: Tool, given: dict[str, Any]) -> dict[str, Any]:
    """What a tool answers. Raises Refused."""
    try:
        arguments = msgspec.convert(given, tool.takes)
    except msgspec.ValidationError as error:
        raise Refused(
            "ARGUMENTS_NOT_VALID", f"{error}.",
            f"Call {tool.name} again with arguments that fit its schema.",
        ) from error  # fmt: skip
    try:
        return await tool.handler(caller, arguments)
    except LonglistError as error:
        raise refused(error, tool.repeatable) from error
    except ValueError as error:
        # The client refuses ids that would change the path of a request.
        raise Refused("ARGUMENTS_NOT_VALID", f"{error}", "Pass ids as they were given.") from error


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=_SCHEMAS[tool.name],
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=not tool.writes,
            destructive_hint=tool.destroys,
            idempotent_hint=tool.repeatable or not tool.writes,
            open_world_hint=False,
        ),
    )


def _answer(found: dict[str, Any], *, is_error: bool) -> types.CallToolResult:
    text = msgspec.json.encode(found).decode()
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=found,
        is_error=is_error,
    )
