"""One HTTP request as the gate and the dispatcher see it: headers, media type, body."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from longlist import strict_json
from longlist.errors import Issue, PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from longlist.server.protocol import BODY_DEADLINE, TRACE_ID
from longlist.trace import trace_id_from

if TYPE_CHECKING:
    from longlist.keys.store import Key
    from longlist.limits import Decision
    from longlist.operations import Operation

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_CHARSET: Final = re.compile(r'\s*charset\s*=\s*"?utf-8"?\s*\Z', re.IGNORECASE)
_EMPTY: Final = re.compile(rb"[ \t\r\n]*(?:\{[ \t\r\n]*\}[ \t\r\n]*)?\Z")
NO_BODY_LIMIT: Final = 256
"""What is read of a body where none is expected: enough for `{}` and white space around it."""


class ClientGone(Exception):
    """The client closed the connection before its request was whole: nobody waits for an answer."""


class Request:
    """A request. `key` and `rate` are set by the gate once they are known."""

    __slots__ = (
        "_headers",
        "_receive",
        "_scope",
        "key",
        "method",
        "path",
        "peer",
        "query",
        "rate",
        "trace_id",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._scope = scope
        self.method: str = scope["method"]
        self.path: bytes = scope["raw_path"].partition(b"?")[0]
        self.query: bytes = scope["query_string"]
        self.peer: str = (scope.get("client") or ("",))[0]
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        self._headers = headers
        # The server made it already, for answers of its own; in tests there may be no server.
        self.trace_id: str = scope.get(TRACE_ID) or trace_id_from(self._only(b"traceparent"))
        self.key: Key | None = None
        self.rate: Decision | None = None

    def _only(self, name: bytes) -> bytes | None:
        values = self._headers.get(name)
        return values[0] if values is not None and len(values) == 1 else None

    def header_values(self, name: bytes) -> list[str]:
        """The values of a header in order; the name is lowercase."""
        values = self._headers.get(name)
        return [value.decode("latin-1") for value in values] if values else []

    def allow_pauses(self, seconds: float) -> None:
        """From now on the body may take as long as it likes, if no silence is longer."""
        allow = self._scope.get("extensions", {}).get(BODY_DEADLINE)
        if allow is not None:
            allow(seconds)

    @property
    def sends_body(self) -> bool:
        """True if the request has a body, of whatever length."""
        return (
            self._headers.get(b"content-length", [b"0"]) != [b"0"]
            or b"transfer-encoding" in self._headers
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises ClientGone."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk

    def check_length(self, limit: int) -> None:
        """Raise PayloadTooLarge where the declared length is above `limit` bytes."""
        length = self._only(b"content-length")
        # The server has checked that it is one number of digits.
        if length is not None and int(length) > limit:
            raise PayloadTooLarge(limit)

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises PayloadTooLarge above `limit` bytes."""
        self.check_length(limit)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if not message.get("more_body", False):
            whole: bytes = message.get("body", b"")
            if len(whole) > limit:
                raise PayloadTooLarge(limit)
            return whole
        parts, size = [message.get("body", b"")], len(message.get("body", b""))
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise PayloadTooLarge(limit)
            parts.append(chunk)
        return b"".join(parts)

    @property
    def _is_coded(self) -> bool:
        return b"content-encoding" in self._headers

    def media_type(self) -> str | None:
        """The media type of the body in lowercase, None where it is missing, repeated or coded.

        A charset other than UTF-8 and a Content-Encoding other than identity count as missing.
        """
        if self._only(b"content-type") == b"application/json" and not self._is_coded:
            return "application/json"
        values = self.header_values(b"content-type")
        coding = self.header_values(b"content-encoding")
        if len(values) != 1 or any(c.strip().lower() not in ("", "identity") for c in coding):
            return None
        media_type, *parameters = values[0].split(";")
        media_type = media_type.strip().lower()
        if media_type != "multipart/form-data" and any(
            "charset" in parameter.lower() and not _CHARSET.match(parameter)
            for parameter in parameters
        ):
            return None
        return media_type

    def check_media_type(self, operation: Operation) -> None:
        """Raise UnsupportedMediaType where the operation does not take the body's type."""
        if self.media_type() not in operation.accepts:
            accept_patch = {"Accept-Patch": ", ".join(operation.accepts)}
            raise UnsupportedMediaType(
                operation.accepts, accept_patch if operation.method == "PATCH" else None
            )

    async def json_body(self, operation: Operation) -> dict[str, Any]:
        """The body of an operation that takes JSON, strictly loaded."""
        self.check_media_type(operation)
        return strict_json.loads(await self.body(operation.body_limit))

    async def no_body(self, operation: Operation) -> None:
        """Raise ValidationFailed for a body other than `{}` where none is expected."""
        if not self.sends_body:
            return
        if operation.method == "POST":
            self.check_length(operation.body_limit)
        found = b""
        async for chunk in self.chunks():
            found += chunk
            if len(found) > NO_BODY_LIMIT:
                break
        if not found:
            return
        if operation.method == "POST":
            self.check_media_type(operation)
        if not _EMPTY.match(found):
            raise ValidationFailed(
                "This operation takes no body.",
                "Send no body, or the JSON object {}.",
                issues=[Issue("", "unknown_field", "No body is expected here.")],
            )
