"""The interactive reference at `/docs`: one page and its assets, all out of this package.

Nothing is fetched from elsewhere: the page may load and call only this server, and no script or
style stands in it. Asset names carry a version or a hash of the content, so browsers keep them for
good; the page itself is asked for each time. No key is needed, and none is kept
(docs/decisions/0006).
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final

from longlist.errors import MethodNotAllowed, NotFound, error_body
from longlist.request import Receive, Scope, Send
from longlist.trace import trace_id_from

PATH: Final = "/docs"
VENDOR_VERSION: Final = "5.35.0"

_HERE: Final = Path(__file__).parent
_SOURCES: Final = (
    _HERE / "vendor" / "swagger-ui-bundle.js",
    _HERE / "vendor" / "swagger-ui.css",
    _HERE / "reference.css",
    _HERE / "reference.js",
    _HERE / "theme.js",
)
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FOREVER: Final = "public, max-age=31536000, immutable"
_METHODS: Final = ("GET", "HEAD", "OPTIONS")

Headers = list[tuple[bytes, bytes]]


@cache
def _names() -> dict[str, str]:
    """The name each asset is served under, by its file name."""
    return {path.name: _served_name(path) for path in _SOURCES}


def _served_name(path: Path) -> str:
    if path.parent.name == "vendor":
        tag = VENDOR_VERSION
    else:
        tag = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"{path.stem}-{tag}{path.suffix}"


@cache
def _contents() -> dict[str, bytes]:
    """Every asset by the name it is served under."""
    return {_names()[path.name]: path.read_bytes() for path in _SOURCES}


@cache
def page() -> bytes:
    """The page, with the served names of its assets."""
    text = (_HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\$([a-z.-]+)\$", lambda match: _names()[match[1]], text).encode()


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer a request for PATH or a path below it: 200, 404 or 405, and 204 to OPTIONS."""
    values = [value for name, value in scope["headers"] if name == b"traceparent"]
    trace_id = trace_id_from(values[0] if len(values) == 1 else None)
    status, headers, body = _answer(scope["method"], scope["path"], trace_id)
    headers += [
        (b"x-trace-id", trace_id.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _answer(method: str, path: str, trace_id: str) -> tuple[int, Headers, bytes]:
    name = path.removeprefix(PATH).removeprefix("/")
    try:
        if path != PATH and name not in _contents():
            raise NotFound.path()
        if method == "OPTIONS":
            return 204, [(b"allow", ", ".join(_METHODS).encode()), _cache("no-store")], b""
        if method not in _METHODS:
            raise MethodNotAllowed(_METHODS)
    except (NotFound, MethodNotAllowed) as error:
        headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        headers += [_type(".json"), _cache("no-store")]
        return error.status, headers, error_body(error, trace_id)
    if path == PATH:
        policy = (b"content-security-policy", _POLICY.encode())
        return 200, [_type(".html"), _cache("no-cache"), policy], page()
    return 200, [_type(Path(name).suffix), _cache(_FOREVER)], _contents()[name]


def _type(suffix: str) -> tuple[bytes, bytes]:
    return b"content-type", _MEDIA_TYPES[suffix].encode()


def _cache(rule: str) -> tuple[bytes, bytes]:
    return b"cache-control", rule.encode()
