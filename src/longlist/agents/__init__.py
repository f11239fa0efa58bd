"""Tools for AI agents, over the Model Context Protocol: `longlist mcp`, and `/mcp` of a server.

The tools are made of the Python client and have the powers of the key they are used with. `PATH` is
all that a start of the server needs of this package; the rest, and the extra `longlist[mcp]` with
it, is imported where it is switched on.
"""

from __future__ import annotations

from typing import Final

PATH: Final = "/mcp"
EXTRA: Final = "longlist[mcp]"
