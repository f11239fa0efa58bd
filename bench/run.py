"""Entry of the bench: `python -m bench.run [--quick] [--only PART ...] [--resume]`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine, report
from bench.bulk import NotFilled
from bench.environments import NotInstalled
from bench.http_client import UnexpectedAnswer
from bench.imports import SpeedPlan
from bench.parts import PARTS, Plan, Run
from bench.postgres import running_postgres
from bench.results import OtherMachine, Results, Unit, revision, unit_name, without_paths
from bench.rounds import Length, Load, LoadFailed
from bench.servers import POSTGRESQL, SQLITE, NotStarted

_FAILURES = (
    NotStarted, NotInstalled, NotFilled, UnexpectedAnswer, LoadFailed, OSError,
    subprocess.SubprocessError,
)  # fmt: skip
_KINDS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}


def read_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line, in which the defaults of a quick run differ from those of a whole one."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about 7 minutes in place of 60")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), metavar="PART",
                        help=f"add these to the results at hand: {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="measure only what is not there yet")
    parser.add_argument("--databases", nargs="+", choices=tuple(_KINDS), default=list(_KINDS))
    parser.add_argument("--rounds", type=int, help="rounds of everything")
    parser.add_argument("--seconds", type=float, help="length of a round under load")
    parser.add_argument("--import-rows", type=int, help="rows of the largest import")
    parser.add_argument("--largest", type=int, help="leave out more memberships than this")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder of results")
    parser.add_argument("--report", type=Path, help="folder of the report and its pictures")
    given = parser.parse_args(arguments)
    given.raw = given.results / ("raw-quick.json" if given.quick else "raw.json")
    if given.report is None:
        # The committed report is of whole runs; a quick one leaves it as it is.
        given.report = given.results / "quick" if given.quick else report.REPORT
    return given


def make_plan(given: argparse.Namespace) -> Plan:
    """Lengths and sizes of the run."""
    quick = given.quick
    rounds = given.rounds or (3 if quick else 5)
    seconds = given.seconds or (0.4 if quick else 1.5)
    warmup = 0.15 if quick else 0.4
    import_rows = given.import_rows or (50_000 if quick else 1_000_000)
    largest = given.largest or (100_000 if quick else 10_000_000)
    return Plan(
        length=Length(rounds, seconds, warmup),
        settle=0.5 if quick else 3.0,
        imports=SpeedPlan(
            sizes=[*(rows for rows in (10_000, 100_000) if rows < import_rows), import_rows],
            rounds=rounds,
            limit_seconds=45 if quick else 240,
            budget_seconds=60 if quick else 660,
        ),
        beside=Length(1 if quick else rounds, 1.5 if quick else 4.0, 0.5),
        growth=Length(rounds, min(seconds, 1.0), min(warmup, 0.3)),
        growth_sizes=[size for size in (1_000, 100_000, 1_000_000, 10_000_000) if size <= largest],
        processes=2 if quick else 4,
        starts=rounds,
        rest_seconds=2.0 if quick else 3.0,
    )


def units_of(given: argparse.Namespace) -> list[tuple[str, str]]:
    """Part and kind of database of everything that is asked for, in the order of a run."""
    wanted = given.only or list(PARTS)
    kinds = [_KINDS[name] for name in given.databases]
    return [
        (part, kind) for part, (on, _) in PARTS.items() if part in wanted
        for kind in on if kind in kinds
    ]  # fmt: skip


def _load_average() -> float:
    return round(os.getloadavg()[0], 2)


def measure_unit(run: Run, part: str, kind: str, command: str) -> Unit:
    """One unit with all that is to be known of it; a failure is kept as its `error`."""
    run.remarks = []
    run.say(f"{part}, {kind}")
    unit: Unit = {
        "startedAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "revision": revision(),
        "loadBefore": _load_average(),
    }
    started = time.monotonic()
    try:
        unit["figures"] = PARTS[part][1](run, kind)
    except _FAILURES as error:
        unit["error"] = without_paths(f"{type(error).__name__}: {error}")
        run.remark(f"Not measured: {unit['error']}")
    finally:
        run.clear()
    unit["minutes"] = round((time.monotonic() - started) / 60, 2)
    unit["loadAfter"] = _load_average()
    unit["remarks"] = [without_paths(remark) for remark in run.remarks]
    return unit


def _results_at_hand(given: argparse.Namespace, facts: dict[str, Any]) -> Results:
    if given.only or given.resume:
        return Results.read(given.raw, facts)
    return Results(facts)


def measure(given: argparse.Namespace, command: str) -> Results:
    """Every unit asked for, with the file written after each. Raises OtherMachine."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="longlist-bench-")))
        folder.chmod(0o755)  # PostgreSQL refuses to run as root and reads it as another user
        results = _results_at_hand(given, machine.facts(folder))
        units = [
            (part, kind)
            for part, kind in units_of(given)
            if not (given.resume and results.is_whole(unit_name(part, kind)))
        ]
        run = Run(make_plan(given), folder, stack.enter_context(Load()))
        if any(kind == POSTGRESQL for _, kind in units):
            run.postgres = stack.enter_context(running_postgres(folder))
            results.machine.update(run.postgres.facts())
        for part, kind in units:
            unit = measure_unit(run, part, kind, command)
            results.units[unit_name(part, kind)] = unit
            order = [unit_name(part, kind) for part, (on, _) in PARTS.items() for kind in on]
            results.units = {name: results.units[name] for name in order if name in results.units}
            results.write(given.raw)
            run.say(f"  {unit['minutes']:.1f} minutes")
    return results


def main() -> None:
    """Measure, write the report, print where the results stand."""
    given = read_arguments(sys.argv[1:])
    command = without_paths(" ".join(["python -m bench.run", *sys.argv[1:]]))
    # A terminated run unwinds like any other, so that no server outlives it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        results = measure(given, command)
    except OtherMachine as error:
        sys.exit(str(error))
    report.write(results, given.results, given.report)


if __name__ == "__main__":
    main()
