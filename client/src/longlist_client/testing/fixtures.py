"""pytest fixtures. Put `pytest_plugins = ["longlist_client.testing.fixtures"]` into a conftest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from longlist_client.client import Longlist
from longlist_client.testing.mock import MockLonglist


@pytest.fixture
def longlist_mock() -> MockLonglist:
    """A fresh mock server."""
    return MockLonglist()


@pytest.fixture
def longlist_client(longlist_mock: MockLonglist) -> Iterator[Longlist]:
    """A client of the mock server."""
    with longlist_mock.client() as client:
        yield client
