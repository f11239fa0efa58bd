"""PostgreSQL's own programs, run on the database of a URL."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
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


def environment(url: str) -> dict[str, str]:
    """The connection as libpq's variables: others can see the arguments of a process.

    Raises DatabaseAway for a parameter that has no variable.
    """
    parts = _parts(url)
    if unknown := sorted(set(parts) - set(_VARIABLES)):
        raise DatabaseAway(f"LONGLIST_DATABASE_URL has {unknown[0]}, which cannot be passed on.")
    return {_VARIABLES[name]: value for name, value in parts.items()}


def _check_there(program: str) -> None:
    if shutil.which(program) is None:
        raise DatabaseAway(
            f"{program} is not on PATH. Install PostgreSQL's client programs, of the server's"
            " version or later."
        )


def run(url: str, program: str, options: Sequence[str]) -> None:
    """Run a program such as pg_dump. Raises DatabaseAway where it is not there or fails."""
    _check_there(program)
    done = subprocess.run(  # noqa: S603
        [program, *options],
        env={**os.environ, **environment(url)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise _failed(program, done.stderr)


def _failed(program: str, stderr: str) -> DatabaseAway:
    said = " ".join(line.strip() for line in stderr.splitlines()[:3]) or "no reason given"
    return DatabaseAway(f"{program} failed: {said.removeprefix(program + ': ')}")


def restore(url: str, dump: Path, first: str, options: Sequence[str]) -> None:
    """Run SQL and then all of a dump in one transaction, which ends well only if both do.

    Through psql and not by pg_restore itself, whose --clean fails on the keys of partitions. Raises
    DatabaseAway.
    """
    _check_there("pg_restore")
    _check_there("psql")
    environ = {**os.environ, **environment(url)}
    with tempfile.TemporaryFile() as read_errors, tempfile.TemporaryFile() as write_errors:
        with (
            subprocess.Popen(  # noqa: S603
                ["pg_restore", *options, "--file=-", str(dump)],  # noqa: S607
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=read_errors,
            ) as reader,
            subprocess.Popen(
                ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"],  # noqa: S607
                env=environ,
                stdin=subprocess.PIPE,
                stderr=write_errors,
            ) as writer,
        ):
            assert reader.stdout is not None
            assert writer.stdin is not None
            # Where psql has given up, its own words say why.
            with contextlib.suppress(BrokenPipeError), writer.stdin as script:
                script.write(f"BEGIN;\n{first}\n".encode())
                shutil.copyfileobj(reader.stdout, script, 1 << 20)
                # Without it everything is undone when psql ends.
                if reader.wait() == 0:
                    script.write(b"\nCOMMIT;\n")
            reader.stdout.close()
        for program, process, errors in (
            ("psql", writer, write_errors),
            ("pg_restore", reader, read_errors),
        ):
            if process.returncode:
                errors.seek(0)
                raise _failed(program, errors.read().decode("utf-8", "replace"))
