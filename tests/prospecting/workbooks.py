"""Workbooks written by hand, so that a test decides on every byte of the sheet."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"

BOOK = (
    f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets>'
    '<sheet name="People" sheetId="1" r:id="r1"/></sheets></workbook>'
)
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><numFmts count="2">'
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="#,##0 &quot;days&quot;;[Red]-0"/></numFmts>'
    '<cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="22"/>'
    '<xf numFmtId="165"/></cellXfs></styleSheet>'
)


def relations(*related: tuple[str, str, str]) -> str:
    """A list of relationships: id, kind, target."""
    inner = "".join(
        f'<Relationship Id="{key}" Type="{DOCUMENT}/{kind}" Target="{target}"/>'
        for key, kind, target in related
    )
    return f'<Relationships xmlns="{PACKAGE}">{inner}</Relationships>'


def parts(sheet: str, strings: Iterable[str] = (), **more: str) -> dict[str, str]:
    """The parts of a workbook around the XML of its sheet; `more` replaces parts by alias."""
    found = {
        "_rels/.rels": relations(("r1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": more.get("book", BOOK),
        "xl/_rels/workbook.xml.rels": more.get(
            "related",
            relations(
                ("r1", "worksheet", "worksheets/sheet1.xml"),
                ("r2", "styles", "styles.xml"),
                ("r3", "sharedStrings", "/xl/sharedStrings.xml"),
            ),
        ),
        "xl/styles.xml": more.get("styles", STYLES),
        "xl/worksheets/sheet1.xml": sheet,
    }
    texts = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in strings)
    found["xl/sharedStrings.xml"] = more.get("strings", f'<sst xmlns="{MAIN}">{texts}</sst>')
    return found


def packed(content: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The bytes of an archive with these parts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def sheet_of(rows: str, dimension: str = "A1") -> str:
    """A sheet around the XML of its rows."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<worksheet xmlns="{MAIN}">'
        f'<dimension ref="{dimension}"/><sheetData>{rows}</sheetData></worksheet>'
    )


def inline(reference: str, text: str) -> str:
    """A cell with its text in it."""
    return (
        f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'
    )


def workbook(rows: str, strings: Iterable[str] = (), **more: Any) -> bytes:
    """The bytes of a workbook with these rows in its sheet."""
    return packed(parts(sheet_of(rows), strings, **more))


def table(*rows: Iterable[str]) -> bytes:
    """A workbook with a row of inline texts for each row; an empty text is no cell."""
    xml = [
        f'<row r="{number}">'
        + "".join(
            inline(f"{chr(65 + place)}{number}", text) for place, text in enumerate(row) if text
        )
        + "</row>"
        for number, row in enumerate(rows, 1)
    ]
    return workbook("".join(xml))
