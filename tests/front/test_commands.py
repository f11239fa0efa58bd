"""`longlist front` as an operator types it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.place import PATIENCE_S, Place, usage_error
from tests.core.test_metrics import samples_of, value
from tests.harness.server import Longlist


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The settings of a front and of an installation beside it."""
    made = Place(tmp_path)
    made.environ["LONGLIST_FRONT_DIRECTORY"] = str(tmp_path / "directory.sqlite3")
    return made


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_clusters_and_groups(place: Place, cluster_a: Longlist) -> None:
    url = f"http://127.0.0.1:{cluster_a.port}"
    assert place.run("front", "clusters", "add", "east", url) == f"east: {url}\n"
    place.run("front", "clusters", "add", "west", "http://127.0.0.1:9/")
    assert "already" in place.run("front", "clusters", "add", "east", url, code=1)
    assert "letters" in place.run("front", "clusters", "add", "East 1", url, code=1)
    assert "address" in place.run("front", "clusters", "add", "x", "http://a/b", code=1)
    shown = place.run("front", "clusters", "list")
    assert re.search(rf"east +{url} +0 +yes\nwest +http://127.0.0.1:9 +0 +no\n", shown), shown
    place.run("migrate")
    other = Place(place.folder / "other")
    shutil.copytree(place.data, other.data)
    made = [place.json("accounts", "create", name)["id"] for name in ("One", "Two")]
    assert place.run("front", "place", "west", made[0]) == f"{made[0]}: west\n"
    assert place.run("front", "place", "east", "--all").startswith("1 account groups")
    assert "no cluster north" in place.run("front", "place", "north", made[0], code=1)
    assert place.json("front", "groups", "--cluster", "east") == [
        {"accountGroupId": made[1], "cluster": "east", "goingTo": None}
    ]
    assert place.run("front", "groups").count("\n") == 3
    assert "Move them first" in place.run("front", "clusters", "remove", "west", code=1)
    place.run("front", "forget", made[0])
    place.run("front", "clusters", "remove", "west")
    assert [
        one["name"] for one in json.loads(place.run("front", "clusters", "list", "--json"))
    ] == ["east"]
    assert "Name account groups" in usage_error("front", "place", "east")
    # A move that would leave the directory behind is refused.
    said = place.run("accounts", "move", made[1], "--to-data", str(place.folder / "x"), code=1)
    assert "There is no database" in said
    to = ["--to-data", str(other.data)]
    said = place.run("accounts", "move", made[1], *to, code=1)
    assert "--to-cluster" in said
    said = place.run("accounts", "move", made[1], *to, "--to-cluster", "south", code=1)
    assert "no cluster south" in said
    said = place.run("accounts", "move", made[0], *to, "--to-cluster", "east", code=1)
    assert "has no entry" in said
    place.environ["LONGLIST_REQUEST_TIMEOUT_S"] = "0.1"
    place.run("front", "clusters", "add", "south", url)
    place.run("accounts", "move", made[1], *to, "--to-cluster", "south")
    (entry,) = place.json("front", "groups")
    assert (entry["cluster"], entry["goingTo"]) == ("south", None)
    again = place.json("accounts", "move", made[1], *to, "--to-cluster", "south")
    assert again["state"] == "there already"


def test_serve(place: Place, cluster_a: Longlist, free_port: int) -> None:
    """A process of its own: it listens, answers, tells of itself, and stops in order."""
    place.run("front", "clusters", "add", "east", f"http://127.0.0.1:{cluster_a.port}")
    place.run("front", "clusters", "add", "directory", "http://127.0.0.1:9")
    place.environ["LONGLIST_METRICS_PORT"] = str(free_port)
    process = subprocess.Popen(
        [sys.executable, "-m", "longlist", "front", "serve"],
        env=place.environ, cwd=place.folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert re.match(r"Longlist listens on http://127\.0\.0\.1:\d+ in front of", line), line
        url = line.split()[3]
        with urllib.request.urlopen(url + "/readyz", timeout=PATIENCE_S) as answer:
            assert json.load(answer)["data"] == {"status": "ok"}
        with urllib.request.urlopen(
            f"http://127.0.0.1:{free_port}/metrics", timeout=PATIENCE_S
        ) as answer:
            found = samples_of(answer.read().decode())
        assert value(found, "longlist_front_directory_up") == 1
        assert value(found, "longlist_front_cluster_up", cluster="east") == 1
        assert value(found, "longlist_front_cluster_up", cluster="directory") == 0
        under_way = "longlist_front_cluster_requests_under_way"
        assert value(found, under_way, cluster="east") == 0
        asked = {"operation": "getReadiness", "status": "200"}
        assert value(found, "longlist_requests_total", **asked) == 1
        (role,) = [dict(key[1])["role"] for key in found if key[0] == "longlist_build_info"]
        assert role == "front"
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, out + err
    assert "Traceback" not in err
