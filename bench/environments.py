"""One virtual environment for each peer, made from its pinned requirements and kept."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
ENVIRONMENTS = HERE / ".envs"
_INSTALL_TIMEOUT_SECONDS = 600


class NotInstalled(Exception):
    """A peer's packages could not be installed; the text says why, in one line."""


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_INSTALL_TIMEOUT_SECONDS
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise NotInstalled(lines[-1])


def environment_of(peer: str) -> Path:
    """The `bin` folder of the peer's environment, made on the first call.

    A change of the requirements or of the interpreter makes it anew. uv is used where the project's
    environment or the PATH has it, because it is quicker; pip otherwise. Raises NotInstalled.
    """
    requirements = PEERS / peer / "requirements.txt"
    folder = ENVIRONMENTS / peer
    stamp = folder / "installed"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return folder / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    try:
        if uv:
            _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
            _run([uv, "pip", "install", "--quiet", "--python", python, "-r", str(requirements)])
        else:
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([python, "-m", "pip", "install", "--quiet", "-r", str(requirements)])
    except subprocess.TimeoutExpired as error:
        raise NotInstalled("the installation took too long") from error
    stamp.write_text(wanted)
    return folder / "bin"
