"""Worker processes: who is alive, by a table of beats, and the supervisor that `serve` runs.

A worker beats by the database's clock. One that has been silent for `SILENCE_MS` is dead, whatever
its process does: the others bury it, and when it wakes up it finds its row gone and ends itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from longlist.db import Database, Transaction
from longlist.ids import new_id

if TYPE_CHECKING:
    from longlist.jobs import Engine

SILENCE_MS: Final = 10_000
"""A worker whose last beat is older than this counts as dead, to itself and to the others."""

SUPERVISED: Final = "LONGLIST_SUPERVISED_WORKER"
"""In a supervised worker's environment: the id it shall have. Its standard input is then a pipe
that nothing is written to and that ends with the supervisor's process."""

_LOOK_S: Final = 1.0
_START_LIMIT_S: Final = 60.0
_BACK_OFF_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_S: Final = 60.0
_STOP_LIMIT_S: Final = 15.0

_log = logging.getLogger("longlist.workers")


async def register(tx: Transaction, worker_id: str) -> None:
    """Add a worker to those that are watched."""
    now = await tx.now()
    await tx.run(
        "INSERT INTO workers (id, started_at, beat_at) VALUES ($1, $2, $3)", worker_id, now, now
    )


async def beat(tx: Transaction, worker_id: str) -> bool:
    """Note that the worker lives; False when it has been buried."""
    now = await tx.now()
    return bool(await tx.run("UPDATE workers SET beat_at = $1 WHERE id = $2", now, worker_id))


async def leave(tx: Transaction, worker_id: str) -> None:
    """Take a worker that holds no job off the table."""
    await tx.run("DELETE FROM workers WHERE id = $1", worker_id)


async def registered(tx: Transaction) -> frozenset[str]:
    """Every worker that is not buried."""
    return frozenset(row[0] for row in await tx.all("SELECT id FROM workers"))


async def silent(tx: Transaction) -> list[str]:
    """The workers that count as dead."""
    oldest = await tx.now() - SILENCE_MS
    return [row[0] for row in await tx.all("SELECT id FROM workers WHERE beat_at < $1", oldest)]


class Beats(NamedTuple):
    """The last beat of each worker that is not buried, and the database's clock."""

    now: int
    at: dict[str, int]

    @property
    def silent(self) -> dict[str, int]:
        """Milliseconds of silence of those that count as dead.

        Below zero for a beat ahead of the clock: a row that came in from elsewhere.
        """
        since = {id_: self.now - at for id_, at in self.at.items()}
        return {id_: ms for id_, ms in since.items() if abs(ms) > SILENCE_MS}


async def beats(tx: Transaction) -> Beats:
    """What the table knows of the workers: not whether their processes are there."""
    at = {row[0]: int(row[1]) for row in await tx.all("SELECT id, beat_at FROM workers")}
    return Beats(await tx.now(), at)


async def bury(tx: Transaction, worker_id: str) -> bool:
    """Take a silent worker off the table; False when it has beaten after all.

    The row is the lock between several that bury it, and between them and its own late beat.
    """
    oldest = await tx.now() - SILENCE_MS
    await tx.run("DELETE FROM workers WHERE id = $1 AND beat_at < $2", worker_id, oldest)
    return await tx.one("SELECT 1 FROM workers WHERE id = $1", worker_id) is None


async def silence_ms(tx: Transaction, worker_id: str) -> int | None:
    """Time since the worker's last beat; None for one that is not registered."""
    row = await tx.one("SELECT beat_at FROM workers WHERE id = $1", worker_id)
    return None if row is None else await tx.now() - int(row[0])


async def declare_dead(tx: Transaction, worker_id: str) -> None:
    """Have the next sweep bury the worker without delay: its process is known to be gone."""
    await tx.run("UPDATE workers SET beat_at = 0 WHERE id = $1", worker_id)


def own_id() -> str:
    """The id of this worker process: the supervisor's choice, or a new one."""
    return os.environ.get(SUPERVISED) or new_id().hex()


async def run_until_stopped(engine: Engine) -> None:
    """Run an engine until SIGTERM, SIGINT or the end of the supervisor, then stop it in order."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if SUPERVISED in os.environ:
        # Ctrl-C reaches the whole process group; the supervisor decides when its worker stops.
        loop.add_signal_handler(signal.SIGINT, lambda: None)

        def watch_supervisor() -> None:
            while os.read(0, 1024):
                pass
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(stop.set)
            time.sleep(_STOP_LIMIT_S)
            os._exit(1)

        threading.Thread(target=watch_supervisor, name="supervisor-watch", daemon=True).start()
    else:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    await engine.start()
    await stop.wait()
    await engine.stop()


class Supervisor:
    """Keeps one worker process running: starts it, replaces it when it ends or falls silent.

    A worker that has not beaten for `SILENCE_MS` is killed at once and not asked to stop: a frozen
    process answers nothing, and may hold SQLite's write lock.
    """

    def __init__(
        self,
        db: Database,
        command: Sequence[str] = (sys.executable, "-m", "longlist", "worker"),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._db = db
        self._command = tuple(command)
        self._environ = dict(os.environ if environ is None else environ)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.process: asyncio.subprocess.Process | None = None
        self.starts = 0

    async def start(self) -> None:
        """Start the worker; returns before it is ready."""
        self._task = asyncio.create_task(self._supervise(), name="supervisor")

    async def stop(self) -> None:
        """Stop the worker: SIGTERM, and SIGKILL when it takes longer than 15 s."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def _supervise(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            worker_id = new_id().hex()
            began = time.monotonic()
            try:
                process = await self._spawn(worker_id)
            except OSError as error:
                _log.error("the worker cannot be started: %s", type(error).__name__)
            else:
                await self._attend(process, worker_id)
                await self._bury(worker_id)
            failures = 0 if time.monotonic() - began > _STEADY_S else failures + 1
            delay = _BACK_OFF_S[min(failures, len(_BACK_OFF_S)) - 1] if failures else 0.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _spawn(self, worker_id: str) -> asyncio.subprocess.Process:
        self.starts += 1
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            env={**self._environ, SUPERVISED: worker_id},
        )
        return self.process

    async def _attend(self, process: asyncio.subprocess.Process, worker_id: str) -> None:
        """Return when the process has ended, by itself, by our stop, or killed for silence."""
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        began = time.monotonic()
        while not ended.done() and not stopping.done():
            await asyncio.wait(
                (ended, stopping), timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended.done() and await self._is_silent(worker_id, time.monotonic() - began):
                _log.error("worker %s does not beat and is killed", worker_id)
                process.kill()
        if not ended.done():
            process.terminate()
            await asyncio.wait((ended,), timeout=_STOP_LIMIT_S)
            if not ended.done():
                process.kill()
        status = await ended
        stopping.cancel()
        if not self._stopping.is_set():
            _log.warning("worker %s ended with status %d", worker_id, status)

    async def _is_silent(self, worker_id: str, age_s: float) -> bool:
        try:
            silence = await self._db.read(silence_ms, worker_id)
        except Exception as error:  # nothing is known of the worker; it judges itself
            _log.warning("the worker's beat cannot be read: %s", type(error).__name__)
            return False
        # Without a row it has not come so far, or was buried and ends itself.
        return age_s > _START_LIMIT_S if silence is None else silence > SILENCE_MS

    async def _bury(self, worker_id: str) -> None:
        try:
            await self._db.write(declare_dead, worker_id)
        except Exception as error:  # its silence will tell in ten seconds
            _log.warning("a worker could not be declared dead: %s", type(error).__name__)
