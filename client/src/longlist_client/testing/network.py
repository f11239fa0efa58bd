"""The ways to reach the mock: as a transport inside the process, or on a port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx2

Handle = Callable[[str, str, Mapping[str, str], bytes], tuple[int, dict[str, str], bytes]]
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Served:
    """Where the mock listens."""

    url: str
    port: int


def transport_to(handle: Handle, dropped: type[Exception]) -> httpx2.MockTransport:
    """A transport that ends in a function; a dropped answer is a broken connection."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        target = request.url.raw_path.decode("ascii")
        try:
            status, headers, body = handle(
                request.method, target, dict(request.headers), request.content
            )
        except dropped as error:
            raise httpx2.RemoteProtocolError("The answer was dropped.", request=request) from error
        return httpx2.Response(status, headers=headers, content=body, request=request)

    return httpx2.MockTransport(answer)


def _handler(handle: Handle, dropped: type[Exception]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _content(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pieces = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def _respond(self) -> None:
            content = self._content()
            try:
                status, headers, body = handle(
                    self.command, self.path, dict(self.headers.items()), content
                )
            except dropped:
                self.close_connection = True
                return
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _respond

        def log_message(self, *_args: Any) -> None:
            """Nothing: a mock has no log."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def serve(handle: Handle, dropped: type[Exception], port: int) -> Iterator[Served]:
    """Listen on the loopback interface, in a thread."""
    with _Server(("127.0.0.1", port), _handler(handle, dropped)) as server:
        chosen = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True)
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{chosen}", chosen)
        finally:
            server.shutdown()
            thread.join()
