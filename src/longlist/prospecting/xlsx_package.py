"""The zip archive around a workbook: opened with every limit checked, and its parts found.

A workbook comes from anybody. Before a part is read the archive's directory has to be small, to
add up to at most 4 GiB and to hold nothing encrypted; the stdlib then never gives more of a part
than the directory says. XML with a document type is refused, so no entity is ever expanded, and
nothing is followed that a relationship calls external.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final, NamedTuple
from xml.parsers import expat  # bandit's advice is heeded in `new_parser`

from longlist.errors import ValidationFailed
from longlist.prospecting.rows import BrokenFile, refusal

UNPACKED_BYTES: Final = 4 * 1024**3
BLOCK_BYTES: Final = 64 * 1024

_DIRECTORY_BYTES: Final = 4 * 1024 * 1024
_SMALL_PART_BYTES: Final = 16 * 1024 * 1024
_TOKEN_BYTES: Final = 1024 * 1024
_DEPTH: Final = 256
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED: Final = 0x1
_UNREADABLE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError,
    NotImplementedError, KeyError,
)  # fmt: skip

DAMAGED: Final = "The workbook is damaged."


class _Archive(io.FileIO):
    """A file that is never read in large pieces: the stdlib reads a directory in one."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _DIRECTORY_BYTES:
            raise zipfile.BadZipFile("directory too long")
        return super().read(-1 if size is None else size) or b""


class Package(NamedTuple):
    """An open workbook: its archive, the parts by lower-case name, and the parts that matter."""

    file: _Archive
    archive: zipfile.ZipFile
    parts: dict[str, zipfile.ZipInfo]

    def close(self) -> None:
        self.archive.close()
        self.file.close()

    def open(self, name: str) -> IO[bytes]:
        """A part to be read from its beginning, guarded by the caller. Raises BrokenFile."""
        with guarded():
            return self.archive.open(self.parts[name])

    @contextmanager
    def part(self, name: str) -> Iterator[IO[bytes]]:
        """As `open`, guarded while it is open and closed at the end."""
        with guarded(), self.open(name) as stream:
            yield stream

    def small_part(self, name: str) -> bytes:
        """All of a part that describes the workbook. Raises BrokenFile."""
        if self.parts[name].file_size > _SMALL_PART_BYTES:
            raise BrokenFile("A part that describes the workbook is too large.")
        with self.part(name) as stream:
            return b"".join(iter(partial(stream.read, BLOCK_BYTES), b""))


@contextmanager
def guarded() -> Iterator[None]:
    """Turn whatever the stdlib says of a broken archive or of broken XML into BrokenFile."""
    try:
        yield
    except BrokenFile:
        raise
    except (*_UNREADABLE, expat.ExpatError) as error:
        raise BrokenFile(DAMAGED) from error


def is_workbook(path: Path) -> bool:
    """Whether an archive holds a workbook, of whatever kind."""
    try:
        package = _open(path)
    except _UNREADABLE:
        return False
    try:
        return any(name.startswith("xl/workbook.") for name in package.parts)
    finally:
        package.close()


def open_package(path: Path) -> Package:
    """Open a workbook within all limits.

    Raises ValidationFailed for what an upload is refused for, BrokenFile for a damaged archive.
    """
    with guarded():
        package = _open(path)
    refused = _refused(package)
    if refused is not None:
        package.close()
        raise refused
    return package


def _open(path: Path) -> Package:
    file = _Archive(path)
    try:
        archive = zipfile.ZipFile(file)
    except BaseException:
        file.close()
        raise
    parts = {
        info.filename.replace("\\", "/").lstrip("/").lower(): info for info in archive.infolist()
    }
    return Package(file, archive, parts)


def _refused(package: Package) -> ValidationFailed | None:
    infos = package.archive.infolist()
    if sum(info.file_size for info in infos) > UNPACKED_BYTES:
        return refusal(
            "out_of_range",
            "The workbook unpacks to more than 4 GiB.",
            "Split it into smaller workbooks, or export the sheet as CSV.",
        )
    if any(info.flag_bits & _ENCRYPTED for info in infos):
        return refusal(
            "invalid_format",
            "The workbook is encrypted.",
            "Save it without a password and upload it again.",
        )
    if any(info.compress_type not in _METHODS for info in infos):
        return refusal(
            "invalid_format",
            "The workbook is compressed in a way that XLSX does not have.",
            "Save it again with a spreadsheet program, or export the sheet as CSV.",
        )
    if "xl/workbook.bin" in package.parts:
        return refusal(
            "invalid_format",
            "The file is an XLSB workbook.",
            "Save it as XLSX or CSV and upload that.",
        )
    return None


class Parts(NamedTuple):
    """The names of the parts that a reading needs, and whether dates count from 1904."""

    sheet: str
    strings: str | None
    styles: str | None
    from_1904: bool


def find_parts(package: Package) -> Parts:
    """The first worksheet and what its cells refer to.

    Raises ValidationFailed where there is none, BrokenFile for a damaged workbook.
    """
    root = _relations(package, "")
    book = next((target for kind, target in root.values() if kind == "officedocument"), "")
    if book not in package.parts:
        book = "xl/workbook.xml"
    if book not in package.parts:
        raise no_sheet()
    sheets: list[str] = []
    from_1904 = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal from_1904
        if name == "sheet":
            sheets.extend(value for key, value in attributes.items() if key.endswith(":id"))
        elif name == "workbookPr":
            from_1904 = attributes.get("date1904", "0").lower() in ("1", "true", "on")

    scan(package.small_part(book), start)
    related = _relations(package, book)
    found = [related[key] for key in sheets if key in related]
    sheet = next((target for kind, target in found if kind == "worksheet"), None)
    if sheet is None:
        raise no_sheet()
    if sheet not in package.parts:
        raise BrokenFile("The first sheet of the workbook is missing.")

    def only(kind: str) -> str | None:
        targets = (target for what, target in related.values() if what == kind)
        return next((target for target in targets if target in package.parts), None)

    return Parts(sheet, only("sharedstrings"), only("styles"), from_1904)


def no_sheet() -> ValidationFailed:
    return refusal(
        "required",
        "The workbook has no sheet with cells.",
        "Put the people into the first sheet and upload the workbook again.",
    )


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Kind and target of what a part refers to inside the workbook, by relationship id."""
    folder, name = posixpath.split(part)
    listing = posixpath.join(folder, "_rels", f"{name}.rels")
    if listing not in package.parts:
        return {}
    found: dict[str, tuple[str, str]] = {}

    def start(element: str, attributes: dict[str, str]) -> None:
        if element == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "").replace("\\", "/")
            whole = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/").lower()
            kind = attributes.get("Type", "").rpartition("/")[2].lower()
            found[attributes.get("Id", "")] = (kind, whole)

    scan(package.small_part(listing), start)
    return found


def scan(document: bytes, start: Callable[[str, dict[str, str]], None]) -> None:
    """Call `start` with local name and attributes of every element. Raises BrokenFile."""
    parser = new_parser()
    depth = 0

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise BrokenFile(DAMAGED)
        start(name.rpartition(":")[2], attributes)

    def on_end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    with guarded():
        parser.Parse(document, True)


def new_parser() -> expat.XMLParserType:
    """A parser that takes no document type, hence no entities, and no encoding but UTF-8."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = BLOCK_BYTES

    def doctype(*_: object) -> None:
        raise BrokenFile("The workbook has XML with a document type, which XLSX does not have.")

    def declaration(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
            raise BrokenFile("The XML in the workbook is not UTF-8.")

    parser.StartDoctypeDeclHandler = doctype
    parser.XmlDeclHandler = declaration
    return parser


def feed(parser: expat.XMLParserType, block: bytes, fed: int) -> None:
    """Parse a block that ends `fed` bytes into the parser's input. Raises BrokenFile.

    A single tag of megabytes would be held in memory until it ends.
    """
    with guarded():
        parser.Parse(block, False)
        if fed - parser.CurrentByteIndex > _TOKEN_BYTES:
            raise BrokenFile(DAMAGED)


_QUOTED: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
_DATE_IDS: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))


def is_date_format(code: str) -> bool:
    """Whether a number format shows a date or a time: it has a part of one outside quotes."""
    first = _QUOTED.sub("", code.split(";", 1)[0])
    return first.strip().lower() != "general" and any(char in "ymdhsYMDHS" for char in first)


def date_styles(package: Package, part: str | None) -> frozenset[str]:
    """The style numbers, as cells write them, under which a number is a date. Raises BrokenFile."""
    if part is None:
        return frozenset()
    dates = set(map(str, _DATE_IDS))
    styles: list[str] = []
    within = ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal within
        if name in ("cellXfs", "cellStyleXfs", "dxfs"):
            within = name
        elif name == "numFmt" and within != "dxfs":
            code = attributes.get("numFmtId", "")
            if is_date_format(attributes.get("formatCode", "")):
                dates.add(code)
            else:
                dates.discard(code)
        elif name == "xf" and within == "cellXfs":
            styles.append(attributes.get("numFmtId", "0"))

    scan(package.small_part(part), start)
    return frozenset(str(index) for index, code in enumerate(styles) if code in dates)
