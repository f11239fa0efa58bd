from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.raw_http import ServerUnderTest, serving


@pytest.fixture(scope="module")
def server() -> Iterator[ServerUnderTest]:
    """A server with the default limits, shared by the tests of a module."""
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def _forget(request: pytest.FixtureRequest) -> None:
    """Each test sees only its own requests on the shared server."""
    if "server" in request.fixturenames:
        app = request.getfixturevalue("server").app
        app.requests.clear()
        app.bodies.clear()
        app.disconnected.clear()
        app.reached.clear()
        app.go_on.clear()
