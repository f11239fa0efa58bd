"""`longlist serve`: the first start, the next ones, the end, and what it refuses to start on."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from longlist.console import Trouble
from longlist.serving import listen
from tests.cli.place import PATIENCE_S, Place


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def test_the_first_start_gives_a_key_once_and_a_curl_that_works(place: Place) -> None:
    with place.serving() as server:
        printed = server.printed
        key = re.search(r"  key +(llk_\w{49})\n", printed)
        group = re.search(r"  account group +([0-9a-f]{24})\n", printed)
        curl = re.search(r"^ +(curl .*)$", printed, re.MULTILINE)
        assert key is not None, printed
        assert group is not None, printed
        assert curl is not None, printed
        done = subprocess.run(
            ["bash", "-c", f"{curl[1]} --silent --show-error --noproxy '*'"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        assert json.loads(done.stdout)["data"] == {
            "items": [],
            "nextCursor": None,
            "hasMore": False,
        }
        assert server.stop() == 0
    assert key[1] not in (place.folder / "serve.err").read_text()
    with place.serving("--api-only") as server:
        assert "llk_" not in server.printed
        assert f"--account-group {group[1]}" in server.printed
        assert server.stop(signal.SIGINT) == 0
    (only,) = place.json("accounts", "list")
    assert (only["id"], only["name"]) == (group[1], "Default")


def test_the_worker_is_there_is_replaced_and_goes_with_the_server(embedded: Place) -> None:
    def worker_of(pid: int, other_than: int | None = None) -> int:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if found := [child for child in children(pid) if child != other_than]:
                return found[0]
            time.sleep(0.02)
        raise AssertionError("no worker")

    with embedded.serving() as server:
        first = worker_of(server.process.pid)
        os.kill(first, signal.SIGKILL)
        second = worker_of(server.process.pid, other_than=first)
        assert server.stop() == 0
    assert not Path(f"/proc/{second}").exists()


def test_servers_that_start_at_once_make_one_group_and_one_key(place: Place) -> None:
    def start(_number: int) -> str:
        with place.serving("--api-only") as server:
            assert server.stop() == 0
            return server.printed

    with ThreadPoolExecutor(3) as pool:
        printed = list(pool.map(start, range(3)))
    assert sum("llk_" in one for one in printed) == 1
    assert len(place.json("accounts", "list")) == 1
    assert len(place.json("keys", "list")) == 1


def test_a_port_in_use_is_said_before_a_key_is_made(embedded: Place) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = str(other.getsockname()[1])
        said = embedded.run("serve", "--port", port, code=1)
    assert said.startswith(f"longlist: Port {port} of 127.0.0.1 is in use")
    assert said.count("\n") == 1
    assert not embedded.data.joinpath("longlist.sqlite3").exists()


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("LONGLIST_DATA", "/dev/null/data", "The data folder /dev/null/data cannot be written"),
        ("LONGLIST_PORT", "http", "LONGLIST_PORT cannot be used"),
        ("LONGLIST_PORT", "65536", "LONGLIST_PORT must be"),
        ("LONGLIST_HOST", "192.0.2.1", "not one of this machine"),
        ("LONGLIST_DATABASE_URL", "mysql://localhost/x", "must start with postgresql://"),
        ("LONGLIST_DATABASE_URL", "postgresql://u:hushhush@127.0.0.1:1/x", "cannot be reached"),
    ],
)
def test_what_cannot_be_served_on_is_one_sentence(
    embedded: Place, variable: str, value: str, says: str
) -> None:
    said = embedded.run("serve", code=1, environ={variable: value})
    assert says in said
    assert said.startswith("longlist: ")
    assert said.count("\n") == 1
    assert "hushhush" not in said


def test_another_secret_is_refused(embedded: Place) -> None:
    embedded.run("migrate")
    embedded.run("accounts", "create", "Acme")
    said = embedded.run("serve", code=1, environ={"LONGLIST_SECRET": "x" * 32})
    assert "The secret is not the one" in said


def test_a_file_that_is_no_database_is_refused_and_left_alone(embedded: Place) -> None:
    embedded.data.mkdir()
    file = embedded.data / "longlist.sqlite3"
    file.write_text("These are notes and not a database, of some length at that.\n" * 20)
    before = file.read_bytes()
    assert "file is not a database" in embedded.run("serve", code=1)
    assert file.read_bytes() == before


def test_tables_of_something_else_are_refused(embedded: Place) -> None:
    embedded.data.mkdir()
    with closing(sqlite3.connect(embedded.data / "longlist.sqlite3")) as other:
        other.execute("CREATE TABLE theirs (a)")
    assert "tables of something else" in embedded.run("serve", code=1)


def test_localhost_is_every_address_of_it() -> None:
    sockets = listen("localhost", 0)
    try:
        assert len({each.getsockname()[1] for each in sockets}) == 1
        assert {each.family for each in sockets} <= {socket.AF_INET, socket.AF_INET6}
        with pytest.raises(Trouble, match="in use"):
            listen("localhost", sockets[0].getsockname()[1])
    finally:
        for each in sockets:
            each.close()
