"""What machine this is, so that figures from two machines are not compared by mistake."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import time
from pathlib import Path
from typing import Any

_FSYNC_ROUNDS = 200


def cpu_split() -> tuple[set[int], set[int]]:
    """CPUs for the servers and for the load: the last one is the load's.

    On a machine with a single CPU both share it, and the report says so.
    """
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) == 1:
        return set(cpus), set(cpus)
    return set(cpus[:-1]), {cpus[-1]}


def fsync_ms(directory: Path) -> float:
    """Median time of a 4 KiB append and its fdatasync in `directory`, in milliseconds."""
    path = directory / "fsync-probe"
    block = b"\0" * 4096
    times = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(_FSYNC_ROUNDS):
            started = time.perf_counter()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times) * 1e3


def _filesystem_of(directory: Path) -> str:
    """Type of the file system that holds `directory`, from the longest matching mount point."""
    best, kind = "", "unknown"
    resolved = str(directory.resolve())
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount_point, file_system, *_ = line.split()
        prefix = mount_point.rstrip("/") + "/"
        if f"{resolved}/".startswith(prefix) and len(prefix) > len(best):
            best, kind = prefix, file_system
    return kind


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def facts(directory: Path) -> dict[str, Any]:
    """The facts the report opens with; `directory` is where the databases are put."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "fileSystem": _filesystem_of(directory),
        "fsyncMs": round(fsync_ms(directory), 3),
    }
