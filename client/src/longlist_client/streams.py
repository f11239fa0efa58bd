"""Answers too long to hold: read piece by piece, so that memory does not grow with them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import anyio.to_thread
import httpx2
import msgspec

from longlist_client.calls import Call
from longlist_client.exchange import Answer, Request
from longlist_client.models import Prospect
from longlist_client.transports import (
    LIBRARY_ERRORS,
    AsyncTransport,
    SyncTransport,
    translated,
)

PIECE_BYTES: Final = 64 * 1024
_PROSPECT: Final = msgspec.json.Decoder(Prospect)


class _Stream:
    """What both kinds of download know once they are open."""

    def __init__(self, request: Request) -> None:
        self._request = replace(request, streams=True)
        self._answer: Answer | None = None

    @property
    def _opened(self) -> Answer:
        if self._answer is None:
            raise RuntimeError("A download is read inside `with`.")
        return self._answer

    @property
    def _response(self) -> httpx2.Response:
        response: httpx2.Response = self._opened.stream
        return response

    @property
    def row_count(self) -> int | None:
        """How many rows there will be, where the server tells before it sends them."""
        told = self._opened.headers.get("x-row-count")
        return int(told) if told is not None else None

    @property
    def content_type(self) -> str:
        """The media type, with its charset where it has one."""
        return self._opened.headers.get("content-type", "")


class _Lines:
    """Lines cut out of pieces; keeps no more than the line it is in."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        return whole

    def last(self) -> list[bytes]:
        """What is left when there is no further piece."""
        return [self._rest] if self._rest else []


class _Part:
    """A file that has its name only once it is whole: what breaks off leaves none behind."""

    def __init__(
        self, path: str | os.PathLike[str], on_progress: Callable[[int], object] | None
    ) -> None:
        self._path = Path(path)
        self._on_progress = on_progress
        self._written = 0
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(  # noqa: SIM115  # closed in finish
            dir=self._path.parent, prefix=f".{self._path.name}.", delete=False
        )

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._written += len(piece)
        if self._on_progress is not None:
            self._on_progress(self._written)

    def finish(self, is_whole: bool) -> None:
        self._file.close()
        if is_whole:
            os.replace(self._file.name, self._path)
        else:
            os.unlink(self._file.name)


class Download(_Stream):
    """A stream of the server's, open inside `with`; iterate over its bytes, or `save` it.

    A stream that breaks off raises AnswerLost: what was read until then is not the whole.
    """

    def __init__(self, transport: SyncTransport, call: Call[Any]) -> None:
        super().__init__(call.request)
        self._transport = transport

    def __enter__(self) -> Self:
        self._answer = self._transport.answer(self._request)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._response.close()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_bytes(PIECE_BYTES)
        except LIBRARY_ERRORS as error:
            raise translated(error) from error

    def lines(self) -> Iterator[str]:
        """The lines with their ends, as `csv.reader` wants them; cut at LF only."""
        lines = _Lines()
        for piece in self:
            yield from (line.decode() + "\n" for line in lines.of(piece))
        yield from (line.decode() for line in lines.last())

    def prospects(self) -> Iterator[Prospect]:
        """The prospects of an NDJSON export, one by one."""
        for line in self.lines():
            yield _PROSPECT.decode(line)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        """Write it to a file, which appears only when it is whole.

        `on_progress` is called with the number of bytes written so far.
        """
        part = _Part(path, on_progress)
        is_whole = False
        try:
            for piece in self:
                part.write(piece)
            is_whole = True
        finally:
            part.finish(is_whole)


class AsyncDownload(_Stream):
    """A stream of the server's, open inside `async with`; otherwise as Download."""

    def __init__(self, transport: AsyncTransport, call: Call[Any]) -> None:
        super().__init__(call.request)
        self._transport = transport

    async def __aenter__(self) -> Self:
        self._answer = await self._transport.answer(self._request)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._response.aclose()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes(PIECE_BYTES):
                yield piece
        except LIBRARY_ERRORS as error:
            raise translated(error) from error

    async def lines(self) -> AsyncIterator[str]:
        """The lines with their ends; cut at LF only."""
        lines = _Lines()
        async for piece in self:
            for line in lines.of(piece):
                yield line.decode() + "\n"
        for line in lines.last():
            yield line.decode()

    async def prospects(self) -> AsyncIterator[Prospect]:
        """The prospects of an NDJSON export, one by one."""
        async for line in self.lines():
            yield _PROSPECT.decode(line)

    async def save(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        """Write it to a file, which appears only when it is whole.

        `on_progress` is called with the number of bytes written so far, beside the event loop.
        """
        part = await anyio.to_thread.run_sync(_Part, path, on_progress)
        is_whole = False
        try:
            async for piece in self:
                await anyio.to_thread.run_sync(part.write, piece)
            is_whole = True
        finally:
            part.finish(is_whole)
