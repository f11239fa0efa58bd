"""The walk of PATCH audience that ships as a script, on its own server and on one that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.harness.server import PATIENCE_S, Longlist

STATUSES = (200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 429)
SCRIPT = Path(__file__).parents[1] / "scripts" / "walk_patch.py"


def walk(*arguments: str, **environment: str) -> list[str]:
    """The lines that the script prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        timeout=2 * PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.splitlines()


def check(lines: list[str]) -> None:
    assert lines[-1] == f"{len(lines) - 1} forms walked, 0 failed."
    statuses = {line[5:8] for line in lines[:-1]}
    assert statuses == {str(status) for status in STATUSES}
    assert sum(line.startswith("ok   400") for line in lines) >= 60
    assert all(re.match(r"ok   \d{3} ", line) for line in lines[:-1])


def test_on_a_server_of_its_own() -> None:
    check(walk(LONGLIST_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nowhere"))


def test_on_a_server_that_runs(server: Longlist) -> None:
    check(
        walk(
            "--url",
            f"http://127.0.0.1:{server.port}",
            "--data",
            server.settings.data,
            LONGLIST_DATABASE_URL=server.settings.database_url,
        )
    )
