"""Puts processes together: the API with its worker and maintenance, the worker, a server for one
command.

The API process imports neither the job engine nor SQLAlchemy, Alembic or rich: it starts within a
second and stays small. What needs them runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
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
    from longlist.workers import Supervisor

BACKLOG: Final = 2048
_LAST_PORT: Final = 65_535
GARBAGE: Final = 20_000
"""Objects that may be made, beyond those freed, before the garbage collector looks for cycles."""
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
    with closing(listen(settings.host, settings.port)) as sockets, metrics_sockets(settings) as m:
        uvloop.run(_serve(settings, sockets, m, api_only))


@contextmanager
def closing(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    """The sockets, closed at the end."""
    try:
        yield sockets
    finally:
        for listening in sockets:
            listening.close()


def metrics_sockets(
    settings: Settings, after: int = 0
) -> AbstractContextManager[list[socket.socket]]:
    """Where the metrics are served, at the port set or `after` it; none where they are off.

    Raises Trouble.
    """
    if not settings.metrics_port:
        return closing([])
    return closing(listen(settings.metrics_host, settings.metrics_port + after, "METRICS_"))


def listen(host: str, port: int, of: str = "") -> list[socket.socket]:
    """Listening sockets on every address of the host. Raises Trouble.

    `of` stands before HOST and PORT in the names of the settings.
    """
    if not 0 <= port <= _LAST_PORT:
        raise Trouble(f"LONGLIST_{of}PORT must be 0 to {_LAST_PORT}.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Trouble(f"The address {host} cannot be found. Check LONGLIST_{of}HOST.") from error
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
            raise _cannot_listen(host, port, error, of) from error
        sockets.append(made)
    if not sockets:
        raise _cannot_listen(host, port, OSError(errno.EADDRNOTAVAIL, ""), of)
    return sockets


def _cannot_listen(host: str, port: int, error: OSError, of: str) -> Trouble:
    if error.errno == errno.EADDRINUSE:
        return Trouble(
            f"Port {port} of {host} is in use by another program. Stop it, or set"
            f" LONGLIST_{of}PORT to a free port."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return Trouble(f"The address {host} is not one of this machine. Check LONGLIST_{of}HOST.")
    if error.errno == errno.EACCES:
        return Trouble(f"Port {port} is for root alone. Set LONGLIST_{of}PORT to 1024 or above.")
    return Trouble(f"The server cannot listen on {host}:{port}: {error.strerror}.")


async def _serve(
    settings: Settings,
    sockets: Sequence[socket.socket],
    metrics: Sequence[socket.socket],
    api_only: bool,
) -> None:
    from longlist.workers import Supervisor

    async with _ready(settings) as installation:
        made = await _first_group(installation)
        link = None if made is None else await _first_link(installation)
        groups = await _count_groups(installation)
        supervisor = None if api_only else Supervisor(installation.db)
        tasks: list[asyncio.Task[None]] = []

        def started(running: Running) -> None:
            _take_signals(installation)
            _greet(settings, running, made, groups, link)
            _collect_seldom()
            if supervisor is not None:
                tasks.append(asyncio.create_task(supervisor.start()))

        try:
            await run_api(
                installation, sockets, shared_limits=api_only, on_started=started,
                metrics=metrics, supervisor=supervisor,
            )  # fmt: skip
        finally:
            if supervisor is not None:
                await supervisor.stop()


def _collect_seldom() -> None:
    """Keep the garbage collector from going through modules and tables that stay.

    At its defaults it was about a twelfth of a request's CPU, for what is freed without it as a
    rule.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 50)


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


async def _first_link(installation: Installation) -> str:
    """The token that lets whoever started the server make the first user of the admin pages."""
    from longlist.admin import store as admins
    from longlist.context import Context

    token: str = await Context(installation, b"").write(admins.create_link)
    return token


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
    metrics: Sequence[socket.socket] = (),
    supervisor: Supervisor | None = None,
) -> None:
    """Serve the application and keep the installation in order until the server stops.

    `metrics`: the sockets that they are served on; they count the starts of `supervisor`.
    """
    from longlist import server, tracing
    from longlist.app import App
    from longlist.limits import limiter_for
    from longlist.maintenance import Maintenance

    settings = installation.settings
    limiter = limiter_for(settings, installation.db, shared=shared_limits)
    app = App(installation, limiter)
    maintenance = Maintenance(installation, app.gate.keys)
    task = asyncio.create_task(maintenance.run(), name="maintenance")
    starts = None if supervisor is None else lambda: supervisor.starts
    try:
        async with (
            tracing.of_process("api") as traces,
            _exposing(metrics, installation, app=app, worker_starts=starts),
        ):
            entry: Any = app if traces is None else traces.of_requests(app)
            limits = limits_of(settings)
            await server.serve(entry, sockets=sockets, limits=limits, on_started=on_started)
    except server.StartFailed as error:
        raise Trouble(str(error)) from error
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await maintenance.stop()
        await limiter.close()


@asynccontextmanager
async def _exposing(
    sockets: Sequence[socket.socket], installation: Installation, **parts: Any
) -> AsyncIterator[None]:
    """Serve the metrics on the sockets, if there are any; `parts` as `Metrics` takes them."""
    if not sockets:
        yield
        return
    # Imported where metrics are wanted: the library takes a fifth of a second to load.
    from longlist.metrics import Metrics
    from longlist.metrics_listener import listening

    async with listening(sockets, Metrics(installation, **parts).render):
        yield


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
    return _url(*running.addresses[0])


def _url(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{_ANY_ADDRESS.get(host, shown)}:{port}"


def _greet(
    settings: Settings,
    running: Running,
    made: tuple[bytes, str] | None,
    groups: Sequence[str],
    link: str | None,
) -> None:
    url = url_of(running)
    kept_in = "PostgreSQL" if settings.uses_postgres else f"SQLite in {settings.data_path}"
    lines = [f"Longlist listens on {url} ({kept_in})."]
    if settings.metrics_port:
        metrics_url = _url(settings.metrics_host, settings.metrics_port)
        lines.append(f"Metrics are at {metrics_url}/metrics.")
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
            "Or make yourself a user of the pages; the link works once, within 24 hours:",
            f"  {url}/admin/setup/{link}",
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
    with _worker_metrics(settings) as metrics:
        uvloop.run(_work(settings, metrics))


@contextmanager
def _worker_metrics(settings: Settings) -> Iterator[list[socket.socket]]:
    """The sockets for a worker's metrics: at the next port where `serve` has the one that is set.

    The worker of a server works on without them: jobs matter more, and Prometheus sees it is gone.
    """
    from longlist.telemetry import log
    from longlist.workers import SUPERVISED

    if SUPERVISED not in os.environ:
        with metrics_sockets(settings) as sockets:
            yield sockets
        return
    try:
        opened_sockets = metrics_sockets(settings, after=1)
    except Trouble as trouble:
        log.warning("no metrics of this worker", reason=str(trouble))
        opened_sockets = closing([])
    with opened_sockets as sockets:
        yield sockets


async def _work(settings: Settings, metrics: Sequence[socket.socket]) -> None:
    from longlist import jobs, jobs_database, tracing, workers
    from longlist.prospecting.runner import KIND, ProspectingRunner, described

    worker_id = workers.own_id()
    async with opened(settings, worker_id) as installation:
        db = installation.db
        target = (
            jobs_database.postgres_target(db.url, worker_id)
            if settings.uses_postgres
            else jobs_database.embedded_target(settings.jobs_sqlite_path)
        )
        runner = ProspectingRunner(installation)
        async with tracing.of_process("worker") as traces:
            engine = jobs.Engine(
                db,
                target,
                worker_id,
                {KIND: runner if traces is None else traces.of_pages(KIND, runner, described)},
                slots=settings.worker_jobs,
                one_writer=db.one_writer,
            )
            async with _exposing(metrics, installation, engine=engine, runner=runner):
                await workers.run_until_stopped(engine)


class LocalServer(msgspec.Struct):
    """A server of this process, for the time of one command."""

    url: str = ""
    stop: Callable[[], None] | None = None
    failure: BaseException | None = None


@contextmanager
def local_server(settings: Settings, port: int = 0) -> Iterator[str]:
    """The URL of a server with a worker, until the end of the block; port 0 is any free one.

    The worker takes its settings from the environment. Raises Trouble for a port that is in use.
    """
    from longlist.telemetry import configure_logs
    from longlist.workers import Supervisor

    quiet = msgspec.structs.replace(settings, log_level="error", metrics_port=0)
    configure_logs(quiet)
    sockets = listen("127.0.0.1", port)
    local, ready = LocalServer(), threading.Event()

    async def main() -> None:
        async with opened(quiet) as installation:
            environ = {**os.environ, "LONGLIST_LOG_LEVEL": "error", "LONGLIST_METRICS_PORT": "0"}
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
