"""What browsers are told of calls from other origins: nothing, unless the operator lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longlist.request import Request

_VARY: Final = (b"vary", b"Origin")
_ALLOWED: Final = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Traceparent",
    ),
    (
        b"access-control-expose-headers",
        b"ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-Trace-Id,"
        b" Idempotency-Replayed, X-Row-Count",
    ),
    (b"access-control-max-age", b"600"),
)


class CrossOrigin:
    """The origins of a setting, which separates them by commas."""

    def __init__(self, origins: str) -> None:
        self._origins = frozenset(part.strip() for part in origins.split(",") if part.strip())

    def headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        """The headers of an answer to this request."""
        if not self._origins:
            return []
        origins = request.header_values(b"origin")
        if len(origins) != 1 or origins[0] not in self._origins:
            return [_VARY]
        return [
            _VARY,
            (b"access-control-allow-origin", origins[0].encode("latin-1")),
            *_ALLOWED,
        ]
