"""The few plain requests the bench makes outside the load: set-up, checks, jobs."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, BinaryIO

_TIMEOUT_SECONDS = 60.0


class UnexpectedAnswer(Exception):
    """A server answered something the measurement cannot go on from."""


class Caller:
    """One key's keep-alive connection to one server on this machine."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        self._key = key

    def send(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None = None,
        content_type: str = "application/json",
        length: int | None = None,
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, header lines and body of an exchange; `length` is that of a body from a file."""
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        if length is not None:
            headers["Content-Length"] = str(length)
        try:
            self._connection.request(method, path, body=body, headers=headers)
            response = self._connection.getresponse()
            return response.status, response.getheaders(), response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def data(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`data` of a success. Raises UnexpectedAnswer for any status but 2xx."""
        encoded = None if body is None else json.dumps(body).encode()
        status, _, raw = self.send(method, path, encoded)
        return success_data(method, path, status, raw)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def success_data(method: str, path: str, status: int, raw: bytes) -> dict[str, Any]:
    """`data` of an answer that must be a success."""
    if status // 100 != 2:
        text = raw[:300].decode(errors="replace")
        raise UnexpectedAnswer(f"{method} {path} answered {status}: {text}")
    data: dict[str, Any] = json.loads(raw)["data"]
    return data
