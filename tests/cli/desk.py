"""A person at another machine: the `longlist` command with an address and a key, no data folder."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from longlist.cli import main
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker

PATIENCE_S = 60.0
"""Guards against hanging; no test depends on how much of it is used."""


class Ran(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[list[str]]:
        """The columns of each line of a pipe."""
        return [line.split("\t") for line in self.text.splitlines()]


class Desk:
    """The command line of somebody with a key."""

    def __init__(self, server: Longlist, folder: Path) -> None:
        self.tenant = Tenant(server)
        self.worker = HandWorker(server)
        self.folder = folder
        self.url = f"http://127.0.0.1:{server.port}"
        assert self.tenant.key is not None
        self.key = self.tenant.key
        ours = {k: v for k, v in os.environ.items() if not k.startswith("LONGLIST_")}
        self.environ = {
            **ours,
            "LONGLIST_URL": self.url,
            "LONGLIST_API_KEY": self.key,
            "LONGLIST_DATA": "/dev/null/data",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "COLUMNS": "160",
            "LINES": "40",
            "TERM": "xterm-256color",
        }

    def run(
        self,
        *args: str,
        code: int = 0,
        stdin: str = "",
        environ: Mapping[str, str | None] | None = None,
    ) -> Ran:
        """Run a command in a pipe; no key is ever in what it prints. None unsets a variable."""
        out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline=""), io.StringIO()
        asked = {**self.environ, **(environ or {})}
        variables = {name: value for name, value in asked.items() if value is not None}
        with (
            patch.dict(os.environ, variables, clear=True),
            patch.object(sys, "argv", ["longlist", *args]),
            patch.object(sys, "stdin", io.StringIO(stdin)),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as exit_,
        ):
            main()
        out.flush()
        buffer = out.buffer
        assert isinstance(buffer, io.BytesIO)
        ran = Ran(int(exit_.value.code or 0), buffer.getvalue(), err.getvalue())
        assert ran.code == code, (ran.code, ran.text, ran.err)
        assert "Traceback" not in ran.err
        assert not re.search(r"llk_\w{20}", ran.text + ran.err)
        return ran

    def json(self, *args: str, code: int = 0) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(*args, "--json", code=code).out)

    def job(self, *emails: str, audience: str = "Filled", run: bool = True) -> Any:
        """An import of these addresses, run to its end or left waiting; the answer of its start."""
        body = "email\n" + "".join(f"{email}\n" for email in emails)
        headers = {"Content-Type": "text/csv"}
        file = self.tenant.send("POST", "AG/files", body=body.encode(), headers=headers).data
        start = {"type": "file_import", "fileId": file["fileId"], "audienceName": audience}
        started = self.tenant.post("AG/prospecting", start).expect(202).data
        if run:
            assert self.worker.run(started["jobId"])
        return started

    @contextmanager
    def working(self) -> Iterator[None]:
        """While inside, every job is run as it comes."""
        stop = threading.Event()
        server, group = self.tenant.server, self.tenant.group
        waiting = (
            "SELECT id FROM prospecting_jobs WHERE account_group_id = $1 AND status = 'queued'"
        )

        def work() -> None:
            while not stop.wait(0.02):
                for (id_,) in server.rows(waiting, group):
                    self.worker.run(id_.hex())

        thread = threading.Thread(target=work, name="worker by hand")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE_S)


def at_terminal(
    environ: dict[str, str],
    *args: str,
    typed: str = "",
    hidden: bool = False,
    meanwhile: Callable[[], object] | None = None,
) -> tuple[int, str]:
    """Run a command in a pseudo-terminal: its exit code, and everything the terminal was sent.

    Once the command has written something, `typed` is typed and `meanwhile` is called; with
    `hidden` only when the terminal no longer echoes.
    """
    near, far = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "longlist", *args],
        env={**environ, "TERM": "xterm-256color"},
        stdin=far,
        stdout=far,
        stderr=far,
        close_fds=True,
    )
    os.close(far)
    watch = threading.Timer(PATIENCE_S, process.kill)
    watch.start()
    written = b""
    try:
        while True:
            try:
                piece = os.read(near, 65_536)
            except OSError:  # what Linux gives once the other side is closed
                break
            if not piece:
                break
            written += piece
            while hidden and termios.tcgetattr(near)[3] & termios.ECHO and process.poll() is None:
                time.sleep(0.01)
            if typed:
                os.write(near, typed.encode())
                typed = ""
            if meanwhile is not None:
                meanwhile()
                meanwhile = None
        return process.wait(PATIENCE_S), written.decode()
    finally:
        watch.cancel()
        os.close(near)
