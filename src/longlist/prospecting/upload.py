"""The body of an upload, streamed to disk: raw bytes, or the one file of a multipart form.

Memory stays constant, the disk is only touched in threads, and a file appears under its final name
only when all of it is on disk. Whatever ends an upload early - an error, a client that goes away,
a cancelled request - leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
import threading
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from longlist.errors import (
    Issue,
    Overloaded,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)

FORMATS: Final[dict[str, str | None]] = {
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/octet-stream": None,
}
MULTIPART: Final = "multipart/form-data"
MEDIA_TYPES: Final = (MULTIPART, *FORMATS)

PART_SUFFIX: Final = ".part"
"""Unfinished uploads end so; after a crash whatever still does can be deleted."""

_BLOCK_BYTES: Final = 1024 * 1024
_FORM_BYTES: Final = 64 * 1024
"""What a form may hold besides the file: boundaries, part headers, text around the parts."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK_RETRY_S: Final = 60
_NAME_CHARACTERS: Final = 255


class Received(NamedTuple):
    """A whole upload on disk; `digest` is the SHA-256 of the file's bytes, in hex.

    `path` is a name of its own in the directory given; moving or deleting it is the caller's.
    """

    path: Path
    size_bytes: int
    digest: str
    filename: str | None
    stated_format: str | None


async def receive(
    stream: AsyncIterator[bytes], content_type: str | None, directory: Path, *, max_bytes: int
) -> Received:
    """Write the body of an upload to a file in `directory`.

    Raises UnsupportedMediaType, PayloadTooLarge above `max_bytes` of file, ValidationFailed for a
    form that is broken or is not one part named `file`, Overloaded when the disk is full, and what
    the stream itself raises.
    """
    try:
        media_type, options = parse_options_header(content_type)
    except UnicodeError:
        raise UnsupportedMediaType(MEDIA_TYPES) from None
    kind = media_type.decode("latin-1")
    if kind != MULTIPART and kind not in FORMATS:
        raise UnsupportedMediaType(MEDIA_TYPES)
    form = _Form(options.get(b"boundary", b"")) if kind == MULTIPART else None
    sink = _Sink(directory, max_bytes)
    try:
        await sink.open()
        async for chunk in stream:
            # A chunk is as large as whoever made the stream likes; blocks keep memory constant.
            for start in range(0, len(chunk), _BLOCK_BYTES):
                block = chunk[start : start + _BLOCK_BYTES]
                await sink.take(form.feed(block) if form else [block])
        if form:
            form.finish()
        path = await sink.finish()
    except OSError as error:
        if error.errno in _FULL:
            raise Overloaded(_DISK_RETRY_S) from error
        raise
    finally:
        await sink.discard()
    return Received(
        path=path,
        size_bytes=sink.size,
        digest=sink.digest,
        filename=form.filename if form else None,
        stated_format=FORMATS.get(kind),
    )


class _Sink:
    """A file being written; blocks are gathered on the loop and written in threads.

    A cancelled request leaves its thread running, so every use of the file holds the lock and
    `discard` waits for its turn.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        token = secrets.token_hex(16)
        self._part = directory / f"{token}{PART_SUFFIX}"
        self._final = directory / f"{token}.upload"
        self._max_bytes = max_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._fd: int | None = None
        self._gone = False
        self._kept = False
        self._lock = threading.Lock()
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    async def open(self) -> None:
        await asyncio.to_thread(self._open)

    async def take(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.size += len(piece)
            self._waiting_bytes += len(piece)
        if self.size > self._max_bytes:
            raise PayloadTooLarge(self._max_bytes)
        self._waiting += pieces
        if self._waiting_bytes >= _BLOCK_BYTES:
            await self._flush()

    async def finish(self) -> Path:
        await self._flush()
        await asyncio.to_thread(self._publish)
        # No await between here and the return: from now on the file belongs to the caller.
        self._kept = True
        return self._final

    async def discard(self) -> None:
        """Delete what is on disk unless `finish` has returned; safe after any failure."""
        if not self._kept:
            await asyncio.shield(asyncio.to_thread(self._remove))

    async def _flush(self) -> None:
        block, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        if block:
            await asyncio.to_thread(self._write, block)

    def _open(self) -> None:
        with self._lock:
            if not self._gone:
                self._fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def _write(self, block: bytes) -> None:
        with self._lock:
            if self._fd is None:
                return
            self._hash.update(block)
            view = memoryview(block)
            while view:
                view = view[os.write(self._fd, view) :]

    def _publish(self) -> None:
        with self._lock:
            if self._fd is None:
                return
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = None
            self._part.rename(self._final)
            _sync_directory(self._final.parent)

    def _remove(self) -> None:
        with self._lock:
            self._gone = True
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
            self._part.unlink(missing_ok=True)
            self._final.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class _Form:
    """A multipart form that is exactly one part named `file`, fed block by block."""

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise _refuse("required", "The form states no boundary.")
        self.filename: str | None = None
        self._pieces: list[bytes] = []
        self._besides = 0
        self._parts = 0
        self._complete = False
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise _refuse("too_long", "The boundary of the form is too long.") from None

    def feed(self, block: bytes) -> list[bytes]:
        """The pieces of the file in this block of the body."""
        self._pieces = []
        try:
            self._parser.write(block)
        except FormParserError:
            raise _refuse("syntax", "The form is not valid multipart/form-data.") from None
        self._besides += len(block) - sum(map(len, self._pieces))
        if self._besides > _FORM_BYTES:
            raise _refuse("too_long", "The form holds more than one file.")
        return self._pieces

    def finish(self) -> None:
        """Raise unless the one part and the closing boundary have come."""
        if not self._complete:
            raise _refuse("syntax", "The form ends before its closing boundary.")
        if not self._parts:
            raise _refuse("exactly_one", "The form has no part.")

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise _refuse("exactly_one", "The form has more than one part.")

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        name = self._name.lower()
        if name in self._headers:
            raise _refuse("syntax", "A header of the form's part is repeated.")
        self._headers[name] = self._value
        self._name, self._value = b"", b""

    def _headers_end(self) -> None:
        disposition, options = parse_options_header(
            self._headers.get(b"content-disposition", b"").decode("latin-1")
        )
        if disposition != b"form-data" or options.get(b"name") != b"file":
            raise _refuse("unknown_field", "The form's part is not named file.")
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoding not in (b"binary", b"8bit", b"7bit"):
            raise _refuse("invalid_choice", "The form's part has a transfer encoding.")
        if b"filename" in options:
            self.filename = _label(options[b"filename"])

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        self._complete = True


def _label(raw: bytes) -> str | None:
    """The file name as one line of text without folders; None where nothing is left of it."""
    name = raw.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in unicodedata.normalize("NFC", name) if char.isprintable())
    return name.strip()[:_NAME_CHARACTERS].rstrip() or None


def _refuse(code: str, message: str) -> ValidationFailed:
    return ValidationFailed(
        message,
        "Send the file as the only part of the form, named file, or as the raw body.",
        issues=(Issue("file", code, message),),
    )
