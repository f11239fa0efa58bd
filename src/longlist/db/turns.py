"""Tells the holder of SQLite's write lock that another process waits for it.

SQLite knows no queue: who holds the lock cannot see who asks for it. Every process that finds it
taken notes the time in eight bytes that all of them share; a holder with much to write looks at
them now and then, and goes on for as long as nobody has asked. A wrong value does no harm but to
the pace.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

_TIME = struct.Struct("=q")


class Turns:
    """The shared note beside a database file. The clock is the system's, the same in all."""

    def __init__(self, path: Path) -> None:
        file = os.open(path.with_name(f"{path.name}-turns"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(file).st_size < _TIME.size:
                os.ftruncate(file, _TIME.size)
            self._note = mmap.mmap(file, _TIME.size)
        finally:
            os.close(file)

    def ask(self) -> None:
        """Note that this process waits."""
        _TIME.pack_into(self._note, 0, time.monotonic_ns())

    def asked_since(self, moment: float) -> bool:
        """Whether any process has waited since a `time.monotonic()`."""
        return bool(_TIME.unpack_from(self._note)[0] > moment * 1e9)

    def close(self) -> None:
        """Let go of the note."""
        self._note.close()
