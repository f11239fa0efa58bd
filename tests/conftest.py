"""Servers and account groups that the tests over HTTP share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.harness")

from tests.harness.postgres import Postgres, running_postgres  # noqa: E402
from tests.harness.server import Longlist, running_longlist, settings_for  # noqa: E402
from tests.harness.tenant import Tenant  # noqa: E402

ENGINES = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for the session."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Longlist]:
    """One Longlist for each engine and session."""
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    data = tmp_path_factory.mktemp(f"data-{request.param}")
    with running_longlist(settings_for(data, database_url=url)) as longlist:
        yield longlist


@pytest.fixture
def another_server(server: Longlist) -> Iterator[Callable[..., Longlist]]:
    """Starts a second server on the same database, with other settings."""
    with ExitStack() as stack:

        def start(**more: Any) -> Longlist:
            first = server.settings
            settings = settings_for(first.data, database_url=first.database_url, **more)
            return stack.enter_context(running_longlist(settings))

        yield start


@pytest.fixture
def api(server: Longlist) -> Tenant:
    """A fresh account group with a key that may do everything in it."""
    return Tenant(server)


@pytest.fixture
def stranger(server: Longlist) -> Tenant:
    """Another fresh account group."""
    return Tenant(server, "A stranger")
