"""The servers under test: how each is set up, started as its users start it, and stopped."""

from __future__ import annotations

import json
import os
import secrets
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
from bench.environments import PEERS, environment_of
from bench.http_client import Caller
from bench.machine import cpu_split
from bench.postgres import Postgres

LONGLIST = "Longlist"
FASTAPI = "FastAPI + SQLAlchemy async ORM"
DJANGO = "Django REST framework"
DATASETTE = "Datasette's write API"
NULL = "null ceiling"
SQLITE = "SQLite"
POSTGRESQL = "PostgreSQL"

AUDIENCES = 1000
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_SET_UP_SECONDS = 120.0
_SEED = ("seed.py", str(AUDIENCES))


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


@dataclass(frozen=True)
class Access:
    """What a caller needs to work with a server that has been set up."""

    key: str
    group: str
    audiences: list[str]
    dialect: str = "longlist"


@dataclass
class Server:
    """A running server, ready for load."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    access: Access

    def pids(self) -> list[int]:
        """Every process of it."""
        return procfs.process_tree(self.process.pid)

    def caller(self) -> Caller:
        """A plain client for it."""
        return Caller(self.port, self.access.key)

    @property
    def audiences_path(self) -> str:
        """Path of the audience list."""
        if self.access.dialect == "datasette":
            return "/peer/audiences"
        return f"/v1/accounts/{self.access.group}/audiences"


def free_port() -> int:
    """A port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
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


def _run(command: list[str], environment: Mapping[str, str], cwd: Path) -> str:
    """What a set-up command prints. Raises NotStarted with its last line when it fails."""
    name = f"{Path(command[0]).name} {command[1]}"
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
    command: list[str], environment: Mapping[str, str], cwd: Path, log: Path
) -> subprocess.Popen[bytes]:
    server_cpus, _ = cpu_split()
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
    os.sched_setaffinity(process.pid, server_cpus)
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


def first_answer_path(access: Access) -> str:
    """What is asked for until it answers: something that takes the key and the database."""
    if access.dialect == "datasette":
        return "/peer/audiences.json?_size=1"
    return f"/v1/accounts/{access.group}/audiences?limit=50"


def wait_for_answer(process: subprocess.Popen[bytes], port: int, access: Access, log: Path) -> None:
    """Return at the first 200 of the audience list. Raises NotStarted."""
    deadline = time.monotonic() + _START_SECONDS
    path = first_answer_path(access)
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
def _serving(
    name: str, command: list[str], environment: Mapping[str, str], cwd: Path, place: Place,
    port: int, access: Access,
) -> Iterator[Server]:  # fmt: skip
    log = place.folder / "server.log"
    process = _spawn(command, environment, cwd, log)
    wait_for_answer(process, port, access, log)
    try:
        yield Server(name, port, process, access)
    finally:
        stop(process)


@contextmanager
def fastapi(place: Place) -> Iterator[Server]:
    """FastAPI under uvicorn with its C parser and loop, one process.

    Pool sizes are the best of those tried: 1 on SQLite, where one writer at a time is the rule and
    waiting in the pool is cheaper than waiting for the lock, 10 on PostgreSQL.
    """
    binaries = environment_of("fastapi_sqlalchemy")
    cwd = PEERS / "fastapi_sqlalchemy"
    pool = "1" if place.kind == SQLITE else "10"
    environment = _clean_environment({**place.peer_environment(), "BENCH_POOL_SIZE": pool})
    port = free_port()
    seeded = json.loads(_run([str(binaries / "python"), *_SEED], environment, cwd))
    command = [str(binaries / "uvicorn"), "app:app", "--port", str(port), "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    with _serving(FASTAPI, command, environment, cwd, place, port, Access(**seeded)) as server:
        yield server


@contextmanager
def django(place: Place) -> Iterator[Server]:
    """Django REST framework under gunicorn's threaded worker, one process.

    Threads are the best of those tried: 1 on SQLite, where more only contend, 8 on PostgreSQL.
    """
    binaries = environment_of("django_rest")
    cwd = PEERS / "django_rest"
    environment = _clean_environment(
        {**place.peer_environment(), "BENCH_SECRET_KEY": secrets.token_hex(32)}
    )
    port = free_port()
    seeded = json.loads(_run([str(binaries / "python"), *_SEED], environment, cwd))
    threads = "1" if place.kind == SQLITE else "8"
    command = [str(binaries / "gunicorn"), "wsgi:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", "1", "--worker-class", "gthread", "--threads", threads]
    command += ["--keep-alive", "75", "--log-level", "warning"]
    with _serving(DJANGO, command, environment, cwd, place, port, Access(**seeded)) as server:
        yield server


@contextmanager
def datasette(place: Place) -> Iterator[Server]:
    """Datasette with its root token; SQLite only, and PATCH only, by its general update of a row.

    It starts its own uvicorn, which finds httptools and uvloop in the environment.
    """
    binaries = environment_of("datasette")
    cwd = PEERS / "datasette"
    environment = _clean_environment(place.peer_environment())
    seeded = json.loads(_run([str(binaries / "python"), *_SEED], environment, cwd))
    program, secret = str(binaries / "datasette"), secrets.token_hex(32)
    create = [program, "create-token", "root", "--secret", secret]
    key = _run(create, environment, cwd).split()[0]
    port = free_port()
    command = [program, "serve", environment["BENCH_SQLITE_PATH"], "--port", str(port)]
    command += ["--secret", secret, "--root"]
    access = Access(key, "", seeded["audiences"], dialect="datasette")
    with _serving(DATASETTE, command, environment, cwd, place, port, access) as server:
        yield server


def record_answers(server: Server, path: Path) -> None:
    """Keep one PATCH answer and one list of `server`, for the null ceiling to repeat."""
    caller = server.caller()
    target = f"{server.audiences_path}/{server.access.audiences[-1]}"
    body = json.dumps({"name": "Recorded for the ceiling"}).encode()
    answers = {
        "PATCH": caller.send("PATCH", target, body),
        "GET": caller.send("GET", f"{server.audiences_path}?limit=50"),
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
    environment = _clean_environment({"BENCH_ANSWERS": str(answers)})
    cwd = PEERS / "null_ceiling"
    with _serving(NULL, command, environment, cwd, place, port, access) as server:
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

    def start(self) -> subprocess.Popen[bytes]:
        """`longlist serve`, not yet answering."""
        return _spawn(_longlist("serve"), self.environment, self.place.folder, self.log)


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
    environment = _clean_environment(settings)
    _run(_longlist("migrate"), environment, place.folder)
    create = _longlist("accounts", "create", "Bench", "--json")
    group = json.loads(_run(create, environment, place.folder))
    keys = _longlist("keys", "create", "--account-group", group["id"], "--all", "--json")
    key = json.loads(_run(keys, environment, place.folder))
    return LonglistInstall(place, port, environment, Access(key["key"], group["id"], []))


@contextmanager
def longlist(place: Place) -> Iterator[Server]:
    """`longlist serve` with everything on, and the audiences made through its API."""
    install = install_longlist(place)
    process = install.start()
    wait_for_answer(process, install.port, install.access, install.log)
    server = Server(LONGLIST, install.port, process, install.access)
    try:
        caller = server.caller()
        for position in range(AUDIENCES):
            body = {
                "name": f"Audience {position:04d}",
                "type": "on_demand",
                "description": "Invented for the benchmark",
            }
            made = caller.data("POST", server.audiences_path, body)
            install.access.audiences.append(made["id"])
        caller.close()
        yield server
    finally:
        stop(process)
