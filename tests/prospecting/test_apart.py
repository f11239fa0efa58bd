"""A file read by a process of its own: the same pages, whatever becomes of the process."""

from __future__ import annotations

import asyncio
import csv
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvloop

from longlist.jobs import JobFailed
from longlist.prospecting import apart, inspection
from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.reading import MEMORY_BYTES, NICE, TOO_BIG_MESSAGE, Page, Reading
from longlist.prospecting.sources.file_import import FileImport
from tests.harness.server import PATIENCE_S

ROWS, PAGE_ROWS = 450, 100
COLUMNS = ("Email", "LinkedIn URL", "Title")
MAPPING = dict(zip(COLUMNS, ("email", "linkedinUrl", "title"), strict=True))


def rows() -> list[tuple[str, str, str]]:
    """With a broken address, and people of which a later row joins two earlier ones."""
    made = [
        (f"p{at}@example.com", f"https://www.linkedin.com/in/p-{at}", f"Buyer {at}")
        for at in range(ROWS)
    ]
    made[7] = ("not an address", "", "Buyer")
    made[20], made[21] = ("joined@example.com", "", ""), ("", "linkedin.com/in/joined", "")
    made[300] = ("joined@example.com", "linkedin.com/in/joined", "")
    return made


def reading(path: Path, memory_bytes: int = MEMORY_BYTES) -> Reading:
    found = inspection.inspect(path)
    file = StoredFile(b"f" * 12, path, msgspec.structs.replace(found, preview=[]), {}, 0, 0)
    source = FileImport(file, MAPPING, 1_000_000, False, PAGE_ROWS)
    return Reading(b"s" * 32, source, None, 0, memory_bytes)


@pytest.fixture
def of_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reading:
    monkeypatch.setattr(apart, "SMALL_BYTES", 0)
    path = tmp_path / "people"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows()])
    return reading(path)


def of_parquet(
    path: Path, content: list[tuple[str, str, str]], memory_bytes: int = MEMORY_BYTES
) -> Reading:
    columns = [pa.array(list(column), pa.large_string()) for column in zip(*content, strict=True)]
    pq.write_table(pa.table(columns, names=list(COLUMNS)), path, compression="zstd")
    return reading(path, memory_bytes)


async def gathered(pages: AsyncGenerator[Page, None]) -> list[Page]:
    async with aclosing(pages):
        return [page async for page in pages]


def told(pages: Iterable[Page]) -> list[bytes]:
    return [msgspec.msgpack.encode(page) for page in pages]


def children() -> set[int]:
    """The processes that this one has started and not yet seen the end of."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


async def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except FileNotFoundError:
        return False


def test_the_pages_are_those_read_here(of_csv: Reading, tmp_path: Path) -> None:
    here = list(of_csv.pages())
    assert sum(len(page.entries) for page in here) == ROWS
    assert {entry.reason for page in here for entry in page.entries} == {None, "INVALID_EMAIL"}
    assert any(entry.linked for entry in here[0].entries)
    assert told(uvloop.run(gathered(apart.pages_of(of_csv)))) == told(here)
    later = msgspec.structs.replace(of_csv, cursor=here[1].cursor, done=250)
    assert told(uvloop.run(gathered(apart.pages_of(later)))) == told(later.pages())
    assert next(later.pages()).entries[0].position == 251
    packed = of_parquet(tmp_path / "parquet", rows())
    assert told(uvloop.run(gathered(apart.pages_of(packed)))) == told(packed.pages())


def test_a_process_that_dies_is_replaced(of_csv: Reading) -> None:
    async def scenario() -> list[Page]:
        found: list[Page] = []
        others = children()
        async with aclosing(apart.pages_of(of_csv)) as pages:
            async for page in pages:
                found.append(page)
                for pid in children() - others:
                    with suppress(ProcessLookupError):  # killed after the page before
                        os.kill(pid, 9)
        return found

    assert told(uvloop.run(scenario())) == told(of_csv.pages())


def test_a_file_that_kills_is_given_up(of_csv: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    command = (sys.executable, "-c", "import os; os.write(1, b'\\0\\0'); os._exit(9)")
    monkeypatch.setattr(apart, "_COMMAND", command)
    with pytest.raises(JobFailed, match="FILE_UNREADABLE") as failed:
        uvloop.run(gathered(apart.pages_of(of_csv)))
    assert failed.value.message == apart.DIED_MESSAGE


def test_a_failure_is_told(of_csv: Reading) -> None:
    source = msgspec.structs.replace(of_csv.file, limit=120)
    long = msgspec.structs.replace(of_csv, file=source)
    found: list[Page] = []

    async def scenario() -> None:
        async with aclosing(apart.pages_of(long)) as pages:
            async for page in pages:
                found.append(page)

    with pytest.raises(JobFailed, match="FILE_TOO_LONG"):
        uvloop.run(scenario())
    assert found == []


def test_a_file_that_needs_too_much_memory_fails_its_job_alone(of_csv: Reading) -> None:
    path = of_csv.file.file.path
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *[(*row[:2], "x" * 60_000) for row in rows()]])
    with pytest.raises(JobFailed, match="FILE_UNREADABLE") as failed:
        uvloop.run(gathered(apart.pages_of(reading(path, memory_bytes=32 << 20))))
    assert failed.value.message == TOO_BIG_MESSAGE
    assert uvloop.run(gathered(apart.pages_of(reading(path))))


def test_a_reader_leaves_the_processors_to_others(of_csv: Reading) -> None:
    """Less urgent than whoever answers, in the session where that counts, deaf to Ctrl-C."""

    async def scenario() -> None:
        others = children()
        async with aclosing(apart.pages_of(of_csv)) as pages:
            await anext(pages)
            (pid,) = children() - others
            assert os.getpriority(os.PRIO_PROCESS, pid) == os.nice(0) + NICE
            assert os.getsid(pid) == os.getsid(0)
            assert os.getpgid(pid) == pid

    uvloop.run(scenario())


def test_no_process_outlives_its_reader(of_csv: Reading) -> None:
    async def scenario() -> None:
        others = children()
        async with aclosing(apart.pages_of(of_csv)) as pages:
            await anext(pages)
            (pid,) = children() - others
        assert not is_alive(pid)

        async with aclosing(apart.pages_of(of_csv)) as pages:
            task = asyncio.create_task(anext(pages))
            await until(lambda: bool(children() - others))
            (pid,) = children() - others
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not is_alive(pid)

    uvloop.run(scenario())


_WORKER = """
import asyncio, sys, uvloop
from longlist.prospecting import apart
from longlist.prospecting.reading import Reading

apart.SMALL_BYTES = 0

async def main():
    async for page in apart.pages_of(Reading.unpacked(sys.stdin.buffer.read())):
        print("page", flush=True)
        await asyncio.sleep(3600)

uvloop.run(main())
"""


def test_no_process_outlives_a_killed_worker(of_csv: Reading) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", _WORKER), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(of_csv.packed())
        worker.stdin.close()
        assert worker.stdout.readline() == b"page\n"
        (pid,) = map(
            int, Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        )
        assert is_alive(pid)
        worker.kill()
    uvloop.run(until(lambda: not is_alive(pid)))
