"""PostgreSQL's own programs, run on the database of a URL."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, Final

from longlist.db import DatabaseAway

_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "channel_binding": "PGCHANNELBINDING",
}


def _parts(url: str) -> dict[str, str]:
    from sqlalchemy.engine import make_url

    found = make_url(url.replace("postgres://", "postgresql://", 1))
    parts: dict[str, Any] = {
        "host": found.host,
        "port": found.port,
        "user": found.username,
        "password": found.password,
        "dbname": found.database,
        **found.query,
    }
    return {name: str(value) for name, value in parts.items() if value}


def database_name(url: str) -> str:
    """The database that a URL names, or libpq's default for it."""
    parts = _parts(url)
    return parts.get("dbname") or parts.get("user") or "postgres"


def environment(url: str) -> dict[str, str]:
    """The connection as libpq's variables: others can see the arguments of a process.

    Raises DatabaseAway for a parameter that has no variable.
    """
    parts = _parts(url)
    if unknown := sorted(set(parts) - set(_VARIABLES)):
        raise DatabaseAway(f"LONGLIST_DATABASE_URL has {unknown[0]}, which cannot be passed on.")
    return {_VARIABLES[name]: value for name, value in parts.items()}


def run(url: str, program: str, options: Sequence[str]) -> None:
    """Run a program such as pg_dump. Raises DatabaseAway where it is not there or fails."""
    if shutil.which(program) is None:
        raise DatabaseAway(
            f"{program} is not on PATH. Install PostgreSQL's client programs, of the server's"
            " version or later."
        )
    done = subprocess.run(  # noqa: S603
        [program, *options],
        env={**os.environ, **environment(url)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join(line.strip() for line in done.stderr.splitlines()[:3]) or "no reason given"
        raise DatabaseAway(f"{program} failed: {said.removeprefix(program + ': ')}")
