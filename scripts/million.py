"""Import large files into a real server, check every row, and measure: `--help` tells the options.

    .venv/bin/python -m scripts.million --rows 1000000 --format csv --engine sqlite

starts `longlist serve` with its worker on a temporary folder, generates a file (repeats, broken
rows, people of which some rows have one identity column only), uploads it and follows the job.
All along another audience is renamed, and the memory of the worker is looked at. Then each row's
outcome, the members of the audience and the counts are held against what was generated: whatever
differs ends the run with an AssertionError. One line for each run.

PostgreSQL runs without fsync here, so its figures are no measure of a disk.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.harness.postgres import running_postgres
from tests.races import crowd, invariants
from tests.races.place import Group, Place, running_place, until

PATIENCE_S = 60.0
REST_S = 3.0
_LOOK_S = 0.1
_MEBIBYTE = 1 << 20
_CONNECTIONS = 2


class Api:
    """Requests with a group's key over one connection."""

    def __init__(self, port: int, group: Group, patience_s: float = PATIENCE_S) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience_s)
        self._group = group

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The response, its body unread; one of a failure raises."""
        sent = {"Authorization": f"Bearer {self._group.key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        self._connection.request(method, self._group.path + path, body, sent)
        response = self._connection.getresponse()
        if response.status >= 400:
            raise AssertionError(f"{method} {path}: {response.status} {response.read()[:500]!r}")
        return response

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The `data` of the answer."""
        return json.loads(self.open(method, path, body, **headers).read())["data"]

    def close(self) -> None:
        self._connection.close()


class Renames:
    """Renames one audience so many times a second from some connections, and times each."""

    def __init__(self, port: int, group: Group, audience_id: str, per_second: float) -> None:
        self._stop = threading.Event()
        self._target = (port, group, f"/audiences/{audience_id}")
        self._gap_s = _CONNECTIONS / per_second
        self.taken_ms: list[float] = []
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(_CONNECTIONS)
        ]

    def __enter__(self) -> Renames:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        port, group, path = self._target
        api = Api(port, group)
        at = 0
        while not self._stop.is_set():
            at += 1
            began = time.perf_counter()
            try:
                api.call("PATCH", path, {"name": f"Renamed {number}-{at}"})
            except Exception as error:  # counted, and judged at the end
                self.failures.append(str(error))
                api.close()
            taken_s = time.perf_counter() - began
            self.taken_ms.append(taken_s * 1000)
            self._stop.wait(max(0.0, self._gap_s - taken_s))
        api.close()

    def at(self, share: float) -> float:
        """The time that this share of the renames took at most, in milliseconds."""
        return sorted(self.taken_ms)[min(len(self.taken_ms) - 1, int(share * len(self.taken_ms)))]


class Memory:
    """The resident memory of a server's worker processes, and of it what is no file's."""

    def __init__(self, server_pid: int) -> None:
        self._server_pid = server_pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self.peak = self.now()

    def now(self) -> tuple[int, int]:
        """Bytes of the worker and its reader: all of them, and those that are no file's."""
        total = own = 0
        for pid in _below(self._server_pid):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            total += _kibibytes(status, "VmRSS") << 10
            own += _kibibytes(status, "RssAnon") << 10
        return total, own

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(_LOOK_S):
            total, own = self.now()
            self.peak = max(total, self.peak[0]), max(own, self.peak[1])


def _below(pid: int) -> list[int]:
    """The worker, and the processes that it reads files by."""
    found: list[int] = []
    with suppress(OSError):  # it has ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *_below(child)]
    return found


def _kibibytes(status: str, name: str) -> int:
    found = (int(li.split()[1]) for li in status.splitlines() if li.startswith(f"{name}:"))
    return next(found, 0)  # of a process that has just ended nothing is left


class Server(NamedTuple):
    """A running `longlist serve` with a worker."""

    place: Place
    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def serving(place: Place, **more: str) -> Iterator[Server]:
    """`longlist serve` on a migrated place, stopped in order at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    own = place.settings
    environ = {name: value for name, value in os.environ.items() if "LONGLIST" not in name}
    environ |= {
        "LONGLIST_DATA": own.data,
        "LONGLIST_DATABASE_URL": own.database_url,
        "LONGLIST_HOST": "127.0.0.1",
        "LONGLIST_PORT": str(port),
        "LONGLIST_RATE_LIMIT_PER_MINUTE": str(own.rate_limit_per_minute),
        "LONGLIST_RATE_LIMIT_BURST": str(own.rate_limit_burst),
        "LONGLIST_LOG_LEVEL": "warning",
        **more,
    }
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "longlist", "serve"], env=environ, stdout=log, stderr=log
        )
    try:
        asyncio.run(_until_working(place))
        yield Server(place, port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


async def _until_working(place: Place) -> None:
    async with place.opened() as store:

        async def works() -> Any:
            return await store.value("SELECT COUNT(*) FROM workers")

        await until(works)


def new_group(place: Place) -> Group:
    """A fresh account group."""

    async def make() -> Group:
        async with place.opened() as store:
            return await store.tenant()

    return asyncio.run(make())


class Run(NamedTuple):
    """What one import did and cost."""

    form: str
    counts: dict[str, int]
    upload_s: float
    first_row_s: float
    seconds: float
    memory: tuple[int, int]
    renames: Renames
    rest: Renames

    def __str__(self) -> str:
        rows = self.counts["received"]
        total, own = (size / _MEBIBYTE for size in self.memory)
        patches = ", ".join(
            f"{name} p50 {one.at(0.5):.1f} p99 {one.at(0.99):.1f} max {one.at(1):.0f} ms"
            f" of {len(one.taken_ms)}"
            for name, one in (("beside", self.renames), ("at rest", self.rest))
        )
        return (
            f"{self.form:8} {rows} rows in {self.seconds:.1f} s ({rows / self.seconds:.0f}/s; the"
            f" first after {self.first_row_s:.1f} s; uploaded in {self.upload_s:.1f} s),"
            f" memory +{total:.0f} MiB (+{own:.0f} without files), PATCH {patches},"
            f" {len(self.renames.failures)} failed, {self.counts}"
        )


def run(
    server: Server, form: str, rows: int, *, per_second: float, limit_s: float, seed: int = 1
) -> Run:
    """Import a generated file into a group of its own; all of it is checked."""
    path = server.place.folder / f"crowd.{form}"
    expected = crowd.write(path, form, rows, seed=seed)
    group = new_group(server.place)
    api = Api(server.port, group)
    other = api.call("POST", "/audiences", {"name": "Other", "type": "on_demand"})["id"]
    with Renames(server.port, group, other, per_second) as rest:
        time.sleep(min(REST_S, rows / 20_000))
    with (
        Memory(server.process.pid) as memory,
        Renames(server.port, group, other, per_second) as renames,
    ):
        idle = memory.now()
        began = time.monotonic()
        size = str(path.stat().st_size)
        with path.open("rb") as file:
            file_id = api.call(
                "POST", "/files", file, Content_Type=crowd.MEDIA_TYPES[form], Content_Length=size
            )["fileId"]
        upload_s = time.monotonic() - began
        body = {"type": "file_import", "fileId": file_id, "audienceName": "Crowd"}
        started = api.call("POST", "/prospecting", body)
        job, first_row_s = _follow(api, started, limit_s)
    path.unlink()
    assert job["status"] == "completed", job
    assert job["counts"] == expected.counts, (job["counts"], expected.counts)
    assert not renames.failures, renames.failures[:3]
    _check(api, job, expected)
    api.close()
    asyncio.run(_check_stored(server.place, group))
    grown = memory.peak[0] - idle[0], memory.peak[1] - idle[1]
    seconds = _time(job["finishedAt"]) - _time(job["startedAt"])
    return Run(form, job["counts"], upload_s, first_row_s, seconds, grown, renames, rest)


def _follow(api: Api, started: Any, limit_s: float) -> tuple[Any, float]:
    """The ended job and when its first rows were saved; held to its promises all along."""
    path, audience = f"/prospecting/{started['jobId']}", f"/audiences/{started['audienceId']}"
    began, first_row_s, progress = time.monotonic(), 0.0, 0.0
    while True:
        job = api.call("GET", f"{path}?wait=1")
        counts = dict(job["counts"])
        assert counts.pop("received") == sum(counts.values()), job
        assert progress <= job["progress"] <= 1, job
        progress = job["progress"]
        if not first_row_s and job["counts"]["received"]:
            first_row_s = time.monotonic() - began
        if job["status"] not in ("queued", "running"):
            assert api.call("GET", audience)["prospectCount"] == job["counts"]["added"]
            return job, first_row_s
        assert time.monotonic() - began < limit_s, f"not ended after {limit_s:.0f} s: {job}"


def _check(api: Api, job: Any, expected: crowd.Expected) -> None:
    """Each row's outcome, and the people of the audience."""
    rows = api.open("GET", f"/prospecting/{job['jobId']}/rows", Accept="text/csv")
    wrong = crowd.mismatches(expected, crowd.rows_of(crowd.text_lines(rows)))
    assert not wrong, wrong
    export = api.open("GET", f"/audiences/{job['audienceId']}/export", Accept="text/csv")
    found = crowd.sum_of(crowd.rows_of(crowd.text_lines(export)))
    assert found == (expected.members, expected.people), (found, expected[1:])
    api.call("PATCH", f"/audiences/{job['audienceId']}", {"name": "Ready again"})


async def _check_stored(place: Place, group: Group) -> None:
    async with place.opened() as store:
        await invariants.check(store.rows, group.id)


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@contextmanager
def _server(engine: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="longlist-million-") as folder:
        if engine == "sqlite":
            with running_place(Path(folder)) as place, serving(place) as server:
                yield server
            return
        with (
            running_postgres() as postgres,
            running_place(Path(folder), postgres.new_database()) as place,
            serving(place) as server,
        ):
            yield server


def main(arguments: Sequence[str] | None = None) -> None:
    """Import a file of each format asked for on each engine, each on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", nargs="*", choices=list(crowd.MEDIA_TYPES), default=["csv"])
    parser.add_argument("--engine", nargs="*", choices=["sqlite", "postgres"],
                        default=["sqlite", "postgres"])  # fmt: skip
    parser.add_argument("--patches", type=float, default=50, help="renames a second beside it")
    parser.add_argument("--limit", type=float, default=1800, help="seconds an import may take")
    args = parser.parse_args(arguments)
    for engine in args.engine:
        for form in args.format:
            with _server(engine) as server:
                done = run(server, form, args.rows, per_second=args.patches, limit_s=args.limit)
            sys.stdout.write(f"{engine:8} {done}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
