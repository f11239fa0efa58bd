"""Puts processes together: the API with its worker and maintenance, the worker, a server for one
command.

The API process imports neither the job engine nor SQLAlchemy, Alembic or rich: it starts within a
second and stays small. What needs them runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longlist.console import Trouble, make_data_folder, opened, program
from longlist.db import SchemaMismatch

if TYPE_CHECKING:
    from longlist.context import Context, Installation
    from longlist.server import Running
    from longlist.server.reader import Limits
    from longlist.settings import Settings

BACKLOG: Final = 2048
_LAST_PORT: Final = 65_535
_FORM_BYTES: Final = 65_536
_SMALLEST_BODY: Final = 8 << 20
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104
_PATIENCE_S: Final = 60.0


def serve(settings: Settings, *, api_only: bool) -> None:
    """Run the API until SIGTERM or SIGINT, with one worker process unless `api_only`.

    Raises Trouble, DatabaseAway, SchemaMismatch and SettingError before the first request.
    """
    import uvloop

    from longlist.telemetry import configure_logs

    configure_logs(settings)
    make_data_folder(settings)
    # Before the database is touched: a key is shown once, so nothing may fail after it is made.
    sockets = listen(settings.host, settings.port)
    try:
        uvloop.run(_serve(settings, sockets, api_only))
    finally:
        for listening in sockets:
            listening.close()


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of the host. Raises Trouble."""
    if not 0 <= port <= _LAST_PORT:
        raise Trouble(f"LONGLIST_PORT must be 0 to {_LAST_PORT}.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Trouble(f"The address {host} cannot be found. Check LONGLIST_HOST.") from error
    sockets: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        # With port 0 the system picks one; a second address takes the same.
        picked = sockets[0].getsockname()[1] if sockets else port
        made = socket.socket(family)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address[0], picked, *address[2:]))
            made.listen(BACKLOG)
        except OSError as error:
            made.close()
            if error.errno == errno.EADDRNOTAVAIL and len(found) > 1:
                continue  # such as ::1 of localhost where IPv6 is off
            for other in sockets:
                other.close()
            raise _cannot_listen(host, port, error) from error
        sockets.append(made)
    if not sockets:
        raise _cannot_listen(host, port, OSError(errno.EADDRNOTAVAIL, ""))
    return sockets


def _cannot_listen(host: str, port: int, error: OSError) -> Trouble:
    if error.errno == errno.EADDRINUSE:
        return Trouble(
            f"Port {port} of {host} is in use by another program. Stop it, or set LONGLIST_PORT"
            " to a free port."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return Trouble(f"The address {host} is not one of this machine. Check LONGLIST_HOST.")
    if error.errno == errno.EACCES:
        return Trouble(f"Port {port} is for root alone. Set LONGLIST_PORT to 1024 or above.")
    return Trouble(f"The server cannot listen on {host}:{port}: {error.strerror}.")


async def _serve(settings: Settings, sockets: Sequence[socket.socket], api_only: bool) -> None:
    from longlist.workers import Supervisor

    async with _ready(settings) as installation:
        made = await _first_group(installation)
        groups = await _count_groups(installation)
        supervisor = None if api_only else Supervisor(installation.db)
        tasks: list[asyncio.Task[None]] = []

        def started(running: Running) -> None:
            _take_signals(installation)
            _greet(settings, running, made, groups)
            if supervisor is not None:
                tasks.append(asyncio.create_task(supervisor.start()))

        try:
            await run_api(installation, sockets, shared_limits=api_only, on_started=started)
        finally:
            if supervisor is not None:
                await supervisor.stop()


@asynccontextmanager
async def _ready(settings: Settings) -> AsyncIterator[Installation]:
    """The open installation, its schema brought up where that can be done unattended."""
    for attempt in range(2):
        try:
            async with opened(settings) as installation:
                yield installation
                return
        except SchemaMismatch:
            if attempt:
                raise
        await asyncio.to_thread(_bring_up)


def _bring_up() -> None:
    """Migrate in a child process, which takes the memory of Alembic with it."""
    command = (sys.executable, "-m", "longlist", "migrate", "--unattended")
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    if done.returncode:
        # The child has said why.
        raise SystemExit(done.returncode)


async def _first_group(installation: Installation) -> tuple[bytes, str] | None:
    """The group and key of a first start; made once, also when several servers start at once."""
    from longlist import startup
    from longlist.context import Context

    async def body(ctx: Context) -> tuple[bytes, str] | None:
        await ctx.tx.exclusive("account_groups")
        return await startup.first_group(ctx)

    made: tuple[bytes, str] | None = await Context(installation, b"").write(body)
    return made


async def _count_groups(installation: Installation) -> list[str]:
    from longlist.accounts import store as accounts
    from longlist.context import Context

    found = await Context(installation, b"").read(accounts.list_all_everywhere)
    return [group.id.hex() for group in found]


async def run_api(
    installation: Installation,
    sockets: Sequence[socket.socket],
    *,
    shared_limits: bool,
    on_started: Callable[[Running], None],
) -> None:
    """Serve the application and keep the installation in order until the server stops."""
    from longlist import server
    from longlist.app import App
    from longlist.limits import DatabaseLimiter, MemoryLimiter
    from longlist.maintenance import Maintenance

    settings = installation.settings
    shared = {"auto": shared_limits, "memory": False, "database": True}[settings.rate_limit_store]
    app = App(installation, DatabaseLimiter(installation.db) if shared else MemoryLimiter())
    maintenance = Maintenance(installation, app.gate.keys)
    task = asyncio.create_task(maintenance.run(), name="maintenance")
    try:
        await server.serve(app, sockets=sockets, limits=limits_of(settings), on_started=on_started)
    except server.StartFailed as error:
        raise Trouble(str(error)) from error
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await maintenance.stop()


def limits_of(settings: Settings) -> Limits:
    """What one client may take of the server, by the settings."""
    from longlist.server.reader import Limits

    return Limits(
        body_bytes=max(settings.max_upload_bytes, _SMALLEST_BODY) + _FORM_BYTES,
        request_s=settings.request_timeout_s,
        keep_alive_s=settings.keep_alive_s,
        drain_s=settings.drain_s,
        connections=settings.max_connections,
    )


def _take_signals(installation: Installation) -> None:
    """Let readiness fail from the first signal on; the server's own handler does the rest."""
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, before: Any = before) -> None:
            installation.stopping = True
            before(number, frame)

        signal.signal(number, handle)


def url_of(running: Running) -> str:
    """Where a client on this machine reaches the server."""
    host, port = running.addresses[0]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{_ANY_ADDRESS.get(host, shown)}:{port}"


def _greet(
    settings: Settings, running: Running, made: tuple[bytes, str] | None, groups: Sequence[str]
) -> None:
    url = url_of(running)
    kept_in = "PostgreSQL" if settings.uses_postgres else f"SQLite in {settings.data_path}"
    lines = [f"Longlist listens on {url} ({kept_in})."]
    if made is not None:
        group, key = made[0].hex(), made[1]
        lines += [
            "",
            'This is the first start: there is now an account group "Default" and a key with every'
            " permission.",
            f"  account group  {group}",
            f"  key            {key}",
            "The key is shown this once. Try it:",
            f"  curl -H 'Authorization: Bearer {key}' {url}/v1/accounts/{group}/audiences",
            "",
        ]
    else:
        group = groups[0] if len(groups) == 1 else "ID"
        lines.append(f"Make a key with: {program()} keys create --all --account-group {group}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def work(settings: Settings) -> None:
    """Run jobs until SIGTERM, SIGINT or the end of the supervisor."""
    import uvloop

    from longlist.telemetry import configure_logs

    configure_logs(settings)
    uvloop.run(_work(settings))


async def _work(settings: Settings) -> None:
    from longlist import jobs, workers
    from longlist.prospecting.runner import KIND, ProspectingRunner

    worker_id = workers.own_id()
    async with opened(settings, worker_id) as installation:
        db = installation.db
        target = (
            jobs.postgres_target(db.url, worker_id)
            if settings.uses_postgres
            else jobs.embedded_target(settings.jobs_sqlite_path)
        )
        engine = jobs.Engine(
            db,
            target,
            worker_id,
            {KIND: ProspectingRunner(installation)},
            slots=settings.worker_jobs,
            one_writer=db.one_writer,
        )
        await workers.run_until_stopped(engine)


class LocalServer(msgspec.Struct):
    """A server of this process, for the time of one command."""

    url: str = ""
    stop: Callable[[], None] | None = None
    failure: BaseException | None = None


@contextmanager
def local_server(settings: Settings) -> Iterator[str]:
    """The URL of a server with a worker, on a port that is free, until the end of the block."""
    from longlist.telemetry import configure_logs
    from longlist.workers import Supervisor

    quiet = msgspec.structs.replace(settings, log_level="error")
    configure_logs(quiet)
    sockets = listen("127.0.0.1", 0)
    local, ready = LocalServer(), threading.Event()

    async def main() -> None:
        async with opened(quiet) as installation:
            environ = {**os.environ, "LONGLIST_LOG_LEVEL": "error"}
            supervisor = Supervisor(installation.db, environ=environ)

            def started(running: Running) -> None:
                local.url, local.stop = url_of(running), running.stop
                ready.set()

            await supervisor.start()
            try:
                await run_api(installation, sockets, shared_limits=False, on_started=started)
            finally:
                await supervisor.stop()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            local.failure = error
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="local server")
    thread.start()
    try:
        ready.wait(_PATIENCE_S)
        if local.failure is not None:
            raise local.failure
        yield local.url
    finally:
        ready.wait(_PATIENCE_S)
        if local.stop is not None:
            local.stop()
        thread.join()
        for listening in sockets:
            listening.close()
    if local.failure is not None:
        raise local.failure
