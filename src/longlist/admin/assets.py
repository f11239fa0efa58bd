"""Styles and scripts of the pages, served under names that change with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

HTMX_VERSION: Final = "2.0.11"
_HERE: Final = Path(__file__).parent
_SOURCES: Final = (
    _HERE / "vendor" / "htmx.min.js",
    _HERE / "static" / "admin.css",
    _HERE / "static" / "admin.js",
    _HERE / "static" / "icon.svg",
)
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOREVER: Final = "public, max-age=31536000, immutable"


@cache
def names() -> dict[str, str]:
    """The name each asset is served under, by its file name."""
    return {
        path.name: f"{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}{path.suffix}"
        for path in _SOURCES
    }


@cache
def contents() -> dict[str, bytes]:
    """Every asset by the name it is served under."""
    return {names()[path.name]: path.read_bytes() for path in _SOURCES}
