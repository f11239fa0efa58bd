"""Start to first answer, and memory at rest, of `longlist serve`."""

from __future__ import annotations

import time
from typing import Any

from bench import procfs
from bench.figures import spread
from bench.servers import LonglistInstall, stop, wait_for_answer

_MEBIBYTE = 1 << 20


def measure(install: LonglistInstall, starts: int, rest_seconds: float) -> dict[str, Any]:
    """Seconds from the command to the first 200, and MiB of all processes after a rest.

    The first answer is a list with a key, so it has passed gate and database. The schema is there
    already: a first start ever takes longer by the migrations. `install.log` holds what went wrong
    when this raises NotStarted.
    """
    seconds: list[float] = []
    resident: list[float] = []
    processes = 0
    for _ in range(starts):
        started = time.perf_counter()
        process = install.start()
        wait_for_answer(process, install.port, install.access, install.log)
        seconds.append(time.perf_counter() - started)
        try:
            time.sleep(rest_seconds)
            tree = procfs.process_tree(process.pid)
            processes = len(tree)
            resident.append(procfs.resident_bytes(tree) / _MEBIBYTE)
        finally:
            stop(process)
    return {
        "startSeconds": spread(seconds),
        "idleMiB": spread(resident),
        "processes": processes,
    }
