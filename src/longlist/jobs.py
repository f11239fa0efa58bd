"""Durable jobs: dispatch, liveness and the loop that runs them; the only file that imports dbos.

The job row in our own database is the truth. DBOS is a queue beside it that survives a crash: one
workflow per job with the job's id, one partition per audience, no steps and nothing of a page in
it. What DBOS holds may be lost or late: every sweep brings it back to what the rows say.

Who runs a job is decided by the row alone. A job that is `queued`, or `running` without a worker,
waits; a claim gives it to one worker and raises its token; each page is saved only under that
token. A worker that is silent for ten seconds is dropped from `workers` and its jobs wait again
in the same transaction, so that a job never belongs to a worker that nobody watches.

dbos and SQLAlchemy are imported where they are used: they take a second and 40 MB, which only a
worker process needs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from longlist import workers
from longlist.db import Database, DatabaseAway, Transaction
from longlist.job_kinds import JobFailed, Rest, Runner, Waiting
from longlist.telemetry import place_of

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["MAX_RESCUES", "Engine", "JobFailed", "Rest", "Runner", "Waiting"]

MAX_RESCUES: Final = 5
"""A job whose worker died this often is failed at the next death: it is likely the cause."""

_BEAT_S: Final = 1.0
_SWEEP_S: Final = 0.2
_QUEUE: Final = "jobs"
_QUEUE_POLL_S: Final = 0.2
_VERSION: Final = "1"
"""DBOS leaves workflows of another version alone, and by default the version is a hash of the
code: pinned, so that jobs of before an upgrade run after it."""
_KEEP_ENDED: Final = timedelta(hours=1)
_CLEAN_S: Final = 60.0
_CLEAN_BATCH: Final = 1_000
_PAUSE_MAX_S: Final = 1.0
_RETRY_S: Final = 1.0
_ENDED: Final = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_BARE: Final[dict[str, Any]] = {"load_input": False, "load_output": False}

_log = logging.getLogger("longlist.jobs")

C = TypeVar("C")
T = TypeVar("T")


class Engine:
    """Runs jobs in one worker process: one engine a process, on the loop that started it.

    `slots` bounds the jobs at once; one more may run whose group has no other. With `one_writer`
    (SQLite) the jobs save in turns, and after a turn that somebody waited for all of them leave the
    write lock alone for about as long as it was held.
    """

    def __init__(
        self,
        db: Database,
        target: sa.Engine,
        worker_id: str,
        runners: Mapping[str, Runner[Any]],
        *,
        slots: int,
        one_writer: bool,
    ) -> None:
        self._db = db
        self._target = target
        self.worker_id = worker_id
        self._runners = dict(runners)
        self._slots = slots
        self._one_writer = one_writer
        self._turn = asyncio.Lock()
        self._registered = asyncio.Event()
        self._stopping = asyncio.Event()
        self._retired = threading.Event()
        self._running: dict[str, tuple[Runner[Any], Any, asyncio.Task[Any]]] = {}
        self._claiming = 0
        self._offered: set[bytes] = set()
        self._last_beat = 0.0
        self.beats = self.buried = self.rescued = 0
        """Beats of this worker, and workers that it buried with the jobs taken over from them."""
        self._next_clean = 0.0
        # DBOS's synchronous calls from one thread of ours: its asynchronous ones replace the
        # loop's default executor by one that dies with it.
        self._thread = ThreadPoolExecutor(1, "jobs-dispatch")
        self._dbos: Any = None
        self._workflow: Callable[..., Any] | None = None
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> tuple[int, int]:
        """Jobs that run here, and how many may."""
        return len(self._running), self._slots

    async def start(self) -> None:
        """Join the queue and begin to beat. Takes about a second, most of it importing dbos."""
        self._launch()
        await self._in_thread(self._register_queue)
        await self._db.write(workers.register, self.worker_id)
        self._last_beat = time.monotonic()
        self._registered.set()
        threading.Thread(target=self._watch_beats, name="jobs-watch", daemon=True).start()
        self._loop_task = asyncio.create_task(self._beat_and_sweep(), name="jobs")
        _log.info("worker started")

    async def stop(self, grace_s: float = 5.0) -> None:
        """Let the pages under way be saved, hand unfinished jobs back, and leave.

        A fetch that outlasts `grace_s` is cancelled; the job's next worker repeats it.
        """
        self._stopping.set()
        tasks = [task for _, _, task in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # No more beats before the row goes: a beat without a row ends the process.
        self._retired.set()
        if self._loop_task is not None:
            await asyncio.gather(self._loop_task, return_exceptions=True)
        await self._db.write(self._retire)
        await self._in_thread(lambda: self._dbos.DBOS.destroy(destroy_registry=True))
        self._thread.shutdown()
        self._target.dispose()
        _log.info("worker stopped")

    def _launch(self) -> None:
        # On the loop's own thread, so that DBOS runs workflows on this loop.
        logger = logging.getLogger("dbos")
        if not logger.handlers:
            # DBOS prints to the console unless it finds a handler; its records go to the root.
            logger.addHandler(logging.NullHandler())
        # Read at import: these would send DBOS to its vendor's cloud.
        for name in [name for name in os.environ if name.startswith("DBOS_")]:
            del os.environ[name]
        import dbos

        dbos.DBOS(
            config={
                "name": "longlist",
                "application_version": _VERSION,
                "executor_id": self.worker_id,
                "system_database_engine": self._target,
                "serializer": dbos.DBOSPortableJSONSerializer(),
                "use_listen_notify": False,
                "enable_otlp": False,
                "max_executor_threads": 4,
                "scheduler_polling_interval_sec": 3600.0,
                "notification_listener_polling_interval_sec": 0.2,
                "log_level": "WARNING",
            }
        )

        # Deaths are counted by MAX_RESCUES, not by DBOS.
        @dbos.DBOS.workflow(name="run_job", max_recovery_attempts=None)
        async def run_job(kind: str, job_hex: str) -> None:
            await self._run_job(kind, job_hex)

        self._dbos, self._workflow = dbos, run_job
        dbos.DBOS.listen_queues([_QUEUE])
        dbos.DBOS.launch()

    def _register_queue(self) -> None:
        self._dbos.DBOS.register_queue(
            _QUEUE,
            worker_concurrency=self._slots + 1,
            partition_concurrency=1,
            polling_interval_sec=_QUEUE_POLL_S,
            on_conflict="always_update",
        )

    async def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    def _offer(self, jobs: Sequence[tuple[str, Waiting]]) -> None:
        """See that each waiting job has a workflow that will run. Safe to repeat and to race."""
        dbos = self._dbos
        ids = [job.job_id.hex() for _, job in jobs]
        found = dbos.DBOS.list_workflows(workflow_ids=ids, **_BARE)
        status = {workflow.workflow_id: workflow.status for workflow in found}
        for (kind, job), id_ in zip(jobs, ids, strict=True):
            if id_ not in status:
                with (
                    dbos.SetWorkflowID(id_),
                    dbos.SetEnqueueOptions(queue_partition_key=job.partition),
                ):
                    dbos.DBOS.enqueue_workflow(_QUEUE, self._workflow, kind, id_)
            elif status[id_] in _ENDED:
                try:
                    dbos.DBOS.rewind_workflow(
                        id_, queue_name=_QUEUE, queue_partition_key=job.partition
                    )
                except dbos.error.DBOSException:
                    # Another worker was quicker, or cleaned it up: the next sweep will see.
                    _log.debug("job %s was offered by another worker", id_)

    def _held(self) -> dict[str, str]:
        """Workflows that an executor has taken from the queue, and which executor."""
        found = self._dbos.DBOS.list_workflows(status="PENDING", queue_name=_QUEUE, **_BARE)
        return {workflow.workflow_id: workflow.executor_id or "" for workflow in found}

    def _put_back(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            self._dbos.DBOS.resume_workflow(id_, queue_name=_QUEUE)

    def _clean(self) -> None:
        """Forget workflows that ended a while ago: DBOS keeps them for ever."""
        before = (datetime.now(UTC) - _KEEP_ENDED).isoformat()
        ended = self._dbos.DBOS.list_workflows(
            status=list(_ENDED), completed_before=before, limit=_CLEAN_BATCH, **_BARE
        )
        if ended:
            self._dbos.DBOS.delete_workflows([workflow.workflow_id for workflow in ended])

    def _die(self, why: str) -> None:
        """End the process at once: others run its jobs by now or soon."""
        _log.critical("worker ends itself: %s", why)
        logging.shutdown()
        os._exit(70)

    def _watch_beats(self) -> None:
        # A thread, because a loop that hangs cannot notice that it does.
        while not self._retired.wait(_BEAT_S):
            if time.monotonic() - self._last_beat > workers.SILENCE_MS / 1000:
                self._die("it could not beat")

    async def _beat(self) -> None:
        begun = time.monotonic()
        if not await self._db.write(workers.beat, self.worker_id):
            self._die("it was declared dead")
        self._last_beat = begun
        self.beats += 1

    async def _beat_and_sweep(self) -> None:
        next_beat = 0.0
        while not self._retired.is_set():
            try:
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + _BEAT_S
                    await self._beat()
                    await self._rescue()
                if not self._stopping.is_set():
                    await self._dispatch()
            except Exception as error:  # tried again; the watch ends the process after 10 s
                _log.warning("sweep failed: %s", place_of(error))
            await asyncio.sleep(_SWEEP_S)

    async def _dead(self, tx: Transaction) -> tuple[list[str], set[str]]:
        """The workers to bury, and which jobs are this worker's by their rows."""
        held = [pair for runner in self._runners.values() for pair in await runner.held(tx)]
        known = await workers.registered(tx)
        # A holder that is not registered is a trace of a backup or of a repair by hand.
        lost = {holder for holder, _ in held} - known
        own = {job_id.hex() for holder, job_id in held if holder == self.worker_id}
        return sorted({*await workers.silent(tx), *lost}), own

    async def _bury(self, tx: Transaction, worker_id: str) -> int | None:
        """Drop a dead worker and let its jobs wait again, in one transaction. How many.

        None for one that has beaten after all.
        """
        # Frozen in the middle of a statement it would hold its job's row for ever: neither the
        # server's limit on idle transactions nor one on statements ends a COPY whose client is
        # silent.
        if worker_id in await workers.silent(tx):
            await tx.cut_off(worker_id)
        if not await workers.bury(tx, worker_id):
            return None
        runners = self._runners.values()
        return sum([await runner.take_over(tx, worker_id, MAX_RESCUES) for runner in runners])

    async def _rescue(self) -> None:
        """Let the work of dead workers wait again, in our rows and in DBOS's queue."""
        running = list(self._running)
        dead, own = await self._db.read(self._dead)
        for job_hex in running:
            if job_hex not in own and job_hex in self._running:
                # Cancelled or taken over: a slow fetch shall not keep its slot and partition.
                self._running[job_hex][2].cancel()
        for worker_id in dead:
            jobs = await self._db.write(self._bury, worker_id)
            if jobs is None:
                continue
            self.buried += 1
            self.rescued += jobs
            _log.warning("worker %s is dead, %d jobs taken over", worker_id, jobs)
        self._offered.clear()
        # Read before the workers: who took a workflow was registered by then, or has died since.
        held = await self._in_thread(self._held)
        live = await self._db.read(workers.registered)
        lost = [id_ for id_, executor in held.items() if executor not in live]
        if lost:
            # Also of jobs that ended meanwhile: a workflow left behind would block its partition.
            await self._in_thread(self._put_back, lost)
        if time.monotonic() >= self._next_clean:
            self._next_clean = time.monotonic() + _CLEAN_S
            await self._in_thread(self._clean)

    async def _waiting(self, tx: Transaction, limit: int) -> list[tuple[str, Waiting]]:
        kinds = self._runners.items()
        return [(kind, job) for kind, runner in kinds for job in await runner.waiting(tx, limit)]

    async def _dispatch(self) -> None:
        """Offer what free slots can take soon: DBOS draws at random among what it has, so the
        fair order is kept by giving it little. Twice the slots, as a partition may be taken.

        Where none is free, a group without a job that runs is offered the one slot more: others'
        imports take minutes."""
        free = self._slots - len(self._running)
        waiting = await self._db.read(self._waiting, 2 * max(1, free)) if free >= 0 else []
        waiting = [(kind, job) for kind, job in waiting if free or job.first]
        fresh = [(kind, job) for kind, job in waiting if job.job_id not in self._offered]
        if fresh:
            await self._in_thread(self._offer, fresh)
            self._offered.update(job.job_id for _, job in fresh)

    async def _run_job(self, kind: str, job_hex: str) -> None:
        """The body of a workflow. Never raises: how the job ended stands in its row."""
        await self._registered.wait()
        runner = self._runners.get(kind)
        task = asyncio.current_task()
        if runner is None or task is None or self._stopping.is_set() or job_hex in self._running:
            return
        alone = len(self._running) + self._claiming >= self._slots
        self._claiming += 1
        try:
            claim = await self._db.write(self._claim, runner, bytes.fromhex(job_hex), alone)
        except Exception as error:  # the job still waits and is offered again
            _log.warning("job %s could not be claimed: %s", job_hex, place_of(error))
            return
        finally:
            self._claiming -= 1
        if claim is None:
            return
        self._running[job_hex] = (runner, claim, task)
        try:
            await self._run_claimed(runner, claim, job_hex)
        except Exception as error:
            # It can be neither ended nor failed here. Deaths are counted, so this has an end.
            self._die(f"job {job_hex} cannot be ended: {place_of(error)}")
        except asyncio.CancelledError:
            if self._stopping.is_set():
                # Stays in the table for `_retire`, and its workflow in DBOS's books as taken by
                # this worker, from where the others put it back.
                raise
            task.uncancel()
        del self._running[job_hex]

    async def _claim(
        self, tx: Transaction, runner: Runner[C], job_id: bytes, alone: bool = False
    ) -> C | None:
        # With a beat in the same transaction no job comes to a worker already declared dead.
        if not await workers.beat(tx, self.worker_id):
            return None
        return await runner.claim(tx, job_id, self.worker_id, alone=alone)

    async def _run_claimed(self, runner: Runner[C], claim: C, job_hex: str) -> None:
        try:
            if await self._work(runner, claim):
                await self._insist(runner.finish, claim)
                runner.committed(claim)
                _log.info("job %s ended", job_hex)
        except DatabaseAway:
            # Whether the last page was saved is not known here: the row tells its next run.
            await self._insist(runner.release, claim)
        except JobFailed as failure:
            _log.info("job %s failed: %s", job_hex, failure.code)
            await self._insist(runner.fail, claim, failure.code, failure.message)
            runner.committed(claim)
        except Exception as error:
            _log.error("job %s failed: %s", job_hex, place_of(error))
            message = "The server failed to run this job."
            await self._insist(runner.fail, claim, "INTERNAL_ERROR", message)
            runner.committed(claim)

    async def _work(self, runner: Runner[C], claim: C) -> bool:
        """Fetch and save page after page; False when the job ended or moved on elsewhere."""
        async with aclosing(runner.pages(claim)) as pages:
            async for page in pages:
                if not await self._save(runner, claim, page):
                    return False
                if self._stopping.is_set():
                    await self._insist(runner.release, claim)
                    return False
        return True

    async def _save(self, runner: Runner[C], claim: C, page: Any) -> bool:
        saved: bool | Rest = Rest(page)
        while isinstance(saved, Rest):
            saved = await self._save_turn(runner, claim, saved.page)
            runner.committed(claim)
        return saved

    async def _save_turn(self, runner: Runner[C], claim: C, page: Any) -> bool | Rest:
        if not self._one_writer:
            return await self._db.write_long(runner.save, claim, page)
        locked_at = 0.0

        async def body(tx: Transaction) -> bool | Rest:
            nonlocal locked_at
            locked_at = time.monotonic()
            return await runner.save(tx, claim, page)

        async with self._turn:
            saved = await self._db.write_long(body)
            held_s = time.monotonic() - locked_at
            if self._db.wanted_since(locked_at):
                await asyncio.sleep(min(held_s, _PAUSE_MAX_S))
        return saved

    async def _insist(self, body: Callable[..., Any], *args: Any) -> None:
        """Write, again and again while the database is away: after 10 s the watch ends it."""
        while True:
            try:
                await self._db.write(body, *args)
            except DatabaseAway:
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _retire(self, tx: Transaction) -> None:
        for runner, claim, _ in self._running.values():
            await runner.release(tx, claim)
        await workers.leave(tx, self.worker_id)
