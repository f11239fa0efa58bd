"""Servers that the tests of the client share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client.tests.backends import Backend, MockBackend, RealBackend
from tests.harness.server import Longlist as Server
from tests.harness.server import running_longlist, settings_for

from longlist_client import Longlist
from longlist_client.client import AccountGroup


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Longlist on SQLite for the session."""
    with running_longlist(settings_for(tmp_path_factory.mktemp("client-data"))) as server:
        yield server


@pytest.fixture(params=["server", "mock"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """A fresh account group: on the real server, then in the mock."""
    if request.param == "mock":
        return MockBackend()
    return RealBackend(request.getfixturevalue("real_server"))


@pytest.fixture
def client(backend: Backend) -> Iterator[Longlist]:
    """A client of the backend."""
    with backend.client() as made:
        yield made


@pytest.fixture
def account(backend: Backend, client: Longlist) -> AccountGroup:
    """The account group of the backend."""
    return client.account(backend.group_id)
