"""Prometheus metrics, on a listener of their own: `/metrics` at `LONGLIST_METRICS_PORT`.

What is shown is noted as plain numbers where the work is done; here it is only gathered and
rendered, when somebody asks. No label has an id, a key, a name or a path as it was sent: labels
are operations, statuses and states, so their number is bounded by the code.

Figures of the installation (jobs, workers, locks) are asked of the database, and are the same in
every process: take the greatest over them. All others are of the process, since its start.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from longlist import workers
from longlist.db import DatabaseAway
from longlist.exposition import (
    Exposition,
    build_info,
    counter,
    gauge,
    histogram,
    labelled,
    of_requests,
)
from longlist.prospecting import queue_store as queue

if TYPE_CHECKING:
    from longlist.app import App
    from longlist.context import Installation
    from longlist.db import Figures, Transaction
    from longlist.jobs import Engine
    from longlist.prospecting.runner import ProspectingRunner
    from longlist.telemetry import Telemetry

ASK_S: Final = 3.0
"""The database is given this long: Prometheus gives up after ten seconds, and then has nothing."""


class Shared(msgspec.Struct, frozen=True):
    """What only the database knows."""

    depth: queue.Depth
    beats: workers.Beats


async def _shared_everywhere(tx: Transaction) -> Shared:
    return Shared(await queue.depth_everywhere(tx), await workers.beats(tx))


class Metrics(Exposition):
    """Gathers the figures of one process. `app` is an API's; `engine` and `runner` a worker's."""

    def __init__(
        self,
        installation: Installation,
        *,
        app: App | None = None,
        worker_starts: Any = None,
        engine: Engine | None = None,
        runner: ProspectingRunner | None = None,
    ) -> None:
        super().__init__()
        self._db = installation.db
        self._jobs_ended = installation.jobs_ended
        self._app = app
        self._worker_starts = worker_starts
        self._engine = engine
        self._runner = runner
        self._engine_version = ""
        self._shared: Shared | None = None

    async def _ask(self) -> None:
        self._shared = None
        try:
            async with asyncio.timeout(ASK_S):
                self._engine_version = self._engine_version or await self._db.version()
                self._shared = await self._db.read_long(_shared_everywhere)
        except (DatabaseAway, TimeoutError):
            pass  # `longlist_database_up` tells, and the other figures are still worth having

    def collect(self) -> Iterator[Metric]:
        """Every metric, for the registry."""
        yield from self._of_the_installation()
        yield from _of_the_database(self._db.figures())
        yield self._ended()
        if self._app is not None:
            yield from _of_an_api(self._app)
        if self._worker_starts is not None:
            yield counter(
                "longlist_worker_starts",
                "Times that serve has started its worker.",
                self._worker_starts(),
            )
        if self._engine is not None and self._runner is not None:
            yield from _of_a_worker(self._engine, self._runner)

    def _ended(self) -> Metric:
        ended = Counter(completed=0, failed=0, cancelled=0, given_up=0)
        ended.update(self._jobs_ended)
        if self._runner is not None:
            ended.update(self._runner.ended)
        return labelled(
            CounterMetricFamily, "longlist_jobs_ended",
            "Jobs that this process has brought to their end, by how.", "status", ended,
        )  # fmt: skip

    def _of_the_installation(self) -> Iterator[Metric]:
        yield build_info("worker" if self._app is None else "api", self._engine_version)
        shared = self._shared
        yield gauge(
            "longlist_database_up", "Whether the database has answered.", int(shared is not None)
        )
        if shared is None:
            return
        depth = shared.depth
        yield labelled(
            GaugeMetricFamily, "longlist_jobs", "Jobs of the installation that have not ended.",
            "state", {"queued": depth.queued, "running": depth.running},
        )  # fmt: skip
        yield gauge(
            "longlist_oldest_lock_seconds",
            "Time that the oldest lock on an audience has been held for; 0: there is none.",
            depth.oldest_lock_ms / 1000,
        )
        silent = len(shared.beats.silent)
        yield labelled(
            GaugeMetricFamily, "longlist_workers",
            "Workers of the installation, by whether they have beaten of late.",
            "state", {"alive": len(shared.beats.at) - silent, "silent": silent},
        )  # fmt: skip


def _of_an_api(app: App) -> Iterator[Metric]:
    yield from of_requests(app.telemetry, app.under_way)
    yield from _of_pages(app.telemetry)
    yield labelled(
        CounterMetricFamily, "longlist_rate_limited",
        "Requests refused for the rate of their key, or of bad keys from their address.",
        "bucket", app.gate.limited,
    )  # fmt: skip


def _of_pages(telemetry: Telemetry) -> Iterator[Metric]:
    visits = CounterMetricFamily(
        "longlist_admin_requests", "Visits to admin pages by page and status.",
        labels=("page", "status"),
    )  # fmt: skip
    for (page, status), counted in list(telemetry.pages.counted.items()):
        visits.add_metric((page, str(status)), counted.count)
    yield visits
    yield histogram(
        "longlist_admin_request_seconds", "Time to the last byte of a page.",
        telemetry.pages.seconds, "page",
    )  # fmt: skip


def _of_the_database(figures: Figures) -> Iterator[Metric]:
    if figures.batches is not None:
        yield histogram(
            "longlist_commit_transactions",
            "Transactions that shared a commit; their number is _sum, that of commits _count.",
            {"": figures.batches},
        )
    if figures.lock_waits is not None:
        yield histogram(
            "longlist_write_lock_wait_seconds",
            "Waits of a commit for another process's write lock.",
            {"": figures.lock_waits},
        )
    if (pool := figures.pool) is not None:
        yield labelled(
            GaugeMetricFamily, "longlist_pool_connections", "Connections to PostgreSQL.",
            "state", {"busy": pool.busy, "idle": pool.idle},
        )  # fmt: skip
        yield gauge(
            "longlist_pool_connections_max", "Connections that there may be at most.", pool.most
        )
    if (replicas := figures.replicas) is not None:
        yield labelled(
            GaugeMetricFamily, "longlist_replicas", "Read replicas, as this process sees them.",
            "state", replicas.states,
        )  # fmt: skip
        yield labelled(
            CounterMetricFamily, "longlist_reads",
            "Reads of requests that a replica has answered, or why the primary has.",
            "answered", replicas.reads,
        )  # fmt: skip
        yield gauge(
            "longlist_replica_behind_bytes",
            "How much of the log the last replica lacked when it was asked.",
            replicas.behind_bytes,
        )


def _of_a_worker(engine: Engine, runner: ProspectingRunner) -> Iterator[Metric]:
    rows = {
        name: count
        for name, count in msgspec.structs.asdict(runner.rows).items()
        if name != "received"
    }
    yield labelled(
        CounterMetricFamily, "longlist_job_rows", "Rows that this worker has saved, by outcome.",
        "outcome", rows,
    )  # fmt: skip
    busy, slots = engine.busy
    yield gauge("longlist_worker_jobs", "Jobs that run in this worker.", busy)
    yield gauge("longlist_worker_slots", "Jobs that may run in this worker.", slots)
    for name, text, value in (
        ("beats", "Beats of this worker.", engine.beats),
        ("burials", "Workers that this one found dead.", engine.buried),
        ("rescues", "Jobs that it took over from them.", engine.rescued),
    ):
        yield counter(f"longlist_worker_{name}", text, value)
