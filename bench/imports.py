"""Import of CSV files through the API: speed and memory, and how quick the API stays beside it.

The file's keys are random, because an index filled in order is a different and much cheaper thing.
"""

from __future__ import annotations

import csv
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import baseline, procfs
from bench.access import PATCH
from bench.figures import spread
from bench.http_client import Caller, UnexpectedAnswer, success_data
from bench.rounds import Length, LoadFailed, Sample, ServerContestant
from bench.servers import Place, Server

_MEBIBYTE = 1 << 20
_WATCH_SECONDS = 0.1
_FIRST_ROWS = 1000
_CALIBRATION_ROWS = 20_000
_BESIDE_ROWS = (5_000, 1_000_000)
_BESIDE_MARGIN = 3.0
_BESIDE_CONNECTIONS = 4
_TERMINAL = ("completed", "failed", "cancelled")
_FIRST = ("Ada", "Bram", "Chioma", "Dmitri", "Elif", "Farid", "Greta", "Hiroshi", "Ines", "Jonas")
_LAST = ("Abara", "Bergmans", "Castell", "Dorval", "Eklund", "Farkas", "Gunnar", "Holtz", "Ivanko")
_TITLES = ("Head of Growth", "Sales Director", "Founder", "RevOps Lead", "Account Executive")

Fresh = Callable[[], AbstractContextManager[tuple[Server, Place]]]


def write_csv(path: Path, rows: int, seed: int) -> Path:
    """A file of invented people with random e-mail addresses and LinkedIn URLs.

    Two files with different seeds share no person.
    """
    chance = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["First Name", "Last Name", "Email", "LinkedIn URL", "Title", "Company"])
        for _ in range(rows):
            first, last = chance.choice(_FIRST), chance.choice(_LAST)
            slug = f"{chance.getrandbits(64):016x}"
            writer.writerow(
                [
                    first,
                    last,
                    f"{slug}@example.com",
                    f"https://www.linkedin.com/in/{first.lower()}-{slug}",
                    chance.choice(_TITLES),
                    f"Company {chance.randrange(50_000)}",
                ]
            )
    return path


class MemoryWatch:
    """Follows the resident memory of every process of a server, in a thread, while it is entered.

    `growth_mib` is the most that any of them grew over what it held when `idle` was taken.
    """

    def __init__(self, server: Server, idle: dict[int, int]) -> None:
        self._server = server
        self._idle = idle
        self._stopped = threading.Event()
        self._peak: dict[int, int] = {}
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def growth_mib(self) -> float:
        """Mebibytes; a process that came later counts whole."""
        grown = (peak - self._idle.get(pid, 0) for pid, peak in self._peak.items())
        return max(grown, default=0) / _MEBIBYTE

    def _follow(self) -> None:
        while not self._stopped.wait(_WATCH_SECONDS):
            for pid, size in resident(self._server).items():
                self._peak[pid] = max(self._peak.get(pid, 0), size)


def resident(server: Server) -> dict[int, int]:
    """Bytes of each process at this moment."""
    return {pid: procfs.resident_bytes([pid]) for pid in server.pids()}


class Import:
    """Imports into one group of one server."""

    def __init__(self, server: Server, time_limit_seconds: float) -> None:
        self._caller: Caller = server.caller()
        self._base = f"/v1/accounts/{server.access.group}"
        self._time_limit_seconds = time_limit_seconds

    def start(self, path: Path, name: str) -> str:
        """Upload `path` and start a job that fills a new audience; the job's id."""
        target = f"{self._base}/files?format=csv"
        with path.open("rb") as file:
            size = path.stat().st_size
            status, _, raw = self._caller.send("POST", target, file, "text/csv", size)
        file_id = success_data("POST", target, status, raw)["fileId"]
        body = {"type": "file_import", "fileId": file_id, "audienceName": name}
        job_id: str = self._caller.data("POST", f"{self._base}/prospecting", body)["jobId"]
        return job_id

    def wait(self, job_id: str, rows: int) -> dict[str, Any]:
        """The job, completed with every row added.

        Raises UnexpectedAnswer when it is not, or takes too long.
        """
        deadline = time.monotonic() + self._time_limit_seconds
        path = f"{self._base}/prospecting/{job_id}"
        while time.monotonic() < deadline:
            job = self._caller.data("GET", f"{path}?wait=5")
            if job["status"] == "completed":
                if job["counts"]["added"] != rows:
                    raise UnexpectedAnswer(f"{rows} rows gave {job['counts']}")
                return job
            if job["status"] in _TERMINAL:
                raise UnexpectedAnswer(f"the import ended {job['status']}: {job['error']}")
        counts = self._caller.data("GET", path)["counts"]
        self._caller.data("POST", f"{path}/cancel")
        limit = self._time_limit_seconds
        raise UnexpectedAnswer(f"{counts['received']} rows after {limit:.0f} s; cancelled")

    def run(self, path: Path, name: str, rows: int) -> float:
        """Seconds between the `startedAt` and `finishedAt` of a whole import."""
        job = self.wait(self.start(path, name), rows)
        started = datetime.fromisoformat(job["startedAt"])
        return (datetime.fromisoformat(job["finishedAt"]) - started).total_seconds()


@dataclass(frozen=True)
class SpeedPlan:
    """How many imports of which sizes; no round begins after `budget_seconds`."""

    sizes: Sequence[int]
    rounds: int
    limit_seconds: float
    budget_seconds: float


def measure_speed(
    fresh: Fresh, folder: Path, plan: SpeedPlan, say: Callable[[str], None]
) -> dict[str, Any]:
    """Rows a second, the bare insert beside each import, and memory, by number of rows.

    Every round has a fresh installation, in which the sizes come one after the other, the least
    first: each import meets a group that holds the people of all before. The bare insert of the
    same rows comes right before each import, so that a slow minute slows both.
    """
    first = write_csv(folder / "first.csv", _FIRST_ROWS, seed=1)
    files = {
        rows: write_csv(folder / f"rows-{rows}.csv", rows, seed=2 + number)
        for number, rows in enumerate(plan.sizes)
    }
    samples: dict[int, list[Sample]] = {rows: [] for rows in plan.sizes}
    failures: dict[int, str] = {}
    ends_at = time.monotonic() + plan.budget_seconds
    for turn in range(plan.rounds):
        if turn and time.monotonic() > ends_at:
            say(f"no time for more than {turn} rounds of imports")
            break
        with fresh() as (server, place):
            work = Import(server, plan.limit_seconds)
            idle = resident(server)
            work.run(first, "There already", _FIRST_ROWS)
            for rows, path in files.items():
                if rows in failures:
                    continue
                try:
                    samples[rows].append(_one_import(work, server, place, path, rows, idle))
                except UnexpectedAnswer as error:
                    failures[rows] = str(error)
                    say(f"import of {rows:,} rows: {error}")
    for path in (first, *files.values()):
        path.unlink()
    return {"sizes": {str(rows): _speed(samples[rows], failures.get(rows)) for rows in plan.sizes}}


def _one_import(
    work: Import, server: Server, place: Place, path: Path, rows: int, idle: dict[int, int]
) -> Sample:
    bare = baseline.seconds_of_bare_insert(path, place)
    with MemoryWatch(server, idle) as watch:
        seconds = work.run(path, f"Imported {rows}", rows)
    return {
        "seconds": seconds,
        "rowsPerSecond": rows / seconds,
        "bareSeconds": bare,
        "shareOfBare": bare / seconds,
        "growthMiB": watch.growth_mib,
    }


def _speed(samples: list[Sample], failure: str | None) -> dict[str, Any]:
    if failure is not None or not samples:
        return {"error": failure or "not measured"}
    return {name: spread([sample[name] for sample in samples]) for name in samples[0]}


def measure_beside(
    server: Server,
    contestant: ServerContestant,
    folder: Path,
    length: Length,
    time_limit_seconds: float,
) -> dict[str, Any]:
    """PATCH of other audiences at rest and while an import runs, in turn, round after round.

    The file is as long as the window needs, by the speed of an import before. A window that the
    job ended in is not used: `covered` says how many were whole.
    """
    work = Import(server, time_limit_seconds)
    path = write_csv(folder / "beside.csv", _CALIBRATION_ROWS, seed=100)
    speed = _CALIBRATION_ROWS / work.run(path, "Before", _CALIBRATION_ROWS)
    least, most = _BESIDE_ROWS
    fitting = speed * (length.seconds + length.warmup + 1) * _BESIDE_MARGIN
    rows = int(min(max(fitting, least), most))
    pairs = []
    for turn in range(length.rounds):
        write_csv(path, rows, seed=101 + turn)
        rest = contestant.run(PATCH, _BESIDE_CONNECTIONS, length)
        job_id = work.start(path, f"Beside {turn}")
        during = contestant.run(PATCH, _BESIDE_CONNECTIONS, length)
        ended_at = time.time()
        job = work.wait(job_id, rows)
        if datetime.fromisoformat(job["finishedAt"]).timestamp() >= ended_at:
            pairs.append((rest, during))
    path.unlink()
    found: dict[str, Any] = {
        "rows": rows,
        "connections": _BESIDE_CONNECTIONS,
        "rounds": length.rounds,
        "covered": len(pairs),
    }
    if not pairs:
        raise LoadFailed("every import ended before the window of the load")
    for name in ("perSecond", "p50Ms", "p99Ms", "maxMs", "serverCpuShare"):
        found[f"{name}Rest"] = spread([rest[name] for rest, _ in pairs])
        found[f"{name}During"] = spread([during[name] for _, during in pairs])
    found["p99OverRest"] = spread([during["p99Ms"] / rest["p99Ms"] for rest, during in pairs])
    found["throughputOverRest"] = spread(
        [during["perSecond"] / rest["perSecond"] for rest, during in pairs]
    )
    return found
