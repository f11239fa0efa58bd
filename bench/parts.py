"""What a run measures, part by part: each gives back the figures of one unit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import growth, imports, servers, startup
from bench.access import LIST, PATCH
from bench.environments import NotInstalled
from bench.http_client import UnexpectedAnswer
from bench.peer_servers import PEERS_ON, Start
from bench.postgres import PGBENCH_SCRIPT, Postgres
from bench.rounds import (
    Contestant,
    Length,
    Load,
    LoadFailed,
    PgbenchContestant,
    ServerContestant,
    run_cell,
)
from bench.servers import LONGLIST, POSTGRESQL, SQLITE, NotStarted, Place, Server

_CONNECTIONS = (1, 16, 64)
_SETTLE_CONNECTIONS = 16
_PROCESS_CONNECTIONS = 64
_PIPELINE_TIMEOUT_SECONDS = 180
_PGBENCH_DATABASE = "bench_pgbench"


@dataclass(frozen=True)
class Plan:
    """How long everything takes and how large it is. Times in seconds."""

    length: Length
    settle: float
    imports: imports.SpeedPlan
    beside: Length
    growth: Length
    growth_sizes: Sequence[int]
    processes: int
    starts: int
    rest_seconds: float


@dataclass
class Run:
    """One run: its plan, its folder, and what is to be said of the unit under way."""

    plan: Plan
    folder: Path
    load: Load
    postgres: Postgres | None = None
    remarks: list[str] = field(default_factory=list)
    _places: list[Place] = field(default_factory=list)
    _count: int = 0

    def say(self, text: str) -> None:
        """Tell the person who waits."""
        print(text, flush=True)

    def remark(self, text: str) -> None:
        """Tell the person, and keep it for the report."""
        self.say(f"  {text}")
        self.remarks.append(text)

    def remarker(self, start: str) -> Callable[[str], None]:
        """`remark` with `start` before each text."""
        return lambda text: self.remark(f"{start}{text}")

    def place(self, kind: str, name: str) -> Place:
        """A fresh folder and, on PostgreSQL, a fresh database for one server."""
        self._count += 1
        folder = self.folder / f"{self._count}-{name}"
        folder.mkdir()
        if kind == SQLITE:
            place = Place(kind, folder)
        else:
            if self.postgres is None:
                raise NotStarted("no PostgreSQL is running")
            database = f"bench_{name}_{self._count}"
            self.postgres.create_database(database)
            place = Place(kind, folder, self.postgres, database)
        self._places.append(place)
        return place

    def clear(self) -> None:
        """Delete the data of every place handed out, whose servers have ended."""
        for place in self._places:
            shutil.rmtree(place.folder, ignore_errors=True)
            if place.postgres is not None:
                place.postgres.drop_database(place.database)
        self._places.clear()


def check_work(server: Server) -> None:
    """One PATCH has to be seen in the list of 50, newest first. Raises UnexpectedAnswer."""
    access, caller = server.access, server.caller()
    newest, name = access.audiences[-1], f"Checked {time.time_ns()}"
    status, _, raw = caller.send(*access.targets[PATCH].filled(newest, name))
    if status != 200 or name.encode() not in raw:
        raise UnexpectedAnswer(f"{server.name} answered a PATCH with {status}: {raw[:200]!r}")
    status, _, raw = caller.send("GET", access.targets[LIST].path)
    caller.close()
    if status != 200:
        raise UnexpectedAnswer(f"{server.name} answered a list with {status}: {raw[:200]!r}")
    rows = access.rows(raw)
    if len(rows) != 50 or rows[0]["id"] != newest or rows[0]["name"] != name:
        raise UnexpectedAnswer(f"{server.name} does not list what it changed")


def _settle(run: Run, server: Server) -> None:
    """Load that is not measured, so that no compiler and no cache is met cold."""
    contestant = ServerContestant(server, run.load, None)
    for work in (PATCH, LIST):
        contestant.run(work, _SETTLE_CONNECTIONS, Length(1, run.plan.settle, 0.0))


def _start_servers(run: Run, kind: str, stack: ExitStack) -> list[Server]:
    """Longlist, its peers and the null ceiling; one that fails is left out, and that is said."""
    started: list[Server] = []
    opened: tuple[tuple[str, Start], ...] = ((LONGLIST, servers.longlist), *PEERS_ON[kind])
    for number, (name, start) in enumerate(opened):
        try:
            server = stack.enter_context(start(run.place(kind, f"peer{number}")))
            check_work(server)
            _settle(run, server)
            started.append(server)
        except NotInstalled as error:
            run.remark(f"{name} was left out: it could not be installed ({error}).")
        except (NotStarted, UnexpectedAnswer, LoadFailed) as error:
            run.remark(f"{name} was left out: {error}")
    if not started or started[0].name != LONGLIST:
        raise NotStarted("Longlist does not run, so there is nothing to compare")
    place = run.place(kind, "null")
    answers = place.folder / "answers.json"
    servers.record_answers(started[0], answers)
    started.append(stack.enter_context(servers.null_ceiling(place, answers, started[0].access)))
    return started


def rounds(run: Run, kind: str) -> dict[str, Any]:
    """Every work at every number of connections on one kind of database."""
    cells = []
    with ExitStack() as stack:
        contestants: list[Contestant] = [
            ServerContestant(server, run.load, run.postgres if kind == POSTGRESQL else None)
            for server in _start_servers(run, kind, stack)
        ]
        patching = list(contestants)
        if kind == POSTGRESQL and run.postgres is not None:
            run.postgres.prepare_pgbench(_PGBENCH_DATABASE, servers.AUDIENCES)
            script = run.folder / "update.sql"
            script.write_text(PGBENCH_SCRIPT)
            patching.append(PgbenchContestant(run.postgres, _PGBENCH_DATABASE, script))
        for work, taking_part in ((PATCH, patching), (LIST, contestants)):
            for connections in _CONNECTIONS:
                run.say(f"  {work} at {connections} connections")
                said = f"{work} at {connections} connections: "
                summary = run_cell(
                    taking_part, work, connections, run.plan.length, run.remarker(said)
                )
                cells.append({"work": work, "connections": connections, "servers": summary})
    return {"cells": cells}


def start(run: Run, kind: str) -> dict[str, Any]:
    """Start to first answer and memory at rest."""
    install = servers.install_longlist(run.place(kind, "start"))
    return startup.measure(install, run.plan.starts, run.plan.rest_seconds)


def pipeline(run: Run, kind: str) -> dict[str, Any]:
    """The in-process loop, in a process of its own so that its logs go nowhere."""
    install = servers.install_longlist(run.place(kind, "pipeline"))
    result = run.folder / "pipeline.json"
    access = {"BENCH_KEY": install.access.key, "BENCH_GROUP": install.access.group}
    subprocess.run(
        [sys.executable, "-m", "bench.pipeline", str(result)],
        env={**install.environment, **access},
        cwd=Path(__file__).resolve().parent.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=_PIPELINE_TIMEOUT_SECONDS,
    )
    found: dict[str, Any] = json.loads(result.read_text())
    if "error" in found:
        raise NotStarted(found["error"])
    return found


def import_speed(run: Run, kind: str) -> dict[str, Any]:
    """Imports of every size, each round in a fresh installation."""

    @contextmanager
    def fresh() -> Iterator[tuple[Server, Place]]:
        place = run.place(kind, "import")
        with servers.install_longlist(place).serving(LONGLIST) as server:
            yield server, place
        run.clear()

    return imports.measure_speed(fresh, run.folder, run.plan.imports, run.remark)


def beside_import(run: Run, kind: str) -> dict[str, Any]:
    """PATCH while an import runs, against PATCH at rest."""
    with servers.longlist(run.place(kind, "beside")) as server:
        contestant = ServerContestant(server, run.load, None)
        limit = run.plan.imports.limit_seconds
        found = imports.measure_beside(server, contestant, run.folder, run.plan.beside, limit)
    if found["covered"] < found["rounds"]:
        run.remark(f"Only {found['covered']} windows of {found['rounds']} lay within their import.")
    return found


def sizes(run: Run, kind: str) -> dict[str, Any]:
    """PATCH, list and pages at growing numbers of memberships."""
    plan = run.plan

    def place_of(name: str) -> Place:
        return run.place(kind, name)

    postgres = run.postgres if kind == POSTGRESQL else None
    return growth.measure(
        plan.growth_sizes, place_of, run.load, postgres, plan.growth, run.say, run.remark
    )


def processes(run: Run, kind: str) -> dict[str, Any]:
    """One to several API processes over one database."""
    install = servers.install_longlist(run.place(kind, "processes"))
    with install.serving(LONGLIST) as server:
        servers.make_audiences(server)
    cells = {}
    with install.serving_api(run.plan.processes) as whole:
        contestants: list[Contestant] = [
            ServerContestant(
                Server(LONGLIST, whole.ports[:count], whole.processes[:count], whole.access),
                run.load,
                run.postgres,
                name=str(count),
            )
            for count in range(1, run.plan.processes + 1)
        ]
        for work in (PATCH, LIST):
            run.say(f"  {work}")
            failed = run.remarker(f"{work}, processes: ")
            length = run.plan.length
            cells[work] = run_cell(contestants, work, _PROCESS_CONNECTIONS, length, failed)
    return {"connections": _PROCESS_CONNECTIONS, "cells": cells}


BOTH = (SQLITE, POSTGRESQL)

PARTS: dict[str, tuple[tuple[str, ...], Callable[[Run, str], dict[str, Any]]]] = {
    "rounds": (BOTH, rounds),
    "startup": (BOTH, start),
    "pipeline": ((SQLITE,), pipeline),
    "imports": (BOTH, import_speed),
    "beside": (BOTH, beside_import),
    "growth": (BOTH, sizes),
    "processes": ((POSTGRESQL,), processes),
}
"""Each part with the kinds of database it is measured on, in the order of a run."""
