"""Start to first answer, and memory at rest, of `longlist serve`."""

from __future__ import annotations

import statistics
import time
from typing import Any

from bench import procfs
from bench.servers import LonglistInstall, stop, wait_for_answer

_MEBIBYTE = 1 << 20


def measure(install: LonglistInstall, starts: int, rest_seconds: float) -> dict[str, Any]:
    """Median seconds from the command to the first 200, and MiB of all processes after a rest.

    The first answer is a list with a key, so it has passed gate and database. The schema is there
    already: a first start ever takes longer by the migrations. `install.log` holds what went wrong
    when this raises NotStarted.
    """
    seconds = []
    resident = 0
    processes = 0
    for _ in range(starts):
        started = time.perf_counter()
        process = install.start()
        wait_for_answer(process, install.port, install.access, install.log)
        seconds.append(time.perf_counter() - started)
        try:
            if len(seconds) == starts:
                time.sleep(rest_seconds)
                tree = procfs.process_tree(process.pid)
                processes = len(tree)
                resident = procfs.resident_bytes(tree)
        finally:
            stop(process)
    return {
        "startSeconds": {
            "median": statistics.median(seconds),
            "min": min(seconds),
            "max": max(seconds),
        },
        "idleMiB": resident / _MEBIBYTE,
        "processes": processes,
    }
