"""Entry of the bench: `python -m bench.run [--quick]`."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import imports, machine, report, servers, startup
from bench.environments import NotInstalled
from bench.http_client import UnexpectedAnswer
from bench.postgres import PGBENCH_SCRIPT, Postgres, running_postgres
from bench.rounds import (
    LIST,
    PATCH,
    Contestant,
    Length,
    Load,
    LoadFailed,
    PgbenchContestant,
    ServerContestant,
    run_cell,
)
from bench.servers import POSTGRESQL, SQLITE, NotStarted, Place, Server

_CONNECTIONS = (1, 16, 64)
_PARTS = ("rounds", "startup", "pipeline", "imports")
_PIPELINE_TIMEOUT_SECONDS = 180
_BESIDE_ROWS = (5_000, 1_000_000)
_BESIDE_MARGIN = 3.0


@dataclass
class Plan:
    """What this run does and for how long."""

    length: Length
    import_rows: int
    import_limit_seconds: float
    beside_seconds: float
    starts: int
    rest_seconds: float
    parts: set[str]
    kinds: list[str]


@dataclass
class Run:
    """One run: its plan, its folder, and the results as they come in."""

    plan: Plan
    folder: Path
    load: Load
    postgres: Postgres | None = None
    results: dict[str, Any] = field(default_factory=dict)
    _places: int = 0

    def say(self, text: str) -> None:
        """Tell the person who waits."""
        print(text, flush=True)

    def remark(self, text: str) -> None:
        """Tell the person, and keep it for the report."""
        self.say(f"  {text}")
        self.results["remarks"].append(text)

    def place(self, kind: str, name: str) -> Place:
        """A fresh folder and, on PostgreSQL, a fresh database for one server."""
        self._places += 1
        folder = self.folder / f"{self._places}-{name}"
        folder.mkdir()
        if kind == SQLITE:
            return Place(kind, folder)
        if self.postgres is None:
            raise NotStarted("no PostgreSQL is running")
        database = f"bench_{name}_{self._places}"
        self.postgres.create_database(database)
        return Place(kind, folder, self.postgres, database)


def check_work(server: Server) -> None:
    """One PATCH has to be seen in the list of 50, newest first. Raises UnexpectedAnswer."""
    caller = server.caller()
    newest = server.access.audiences[-1]
    if server.access.dialect == "datasette":
        target = f"{server.audiences_path}/{newest}/-/update"
        body = json.dumps({"update": {"name": "Checked"}, "return": True}).encode()
        status, _, raw = caller.send("POST", target, body)
        caller.close()
        if status != 200 or b'"Checked"' not in raw:
            raise UnexpectedAnswer(f"{server.name} answered {status}: {raw[:200]!r}")
        return
    name = f"Checked {time.time_ns()}"
    changed = caller.data("PATCH", f"{server.audiences_path}/{newest}", {"name": name})
    page = caller.data("GET", f"{server.audiences_path}?limit=50")
    caller.close()
    first = page["items"][0]
    if changed["name"] != name or len(page["items"]) != 50 or not page["hasMore"]:
        raise UnexpectedAnswer(f"{server.name} does not do the work that is measured")
    if first["id"] != newest or first["name"] != name:
        raise UnexpectedAnswer(f"{server.name} does not list what it changed")


def start_servers(run: Run, kind: str, stack: ExitStack) -> list[Server]:
    """Longlist, its peers and the null ceiling; one that fails is left out, and that is said."""
    started: list[Server] = []
    opened: tuple[tuple[str, Callable[[Place], Any]], ...] = (
        ("longlist", servers.longlist),
        ("fastapi", servers.fastapi),
        ("django", servers.django),
        *((("datasette", servers.datasette),) if kind == SQLITE else ()),
    )
    for name, start in opened:
        try:
            server = stack.enter_context(start(run.place(kind, name)))
            check_work(server)
            started.append(server)
        except NotInstalled as error:
            run.remark(f"{name} was left out on {kind}: it could not be installed ({error}).")
        except (NotStarted, UnexpectedAnswer) as error:
            run.remark(f"{name} was left out on {kind}: {error}")
    if started:
        place = run.place(kind, "null")
        answers = place.folder / "answers.json"
        servers.record_answers(started[0], answers)
        started.append(stack.enter_context(servers.null_ceiling(place, answers, started[0].access)))
        if started[0].name != servers.LONGLIST:
            run.remark(f"The null ceiling on {kind} repeats the answers of {started[0].name}.")
    return started


def measure_rounds(run: Run, kind: str) -> None:
    """Every work at every number of connections on one kind of database."""
    with ExitStack() as stack:
        contestants: list[Contestant] = [
            ServerContestant(server, run.load, run.postgres if kind == POSTGRESQL else None)
            for server in start_servers(run, kind, stack)
        ]
        for work in (PATCH, LIST):
            for connections in _CONNECTIONS:
                run.say(f"{kind}: {work} at {connections} connections")
                taking_part = [
                    contestant
                    for contestant in contestants
                    if work == PATCH or contestant.name != servers.DATASETTE
                ]
                if kind == POSTGRESQL and work == PATCH and run.postgres is not None:
                    script = run.folder / "update.sql"
                    script.write_text(PGBENCH_SCRIPT)
                    taking_part.append(PgbenchContestant(run.postgres, "bench_pgbench", script))
                summary = run_cell(taking_part, work, connections, run.plan.length, run.say)
                run.results["cells"].append(
                    {"kind": kind, "work": work, "connections": connections, "servers": summary}
                )


def measure_startup(run: Run, kind: str) -> None:
    """Start to first answer and memory at rest."""
    run.say(f"{kind}: start and memory at rest")
    try:
        install = servers.install_longlist(run.place(kind, "start"))
        figures = startup.measure(install, run.plan.starts, run.plan.rest_seconds)
        run.results["startup"][kind] = figures
    except NotStarted as error:
        run.remark(f"Start was not measured on {kind}: {error}")


def measure_pipeline(run: Run) -> None:
    """The in-process loop, in a process of its own so that its logs go nowhere."""
    run.say("pipeline in process")
    try:
        install = servers.install_longlist(run.place(SQLITE, "pipeline"))
        result = run.folder / "pipeline.json"
        environment = {
            **install.environment,
            "BENCH_KEY": install.access.key,
            "BENCH_GROUP": install.access.group,
        }
        subprocess.run(
            [sys.executable, "-m", "bench.pipeline", str(result)],
            env=environment,
            cwd=Path(__file__).resolve().parent.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=_PIPELINE_TIMEOUT_SECONDS,
        )
        run.results["pipeline"] = json.loads(result.read_text())
        if "error" in run.results["pipeline"]:
            run.remark(f"The pipeline was not measured: {run.results['pipeline']['error']}")
    except (NotStarted, subprocess.SubprocessError) as error:
        run.results["pipeline"] = {"error": str(error)}
        run.remark(f"The pipeline was not measured: {error}")


def measure_imports(run: Run, kind: str) -> None:
    """Import speed, memory and page depth, then PATCH beside an import."""
    plan = run.plan
    run.say(f"{kind}: import of {plan.import_rows:,} rows")
    place = run.place(kind, "imports")
    try:
        with servers.longlist(place) as server:
            limit = plan.import_limit_seconds
            speed = imports.measure_speed(server, place, plan.import_rows, limit)
            run.results["imports"][kind] = speed
            fitting = speed["rowsPerSecond"] * (plan.beside_seconds + 1) * _BESIDE_MARGIN
            least, most = _BESIDE_ROWS
            contestant = ServerContestant(server, run.load, None)
            run.results["beside"][kind] = imports.measure_beside(
                server, contestant, run.load, place, int(min(max(fitting, least), most)), limit,
                plan.beside_seconds,
            )  # fmt: skip
    except (NotStarted, UnexpectedAnswer, LoadFailed, OSError) as error:
        run.results["imports"].setdefault(kind, {"error": str(error)})
        run.results["beside"].setdefault(kind, {"error": str(error)})
        run.remark(f"The import on {kind} was not measured whole: {error}")


def measure(run: Run) -> None:
    """Everything the plan asks for."""
    plan = run.plan
    if run.postgres is not None:
        run.results["machine"].update(run.postgres.facts())
        if "rounds" in plan.parts:
            run.postgres.prepare_pgbench("bench_pgbench", servers.AUDIENCES)
    for kind in plan.kinds:
        if "rounds" in plan.parts:
            measure_rounds(run, kind)
    for kind in plan.kinds:
        if "startup" in plan.parts:
            measure_startup(run, kind)
    if "pipeline" in plan.parts:
        measure_pipeline(run)
    for kind in plan.kinds:
        if "imports" in plan.parts:
            measure_imports(run, kind)


def read_plan(arguments: list[str]) -> Plan:
    """The plan that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about 3 minutes in place of 15")
    parser.add_argument("--rounds", type=int, help="rounds of each cell")
    parser.add_argument("--seconds", type=float, help="length of a round")
    parser.add_argument("--import-rows", type=int, help="rows of the imported file")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument(
        "--databases", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"]
    )
    given = parser.parse_args(arguments)
    quick = given.quick
    length = Length(
        rounds=given.rounds or (3 if quick else 5),
        seconds=given.seconds or (0.4 if quick else 1.5),
        warmup=0.15 if quick else 0.4,
    )
    names = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
    return Plan(
        length=length,
        import_rows=given.import_rows or (100_000 if quick else 1_000_000),
        import_limit_seconds=45 if quick else 240,
        beside_seconds=1.5 if quick else 4.0,
        starts=3 if quick else 5,
        rest_seconds=2.0 if quick else 5.0,
        parts=set(given.only),
        kinds=[names[name] for name in given.databases],
    )


def main() -> None:
    """Run the plan, write the report, print where the run stands."""
    plan = read_plan(sys.argv[1:])
    # A terminated run unwinds like any other, so that no server outlives it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="longlist-bench-")))
        folder.chmod(0o755)  # PostgreSQL refuses to run as root and reads it as another user
        run = Run(plan, folder, stack.enter_context(Load()))
        if POSTGRESQL in plan.kinds:
            run.postgres = stack.enter_context(running_postgres(folder))
        run.results = {
            "startedAt": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python -m bench.run", *sys.argv[1:]]),
            "machine": machine.facts(folder),
            "kinds": plan.kinds,
            "cells": [],
            "startup": {},
            "pipeline": {},
            "imports": {},
            "beside": {},
            "remarks": [],
        }
        try:
            measure(run)
        except BaseException as error:
            run.remark(f"The run ended early: {type(error).__name__}: {error}")
            raise
        finally:
            run.results["remarks"] += report.load_bound(run.results)
            run.results["minutes"] = (time.monotonic() - started) / 60
            table = report.write(run.results)
    for line in table:
        print(f"[{'met' if line.met else 'not met'}] {line.goal}")
        for part in line.parts:
            print(f"    {part.text}")
    print(f"Written to {report.RESULTS / 'latest.md'}")


if __name__ == "__main__":
    main()
