"""Servers and account groups that the tests over HTTP share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.harness")

from tests.harness.kept import Kept  # noqa: E402
from tests.harness.postgres import Postgres  # noqa: E402
from tests.harness.server import Longlist, running_longlist, settings_for  # noqa: E402
from tests.harness.tenant import Tenant  # noqa: E402
from tests.harness.thrift import keep_bytecode, read_certificates_once  # noqa: E402

ENGINES = ("sqlite", "postgres")
HERE = Path(__file__).parent
FIRST = (
    "races",
    "jobs",
    "db",
    "admin",
    "docs",
    "accounts/test_move_cut_off.py",
    "prospecting/test_million.py",
    "prospecting/test_xlsx_rows.py",
    "reference/test_docs_page.py",
)
"""Where tests take many seconds each: begun last, one of them would leave a process with nothing to
do for as long."""
assert all((HERE / name).exists() for name in FIRST)


def pytest_configure(config: pytest.Config) -> None:
    """Spare what every process and client of the run would do again."""
    keep_bytecode(config.rootpath / ".pytest_cache" / "bytecode")
    read_certificates_once()
    # pytest-xdist would begin with the files of the most tests, which are the quickest.
    config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files are shared out among processes, those that take long come first."""
    if hasattr(config, "workerinput"):
        ranks = {HERE / name: rank for rank, name in enumerate(FIRST)}

        def rank(item: pytest.Item) -> int:
            places = (item.path, *item.path.parents)
            return min((ranks[place] for place in places if place in ranks), default=len(FIRST))

        items.sort(key=rank)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """What is started once for the session."""
    with ExitStack() as stack:
        yield Kept(stack, tmp_path_factory)


@pytest.fixture(scope="session")
def postgres(kept: Kept) -> Postgres:
    """One PostgreSQL server for the session."""
    return kept.postgres


@pytest.fixture(scope="session", params=ENGINES)
def server(request: pytest.FixtureRequest, kept: Kept) -> Longlist:
    """One Longlist for each engine and session."""
    return kept.server(request.param)


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
