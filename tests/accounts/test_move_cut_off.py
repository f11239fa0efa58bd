"""A move that is killed, fails, is refused or taken back: never two groups, never none for good."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from longlist.accounts import move as course
from longlist.accounts import move_check
from longlist.accounts.move_tables import TABLES
from longlist.console import Trouble
from longlist.db import DatabaseAway
from tests.accounts.moving import (
    Killed,
    Pair,
    Rows,
    fill,
    killed_at,
    levelled,
    markers,
    move,
    nothing,
    on,
    rows_of,
    settings_of,
    triggers,
    undo,
)
from tests.harness.server import running_longlist
from tests.harness.tenant import Tenant


@pytest.fixture(scope="module")
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """A server on each engine; tests go there and back."""
    url = request.getfixturevalue("postgres").new_database()
    embedded = settings_of(tmp_path_factory.mktemp("sqlite"))
    served = settings_of(tmp_path_factory.mktemp("postgres"), url)
    with running_longlist(embedded) as source, running_longlist(served) as target:
        yield Pair(source, target)


@pytest.fixture(params=["there", "back"])
def way(request: pytest.FixtureRequest, pair: Pair) -> Pair:
    """From SQLite to PostgreSQL, and from PostgreSQL to SQLite."""
    return pair if request.param == "there" else pair.back()


@pytest.fixture
def api(way: Pair, tmp_path: Path) -> Tenant:
    """A group with something in every table, where a way begins."""
    tenant = Tenant(way.source)
    fill(tenant, tmp_path)
    return tenant


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "BATCH", 7)
    monkeypatch.setattr(move_check, "BATCH", 7)


def reachable(way: Pair, api: Tenant) -> list[str]:
    """The sides on which the group's key gets in."""
    sides = {"source": way.source, "target": way.target}
    for side in sides.values():
        # What they know of keys they may believe for a second.
        side.app.gate.keys._kept.clear()
    return [name for name, side in sides.items() if on(side, api).get("AG/audiences").status == 200]


def assert_moved(way: Pair, api: Tenant, before: Rows) -> None:
    """The group is there, whole, and nothing is left of it here."""
    assert reachable(way, api) == ["target"]
    assert levelled(rows_of(way.target, api.group)) == levelled(before)
    assert nothing(rows_of(way.source, api.group))
    for side in (way.source, way.target):
        assert triggers(side, api.group) == markers(side, api.group) == []
    on(way.target, api).audience("Written there")


def assert_at_home(way: Pair, api: Tenant, before: Rows) -> None:
    """The group is served here as before, and may be written."""
    assert reachable(way, api) == ["source"]
    assert rows_of(way.source, api.group) == before
    assert triggers(way.source, api.group) == markers(way.source, api.group) == []
    api.audience("Written here")


BEFORE_THE_SWITCH = [
    "hold",
    "begin",
    "make room",
    *(f"copy {table.name}" for table in TABLES),
    "copying events",
    "copying prospects",
    "copying prospect_keys",
    "copying job_rows",
    "copying memberships",
    "copy files",
    "compare",
    "leave",
]
AFTER_THE_SWITCH = [
    "tidy",
    "deleting memberships",
    "deleting prospects",
    "deleting job_rows",
    "deleting events",
    "release",
]


def test_the_parts_of_a_move_are_these(way: Pair, api: Tenant) -> None:
    parts: list[str] = []
    move(way, api.group, step=parts.append)
    met = list(dict.fromkeys(parts))
    wanted = [*BEFORE_THE_SWITCH, "arrive", *AFTER_THE_SWITCH]
    assert [part for part in wanted if part not in met] == []
    # Every part but single tables of those that are copied and deleted in batches.
    assert {part for part in met if part not in wanted} <= {
        f"{verb} {table.name}" for verb in ("copying", "deleting") for table in TABLES
    }


@pytest.mark.slow
def test_killed_at_every_part_and_run_again(way: Pair, api: Tenant) -> None:
    """One group goes to and fro, killed at another part each time."""
    for part in [*BEFORE_THE_SWITCH, "arrive", *AFTER_THE_SWITCH]:
        before = rows_of(way.source, api.group)
        time = 2 if part.startswith(("copying", "deleting")) else 1
        with pytest.raises(Killed):
            move(way, api.group, step=killed_at(part, time))
        side = ["source"] if part in BEFORE_THE_SWITCH else ["target"]
        assert reachable(way, api) == ([] if part == "arrive" else side), part
        if side == ["source"] and part != "hold":
            late = {"name": "X", "type": "on_demand"}
            on(way.source, api).post("AG/audiences", late).expect(503)
        move(way, api.group)
        assert_moved(way, api, before)
        way = way.back()


def test_kill_9_and_run_again(way: Pair, api: Tenant) -> None:
    before = rows_of(way.source, api.group)
    ends = [
        text
        for side in (way.source, way.target)
        for text in (side.settings.data, side.settings.database_url)
    ]
    program = (
        "import sys; from tests.accounts.moving import kill_itself; kill_itself(*sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *ends, api.group.hex(), "copying prospects"],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == -9
    assert 0 < len(rows_of(way.target, api.group)["prospects"]) < len(before["prospects"])
    parts: list[str] = []
    move(way, api.group, step=parts.append)
    assert "begin" not in parts  # it went on where it was
    assert_moved(way, api, before)


def test_killed_twice_with_writes_in_between_that_were_refused(way: Pair, api: Tenant) -> None:
    before = rows_of(way.source, api.group)
    for part in ("copying prospects", "copying memberships"):
        with pytest.raises(Killed):
            move(way, api.group, step=killed_at(part, 2))
    move(way, api.group)
    assert_moved(way, api, before)


@pytest.mark.parametrize("part", ["hold", "make room", "copying prospects", "compare", "leave"])
def test_what_fails_before_the_switch_changes_nothing(way: Pair, api: Tenant, part: str) -> None:
    before = rows_of(way.source, api.group)

    def fail(name: str) -> None:
        if name == part:
            raise DatabaseAway("The target is gone.")

    with pytest.raises(DatabaseAway):
        move(way, api.group, step=fail)
    assert_at_home(way, api, before)
    # What the target has of it is stale by now, and is not taken for the group.
    move(way, api.group)
    names = [row[2] for row in rows_of(way.target, api.group)["audiences"]]
    assert "Written here" in names


def test_after_the_switch_a_failure_leaves_it_to_the_next_run(way: Pair, api: Tenant) -> None:
    before = rows_of(way.source, api.group)

    def fail(name: str) -> None:
        if name == "arrive":
            raise DatabaseAway("The target is gone.")

    with pytest.raises(DatabaseAway):
        move(way, api.group, step=fail)
    assert reachable(way, api) == []
    move(way, api.group)
    assert_moved(way, api, before)


@pytest.mark.parametrize("part", ["hold", "copying prospects", "leave", "arrive"])
def test_taken_back(way: Pair, api: Tenant, part: str) -> None:
    before = rows_of(way.source, api.group)
    with pytest.raises(Killed):
        move(way, api.group, step=killed_at(part))
    assert "as before" in undo(way, api.group)
    assert nothing(rows_of(way.target, api.group))
    assert markers(way.target, api.group) == []
    assert_at_home(way, api, before)
    assert "nothing was changed" in undo(way, api.group)


def test_taken_back_without_the_target(way: Pair, api: Tenant) -> None:
    before = rows_of(way.source, api.group)
    with pytest.raises(Killed):
        move(way, api.group, step=killed_at("compare"))
    assert "as before" in undo(way, api.group, reached=False)
    assert_at_home(way, api, before)
    # Once the group may be there, the target has to be asked.
    with pytest.raises(Killed):
        move(way, api.group, step=killed_at("arrive"))
    with pytest.raises(Trouble, match="has to be reached"):
        undo(way, api.group, reached=False)
    move(way, api.group)
    assert reachable(way, api) == ["target"]


def test_killed_while_it_lets_go(way: Pair, api: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a failure, or of an undo: the next run lets go first, and then begins anew."""
    for again in (move, undo):
        before = rows_of(way.source, api.group)
        with monkeypatch.context() as patch:
            patch.setattr(course.Side, "release", _killed)
            with pytest.raises(Killed):
                move(way, api.group, step=_failing)
        assert markers(way.source, api.group) == ["releasing"]
        again(way, api.group)
        if again is move:
            assert_moved(way, api, before)
            move(way.back(), api.group)
            continue
        assert_at_home(way, api, before)


async def _killed(_self: Any, _move_id: bytes) -> None:
    raise Killed


def _failing(part: str) -> None:
    if part == "compare":
        raise DatabaseAway("The target is gone.")


def test_who_lost_the_race_clears_nothing_away(way: Pair, api: Tenant) -> None:
    """A process that has looked before the group arrived, and goes on after it."""
    late: list[Any] = []

    def step(part: str) -> None:
        if part == "begin" and not late:
            late.append(part)
            with ThreadPoolExecutor(1) as other:
                other.submit(undo, way, api.group).result()
                late.append(other.submit(move, way, api.group).result())

    with pytest.raises(Trouble, match="Another process"):
        move(way, api.group, step=step)
    assert late[1].state == "moved"
    assert reachable(way, api) == ["target"]
    (moved,) = (table.rows for table in late[1].tables if table.name == "prospects")
    assert len(rows_of(way.target, api.group)["prospects"]) == moved > 0


def test_what_has_arrived_is_not_taken_back(way: Pair, api: Tenant) -> None:
    with pytest.raises(Killed):
        move(way, api.group, step=killed_at("tidy"))
    with pytest.raises(Trouble, match="has arrived"):
        undo(way, api.group)
    assert reachable(way, api) == ["target"]
    move(way, api.group)
    assert reachable(way, api) == ["target"]


def broken(table: str) -> dict[str, str]:
    """A statement for some tables that makes one row of a copy another one."""
    return {
        "prospects": "UPDATE prospects SET about = 'else' WHERE id = (SELECT MAX(id) FROM prospects"
        " WHERE account_group_id = $1)",
        "memberships": "DELETE FROM memberships WHERE account_group_id = $1 AND prospect_id ="
        " (SELECT prospect_id FROM memberships WHERE account_group_id = $1 LIMIT 1)",
        "job_rows": "INSERT INTO job_rows (account_group_id, job_id, position, outcome)"
        " SELECT account_group_id, id, 999, 'added' FROM prospecting_jobs"
        " WHERE account_group_id = $1",
        "directory_people": "DELETE FROM directory_words WHERE account_group_id = $1"
        " AND rowid = (SELECT number FROM directory_people WHERE account_group_id = $1 LIMIT 1)",
    }  # fmt: skip


@pytest.mark.parametrize("table", ["prospects", "memberships", "job_rows", "directory_people"])
def test_a_row_that_differs_stops_the_move(way: Pair, api: Tenant, table: str) -> None:
    before = rows_of(way.source, api.group)

    def spoil(part: str) -> None:
        if part == "compare":
            way.target.change((broken(table)[table], api.group))

    with pytest.raises(Trouble, match=rf"Row \d+ of {table}, .* differs"):
        move(way, api.group, step=spoil)
    assert_at_home(way, api, before)


def test_a_file_that_differs_stops_the_move(way: Pair, api: Tenant) -> None:
    before = rows_of(way.source, api.group)
    (row,) = before["files"]

    def spoil(part: str) -> None:
        if part == "compare":
            (way.target.settings.files_path / row[2]).write_bytes(b"Email\n")

    with pytest.raises(Trouble, match="uploaded file"):
        move(way, api.group, step=spoil)
    assert_at_home(way, api, before)


def test_two_at_once(way: Pair, api: Tenant) -> None:
    before = rows_of(way.source, api.group)
    together = threading.Barrier(2)
    ended: list[Any] = []

    def step(part: str) -> None:
        if part == "copy prospects":
            together.wait(30)

    def run() -> None:
        try:
            ended.append(move(way, api.group, step=step))
        except (Exception, threading.BrokenBarrierError) as error:
            together.abort()
            ended.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(ended) == 2
    if reachable(way, api) == ["source"]:
        assert rows_of(way.source, api.group) == before
    move(way, api.group)
    assert_moved(way, api, before)


def test_live_jobs_are_named(way: Pair, api: Tenant) -> None:
    audience = api.audience("Filling")["id"]
    with api.filling(audience) as job_id, pytest.raises(Trouble, match=job_id):
        move(way, api.group)
    api.audience("Still written")


def test_live_jobs_are_waited_for(way: Pair, api: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "_WAIT_S", 0.01)
    told: list[str] = []
    with ExitStack() as jobs:
        job_id = jobs.enter_context(api.filling(api.audience("Filling")["id"]))

        def tell(text: str) -> None:
            told.append(text)
            if "waiting for" in text:
                jobs.close()

        move(way, api.group, tell=tell, wait=True)
    assert any(job_id in text for text in told)
    assert reachable(way, api) == ["target"]


@pytest.mark.parametrize("wait", [False, True])
def test_a_job_that_slips_in_is_let_run(
    way: Pair, api: Tenant, wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "_WAIT_S", 0.01)
    audience = api.audience("Filling")["id"]
    with ExitStack() as jobs:
        slipped: list[str] = []

        def step(part: str) -> None:
            if part == "hold" and not slipped:
                slipped.append(jobs.enter_context(api.filling(audience)))

        def tell(text: str) -> None:
            if "waiting for" in text:
                jobs.close()

        if wait:
            move(way, api.group, step=step, tell=tell, wait=True)
            assert reachable(way, api) == ["target"]
            return
        with pytest.raises(Trouble, match="jobs are queued or running"):
            move(way, api.group, step=step)
        assert triggers(way.source, api.group) == []
    move(way, api.group)


def test_run_again_when_all_is_done(way: Pair, api: Tenant) -> None:
    move(way, api.group)
    assert move(way, api.group).state == "there already"
    with pytest.raises(Trouble, match="no rows of a move"):
        move(way, api.group, verify=True)
    with pytest.raises(Trouble, match="no account group"):
        move(way, bytes(12))


def test_kept_rows_are_out_of_reach_and_go_later(way: Pair, api: Tenant) -> None:
    before = rows_of(way.source, api.group)
    assert move(way, api.group, keep=True).state == "moved, the old rows kept"
    assert reachable(way, api) == ["target"]
    assert triggers(way.source, api.group) == []
    assert move(way, api.group, verify=True).state == "equal"
    left = rows_of(way.source, api.group)
    assert left["prospects"] == before["prospects"]
    assert not left["account_groups"]
    assert not left["monitors"]
    with pytest.raises(Trouble, match="without --keep"):
        move(way.back(), api.group)
    on(way.target, api).audience("New")
    with pytest.raises(Trouble, match="differs"):
        move(way, api.group, verify=True)
    move(way, api.group)
    assert nothing(rows_of(way.source, api.group))
    move(way.back(), api.group)
    assert reachable(way, api) == ["source"]


def test_verify_only_changes_nothing(way: Pair, api: Tenant) -> None:
    with pytest.raises(Trouble, match="no rows of a move"):
        move(way, api.group, verify=True)
    with pytest.raises(Killed):
        move(way, api.group, step=killed_at("leave"))
    assert move(way, api.group, verify=True).state == "equal"
    assert markers(way.source, api.group) == ["leaving"]
    assert "as before" in undo(way, api.group)


def test_a_group_that_is_on_its_way_goes_nowhere_else(
    way: Pair, api: Tenant, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        move(way, api.group, step=killed_at("compare"))
    with running_longlist(settings_of(tmp_path / "third")) as third:
        elsewhere = Pair(way.source, third)
        with pytest.raises(Trouble, match="on its way to"):
            move(elsewhere, api.group)
        with pytest.raises(Killed):
            move(way, api.group, step=killed_at("arrive"))
        with pytest.raises(Trouble, match="on its way to"):
            move(elsewhere, api.group)
        with pytest.raises(Trouble, match="name that target"):
            undo(elsewhere, api.group)
    move(way, api.group)
    assert reachable(way, api) == ["target"]
