"""Files on their way to the server: read in pieces, from the start again for a repetition."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import anyio.to_thread

PIECE_BYTES: Final = 64 * 1024


class Upload:
    """The bytes of a path, of a binary file object (from where it stands) or of `bytes`.

    A path is opened for each attempt and closed after it. A file object of the caller's is left
    open; one that cannot seek can be read once only.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes | BinaryIO) -> None:
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._start = 0
        self.is_spent = False
        """Whether bytes were read that cannot be had once more."""
        if isinstance(source, str | os.PathLike):
            self._path = Path(source)
            self.length: int | None = self._path.stat().st_size
        elif isinstance(source, bytes):
            self._file = io.BytesIO(source)
            self.length = len(source)
        else:
            self._file = source
            self.length = self._rest_of(source)

    def _rest_of(self, file: BinaryIO) -> int | None:
        if not file.seekable():
            return None
        self._start = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(self._start)
        return end - self._start

    @property
    def name(self) -> str | None:
        """The file's own name, where it has one."""
        name = self._path or getattr(self._file, "name", None)
        return Path(name).name if isinstance(name, str | Path) else None

    def _open(self) -> BinaryIO:
        if self._path is not None:
            return self._path.open("rb")
        assert self._file is not None
        if self.length is not None:
            self._file.seek(self._start)
        return self._file

    def _close(self, file: BinaryIO) -> None:
        if self._path is not None:
            file.close()

    def pieces(self) -> Iterator[bytes]:
        """The bytes in order."""
        file = self._open()
        try:
            while piece := file.read(PIECE_BYTES):
                self.is_spent = self.length is None
                yield piece
        finally:
            self._close(file)

    async def pieces_async(self) -> AsyncIterator[bytes]:
        """The bytes in order, read beside the event loop."""
        file = await anyio.to_thread.run_sync(self._open)
        try:
            while piece := await anyio.to_thread.run_sync(file.read, PIECE_BYTES):
                self.is_spent = self.length is None
                yield piece
        finally:
            self._close(file)
