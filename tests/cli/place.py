"""A data folder and the `longlist` command on it, run as an operator runs it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from longlist.cli import app, main

PATIENCE_S = 60.0
"""Guards against hanging; no test depends on how much of it is used."""
LEGISLATORS = Path(__file__).parents[2] / "examples" / "legislators.csv"
_number = count(1)
_LISTENS = re.compile(r"Longlist listens on (http://[\w.:\[\]]+)")


def usage_error(*args: str) -> str:
    """What a wrong command line is told, before anything is touched; in this process."""
    unset = dict.fromkeys(("LONGLIST_API_KEY", "LONGLIST_KEY", "LONGLIST_URL"), "")
    environ = {**unset, "LONGLIST_DATA": "/dev/null/data", "XDG_CONFIG_HOME": "/nowhere"}
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
            "XDG_CONFIG_HOME": str(folder / "config"),
        }

    def run(self, *args: str, code: int = 0, environ: Mapping[str, str] | None = None) -> str:
        """Run a command; what it prints, which for a failure is what it says on standard error.

        Commands that run servers get a process of their own; the others are quicker in this one.
        """
        own = args[0] in ("serve", "worker", "import")
        run = self._run_in_process_of_its_own if own else self._run_here
        status, out, err = run(args, {**self.environ, **(environ or {})})
        assert status == code, out + err
        assert "Traceback" not in err, err
        return out if code == 0 else err

    def _run_in_process_of_its_own(
        self, args: Sequence[str], environ: dict[str, str]
    ) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "longlist", *args],
            env=environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    @staticmethod
    def _run_here(args: Sequence[str], environ: dict[str, str]) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, environ, clear=True),
            patch.object(sys, "argv", ["longlist", *args]),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as exit_,
        ):
            main()
        return int(exit_.value.code or 0), out.getvalue(), err.getvalue()

    def json(self, *args: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(*args, "--json"))

    @contextmanager
    def serving(self, *args: str) -> Iterator[Serving]:
        """Run `longlist serve` on a free port; ended at the end if it still runs."""
        printed = self.folder / f"serve-{next(_number)}.out"
        with printed.open("w") as out, (self.folder / "serve.err").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "longlist", "serve", *args],
                env=self.environ,
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
