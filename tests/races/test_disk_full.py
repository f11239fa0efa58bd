"""The disk fills up under the embedded database, and is freed again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import at_once
from tests.harness.server import running_longlist, settings_for
from tests.harness.tenant import Tenant
from tests.races import faults, people
from tests.races.place import Process, running_place

SIZE_MB = 40
LARGE_FILE = people.make(20_000).content


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of some megabytes, where the tests may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        warnings.warn("no small disk can be mounted here: disk full is not tested", stacklevel=1)
        pytest.skip("a small disk cannot be mounted without root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


async def fill(api: Process, load: faults.Load, ballast: Path) -> None:
    """Take all that is left, and be refused."""
    await load.until_seen("200", 50)
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            pass
    await load.until_seen("503 OVERLOADED", 100)
    async with load.group.on(api) as connection:
        answer = await connection.send(
            "POST",
            f"{load.group.path}/files",
            body=LARGE_FILE,
            headers={"Content-Type": "text/csv"},
        )
        answer.expect(503, "OVERLOADED")
    refused = await load.phase(0.5)
    assert refused["reads"] > 0, "reads stopped with the writes"
    assert refused["503 OVERLOADED"] > 0
    ballast.unlink()  # noqa: ASYNC240
    await load.until_seen("200", 50)
    await load.until_seen("201", 5)


def test_a_full_disk_refuses_writes_and_loses_none(small_disk: Path) -> None:
    with running_place(small_disk) as place:
        api = place.start("api")

        async def scenario() -> faults.Load:
            async with place.opened() as store:
                group = await store.tenant()

                async def twice(load: faults.Load) -> None:
                    for _ in range(2):
                        await fill(api, load, small_disk / "ballast")

                load = await faults.under_load(group, lambda: int(api.said), 16, twice)
                await load.judge(api, store)
                return load

        load = asyncio.run(scenario())
        assert api.status is None, "the server had to be started again"
        load.is_honest()


def test_a_full_database_file_refuses_writes_and_loses_none(tmp_path: Path) -> None:
    """As above on any machine: SQLite itself says that the file may not grow."""
    with running_longlist(settings_for(tmp_path)) as server:
        api = Tenant(server)
        database: Any = server.installation.db

        async def limit(pages_more: int) -> None:
            [(pages,)] = database._writer.execute("PRAGMA page_count").fetchall()
            database._writer.execute(f"PRAGMA max_page_count = {pages + pages_more}")

        def create(number: int) -> tuple[int, str]:
            body = {"name": f"A{number}", "type": "on_demand", "description": faults.LARGE}
            answer = api.post("AG/audiences", body)
            return answer.status, answer.data["id"] if answer.status == 201 else answer.code

        acknowledged: list[str] = []
        for _ in range(2):
            server.call(limit, 20)
            # Several share a commit, so that one of them fails beside others.
            made = at_once([partial(create, number) for number in range(64)])
            acknowledged += [said for status, said in made if status == 201]
            refused = [said for status, said in made if status != 201]
            assert refused == ["OVERLOADED"] * len(refused)
            assert refused
            api.get("AG/audiences").expect(200)
            server.call(limit, 1_000_000)
            assert create(0)[0] == 201
        assert len(acknowledged) > 0
        for id_ in acknowledged:
            api.get(f"AG/audiences/{id_}").expect(200)
        created = [event[1] for event in api.events("audience.created")]
        assert set(acknowledged) <= set(created)
        assert len(created) == len(set(created)) == server.value("SELECT COUNT(*) FROM audiences")
