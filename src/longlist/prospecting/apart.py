"""Reads a file in a process of its own, beside the worker: see `reading`."""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio import IncompleteReadError
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

import msgspec

from longlist.job_kinds import JobFailed
from longlist.prospecting.reading import LENGTH, Ended, Failed, Message, Page, Reading
from longlist.prospecting.sources.file_import import in_threads

SMALL_BYTES: Final = 1 << 20
"""Up to this size text is read in the worker, which takes less time than a process to start."""
MAX_DEATHS: Final = 3
"""Deaths in a row, without a page in between, after which the file is held to be the cause."""
DIED_MESSAGE: Final = "The file cannot be read: whatever reads it dies of it."

_AHEAD_BYTES: Final = 2 << 20
_COMMAND: Final = (sys.executable, "-m", "longlist.prospecting.reading")
_decode: Final = msgspec.msgpack.Decoder(Message).decode
_log = logging.getLogger("longlist.prospecting")


async def pages_of(reading: Reading) -> AsyncGenerator[Page, None]:
    """The pages of a file, wherever it is read. Raises JobFailed."""
    file = reading.file.file
    is_small = file.inspection.size_bytes <= SMALL_BYTES
    is_text = file.inspection.format in ("csv", "ndjson")
    pages = in_threads(reading.pages()) if is_small and is_text else _read_apart(reading)
    async with aclosing(pages):
        async for page in pages:
            yield page


async def _read_apart(reading: Reading) -> AsyncGenerator[Page, None]:
    deaths = 0
    while deaths < MAX_DEATHS:
        messages = _messages(reading)
        async with aclosing(messages):
            async for message in messages:
                if isinstance(message, Ended):
                    return
                if isinstance(message, Failed):
                    raise JobFailed(message.code, message.message)
                yield message
                if message.cursor is None:
                    return
                deaths, reading = 0, msgspec.structs.replace(reading, cursor=message.cursor)
        deaths += 1
        _log.warning("a process that read a file has died")
    raise JobFailed("FILE_UNREADABLE", DIED_MESSAGE)


async def _messages(reading: Reading) -> AsyncGenerator[Message, None]:
    """What one process says, to its last whole message."""
    process = await _started()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        asked = reading.packed()
        # A process that is gone already says so by its silence.
        with suppress(ConnectionError):
            process.stdin.write(LENGTH.pack(len(asked)) + asked)
            await process.stdin.drain()
        with suppress(IncompleteReadError):
            while True:
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                yield _decode(await process.stdout.readexactly(length))
    finally:
        await _end(process)


async def _started() -> Process:
    """A reading process, which is not left behind where this is cancelled while it starts."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(*_COMMAND, stdin=PIPE, stdout=PIPE, limit=_AHEAD_BYTES)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _end(await starting)
        raise


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
