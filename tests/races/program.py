"""An API or worker process of an installation under test.

`python -m tests.races.program api|worker`, with the settings in the environment. The API prints
its port; the worker prints its id and, for every page it fetches, the cursor that follows it, to
the file in `RACES_PAGES`. An API with a `RACES_LETHAL_KEY` dies of `kill -9` when it has committed
a request with this Idempotency-Key, before it answers. `RACES_SILENCE_MS` shortens the
time after which a worker is dead.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator
from typing import Any

import uvloop

from longlist import jobs, jobs_database, server, settings, startup, workers
from longlist.app import App
from longlist.context import Installation
from longlist.db import postgres, sqlite
from longlist.limits import MemoryLimiter
from longlist.prospecting.reading import Page
from longlist.prospecting.runner import KIND, Claim, ProspectingRunner
from longlist.server.reader import Limits
from longlist.telemetry import configure_logs


class TracedRunner(ProspectingRunner):
    """Notes each page that is fetched, whether or not it comes to be saved."""

    async def pages(self, claim: Claim) -> AsyncGenerator[Page, None]:
        path = os.environ.get("RACES_PAGES")
        async for page in super().pages(claim):
            if path:
                # The same for a page fetched again, also where a part of it had been saved.
                line = f"{claim.job.id.hex()} {page.cursor}\n"
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.write(fd, line.encode())
                os.close(fd)
            yield page


def _say(line: str) -> None:
    """Tell whoever started this process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _die_after_commit(installation: Installation, key: str) -> None:
    db: Any = installation.db
    write = db.write

    async def deadly(body: Any, *args: Any, **kwargs: Any) -> Any:
        done = await write(body, *args, **kwargs)
        if args and getattr(args[0], "key", None) == key:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    db.write = deadly


async def api(installation: Installation) -> None:
    """Serve until SIGTERM."""
    if key := os.environ.get("RACES_LETHAL_KEY"):
        _die_after_commit(installation, key)

    def on_started(running: server.Running) -> None:
        _say(str(running.port))

    app = App(installation, MemoryLimiter())
    # A client of a test may be silent for longer than a server would let it.
    limits = Limits(drain_s=2.0, keep_alive_s=600.0)
    await server.serve(app, host="127.0.0.1", port=0, limits=limits, on_started=on_started)


async def worker(installation: Installation, worker_id: str) -> None:
    """Run jobs until SIGTERM."""
    own = installation.settings
    target = (
        jobs_database.postgres_target(installation.db.url, worker_id)
        if own.uses_postgres
        else jobs_database.embedded_target(own.jobs_sqlite_path)
    )
    engine = jobs.Engine(
        installation.db,
        target,
        worker_id,
        {KIND: TracedRunner(installation)},
        slots=own.worker_jobs,
        one_writer=installation.db.one_writer,
    )
    _say(worker_id)
    await workers.run_until_stopped(engine)


async def main(role: str) -> None:
    own = settings.load()
    configure_logs(own)
    workers.SILENCE_MS = int(os.environ.get("RACES_SILENCE_MS", "10000"))  # type: ignore[misc]
    postgres.IDLE_MS = workers.SILENCE_MS // 2  # type: ignore[misc]
    sqlite.BUSY_LIMIT_S = workers.SILENCE_MS / 2000  # type: ignore[misc]
    if slice_rows := os.environ.get("RACES_SLICE_ROWS"):
        postgres.PostgresDatabase.slice_rows = int(slice_rows)
        sqlite.SqliteDatabase.slice_rows = int(slice_rows)
    worker_id = workers.own_id() if role == "worker" else ""
    async with startup.installation(own, worker_id) as installation:
        await (worker(installation, worker_id) if worker_id else api(installation))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
