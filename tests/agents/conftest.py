"""A server with `/mcp`, and a fresh account group on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.connected import STDIO, WEB, Agency
from tests.harness.server import Longlist, running_longlist, settings_for


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Longlist]:
    """A Longlist on SQLite that is open to agents."""
    with running_longlist(settings_for(tmp_path_factory.mktemp("agents"), mcp="1")) as server:
        yield server


@pytest.fixture(params=[STDIO, WEB])
def agency(request: pytest.FixtureRequest, open_server: Longlist, tmp_path: Path) -> Agency:
    """An account group with a key, reached over standard input and output, and over HTTP."""
    return Agency(open_server, request.param, tmp_path)


@pytest.fixture
def web(open_server: Longlist, tmp_path: Path) -> Agency:
    """An account group reached over HTTP."""
    return Agency(open_server, WEB, tmp_path)


@pytest.fixture
def stdio(open_server: Longlist, tmp_path: Path) -> Agency:
    """An account group reached over standard input and output."""
    return Agency(open_server, STDIO, tmp_path)
