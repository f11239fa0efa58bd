"""Setting up, starting and stopping what is measured; Longlist itself and the null ceiling.

The peers are in `peer_servers.py`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import procfs
from bench.access import LIST, PATCH, Access, longlist_access
from bench.environments import PEERS
from bench.http_client import Caller
from bench.machine import cpu_split
from bench.postgres import Postgres

LONGLIST = "Longlist"
NULL = "null ceiling"
SQLITE = "SQLite"
POSTGRESQL = "PostgreSQL"

AUDIENCES = 1000
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_SET_UP_SECONDS = 120.0


class NotStarted(Exception):
    """A server could not be set up or did not answer; the text says what it last printed."""


@dataclass(frozen=True)
class Place:
    """Where one server keeps its data: a folder of its own, and a database of one kind."""

    kind: str
    folder: Path
    postgres: Postgres | None = None
    database: str = ""

    def peer_environment(self) -> dict[str, str]:
        """The variables the peers read."""
        if self.postgres is None:
            return {"BENCH_SQLITE_PATH": str(self.folder / "peer.sqlite3")}
        return {"BENCH_PG_HOST": self.postgres.socket_dir, "BENCH_PG_NAME": self.database}


@dataclass
class Server:
    """A running server, ready for load; several processes of one installation are one server."""

    name: str
    ports: list[int]
    processes: list[subprocess.Popen[bytes]]
    access: Access

    def pids(self) -> list[int]:
        """Every process of it."""
        return [pid for process in self.processes for pid in procfs.process_tree(process.pid)]

    def caller(self) -> Caller:
        """A plain client for it."""
        return Caller(self.ports[0], self.access.key)

    @property
    def audiences_path(self) -> str:
        """Path of the audience list of Longlist."""
        return self.access.audiences_path


def free_port() -> int:
    """A port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's variables without settings of Longlist or of another bench."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LONGLIST_", "BENCH_"))
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **extra}


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " | ".join(lines[-3:])[-400:]


def run_command(command: list[str], environment: Mapping[str, str], cwd: Path) -> str:
    """What a set-up command prints. Raises NotStarted with its last line when it fails."""
    name = f"{Path(command[0]).name} {Path(command[1]).name}"
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SET_UP_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotStarted(f"{name}: {error}") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise NotStarted(f"{name}: {lines[-1][-300:]}")
    return done.stdout


def _spawn(
    command: list[str],
    environment: Mapping[str, str],
    cwd: Path,
    log: Path,
    cpus: set[int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server on `cpus`, by default those that are not the load's."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Threads and processes that it starts later inherit this.
    os.sched_setaffinity(process.pid, cpus or cpu_split()[0])
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end; kill its whole tree when it does not."""
    tree = procfs.process_tree(process.pid)
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()


def wait_for_answer(process: subprocess.Popen[bytes], port: int, access: Access, log: Path) -> None:
    """Return at the first 200 of the audience list, which takes the key and the database.

    Raises NotStarted.
    """
    deadline = time.monotonic() + _START_SECONDS
    path = access.targets[LIST].path
    while time.monotonic() < deadline and process.poll() is None:
        try:
            caller = Caller(port, access.key)
            status, _, raw = caller.send("GET", path)
            caller.close()
        except OSError:
            time.sleep(0.005)
            continue
        if status != 200:
            stop(process)
            raise NotStarted(f"the first answer was {status}: {raw[:200]!r}")
        return
    stop(process)
    raise NotStarted(f"no answer: {_tail(log)}")


@contextmanager
def serving(
    name: str, command: list[str], environment: Mapping[str, str], cwd: Path, place: Place,
    port: int, access: Access,
) -> Iterator[Server]:  # fmt: skip
    """A server of one process from its first answer on, stopped at the end."""
    log = place.folder / "server.log"
    process = _spawn(command, environment, cwd, log)
    wait_for_answer(process, port, access, log)
    try:
        yield Server(name, [port], [process], access)
    finally:
        stop(process)


def record_answers(server: Server, path: Path) -> None:
    """Keep one PATCH answer and one list of `server`, for the null ceiling to repeat."""
    caller = server.caller()
    patch = server.access.targets[PATCH].filled(server.access.audiences[-1], "For the ceiling")
    answers = {
        "PATCH": caller.send(*patch),
        "GET": caller.send("GET", server.access.targets[LIST].path),
    }
    caller.close()
    # uvicorn writes these two itself.
    own = {"date", "server", "connection"}
    recorded = {
        method: {
            "headers": [[k.lower(), v] for k, v in headers if k.lower() not in own],
            "body": raw.decode(),
        }
        for method, (_, headers, raw) in answers.items()
    }
    path.write_text(json.dumps(recorded))


@contextmanager
def null_ceiling(place: Place, answers: Path, access: Access) -> Iterator[Server]:
    """The bare ASGI app on the server that Longlist runs on, in the project's environment."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    command += ["--log-level", "warning"]
    environment = clean_environment({"BENCH_ANSWERS": str(answers)})
    cwd = PEERS / "null_ceiling"
    with serving(NULL, command, environment, cwd, place, port, access) as server:
        yield server


@dataclass(frozen=True)
class LonglistInstall:
    """Longlist with a schema, a group and a key, not started yet."""

    place: Place
    port: int
    environment: dict[str, str]
    access: Access

    @property
    def log(self) -> Path:
        """What `serve` prints."""
        return self.place.folder / "server.log"

    @property
    def sqlite_file(self) -> Path:
        """The embedded database."""
        return Path(self.environment["LONGLIST_DATA"]) / "longlist.sqlite3"

    def start(self) -> subprocess.Popen[bytes]:
        """`longlist serve`, not yet answering."""
        return _spawn(_longlist("serve"), self.environment, self.place.folder, self.log)

    @contextmanager
    def serving(self, name: str, *options: str) -> Iterator[Server]:
        """`longlist serve` with `options`, answering."""
        command = _longlist("serve", *options)
        with serving(
            name, command, self.environment, self.place.folder, self.place, self.port, self.access
        ) as server:
            yield server

    @contextmanager
    def serving_api(self, count: int) -> Iterator[Server]:
        """`count` processes of `serve --api-only` over the one database, on any CPU.

        They are not kept off the load generator's CPU, unlike the servers of the rounds: on a
        machine with two that would leave them a single one between them.
        """
        every = set(os.sched_getaffinity(0))
        ports = [free_port() for _ in range(count)]
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for port in ports:
                environment = {**self.environment, "LONGLIST_PORT": str(port)}
                log = self.place.folder / f"server-{port}.log"
                command = _longlist("serve", "--api-only")
                processes.append(_spawn(command, environment, self.place.folder, log, every))
                wait_for_answer(processes[-1], port, self.access, log)
            yield Server(LONGLIST, ports, processes, self.access)
        finally:
            for process in processes:
                stop(process)


def _longlist(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "longlist"), *arguments]


def install_longlist(place: Place) -> LonglistInstall:
    """Migrate, make a group and a key with the command line, as an operator does."""
    port = free_port()
    settings = {
        "LONGLIST_DATA": str(place.folder / "data"),
        "LONGLIST_HOST": "127.0.0.1",
        "LONGLIST_PORT": str(port),
        "LONGLIST_RATE_LIMIT_PER_MINUTE": "60000000",
        "LONGLIST_RATE_LIMIT_BURST": "1000000",
    }
    if place.postgres is not None:
        settings["LONGLIST_DATABASE_URL"] = place.postgres.url(place.database)
    environment = clean_environment(settings)
    run_command(_longlist("migrate"), environment, place.folder)
    create = _longlist("accounts", "create", "Bench", "--json")
    group = json.loads(run_command(create, environment, place.folder))
    keys = _longlist("keys", "create", "--account-group", group["id"], "--all", "--json")
    key = json.loads(run_command(keys, environment, place.folder))
    return LonglistInstall(place, port, environment, longlist_access(key["key"], group["id"]))


def make_audiences(server: Server, count: int = AUDIENCES) -> None:
    """Make audiences through the API of Longlist; `server.access` knows them afterwards."""
    caller = server.caller()
    for position in range(count):
        body = {
            "name": f"Audience {position:04d}",
            "type": "on_demand",
            "description": "Invented for the benchmark",
        }
        made = caller.data("POST", server.audiences_path, body)
        server.access.audiences.append(made["id"])
    caller.close()


@contextmanager
def longlist(place: Place) -> Iterator[Server]:
    """`longlist serve` with everything on, and the audiences made through its API."""
    with install_longlist(place).serving(LONGLIST) as server:
        make_audiences(server)
        yield server
