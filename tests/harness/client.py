"""Requests to a server under test; every answer is checked before a test sees it."""

from __future__ import annotations

import http.client
import json as json_module
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tests.harness.answer import Answer, check, operation_of
from tests.harness.server import Longlist

T = TypeVar("T")
Headers = Mapping[str, str | None] | Sequence[tuple[str, str]]
NOTHING: Any = object()


class Client:
    """Sends requests. `key` is sent as the bearer token unless a request says otherwise."""

    def __init__(self, server: Longlist, key: str | None = None) -> None:
        self.server = server
        self.key = key

    def with_key(self, key: str | None) -> Client:
        """The same server with another key, or with none."""
        return Client(self.server, key)

    def send(
        self,
        method: str,
        target: str,
        *,
        json: Any = NOTHING,
        body: bytes | None = None,
        headers: Headers = (),
        chunks: Iterable[bytes] | None = None,
    ) -> Answer:
        """One request. A header whose value is None is left out; pairs may repeat a name."""
        if json is not NOTHING:
            body = json_module.dumps(json, ensure_ascii=False).encode("utf-8", "surrogatepass")
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        named = {name.lower() for name, _ in pairs}
        if self.key is not None and "authorization" not in named:
            pairs.append(("Authorization", f"Bearer {self.key}"))
        if (body is not None or chunks is not None) and "content-type" not in named:
            pairs.append(("Content-Type", "application/json"))
        if chunks is not None:
            pairs.append(("Transfer-Encoding", "chunked"))
        elif body is not None and "content-length" not in named:
            pairs.append(("Content-Length", str(len(body))))
        connection = self.server.take_connection()
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in pairs:
                if value is not None:
                    connection.putheader(name, value.encode("latin-1"))
            answer = self._exchange(connection, method, target, body, chunks)
        except BaseException:
            connection.close()
            raise
        check(answer)
        return answer

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: bytes | None,
        chunks: Iterable[bytes] | None,
    ) -> Answer:
        try:
            connection.endheaders()
            if chunks is not None:
                for chunk in chunks:
                    connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                connection.send(b"0\r\n\r\n")
            elif body:
                connection.send(body)
        except ConnectionError:
            # Refused before it was all sent: the answer is there to be read.
            pass
        with connection.getresponse() as response:
            content = response.read()
            pairs = [(name.lower(), value) for name, value in response.getheaders()]
            will_close = response.will_close
        assert len(dict(pairs)) == len(pairs), f"a header twice: {pairs}"
        if will_close:
            connection.close()
        else:
            self.server.give_back(connection)
        return Answer(method, response.status, dict(pairs), content, operation_of(method, target))

    def get(self, target: str, **more: Any) -> Answer:
        return self.send("GET", target, **more)

    def post(self, target: str, json: Any = NOTHING, **more: Any) -> Answer:
        return self.send("POST", target, json=json, **more)

    def patch(self, target: str, json: Any = NOTHING, **more: Any) -> Answer:
        return self.send("PATCH", target, json=json, **more)

    def delete(self, target: str, **more: Any) -> Answer:
        return self.send("DELETE", target, **more)


def at_once(calls: Sequence[Callable[[], T]], threads: int = 16) -> list[T]:
    """Run the calls side by side; their results in order, or the first error."""
    with ThreadPoolExecutor(min(threads, len(calls))) as pool:
        futures = [pool.submit(call) for call in calls]
        return [future.result() for future in futures]
