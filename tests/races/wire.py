"""A small HTTP client on asyncio, for loads of many connections that may break.

A connection that breaks raises ConnectionError: the caller then knows of a request that was sent
and not answered. Answers are held against the contract by the same check as everywhere.
"""

from __future__ import annotations

import asyncio
import json as json_module
from types import TracebackType
from typing import Any, ClassVar

from tests.harness.answer import Answer, check, operation_of

ANSWER_S = 60.0
"""Guards against hanging."""


def request_bytes(
    method: str, target: str, key: str, body: bytes, headers: dict[str, str] | None = None
) -> bytes:
    """A request as it goes over the wire."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {key}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    if body and "Content-Type" not in (headers or {}):
        lines.append("Content-Type: application/json")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection:
    """One connection, opened at the first request and again after a break."""

    _checked: ClassVar[set[tuple[object, ...]]] = set()

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cut the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def send(
        self,
        method: str,
        target: str,
        json: Any = None,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request and its answer. Raises ConnectionError where no whole answer came."""
        if json is not None:
            body = json_module.dumps(json, ensure_ascii=False).encode()
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._exchange(method, target, body, headers)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(f"{method} {target}: no answer") from error
        except BaseException:
            self.close()
            raise
        kind = (
            answer.operation and answer.operation.id,
            answer.status,
            answer.status >= 400 and answer.code,
        )
        if kind not in self._checked:
            # Under load the first answer of each kind stands for the others.
            self._checked.add(kind)
            check(answer)
        return answer

    async def _exchange(
        self, method: str, target: str, body: bytes, headers: dict[str, str] | None
    ) -> Answer:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self.port, limit=1 << 20
            )
        reader, writer = self._reader, self._writer
        writer.write(request_bytes(method, target, self.key, body, headers))
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
        found = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
        }
        if found.get("transfer-encoding") == "chunked":
            content = await self._chunks(reader)
        else:
            content = await reader.readexactly(int(found.get("content-length", "0")))
        if found.get("connection") == "close":
            self.close()
        status = int(head[0].split()[1])
        return Answer(method, status, found, content, operation_of(method, target))

    @staticmethod
    async def _chunks(reader: asyncio.StreamReader) -> bytes:
        parts: list[bytes] = []
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
        return b"".join(parts)
