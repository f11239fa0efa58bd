"""`longlist demo`, run as a person runs it: what it shows, and that it goes on and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from longlist_client import (
    AccountGroup,
    AudienceNotReady,
    Forbidden,
    Job,
    LinkedinSearch,
    Longlist,
)

pytestmark = pytest.mark.slow

PATIENCE_S = 120.0
"""Guards against hanging; no test depends on how much of it is used."""
NAMES = ["Alder & Finch Logistics", "Bergamot Robotics", "Civic Hall"]


class Demo:
    """A demo that runs, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], printed: Path) -> None:
        self.process = process
        until = time.monotonic() + PATIENCE_S
        while "Ctrl-C ends everything" not in (text := printed.read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < until, text
            time.sleep(0.02)
        self.text = text
        self.url = self.found(r"The demo is at (http://127\.0\.0\.1:\d+)")[0]
        self.keys = self.found(r"(llk_\w+)  ")
        self.groups = dict(re.findall(r"^  ([0-9a-f]{24})  (.+)$", text, re.MULTILINE))

    def found(self, pattern: str) -> list[str]:
        """What the pattern finds in what was printed."""
        return re.findall(pattern, self.text)

    def children(self) -> list[int]:
        """The processes that it has started."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]

    def accounts(self, client: Longlist) -> list[AccountGroup]:
        """The account groups in the order of the plan."""
        assert sorted(self.groups.values()) == NAMES
        ids = {name: id_ for id_, name in self.groups.items()}
        return [client.account(ids[name]) for name in NAMES]

    def stop(self) -> None:
        """Press Ctrl-C: nothing that it started is left."""
        children = self.children()
        assert children
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(PATIENCE_S) == 0
        assert not [child for child in children if Path(f"/proc/{child}").exists()]


@contextmanager
def demo(folder: Path, *args: str) -> Iterator[Demo]:
    """A demo on free ports; whatever is set for a server is nothing to it."""
    environ = {**os.environ, "LONGLIST_DATA": "/dev/null/data", "LONGLIST_DATABASE_URL": "nonsense"}
    printed = folder / "printed"
    with printed.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "longlist", "demo", "--port", "0", *args],
            env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Demo(process, printed)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE_S)


def jobs(account: AccountGroup) -> dict[str, Job]:
    """The last job of each kind."""
    found = reversed(list(account.prospecting.list()))
    return {job.source_type: account.prospecting.get(job.job_id) for job in found}


def test_a_demo_shows_everything_and_goes_on(tmp_path: Path) -> None:
    with demo(tmp_path) as first:
        with Longlist(first.keys[0], base_url=first.url) as client:
            search = check(first, client)
        with Longlist(first.keys[3], base_url=first.url) as reading:
            (group,) = reading.me().account_groups
            assert group.name == "Civic Hall"
            with pytest.raises(Forbidden):
                reading.account(group.id).audiences.create(name="No", type="on_demand")
        (link,) = first.found(r"http://\S+/admin/setup/\S+")
        assert httpx2.get(link).status_code == 200
        first.stop()
        assert "goes on" in (tmp_path / "printed").read_text()
    assert (tmp_path / "longlist-demo" / ".gitignore").read_text() == "*\n"

    with demo(tmp_path) as again:
        assert again.groups == first.groups
        assert again.keys == []
        with Longlist(first.keys[0], base_url=again.url) as client:
            account, _, civic = again.accounts(client)
            # The same search, which has not noticed much.
            (still,) = account.prospecting.list(status="running")
            assert still.job_id == search.job_id
            # What was renamed is not made again.
            assert [a.name for a in civic.audiences.list()] == ["Everyone in Congress"]
        again.stop()
    assert "Traceback" not in again.text


def check(shown: Demo, client: Longlist) -> Job:
    """Look at everything there is to see; the job that runs."""
    logistics, robotics, civic = shown.accounts(client)
    (congress,) = civic.audiences.list()
    assert congress.prospect_count == 537
    civic.audiences.update(congress.id, name="Everyone in Congress")

    folders = logistics.audiences.navigation().folders
    assert {folder.name for folder in folders} == {"Fairs", "Newsletter"}
    fair, readers = (
        next(a for a in logistics.audiences.list() if a.name.startswith(name))
        for name in ("Trade fair", "Newsletter")
    )
    assert fair.prospect_count > 1_000
    assert readers.prospect_count > 4_000

    (imported,) = logistics.prospecting.list(audience_id=fair.id)
    with logistics.prospecting.export_rows(imported.job_id, outcome="failed") as download:
        failed = list(download.lines())
    assert len(failed) - 1 == imported.counts.failed > 10
    assert imported.counts.skipped > 10

    until = time.monotonic() + PATIENCE_S
    while (search := jobs(logistics)["linkedin_search"]).status == "queued":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert search.status == "running"
    with pytest.raises(AudienceNotReady):
        logistics.audiences.get(search.audience_id)

    broken = jobs(robotics)["post_commenters"]
    assert broken.status == "failed"
    assert broken.error is not None
    assert "connect it again" in broken.error.message
    assert broken.counts.added == 100
    watched = next(a for a in robotics.audiences.list(include="filling") if a.type == "monitoring")
    assert robotics.monitors.get(watched.id).enabled

    url = "https://www.linkedin.com/search/results/people/?keywords=cto"
    for account in (robotics, civic):
        mine: Any = account.prospecting.start(
            LinkedinSearch(search_url=url), audience_name="Mine", max_results=10
        )
        account.prospecting.cancel(mine.job_id)
        account.audiences.delete(mine.audience_id)
    return search


def test_a_demo_takes_no_folder_of_others_and_no_port_in_use(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "longlist.sqlite3").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for args, said in (
            (("--data", str(mine)), "is not the folder of a demo"),
            (("--data", str(tmp_path / "new"), "--port", port), "is in use"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "longlist", "demo", *args],
                cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
            )  # fmt: skip
            assert done.returncode == 1
            assert said in done.stderr
            assert "llk_" not in done.stdout
    assert [path.name for path in mine.iterdir()] == ["longlist.sqlite3"]
