"""Reads a file for its job: rows checked, normalised, with their keys, in pages ready to be saved.

A large file, and one in a packed format, is read by a process of its own (`apart`), of which this
module is the program: it works ahead while the worker saves, on another core, and what a hostile
file does to memory or to a parser written in C ends that process and no other.
"""

from __future__ import annotations

import logging
import os
import resource
import struct
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from longlist.job_kinds import JobFailed
from longlist.prospecting.entries import entry_of
from longlist.prospecting.links import links_of
from longlist.prospecting.sources.file_import import FileImport
from longlist.prospects.identity import KeyHasher
from longlist.prospects.intake import Entry

MEMORY_BYTES: Final = 1 << 30
"""What a reading process may have of its own; sane files need a tenth of it."""
NICE: Final = 10
"""How much less urgent it is than its worker."""
LENGTH: Final = struct.Struct("!I")
"""Before each message, the number of its bytes."""
TOO_BIG_MESSAGE: Final = "The file needs more than 1 GiB of memory to be read."


class Page(msgspec.Struct, tag="page", array_like=True):
    """Rows made ready outside any transaction, and the cursor that follows them."""

    entries: list[Entry]
    cursor: str | None


class Failed(msgspec.Struct, tag="failed", array_like=True):
    """The job fails, as `JobFailed` says."""

    code: str
    message: str


class Ended(msgspec.Struct, tag="ended", array_like=True):
    """There are no more pages. A process that ends without a word has died."""


Message = Page | Failed | Ended


class Reading(msgspec.Struct):
    """What is to be read: a file from a cursor on, of which the first `done` rows are handled."""

    identity_secret: bytes
    file: FileImport
    cursor: str | None
    done: int
    memory_bytes: int = MEMORY_BYTES

    def packed(self) -> bytes:
        """As bytes for another process."""
        return msgspec.msgpack.encode(self, enc_hook=str)

    @classmethod
    def unpacked(cls, packed: bytes) -> Reading:
        """What `packed` has made bytes of."""
        return msgspec.msgpack.decode(packed, type=cls, dec_hook=lambda kind, text: kind(text))

    def pages(self) -> Iterator[Page]:
        """The pages. The whole file is looked through before the first. Raises JobFailed."""
        hasher = KeyHasher(self.identity_secret)
        links = links_of(hasher, self.file)
        for page in self.file.read_pages(self.cursor):
            # Of the first page a part may have been taken: a quota ended in the middle of it.
            rows = [row for row in page.rows if row.position > self.done]
            yield Page([links.widen(entry_of(hasher, row)) for row in rows], page.cursor)


def _messages(reading: Reading) -> Iterator[Message]:
    try:
        yield from reading.pages()
    except JobFailed as failure:
        yield Failed(failure.code, failure.message)
    except MemoryError:
        yield Failed("FILE_UNREADABLE", TOO_BIG_MESSAGE)
    else:
        yield Ended()


def _leave_with(parent: BinaryIO) -> None:
    """End at once when the parent has: what is read here is for nobody any more."""
    parent.read()
    os._exit(0)


def main() -> None:
    """Read what standard input asks for, and write the pages to standard output."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    # pyarrow's own allocators keep what they had.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # Ctrl-C in a terminal is for the worker. A session would do as well, but Linux gives each of
    # them an equal share of the processors, whatever the niceness of its processes.
    os.setpgid(0, 0)
    # It works ahead of a job, which has time: whoever answers a request goes first.
    os.nice(NICE)
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    (length,) = LENGTH.unpack(asked.read(LENGTH.size))
    reading = Reading.unpacked(asked.read(length))
    resource.setrlimit(resource.RLIMIT_DATA, (reading.memory_bytes, reading.memory_bytes))
    threading.Thread(target=_leave_with, args=(asked,), daemon=True).start()
    encode = msgspec.msgpack.Encoder().encode
    for message in _messages(reading):
        content = encode(message)
        answers.write(LENGTH.pack(len(content)))
        answers.write(content)
        answers.flush()


if __name__ == "__main__":
    main()
