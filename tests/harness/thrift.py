"""What a run of the tests does once, though each process or client would do it anew."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import httpcore2


def keep_bytecode(folder: Path) -> None:
    """Have the processes that tests start find their modules compiled, in `folder`.

    Where PYTHONDONTWRITEBYTECODE is set, each of them would compile all it imports, which takes
    longer than the rest of its start; and nothing may be written beside the sources.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(folder))


def read_certificates_once() -> None:
    """Share one TLS context among the HTTP clients of this process.

    Each client reads the certificates of the machine, some hundred of them, also one that speaks
    to 127.0.0.1 without TLS, as all of the tests' clients do.
    """
    httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)
