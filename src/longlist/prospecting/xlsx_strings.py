"""The shared strings of a workbook, read as far as they are asked for and kept out of memory.

Spreadsheet programs number strings by where they first occur, so reading a sheet from the top asks
for them in order. They are kept in blocks in a temporary file, which reaches the disk when it
grows; the blocks used last stay in memory.
"""

from __future__ import annotations

import re
import tempfile
from array import array
from collections import OrderedDict
from pathlib import Path
from typing import Final

import msgspec

from longlist.prospecting.rows import CELL_BYTES, BrokenFile
from longlist.prospecting.xlsx_package import (
    BLOCK_BYTES,
    DAMAGED,
    Package,
    feed,
    guarded,
    new_parser,
)

_BLOCK: Final = 32
_BLOCKS_KEPT: Final = 64
_MOST_STRINGS: Final = 64_000_000
_IN_MEMORY_BYTES: Final = 8 * 1024 * 1024
_DEPTH: Final = 64
_ESCAPE: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(list[bytes | None]).decode


def unescape(text: str) -> str:
    """Text without the `_x000D_` that XLSX writes for characters XML cannot hold.

    What comes out may hold NUL or lone surrogates, which makes its row INVALID_TEXT.
    """
    if "_x" not in text or not _ESCAPE.search(text):
        return text
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class SharedStrings:
    """The strings by number; None stands for one that is longer than a cell may be."""

    def __init__(self, package: Package, part: str | None, directory: Path) -> None:
        self._stream = None if part is None else package.open(part)
        self._offsets = array("Q")
        self._store = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - lives as long as the reading
            _IN_MEMORY_BYTES, dir=str(directory)
        )
        self._end = 0
        self._recent: OrderedDict[int, list[str | None]] = OrderedDict()
        self._waiting: list[str | None] = []
        self._count = 0
        self._fed = 0
        self._parser = new_parser()
        self._set_handlers()

    def close(self) -> None:
        self._store.close()
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def get(self, number: str) -> str | None:
        """The string that a cell refers to. Raises BrokenFile, also for a number without one."""
        try:
            index = int(number)
        except ValueError:
            raise BrokenFile(DAMAGED) from None
        while index >= self._count and self._stream is not None:
            self._read_on()
        if not 0 <= index < self._count:
            raise BrokenFile("A cell refers to a text that the workbook does not have.")
        block, place = divmod(index, _BLOCK)
        if block == len(self._offsets):
            return self._waiting[place]
        return self._block(block)[place]

    def _block(self, number: int) -> list[str | None]:
        found = self._recent.get(number)
        if found is not None:
            self._recent.move_to_end(number)
            return found
        start = self._offsets[number]
        following = number + 1
        end = self._offsets[following] if following < len(self._offsets) else self._end
        self._store.seek(start)
        packed = _unpack(self._store.read(end - start))
        texts = [None if text is None else text.decode("utf-8", "surrogatepass") for text in packed]
        self._recent[number] = texts
        if len(self._recent) > _BLOCKS_KEPT:
            self._recent.popitem(last=False)
        return texts

    def _read_on(self) -> None:
        assert self._stream is not None
        with guarded():
            block = self._stream.read(BLOCK_BYTES)
        self._fed += len(block)
        if block:
            feed(self._parser, block, self._fed)
        else:
            self._stream.close()
            self._stream = None

    def _add(self, text: str | None) -> None:
        self._waiting.append(text)
        self._count += 1
        if self._count > _MOST_STRINGS:
            raise BrokenFile("The workbook has too many texts.")
        if len(self._waiting) == _BLOCK:
            packed = _pack(
                [None if t is None else t.encode("utf-8", "surrogatepass") for t in self._waiting]
            )
            self._store.seek(self._end)
            self._store.write(packed)
            self._offsets.append(self._end)
            self._end += len(packed)
            self._waiting = []

    def _set_handlers(self) -> None:
        """Gather the `t` elements of each `si`, but for phonetic readings (`rPh`)."""
        pieces: list[str] = []
        length = depth = 0
        prefix = ""
        phonetic = within = False

        def start(name: str, _: dict[str, str]) -> None:
            nonlocal depth, prefix, within, phonetic, length
            depth += 1
            if depth > _DEPTH:
                raise BrokenFile(DAMAGED)
            if depth == 1:
                prefix = name[: -len("sst")] if name.endswith("sst") else ""
            local = name.removeprefix(prefix)
            if local == "t":
                within = not phonetic
            elif local == "si":
                pieces.clear()
                length = 0
            elif local == "rPh":
                phonetic = True

        def end(name: str) -> None:
            nonlocal depth, within, phonetic
            depth -= 1
            within = False
            local = name.removeprefix(prefix)
            if local == "si":
                text = unescape("".join(pieces))
                long = length > CELL_BYTES
                long = long or len(text.encode("utf-8", "surrogatepass")) > CELL_BYTES
                self._add(None if long else text)
            elif local == "rPh":
                phonetic = False

        def characters(text: str) -> None:
            nonlocal length
            if within:
                length += len(text)
                # One character has at most seven of escapes; what goes beyond is only counted.
                if length <= CELL_BYTES:
                    pieces.append(text)

        self._parser.StartElementHandler = start
        self._parser.EndElementHandler = end
        self._parser.CharacterDataHandler = characters
