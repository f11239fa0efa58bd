"""A reader who types in what a page says: a shell, a clone's folder, and a server beside it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.docs.matching import Names
from tests.docs.pages import ROOT, Step

PATIENCE_S: Final = 120.0
"""Guards against hanging; no test depends on how much of it is used."""
HOME: Final = "/home/you/longlist"
"""The folder that pages show in place of the run's own."""
PORT: Final = "8080"
DATABASE: Final = "postgresql://longlist:secret@127.0.0.1/longlist"
"""The database that pages name; a run has one of its own."""
_GREETING: Final = "Longlist listens on"
_SERVE_OUT: Final = ".serve.out"


class Failure(AssertionError):
    """A command did not do what the page shows."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Reader:
    """Types commands into one shell, so that what a page sets stays set to its end."""

    def __init__(self, home: Path, database_url: str = "") -> None:
        self.home = home
        self.port = _free_port()
        self.names = Names()
        self._database_url = database_url
        self._serving = False
        shutil.copytree(ROOT / "examples", home / "examples")
        # `python3` and `longlist` are those of this environment, as after a first `make serve`.
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environ = {
            "PATH": tools, "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "100",
            "LONGLIST_PORT": str(self.port),
        }  # fmt: skip
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=home, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, text=True, encoding="utf-8",
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._serving and kind is None:
                self._stop_server()
        finally:
            # The shell's process group holds everything it started, and nothing else.
            os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()
            for stream in (self._shell.stdin, self._shell.stdout):
                assert stream is not None
                stream.close()

    def follow(self, step: Step) -> None:
        """Run a step. Raises Failure where its output is not the page's."""
        printed, status = self.run(step)
        if not self.names.matches(step.output, printed):
            raise Failure(_difference(step, printed))
        if status and not step.output:
            raise Failure(f"line {step.line}: {step.command}\nended with status {status}")

    def run(self, step: Step) -> tuple[list[str], int]:
        """What a step prints, in the page's words, and its status."""
        if step.is_interrupt:
            self._stop_server()
            return [], 0
        command = self._in_run(step.command)
        if step.is_server:
            return self._serve(command), 0
        output, status = self._type(command)
        return self._on_page(output), status

    def start_server(self) -> None:
        """Have a server running, with GROUP, KEY, API and AUTH set as the tutorial sets them."""
        printed = self._serve("longlist serve")
        group = next(line.split()[-1] for line in printed if line.startswith("  account group "))
        key = next(line.split()[-1] for line in printed if line.startswith("  key "))
        self._type(
            f"export GROUP={group} KEY={key}\n"
            f"export API=http://127.0.0.1:{self.port}/v1/accounts/$GROUP"
            ' AUTH="Authorization: Bearer $KEY"'
        )

    def _in_run(self, command: str) -> str:
        named = self.names.put_in(command)
        return named.replace(f":{PORT}", f":{self.port}").replace(DATABASE, self._database_url)

    def _on_page(self, output: str) -> list[str]:
        shown = output.replace(str(self.home), HOME).replace(f":{self.port}", f":{PORT}")
        return [line.rstrip() for line in shown.rstrip().splitlines()]

    def _serve(self, command: str) -> list[str]:
        if self._serving:
            raise Failure("the page starts a server while another runs")
        # What `make serve` does before is the set-up of this environment.
        command = command.replace("make serve", "longlist serve")
        (self.home / _SERVE_OUT).unlink(missing_ok=True)
        self._type(f"{command} > {_SERVE_OUT} 2> .serve.err & SERVER=$!")
        self._serving = True
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            out = self.home / _SERVE_OUT
            if out.exists() and _GREETING in (text := out.read_text()):
                return self._on_page(text)
            if self._type("kill -0 $SERVER")[1]:
                break
            time.sleep(0.05)
        raise Failure("the server did not start:\n" + (self.home / ".serve.err").read_text())

    def _stop_server(self) -> None:
        if not self._serving:
            raise Failure("the page stops a server that does not run")
        self._serving = False
        # Not SIGINT, as Ctrl-C sends it: a shell without a terminal starts its jobs deaf to it.
        output, status = self._type("kill -TERM $SERVER; wait $SERVER")
        if status not in (0, 128 + signal.SIGTERM):
            raise Failure(f"the server ended with status {status}: {output}")

    def _type(self, command: str) -> tuple[str, int]:
        """The output and the status of a command."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        mark = f"mark-{secrets.token_hex(8)}"
        watch = threading.Timer(PATIENCE_S, os.killpg, (self._shell.pid, signal.SIGKILL))
        watch.start()
        try:
            # The braces keep the command from reading the rest of the script as its input.
            self._shell.stdin.write(f"{{ {command}\n}} < /dev/null\nprintf '\\n{mark} %s\\n' $?\n")
            self._shell.stdin.flush()
            lines: list[str] = []
            for line in self._shell.stdout:
                if line.startswith(mark):
                    return "".join(lines).removesuffix("\n"), int(line.split()[1])
                lines.append(line)
        finally:
            watch.cancel()
        raise Failure(f"the shell ended, or hung, at: {command}\n" + "".join(lines))


def _difference(step: Step, printed: list[str]) -> str:
    return "\n".join(
        (f"line {step.line}: {step.command}", "--- the page shows", *step.output,
         "--- it printed", *printed)
    )  # fmt: skip
