"""An installation of several processes that a test may kill, freeze and start again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from longlist import schema_version, startup
from longlist.accounts import store as accounts
from longlist.context import Context, Installation
from longlist.db import Transaction
from longlist.db.postgres import PostgresDatabase
from longlist.db.sqlite import SqliteDatabase
from longlist.keys import store as keys
from tests.harness.answer import Answer
from tests.harness.server import PLENTY, settings_for
from tests.races.wire import Connection

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
"""Guards against hanging; no test depends on how much of it is used."""


async def until(condition: Callable[[], Awaitable[Any]], patience_s: float = PATIENCE_S) -> Any:
    """Wait for a condition to be true; its value."""
    deadline = time.monotonic() + patience_s
    while not (found := await condition()):
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)
    return found


class Process:
    """A program of the installation. `said` is the first line it printed."""

    def __init__(self, role: str, environ: dict[str, str], log: Path) -> None:
        self.role = role
        with log.open("ab") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.races.program", role],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._log = log
        self.said = ""

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._popen.poll()

    def wait_started(self) -> Process:
        """Return when it has printed its line."""
        out = self._popen.stdout
        assert out is not None
        ready, _, _ = select.select([out], [], [], PATIENCE_S)
        self.said = out.readline().decode().strip() if ready else ""
        assert self.said, f"{self.role} did not start:\n{self._log.read_text()[-2000:]}"
        return self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            if self._popen.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        self.send(signal.SIGKILL)
        self._popen.wait()

    def wait_ended(self) -> int:
        """How it ended, once it has."""
        return self._popen.wait(PATIENCE_S)

    def end(self) -> None:
        """Let it stop in order; kill it where it does not."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._popen.stdout is not None:
            self._popen.stdout.close()


class Place:
    """An installation: its folder, its database and the processes on it."""

    def __init__(self, folder: Path, database_url: str = "", **settings: Any) -> None:
        self.folder = folder
        self.settings = settings_for(folder / "data", database_url=database_url, **settings)
        self.pages = folder / "pages"
        self.log = folder / "log"
        self.silence_ms = 4_000
        self.slice_rows = 0
        self.lethal_key = ""
        self.processes: list[Process] = []

    @property
    def engine(self) -> str:
        return "postgres" if self.settings.uses_postgres else "sqlite"

    @property
    def page_rows(self) -> int:
        """Rows of a page that its workers fetch."""
        kind = PostgresDatabase if self.settings.uses_postgres else SqliteDatabase
        return self.slice_rows or kind.slice_rows

    def migrate(self) -> None:
        """Make the tables."""
        schema_version.migrate(startup.database(self.settings))

    def begin(self, role: str) -> Process:
        """Start a process without waiting for it."""
        own = self.settings
        environ = {name: value for name, value in os.environ.items() if "LONGLIST" not in name}
        environ |= {
            "LONGLIST_DATA": own.data,
            "LONGLIST_DATABASE_URL": own.database_url,
            "LONGLIST_RATE_LIMIT_PER_MINUTE": str(PLENTY),
            "LONGLIST_RATE_LIMIT_BURST": str(PLENTY // 60),
            "LONGLIST_BAD_KEY_LIMIT_PER_MINUTE": str(PLENTY),
            "LONGLIST_LOG_LEVEL": "warning",
            "LONGLIST_WORKER_JOBS": str(own.worker_jobs),
            "LONGLIST_DATABASE_POOL": str(own.database_pool),
            "RACES_PAGES": str(self.pages),
            "RACES_SILENCE_MS": str(self.silence_ms),
            "RACES_SLICE_ROWS": str(self.slice_rows or ""),
            "RACES_LETHAL_KEY": self.lethal_key,
        }
        process = Process(role, environ, self.log)
        self.processes.append(process)
        return process

    def start(self, role: str) -> Process:
        """Start a process and wait until it is ready."""
        return self.begin(role).wait_started()

    def end(self) -> None:
        """End every process."""
        for process in self.processes:
            process.end()
        self.processes.clear()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        """The database, as a process beside the others sees it."""
        async with startup.installation(self.settings) as installation:
            yield Store(installation)


class Store:
    """The open database of a place, for making groups and for judging what is written."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation

    async def tenant(self, **settings: Any) -> Group:
        """A fresh account group with a key that may do everything."""

        async def body(ctx: Context) -> tuple[bytes, bytes, str]:
            group = (await accounts.create_everywhere(ctx, "Raced")).id
            key_id, key = await keys.create_everywhere(
                ctx, name="A key", permissions=keys.PERMISSIONS, groups=[group]
            )
            if settings:
                await accounts.set_values(_for_group(ctx, group), settings)
            return group, key_id, key

        return Group(*await Context(self.installation, b"").write(body))

    async def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Every row of a query."""

        async def body(tx: Transaction) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await tx.all(sql, *args)]

        found: list[tuple[Any, ...]] = await self.installation.db.read_long(body)
        return found

    async def value(self, sql: str, *args: Any) -> Any:
        """The first value of the first row, None without one."""
        rows = await self.rows(sql, *args)
        return rows[0][0] if rows else None

    async def write(self, group: bytes, body: Any, *args: Any) -> Any:
        """What a store function returns, run in a transaction of its own."""
        return await Context(self.installation, group).write(body, *args)


def _for_group(ctx: Context, group: bytes) -> Context:
    """The same transaction, for another group."""
    other = Context(ctx.installation, group)
    other.tx = ctx.tx
    return other


class Group:
    """An account group and its key."""

    def __init__(self, id_: bytes, key_id: bytes, key: str) -> None:
        self.id = id_
        self.key_id = key_id
        self.key = key
        self.path = f"/v1/accounts/{id_.hex()}"

    def on(self, api: Process) -> Connection:
        """A connection to an API process with this group's key."""
        return Connection(int(api.said), self.key)

    async def audience(self, connection: Connection, name: str = "Raced") -> str:
        """A new audience's id."""
        answer = await connection.send(
            "POST", f"{self.path}/audiences", {"name": name, "type": "on_demand"}
        )
        return str(answer.expect(201).data["id"])

    async def import_file(
        self, connection: Connection, content: bytes, name: str = "Imported"
    ) -> tuple[str, str]:
        """Upload a CSV and start its import: job id and audience id."""
        upload = await connection.send(
            "POST", f"{self.path}/files", body=content, headers={"Content-Type": "text/csv"}
        )
        file_id = upload.expect(201).data["fileId"]
        start = await connection.send(
            "POST",
            f"{self.path}/prospecting",
            {"type": "file_import", "fileId": file_id, "audienceName": name},
        )
        data = start.expect(202).data
        return str(data["jobId"]), str(data["audienceId"])


async def wait_ended(connection: Connection, group: Group, job_id: str) -> Any:
    """The `data` of a job that has ended."""

    async def ended() -> Any:
        answer: Answer = await connection.send("GET", f"{group.path}/prospecting/{job_id}?wait=5")
        if answer.status == 503:
            return None  # its look-up met the fault; the next one tells
        data = answer.expect(200).data
        return data if data["status"] not in ("queued", "running") else None

    return await until(ended, 180.0)


@contextmanager
def running_place(folder: Path, database_url: str = "", **settings: Any) -> Iterator[Place]:
    """A migrated place; its processes are ended at the end."""
    place = Place(folder, database_url, **settings)
    place.migrate()
    try:
        yield place
    finally:
        place.end()
