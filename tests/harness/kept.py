"""What a test process starts once and keeps to its end, whatever order its tests come in.

A fixture with parameters is taken down whenever the next test asks for another of them. Where the
files of tests are shared out among processes that is twice a file, and an empty database, its
tables and a server took longer than most of the files do.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.postgres import Postgres, running_postgres
from tests.harness.server import Longlist, running_longlist, settings_for

if TYPE_CHECKING:
    import pytest


class Kept:
    """The PostgreSQL and the servers of a test process, each started when it is first asked for.

    Whatever `stack` is given ends in the opposite order, so that a database outlives its servers.
    """

    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory) -> None:
        self.stack = stack
        self._folders = folders
        self._servers: dict[str, Longlist] = {}

    @cached_property
    def postgres(self) -> Postgres:
        """The one PostgreSQL."""
        return self.stack.enter_context(running_postgres())

    def new_url(self, engine: str) -> str:
        """The URL of a fresh database on PostgreSQL; the embedded one has none."""
        return self.postgres.new_migrated_database() if engine == "postgres" else ""

    def new_folder(self, name: str) -> Path:
        """An empty folder of its own."""
        return self._folders.mktemp(name)

    def server(self, engine: str) -> Longlist:
        """The one Longlist on an engine."""
        if engine not in self._servers:
            settings = settings_for(
                self.new_folder(f"data-{engine}"), database_url=self.new_url(engine)
            )
            self._servers[engine] = self.stack.enter_context(running_longlist(settings))
        return self._servers[engine]
