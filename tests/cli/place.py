"""A data folder and the `longlist` command on it, run as an operator runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from longlist.cli import app

PATIENCE_S = 60.0
"""Guards against hanging; no test depends on how much of it is used."""
LEGISLATORS = Path(__file__).parents[2] / "examples" / "legislators.csv"
_number = count(1)
_LISTENS = re.compile(r"Longlist listens on (http://[\w.:\[\]]+)")


def usage_error(*args: str) -> str:
    """What a wrong command line is told, before anything is touched; in this process."""
    environ = {"LONGLIST_KEY": "", "LONGLIST_URL": "", "LONGLIST_DATA": "/dev/null/data"}
    result = CliRunner().invoke(app, args, env=environ)
    assert result.exit_code == 2, result.output
    return result.output


class Serving:
    """A `longlist serve` that listens: its URL and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str], printed: Path) -> None:
        self.process = process
        self._printed = printed
        found = None
        until = time.monotonic() + PATIENCE_S
        # The greeting is written in one go, and ends with a line about keys.
        while found is None or not re.search("curl|keys create", self.printed):
            assert process.poll() is None, self.printed
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.02)
            found = _LISTENS.search(self.printed)
        self.url = found[1]

    @property
    def printed(self) -> str:
        return self._printed.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


class Place:
    """One installation. Every variable of the environment that is not ours stays as it is."""

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.folder = folder
        self.data = folder / "data"
        self.database_url = database_url
        ours = {k: v for k, v in os.environ.items() if not k.startswith("LONGLIST_")}
        self.environ = {
            **ours,
            "LONGLIST_DATA": str(self.data),
            "LONGLIST_DATABASE_URL": database_url,
            "LONGLIST_PORT": "0",
            "COLUMNS": "200",
        }

    def run(self, *args: str, code: int = 0, **environ: str) -> str:
        """Run a command; what it prints, which for a failure is what it says on standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "longlist", *args],
            env={**self.environ, **environ},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout if code == 0 else done.stderr

    def json(self, *args: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(*args, "--json"))

    @contextmanager
    def serving(self, *args: str, **environ: str) -> Iterator[Serving]:
        """Run `longlist serve` on a free port; ended at the end if it still runs."""
        printed = self.folder / f"serve-{next(_number)}.out"
        with printed.open("w") as out, (self.folder / "serve.err").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "longlist", "serve", *args],
                env={**self.environ, **environ},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                text=True,
            )
        try:
            yield Serving(process, printed)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE_S)
