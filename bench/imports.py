"""Import of a large CSV file through the API: speed, memory, and how quick the API stays beside it.

The file's keys are random, because an index filled in order is a different and much cheaper thing.
"""

from __future__ import annotations

import csv
import random
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import baseline, procfs
from bench.http_client import Caller, UnexpectedAnswer, success_data
from bench.rounds import PATCH, Length, Load, Sample, ServerContestant
from bench.servers import Place, Server

_MEBIBYTE = 1 << 20
_WATCH_SECONDS = 0.1
_LOAD_CONNECTIONS = 4
_LOAD_WARMUP_SECONDS = 0.5
_DEEP_PAGE = 100
_WALK_PAGE = 200
_DEEP_SHARE = 0.99
_PAGE_SAMPLES = 101
_TERMINAL = ("completed", "failed", "cancelled")
_FIRST = ("Ada", "Bram", "Chioma", "Dmitri", "Elif", "Farid", "Greta", "Hiroshi", "Ines", "Jonas")
_LAST = ("Abara", "Bergmans", "Castell", "Dorval", "Eklund", "Farkas", "Gunnar", "Holtz", "Ivanko")
_TITLES = ("Head of Growth", "Sales Director", "Founder", "RevOps Lead", "Account Executive")


def write_csv(path: Path, rows: int, seed: int) -> None:
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


class MemoryWatch:
    """Follows the resident memory of a process tree, and of its largest process, in a thread."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stopped = threading.Event()
        self.peak_bytes: dict[int, int] = {}
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def now(self) -> dict[int, int]:
        """Bytes of each process at this moment."""
        return {pid: procfs.resident_bytes([pid]) for pid in self._server.pids()}

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End; `peak_bytes` is final afterwards."""
        self._stopped.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopped.wait(_WATCH_SECONDS):
            for pid, size in self.now().items():
                self.peak_bytes[pid] = max(self.peak_bytes.get(pid, 0), size)


class Import:
    """Imports into one group of one server."""

    def __init__(self, server: Server, time_limit_seconds: float) -> None:
        self._caller: Caller = server.caller()
        self._base = f"/v1/accounts/{server.access.group}"
        self._time_limit_seconds = time_limit_seconds

    def start(self, path: Path, name: str) -> dict[str, Any]:
        """Upload `path` and start a job that fills a new audience."""
        target = f"{self._base}/files?format=csv"
        with path.open("rb") as file:
            size = path.stat().st_size
            status, _, raw = self._caller.send("POST", target, file, "text/csv", size)
        file_id = success_data("POST", target, status, raw)["fileId"]
        body = {"type": "file_import", "fileId": file_id, "audienceName": name}
        return self._caller.data("POST", f"{self._base}/prospecting", body)

    def wait(self, job_id: str) -> dict[str, Any]:
        """The finished job. Raises UnexpectedAnswer when it fails or takes too long."""
        deadline = time.monotonic() + self._time_limit_seconds
        path = f"{self._base}/prospecting/{job_id}"
        while time.monotonic() < deadline:
            job = self._caller.data("GET", f"{path}?wait=5")
            if job["status"] == "completed":
                return job
            if job["status"] in _TERMINAL:
                raise UnexpectedAnswer(f"the import ended {job['status']}: {job['error']}")
        counts = self._caller.data("GET", path)["counts"]
        self._caller.data("POST", f"{path}/cancel")
        limit = self._time_limit_seconds
        raise UnexpectedAnswer(f"{counts['received']} rows after {limit:.0f} s; cancelled")

    def page_seconds(self, audience_id: str, cursor: str | None) -> float:
        """Median seconds of one page of 100 prospects."""
        path = self._prospects_path(audience_id, _DEEP_PAGE, cursor)
        taken = []
        for _ in range(_PAGE_SAMPLES):
            started = time.perf_counter()
            self._caller.data("GET", path)
            taken.append(time.perf_counter() - started)
        return sorted(taken)[_PAGE_SAMPLES // 2]

    def walk(self, audience_id: str, rows: int) -> str:
        """The cursor after `rows` prospects."""
        cursor: str | None = None
        for _ in range(rows // _WALK_PAGE):
            page = self._caller.data("GET", self._prospects_path(audience_id, _WALK_PAGE, cursor))
            cursor = page["nextCursor"]
        if cursor is None:
            raise UnexpectedAnswer("the walk met the end of the audience")
        return cursor

    def _prospects_path(self, audience_id: str, limit: int, cursor: str | None) -> str:
        path = f"{self._base}/audiences/{audience_id}/prospects?limit={limit}"
        return path if cursor is None else f"{path}&cursor={cursor}"


def _job_seconds(job: dict[str, Any]) -> float:
    """Seconds between a job's own `startedAt` and `finishedAt`."""
    started, finished = (datetime.fromisoformat(job[name]) for name in ("startedAt", "finishedAt"))
    return (finished - started).total_seconds()


def measure_speed(
    server: Server, place: Place, rows: int, time_limit_seconds: float
) -> dict[str, Any]:
    """Rows a second, the bare insert beside them, memory, and the depth of the result's pages."""
    path, first = place.folder / "rows.csv", place.folder / "first.csv"
    write_csv(path, rows, seed=1)
    write_csv(first, max(1000, rows // 100), seed=2)
    bare = baseline.seconds_of_bare_insert(path, place)
    work = Import(server, time_limit_seconds)
    work.wait(work.start(first, "There already")["jobId"])
    watch = MemoryWatch(server)
    idle = watch.now()
    watch.start()
    try:
        job = work.wait(work.start(path, "Imported")["jobId"])
    finally:
        watch.stop()
        path.unlink()
    if job["counts"]["added"] != rows:
        raise UnexpectedAnswer(f"{rows} rows gave {job['counts']}")
    seconds = _job_seconds(job)
    growth = max(peak - idle.get(pid, 0) for pid, peak in watch.peak_bytes.items())
    cursor = work.walk(job["audienceId"], int(rows * _DEEP_SHARE))
    first_page = work.page_seconds(job["audienceId"], None)
    deep_page = work.page_seconds(job["audienceId"], cursor)
    return {
        "rows": rows,
        "seconds": seconds,
        "rowsPerSecond": rows / seconds,
        "bareSeconds": bare,
        "shareOfBare": bare / seconds,
        "growthMiB": growth / _MEBIBYTE,
        "firstPageMs": first_page * 1e3,
        "deepPageMs": deep_page * 1e3,
        "deepOverFirst": deep_page / first_page,
    }


def measure_beside(
    server: Server,
    contestant: ServerContestant,
    load: Load,
    place: Place,
    rows: int,
    time_limit_seconds: float,
    seconds: float,
) -> dict[str, Any]:
    """PATCH of other audiences at rest and while an import runs, over the same connections.

    The window has to lie within the import: when the job ends before it, `covered` is false and
    the figures are not used.
    """
    path = place.folder / "beside.csv"
    write_csv(path, rows, seed=3)
    length = Length(1, seconds, _LOAD_WARMUP_SECONDS)
    rest = contestant.run(PATCH, _LOAD_CONNECTIONS, length)
    work = Import(server, time_limit_seconds)
    started = work.start(path, "Beside")
    path.unlink()
    during: Sample = contestant.run(PATCH, _LOAD_CONNECTIONS, length)
    ended_at = time.time()
    job = work.wait(started["jobId"])
    finished_at = datetime.fromisoformat(job["finishedAt"]).timestamp()
    return {
        "rows": rows,
        "connections": _LOAD_CONNECTIONS,
        "covered": finished_at >= ended_at,
        "rest": rest,
        "during": during,
        "p99OverRest": during["p99Ms"] / rest["p99Ms"],
        "throughputOverRest": during["perSecond"] / rest["perSecond"],
    }
