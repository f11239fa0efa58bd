"""Readers that wait for their next page, so that a format without random access is read once.

A page is asked for by its cursor alone. A reader that has just given the page before can go on at
once, while a new one has to find its place first. Readers are therefore kept under the cursor they
stand at; one that nobody asks for again is closed when too many wait or its file is released.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from longlist.prospecting.rows import Cursor, Page

MOST: Final = 8
"""Readers kept for one format; each holds an open file and some MiB at most."""


class Reader(Protocol):
    """Reads one file from one place on; it belongs to one thread at a time."""

    def take(self, max_rows: int) -> Page: ...

    def close(self) -> None: ...


R = TypeVar("R", bound=Reader)


class Paused(Generic[R]):
    """The readers of one format between two pages; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: dict[tuple[Path, Cursor], R] = {}

    def take(self, path: Path, at: Cursor) -> R | None:
        """The reader that stands there, now the caller's, or None."""
        with self._lock:
            return self._readers.pop((path, at), None)

    def page(self, path: Path, reader: R, max_rows: int) -> Page:
        """The next page of a reader, which is kept for the one after it or closed."""
        kept: R | None = None
        try:
            rows, after = reader.take(max_rows)
            if after is not None:
                self._keep(path, after, reader)
                kept = reader
        finally:
            if kept is None:
                reader.close()
        return rows, after

    def release(self, path: Path) -> None:
        """Close what waits with this file."""
        with self._lock:
            gone = [self._readers.pop(key) for key in list(self._readers) if key[0] == path]
        for reader in gone:
            reader.close()

    def _keep(self, path: Path, at: Cursor, reader: R) -> None:
        with self._lock:
            gone = [self._readers.pop((path, at), None)]
            self._readers[path, at] = reader
            while len(self._readers) > MOST:
                gone.append(self._readers.pop(next(iter(self._readers))))
        for other in gone:
            if other is not None:
                other.close()
