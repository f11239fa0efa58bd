"""Long bodies pass through in pieces: memory stays small, and what breaks off is not whole."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from longlist_client import NO_RETRIES, AnswerLost, AsyncLonglist, Longlist, UnexpectedAnswer
from longlist_client.testing import MockLonglist

KEY = "llk_" + "0" * 49
MEGABYTE = 1024 * 1024
LONG = 32
"""Megabytes of a body; a client that held it would be seen."""
MOST_HELD = 4 * MEGABYTE
_LINE = b'"' + b"x" * 1021 + b'"\n'
_PIECE = _LINE * 64


class _Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, breaks: bool = False) -> None:
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(LONG * MEGABYTE // len(_PIECE)):
            yield _PIECE
        if self._breaks:
            raise httpx2.RemoteProtocolError("incomplete chunked read")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class _Server(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Reads uploads piece by piece and answers exports piece by piece."""

    def __init__(self, breaks: bool = False) -> None:
        self._breaks = breaks
        self.read = 0

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, stream=_Body(self._breaks), request=request)
        return httpx2.Response(201, json={"data": "no file"}, request=request)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.SyncByteStream)
        self.read += sum(len(piece) for piece in request.stream)
        return self._answer(request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        async for piece in request.stream:
            self.read += len(piece)
        return self._answer(request)


def _peak(work: Callable[[], None]) -> int:
    """The most bytes that were held at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_exports_and_uploads_are_not_held(tmp_path: Path) -> None:
    target = tmp_path / "export.csv"

    def blocking() -> None:
        server = _Server()
        with Longlist(KEY, transport=server) as client:
            account = client.account("g")
            with account.audiences.export("a") as export:
                export.save(target)
            with account.audiences.export("a") as export:
                assert sum(1 for _ in export.lines()) == LONG * 1024
            with pytest.raises(UnexpectedAnswer):
                account.files.upload(target)
            assert server.read == LONG * MEGABYTE

    assert _peak(blocking) < MOST_HELD
    assert target.stat().st_size == LONG * MEGABYTE

    async def awaiting() -> None:
        server = _Server()
        async with AsyncLonglist(KEY, transport=server) as client:
            account = client.account("g")
            async with account.audiences.export("a") as export:
                await export.save(target)
            with pytest.raises(UnexpectedAnswer):
                await account.files.upload(target)
            assert server.read == LONG * MEGABYTE

    assert _peak(lambda: asyncio.run(awaiting())) < MOST_HELD


def test_an_export_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "export.csv"
    target.write_text("of yesterday")
    with Longlist(KEY, transport=_Server(breaks=True), retries=NO_RETRIES) as client:
        with client.account("g").audiences.export("a") as export, pytest.raises(AnswerLost):
            export.save(target)
        with (
            client.account("g").audiences.export("a") as export,
            pytest.raises(AnswerLost),
        ):
            for _ in export:
                pass

    async def awaiting() -> None:
        async with (
            AsyncLonglist(KEY, transport=_Server(breaks=True)) as client,
            client.account("g").audiences.export("a") as export,
        ):
            with pytest.raises(AnswerLost):
                await export.save(target)

    asyncio.run(awaiting())
    assert [path.name for path in tmp_path.iterdir()] == ["export.csv"]
    assert target.read_text() == "of yesterday"


def test_a_download_is_read_inside_with() -> None:
    mock = MockLonglist()
    with mock.client() as client:
        export = client.account(mock.account_group_id).audiences.export("0" * 24)
        with pytest.raises(RuntimeError, match="inside `with`"):
            next(iter(export))
