"""The peers: each is set up and started as its users do it, one process, tuned on this work."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bench.access import LIST, PAGE_SIZE, PATCH, Access, Target, longlist_access
from bench.environments import PEERS, environment_of, node_environment_of
from bench.servers import (
    AUDIENCES,
    POSTGRESQL,
    SQLITE,
    Place,
    Server,
    clean_environment,
    free_port,
    run_command,
    serving,
)

FASTAPI = "FastAPI + SQLAlchemy async ORM"
DJANGO = "Django REST framework"
NINJA = "Django Ninja"
DATASETTE = "Datasette"
DIRECTUS = "Directus"
JSON_SERVER = "json-server"

_COUNT = str(AUDIENCES)


@contextmanager
def fastapi(place: Place) -> Iterator[Server]:
    """FastAPI under uvicorn with its C parser and loop.

    Pool sizes are the best of those tried: 1 on SQLite, where one writer at a time is the rule and
    waiting in the pool is cheaper than waiting for the lock, 10 on PostgreSQL.
    """
    binaries = environment_of(PEERS / "fastapi_sqlalchemy")
    cwd = PEERS / "fastapi_sqlalchemy"
    pool = "1" if place.kind == SQLITE else "10"
    environment = clean_environment({**place.peer_environment(), "BENCH_POOL_SIZE": pool})
    port = free_port()
    seeded = json.loads(
        run_command([str(binaries / "python"), "seed.py", _COUNT], environment, cwd)
    )
    command = [str(binaries / "uvicorn"), "app:app", "--port", str(port), "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    access = longlist_access(**seeded)
    with serving(FASTAPI, command, environment, cwd, place, port, access) as server:
        yield server


@contextmanager
def _on_django(place: Place, name: str, peer: str, settings: str) -> Iterator[Server]:
    """A Django project under gunicorn's threaded worker: the two share models and seed.

    Threads are the best of those tried: 1 on SQLite, where more only contend, 8 on PostgreSQL.
    """
    binaries = environment_of(PEERS / peer)
    cwd = PEERS / "django_rest"
    environment = clean_environment(
        {
            **place.peer_environment(),
            "BENCH_SECRET_KEY": secrets.token_hex(32),
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONPATH": f"{PEERS / peer}:{cwd}",
        }
    )
    port = free_port()
    seeded = json.loads(
        run_command([str(binaries / "python"), "seed.py", _COUNT], environment, cwd)
    )
    threads = "1" if place.kind == SQLITE else "8"
    command = [str(binaries / "gunicorn"), "wsgi:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", "1", "--worker-class", "gthread", "--threads", threads]
    command += ["--keep-alive", "75", "--log-level", "warning"]
    access = longlist_access(**seeded)
    with serving(name, command, environment, cwd, place, port, access) as server:
        yield server


def django(place: Place) -> AbstractContextManager[Server]:
    """Django REST framework."""
    return _on_django(place, DJANGO, "django_rest", "settings")


def ninja(place: Place) -> AbstractContextManager[Server]:
    """Django Ninja over the models of the Django REST framework peer."""
    return _on_django(place, NINJA, "django_ninja", "ninja_settings")


@contextmanager
def datasette(place: Place) -> Iterator[Server]:
    """Datasette with its root token; SQLite only, by its general update of a row and its table API.

    It starts its own uvicorn, which finds httptools and uvloop in the environment.
    """
    binaries = environment_of(PEERS / "datasette")
    cwd = PEERS / "datasette"
    environment = clean_environment(place.peer_environment())
    seeded = json.loads(
        run_command([str(binaries / "python"), "seed.py", _COUNT], environment, cwd)
    )
    program, secret = str(binaries / "datasette"), secrets.token_hex(32)
    create = [program, "create-token", "root", "--secret", secret]
    key = run_command(create, environment, cwd).split()[0]
    port = free_port()
    command = [program, "serve", environment["BENCH_SQLITE_PATH"], "--port", str(port)]
    command += ["--secret", secret, "--root"]
    base = "/peer/audiences"
    where = f"account_group_id={seeded['group']}&active_job_id__isnull=1"
    targets = {
        PATCH: Target(
            "POST", f"{base}/{{id}}/-/update", '{"update": {"name": "{name}"}, "return": true}'
        ),
        LIST: Target("GET", f"{base}.json?{where}&_sort_desc=created_at&_size={PAGE_SIZE}"),
    }
    access = Access(key, seeded["group"], seeded["audiences"], targets, items=("rows",))
    with serving(DATASETTE, command, environment, cwd, place, port, access) as server:
        yield server


def _directus_settings(place: Place, port: int, admin: str) -> dict[str, str]:
    """Variables of Directus: those it needs, and no part that the work does not use."""
    if place.postgres is None:
        raise ValueError("Directus is measured on PostgreSQL")
    return {
        "DB_CLIENT": "pg",
        "DB_HOST": place.postgres.socket_dir,
        "DB_PORT": "5432",
        "DB_DATABASE": place.database,
        "DB_USER": "postgres",
        "DB_PASSWORD": "",
        "KEY": secrets.token_hex(16),
        "SECRET": secrets.token_hex(32),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD": secrets.token_hex(16),
        "ADMIN_TOKEN": admin,
        "EXTENSIONS_PATH": str(place.folder / "extensions"),
        "STORAGE_LOCAL_ROOT": str(place.folder / "uploads"),
        "NODE_ENV": "production",
        "LOG_LEVEL": "warn",
        "SERVE_APP": "false",
        "TELEMETRY": "false",
        "WEBSOCKETS_ENABLED": "false",
        "PRESSURE_LIMITER_ENABLED": "false",
    }


@contextmanager
def directus(place: Place) -> Iterator[Server]:
    """Directus on PostgreSQL with a static token of a user that is no administrator.

    Its own record of changes is on, as it is by default: it is what stands beside an event row.
    Rules by item, such as "only of this group", are sold apart: the token may change any audience.
    The limiter of its event loop is off, because it would answer 503 under this load.
    """
    node = node_environment_of(PEERS / "directus")
    port, admin = free_port(), secrets.token_hex(20)
    environment = clean_environment(_directus_settings(place, port, admin))
    program = node.module("directus/cli.js")
    run_command([*program, "bootstrap"], environment, place.folder)
    ready = Access(admin, "", [], {LIST: Target("GET", "/collections")})
    command = [*program, "start"]
    with serving(DIRECTUS, command, environment, place.folder, place, port, ready) as server:
        python = str(environment_of(PEERS / "node") / "python")
        script = [python, str(PEERS / "directus" / "seed.py"), str(port), _COUNT]
        seeded = json.loads(run_command(script, environment, place.folder))
        group = seeded["group"]
        where = f"filter[account_group_id][_eq]={group}&filter[active_job_id][_null]=true"
        base = "/items/audiences"
        targets = {
            PATCH: Target("PATCH", f"{base}/{{id}}", '{"name": "{name}"}'),
            LIST: Target("GET", f"{base}?{where}&sort=-created_at,-id&limit={PAGE_SIZE}"),
        }
        server.access = Access(seeded["key"], group, seeded["audiences"], targets, items=("data",))
        yield server


@contextmanager
def json_server(place: Place) -> Iterator[Server]:
    """json-server over one file: no key, no database, nothing synced to disk. A curiosity."""
    node = node_environment_of(PEERS / "json_server")
    port = free_port()
    file = place.folder / "db.json"
    environment = clean_environment({"NODE_ENV": "production"})
    python = str(environment_of(PEERS / "node") / "python")
    script = [python, str(PEERS / "json_server" / "seed.py"), str(file), _COUNT]
    seeded = json.loads(run_command(script, environment, place.folder))
    command = [*node.module("json-server/lib/cli/bin.js"), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--quiet", str(file)]
    base = "/audiences"
    where = f"account_group_id={seeded['group']}"
    targets = {
        PATCH: Target("PATCH", f"{base}/{{id}}", '{"name": "{name}"}'),
        LIST: Target("GET", f"{base}?{where}&_sort=created_at,id&_order=desc,desc&_limit=50"),
    }
    access = Access("", seeded["group"], seeded["audiences"], targets, items=())
    with serving(JSON_SERVER, command, environment, place.folder, place, port, access) as server:
        yield server


Start = Callable[[Place], AbstractContextManager[Server]]

PEERS_ON: dict[str, tuple[tuple[str, Start], ...]] = {
    SQLITE: (
        (FASTAPI, fastapi),
        (DJANGO, django),
        (NINJA, ninja),
        (DATASETTE, datasette),
        (JSON_SERVER, json_server),
    ),
    POSTGRESQL: ((FASTAPI, fastapi), (DJANGO, django), (NINJA, ninja), (DIRECTUS, directus)),
}
