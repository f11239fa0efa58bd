"""Rounds against several servers in turn, so that a slow minute of the machine slows them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from bench.figures import spread
from bench.machine import cpu_split
from bench.postgres import Postgres
from bench.servers import AUDIENCES, Server

PGBENCH = "pgbench"
_ROOT = Path(__file__).resolve().parent.parent

Sample = dict[str, Any]


class LoadFailed(Exception):
    """The load generator ended or could not complete a round."""


class Load:
    """The load generator's process, pinned to its own CPU and kept for the whole run."""

    def __init__(self) -> None:
        _, load_cpus = cpu_split()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.sched_setaffinity(self._process.pid, load_cpus)
        if self._process.stdin is None or self._process.stdout is None:
            raise LoadFailed("the load generator has no pipes")
        self._commands, self._results = self._process.stdin, self._process.stdout
        self._round = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._commands.close()
        self._process.wait(30)

    def start(self, command: dict[str, Any]) -> None:
        """Begin a round; `result` waits for its end."""
        self._round += 1
        self._commands.write(json.dumps({**command, "nonce": f"r{self._round}"}) + "\n")
        self._commands.flush()

    def result(self) -> Sample:
        """The figures of the round begun last. Raises LoadFailed."""
        line = self._results.readline()
        if not line:
            raise LoadFailed("the load generator ended")
        sample: Sample = json.loads(line)
        if "error" in sample:
            raise LoadFailed(sample["error"])
        return sample


@dataclass(frozen=True)
class Length:
    """How long things take: set by the command line. Times in seconds."""

    rounds: int
    seconds: float
    warmup: float


class Contestant(Protocol):
    """Something that can be put under a round of work."""

    name: str

    def run(self, work: str, connections: int, length: Length) -> Sample:
        """One round. Raises LoadFailed."""


class ServerContestant:
    """An HTTP server under the load generator.

    `name` is what it is called in the results, by default the server's own; `work` is what it is
    asked for in place of the cell's work, for cells that compare two kinds of request.
    """

    def __init__(
        self,
        server: Server,
        load: Load,
        postgres: Postgres | None,
        *,
        name: str | None = None,
        work: str | None = None,
    ) -> None:
        self.name = name or server.name
        self._server = server
        self._load = load
        self._postgres = postgres
        self._work = work

    def command(self, work: str, connections: int, length: Length) -> dict[str, Any]:
        """What the load generator is told."""
        access = self._server.access
        return {
            "target": access.targets[self._work or work].as_command(),
            "ports": self._server.ports,
            "key": access.key,
            "audiences": access.audiences,
            "connections": connections,
            "warmup": length.warmup,
            "seconds": length.seconds,
            "pids": self._server.pids(),
            "database_pids": self._postgres.pids() if self._postgres else [],
        }

    def run(self, work: str, connections: int, length: Length) -> Sample:
        """One round of HTTP requests."""
        self._load.start(self.command(work, connections, length))
        return self._load.result()


class PgbenchContestant:
    """pgbench running the update of a PATCH with its event row, and nothing around it."""

    name = PGBENCH

    def __init__(self, postgres: Postgres, database: str, script: Path) -> None:
        self._postgres = postgres
        self._database = database
        self._script = script

    def run(self, work: str, connections: int, length: Length) -> Sample:
        """One round of transactions; pgbench counts in whole seconds."""
        seconds = max(1, round(length.seconds))
        try:
            per_second = self._postgres.run_pgbench(
                self._database, self._script, connections, seconds, AUDIENCES
            )
        except (subprocess.SubprocessError, ValueError) as error:
            raise LoadFailed(f"pgbench: {error}") from error
        return {"perSecond": per_second, "loadAverage": os.getloadavg()[0], "statuses": {}}


def summarise(samples: Sequence[Sample]) -> dict[str, Any]:
    """The spread of every figure, and how many answers were not 200."""
    figures = [name for name in samples[0] if name != "statuses"]
    summary: dict[str, Any] = {
        name: spread([sample[name] for sample in samples]) for name in figures
    }
    summary["notOk"] = sum(
        count
        for sample in samples
        for status, count in sample["statuses"].items()
        if status != "200"
    )
    return summary


def run_cell(
    contestants: Sequence[Contestant],
    work: str,
    connections: int,
    length: Length,
    failed: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """All rounds of one work at one number of connections: name to summary.

    The order is turned by one each round, so that nobody always follows the same neighbour. A
    contestant that fails a round keeps the failure and is left out of the later ones; `failed` is
    told.
    """
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    failures: dict[str, str] = {}
    for turn in range(length.rounds):
        at = turn % len(contestants)
        for contestant in [*contestants[at:], *contestants[:at]]:
            if contestant.name in failures:
                continue
            try:
                samples[contestant.name].append(contestant.run(work, connections, length))
            except LoadFailed as error:
                failures[contestant.name] = str(error)
                failed(f"{contestant.name} failed: {error}")
    return {
        name: {"error": failures[name]} if name in failures else summarise(taken)
        for name, taken in samples.items()
    }
