"""The listener of the metrics: what it answers, what it refuses, and where it listens."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from longlist import metrics_listener
from longlist.metrics_listener import listening
from tests.cli.place import Place, Serving
from tests.conftest import ENGINES
from tests.core.test_metrics import samples_of, value


def exchange(*requests: bytes) -> list[bytes]:
    """What a listener answers to each request, on a connection of its own."""

    async def render(accept: str) -> tuple[str, bytes]:
        if "fail" in accept:
            raise ValueError("row of jane@example.com")
        return "text/plain", f"accepts {accept}\n".encode()

    async def send(port: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def scenario() -> list[bytes]:
        with ExitStack() as stack:
            own = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = own.getsockname()[1]
            async with listening([own], render):
                return [await send(port, request) for request in requests]

    return asyncio.run(scenario())


def test_it_answers_a_scrape_and_nothing_else() -> None:
    scrape, head, other, posted, broken = exchange(
        b"GET /metrics HTTP/1.1\r\nHost: x\r\naccept:  text/plain \r\n\r\n",
        b"HEAD /metrics HTTP/1.1\r\n\r\n",
        b"GET /v1/me HTTP/1.1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nAccept: fail\r\n\r\n",
    )
    assert scrape.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
    assert scrape.endswith(b"\r\n\r\naccepts text/plain\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"\r\n\r\n")
    assert other.startswith(b"HTTP/1.1 404 ")
    assert posted.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, HEAD" in posted
    assert broken.startswith(b"HTTP/1.1 500 ")
    assert b"jane" not in broken


def test_a_head_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_listener, "_PATIENCE_S", 0.2)
    long, slow = exchange(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000, b"GET /metrics")
    assert (long, slow) == (b"", b"")


def two_free_ports() -> int:
    """A port that is free, as the one after it is."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = int(first.getsockname()[1])
            try:
                stack.enter_context(socket.create_server(("127.0.0.1", port + 1)))
            except OSError:
                continue
            return port


def fetch(url: str, key: str = "", body: Any = None, kind: str = "application/json") -> bytes:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if body is not None:
        headers["Content-Type"] = kind
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return bytes(answer.read())


@pytest.mark.parametrize("engine", ENGINES)
def test_serve_shows_its_own_figures_and_those_of_its_worker(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = ""
    if engine == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    place, port = Place(tmp_path, url), two_free_ports()
    place.environ["LONGLIST_METRICS_PORT"] = str(port)
    with place.serving() as server:
        assert f"Metrics are at http://127.0.0.1:{port}/metrics." in server.printed
        with pytest.raises(HTTPError, match="404"):
            fetch(f"{server.url}/metrics")
        _import_three_rows(server)
        api = samples_of(fetch(f"http://127.0.0.1:{port}/metrics").decode())
        worker = samples_of(fetch(f"http://127.0.0.1:{port + 1}/metrics").decode())
        assert server.stop() == 0
    assert value(api, "longlist_requests_total", operation="startProspectingJob", status="202") == 1
    assert value(api, "longlist_worker_starts_total") == 1
    assert value(api, "longlist_workers", state="alive") == 1
    assert value(worker, "longlist_job_rows_total", outcome="added") == 2
    assert value(worker, "longlist_job_rows_total", outcome="failed") == 1
    assert value(worker, "longlist_jobs_ended_total", status="completed") == 1
    assert value(worker, "longlist_worker_beats_total") >= 1
    assert value(worker, "longlist_worker_slots") == 2
    for found, role in ((api, "api"), (worker, "worker")):
        [labels] = [dict(label) for name, label in found if name == "longlist_build_info"]
        assert labels["role"] == role
        assert labels["database"].startswith("SQLite" if not url else "PostgreSQL")


def _import_three_rows(server: Serving) -> None:
    """Two people and a row that cannot be used."""
    key = re.search(r"llk_\w{49}", server.printed)
    group = re.search(r"account group +([0-9a-f]{24})", server.printed)
    assert key is not None
    assert group is not None
    base = f"{server.url}/v1/accounts/{group[1]}"
    content = b"Email,First Name\nada@example.com,Ada\nbo@example.com,Bo\nnowhere,\n"
    file = json.loads(fetch(f"{base}/files", key[0], content, "text/csv"))["data"]["fileId"]
    start = {"type": "file_import", "fileId": file, "audienceName": "Three rows"}
    job = json.loads(fetch(f"{base}/prospecting", key[0], start))["data"]["jobId"]
    while (status := _status(f"{base}/prospecting/{job}?wait=5", key[0])) in ("queued", "running"):
        pass
    assert status == "completed"


def _status(url: str, key: str) -> str:
    return str(json.loads(fetch(url, key))["data"]["status"])


def test_a_port_in_use_is_said_before_a_key_is_made(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = place.run("serve", code=1, environ={"LONGLIST_METRICS_PORT": port})
    assert said.startswith(f"longlist: Port {port} of 127.0.0.1 is in use")
    assert "LONGLIST_METRICS_PORT" in said
    assert not place.data.joinpath("longlist.sqlite3").exists()


def test_there_is_no_listener_unless_asked_for(tmp_path: Path) -> None:
    with Place(tmp_path).serving("--api-only") as server:
        assert "Metrics" not in server.printed
