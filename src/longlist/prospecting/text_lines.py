"""Text of a file by the line: which encoding it has, and lines read from any byte offset on.

Lines end with LF, CR LF or CR. UTF-16 is decoded window by window like the rest, so no second copy
of a file is ever made; offsets are always those of the uploaded bytes.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from longlist.errors import ValidationFailed
from longlist.prospecting.rows import HEAD_BYTES, refusal

# Bytes that are not text become lone surrogates, which is how their row is found again.
_CODECS: Final = {
    "utf-8": ("utf-8", "surrogateescape"),
    "windows-1252": ("cp1252", "surrogateescape"),
    "utf-16-le": ("utf-16-le", "surrogatepass"),
    "utf-16-be": ("utf-16-be", "surrogatepass"),
}
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MULTIBYTE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_CUT_CHARACTER: Final = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{0,2}\Z")
_NOT_1252: Final = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_SCAN_BYTES: Final = 1024 * 1024


class Lines(NamedTuple):
    """Whole lines with their ends, the bytes each takes, and whether some hold more than text."""

    texts: list[str]
    sizes: list[int]
    at_end: bool
    damaged: bool


def codec(encoding: str) -> tuple[str, str]:
    """Python's name of the encoding and its error handler."""
    return _CODECS[encoding]


def detect(path: Path, head: bytes, size: int) -> tuple[str, int]:
    """The encoding of a file and the length of its byte order mark.

    Text without a mark is UTF-8 if it can be, else Windows-1252. Where the head is plain ASCII the
    first other bytes further in decide, so that one umlaut after the first 64 KiB does not spoil
    its row. Raises a 400 for NUL and for bytes of no known encoding.
    """
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise _undecodable()
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            _check(head[len(mark) :], encoding, whole=len(head) >= size)
            return encoding, len(mark)
    if b"\0" in head:
        encoding = _unmarked_utf16(head)
        _check(head, encoding, whole=len(head) >= size)
        return encoding, 0
    whole = len(head) >= size
    sample = head
    if not whole and head[:-3].isascii():
        sample = _first_beyond_ascii(path, len(head) - 3, size)
    encoding = _narrow_encoding(sample)
    _check(head, encoding, whole=whole)
    return encoding, 0


def _narrow_encoding(sample: bytes) -> str:
    """UTF-8 unless stray bytes outweigh its sequences: few people's names look like both."""
    if len(sample) == HEAD_BYTES:
        sample = _CUT_CHARACTER.sub(b"", sample)
    sequences = _MULTIBYTE.findall(sample)
    stray = len(_NOT_ASCII.findall(sample)) - sum(map(len, sequences))
    return "utf-8" if stray == 0 or len(sequences) > stray else "windows-1252"


def _first_beyond_ascii(path: Path, start: int, size: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        for offset in range(start, size, _SCAN_BYTES):
            block = os.pread(file.fileno(), _SCAN_BYTES, offset)
            if block.isascii():
                continue
            if (found := _NOT_ASCII.search(block)) is not None:
                return os.pread(file.fileno(), HEAD_BYTES, offset + found.start())
    return b""


def _unmarked_utf16(head: bytes) -> str:
    """Which UTF-16 it is, told by the half of each unit that is zero in ASCII.

    A quarter of the text has to be ASCII, so that a few stray NULs are not taken for UTF-16.
    """
    even, odd = head[::2].count(0), head[1::2].count(0)
    enough = max(2, len(head) // 8)
    if odd >= enough and even <= odd // 50:
        return "utf-16-le"
    if even >= enough and odd <= even // 50:
        return "utf-16-be"
    raise _nul()


def _check(head: bytes, encoding: str, *, whole: bool) -> None:
    if encoding == "windows-1252":
        if _NOT_1252.search(head):
            raise _undecodable()
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head, final=whole)
    except UnicodeDecodeError:
        raise _undecodable() from None
    if "\0" in text:
        raise _nul()


def _undecodable() -> ValidationFailed:
    return refusal(
        "invalid_characters",
        "The file is not text in a known encoding.",
        "Save it as UTF-8 and upload it again; UTF-16 and Windows-1252 are read too.",
    )


def _nul() -> ValidationFailed:
    return refusal(
        "invalid_characters",
        "The file holds NUL characters, so it is not a text file.",
        "Export the data as CSV or NDJSON in UTF-8 and upload that.",
    )


def read_lines(fd: int, size: int, offset: int, window: int, encoding: str) -> Lines:
    """The whole lines in `window` bytes from `offset` on; none if the first is longer than that."""
    data = os.pread(fd, window, offset)
    at_end = offset + len(data) >= size
    if encoding.startswith("utf-16"):
        return _wide_lines(data, encoding, at_end)
    pieces = data.splitlines(keepends=True)
    # CR at the end of the window may be one half of CR LF.
    if not at_end and pieces and not data.endswith(b"\n"):
        data = data[: len(data) - len(pieces.pop())]
    name, errors = codec(encoding)
    damaged = b"\0" in data
    try:
        text = data.decode(name)
    except UnicodeDecodeError:
        damaged = True
        texts = [piece.decode(name, errors) for piece in pieces]
    else:
        texts = list(io.StringIO(text, newline=""))
    return Lines(texts, list(map(len, pieces)), at_end, damaged)


def _wide_lines(data: bytes, encoding: str, at_end: bool) -> Lines:
    half = len(data) % 2
    text = data[: len(data) - half].decode(encoding, "surrogatepass")
    texts = list(io.StringIO(text, newline=""))
    if not at_end and texts and not text.endswith("\n"):
        texts.pop()
    sizes = [len(line.encode(encoding, "surrogatepass")) for line in texts]
    damaged = "\0" in text
    try:
        text.encode()
    except UnicodeEncodeError:
        damaged = True
    if half and at_end:
        # Half a character at the very end of the file.
        texts, sizes, damaged = [*texts[:-1], "".join(texts[-1:]) + "\udc80"], sizes or [0], True
        sizes[-1] += 1
    return Lines(texts, sizes, at_end, damaged)


def skip_line(fd: int, size: int, offset: int, encoding: str) -> int:
    """The offset after the line that begins at `offset`, without keeping any of it."""
    name, _ = codec(encoding)
    cr, lf = "\r".encode(name), "\n".encode(name)
    while offset < size:
        block = os.pread(fd, _SCAN_BYTES, offset)
        if not block:
            break
        ends = [at for mark in (cr, lf) if (at := _find(block, mark)) >= 0]
        if ends:
            end = offset + min(ends) + len(lf)
            pair = os.pread(fd, 2 * len(lf), end - len(lf))
            return end + len(lf) if pair == cr + lf else end
        offset += len(block)
    return size


def _find(block: bytes, mark: bytes) -> int:
    at = block.find(mark)
    while at >= 0 and at % len(mark):
        at = block.find(mark, at + 1)
    return at
