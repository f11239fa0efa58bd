"""Changes that are made together: each has its own outcome, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import asyncpg
import pytest

from longlist.audiences import store as audiences
from longlist.db import Database, DatabaseAway, Transaction, UniqueViolation, open_database
from longlist.db import postgres as engine
from longlist.ids import new_id, new_ids
from tests.db.conftest import add_group
from tests.harness.postgres import PATIENCE_S, Postgres

Run = Callable[[Callable[[Database], Awaitable[Any]]], Any]
Ids = tuple[bytes, list[bytes]]
_RENAME = audiences._UPDATES[True, False]


async def _prepare(db: Database, count: int, *, unique: bool = False) -> Ids:
    """An account group with audiences named "Old 0", "Old 1" and so on."""
    group, ids = new_id(), new_ids(count)

    async def body(tx: Transaction) -> None:
        await add_group(tx, group)
        if unique:
            await tx.run("UPDATE account_groups SET unique_audience_names = 1 WHERE id = $1", group)
        await tx.many(
            "INSERT INTO audiences (account_group_id, id, name, name_folded, unique_name, type,"
            " created_at) VALUES ($1, $2, $3, $4, $5, 'on_demand', 0)",
            [
                (group, id_, f"Old {at}", f"old {at}", f"old {at}" if unique else None)
                for at, id_ in enumerate(ids)
            ],
        )

    await db.write(body)
    return group, ids


async def _rename(db: Database, group: bytes, id_: bytes, name: str, version: int = 0) -> Any:
    async def body(tx: Transaction) -> Any:
        return await tx.change(
            _RENAME, group, id_, version, name, name.lower(), event_id=new_id(), now=7
        )

    return await db.write_single(body)


async def _names(db: Database, ids: list[bytes]) -> list[str]:
    async def body(tx: Transaction) -> Any:
        rows = await tx.all("SELECT id, name FROM audiences")
        return {bytes(id_): name for id_, name in rows}

    names = await db.read(body)
    return [names[id_] for id_ in ids]


async def _events(db: Database) -> list[tuple[bytes, str]]:
    async def body(tx: Transaction) -> Any:
        return await tx.all("SELECT resource_id, data FROM events")

    return [(bytes(id_), json.loads(data)["name"]) for id_, data in await db.read(body)]


def test_each_of_many_gets_its_own_row_and_event(run: Run) -> None:
    """Refused and accepted ones of a few audiences in turn: a row given to another would show."""

    async def work(db: Database) -> None:
        group, ids = await _prepare(db, 3)
        wanted = [
            (ids[at % 3], f"New {at}", 9999 if at % 4 == 0 else 0)  # a version it never has
            for at in range(400)
        ]
        rows = await asyncio.gather(
            *(_rename(db, group, id_, name, version) for id_, name, version in wanted)
        )
        accepted = []
        for (id_, name, version), row in zip(wanted, rows, strict=True):
            if version == 9999:
                assert row is None
            else:
                assert (bytes(row[0]), row[1]) == (id_, name)
                assert len(row) == len(_RENAME.columns) + len(_RENAME.also)
                accepted.append((id_, name, row[-2]))
        # Every version was given out once: no change was lost, none was done twice.
        for id_ in ids:
            versions = sorted(version for each, _, version in accepted if each == id_)
            assert versions == list(range(2, len(versions) + 2))
        assert sorted(await _events(db)) == sorted((id_, name) for id_, name, _ in accepted)
        last = {id_: (version, name) for id_, name, version in sorted(accepted, key=_version)}
        assert await _names(db, ids) == [last[id_][1] for id_ in ids]
        batches = db.figures().batches
        assert batches is not None
        assert batches.count < 100, "they have not been made together"

    run(work)


def _version(accepted: tuple[bytes, str, int]) -> int:
    return accepted[2]


@pytest.mark.parametrize("bad", ["taken", "unencodable"])
def test_one_that_fails_harms_no_other(run: Run, bad: str) -> None:
    async def work(db: Database) -> None:
        group, ids = await _prepare(db, 30, unique=True)
        names = [f"New {at}" for at in range(30)]
        names[11] = {"taken": "Old 29", "unencodable": "\ud800"}[bad]
        names[29] = "Old 29"
        found: list[Any] = await asyncio.gather(
            *(_rename(db, group, id_, name) for id_, name in zip(ids, names, strict=True)),
            return_exceptions=True,
        )
        error = {"taken": UniqueViolation, "unencodable": Exception}[bad]
        assert isinstance(found[11], error)
        assert found[29] is None, "a name that is there already is no change"
        others = [at for at in range(29) if at != 11]
        assert [found[at][1] for at in others] == [names[at] for at in others]
        assert sorted(await _events(db)) == sorted((ids[at], names[at]) for at in others)

    run(work)


def test_one_that_nobody_waits_for_any_more_harms_no_other(run: Run) -> None:
    async def work(db: Database) -> None:
        group, ids = await _prepare(db, 20)
        tasks = [asyncio.ensure_future(_rename(db, group, id_, "New")) for id_ in ids]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        found: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(row[1] == "New" for row in found[1::2])
        names = await _names(db, ids)
        assert set(names[1::2]) == {"New"}
        written = {id_ for id_, name in zip(ids, names, strict=True) if name == "New"}
        assert {id_ for id_, _ in await _events(db)} == written

    run(work)


def test_reads_beside_a_change(run: Run) -> None:
    async def work(db: Database) -> None:
        group, ids = await _prepare(db, 3)

        async def body(tx: Transaction) -> Any:
            before = await tx.one("SELECT name FROM audiences WHERE id = $1", ids[0])
            assert before is not None
            row = await tx.change(_RENAME, group, ids[0], 0, "New", "new", event_id=new_id(), now=7)
            found = await tx.all_in("SELECT name FROM audiences WHERE id IN_VALUES", ids)
            every = await tx.all("SELECT name FROM audiences ORDER BY name")
            return before[0], row, sorted(name for (name,) in found), every[0][0], await tx.now()

        before, row, found, first, now = await db.write_single(body)
        assert (before, row[1], first) == ("Old 0", "New", "New")
        assert found == ["New", "Old 1", "Old 2"]
        assert now > 1_700_000_000_000

    run(work)


@pytest.fixture
def of_postgres(postgres: Postgres) -> Callable[..., Any]:
    """Runs a coroutine with a database and a connection of somebody else to it."""
    url = postgres.new_migrated_database()

    def call(work: Callable[[Database, Any], Awaitable[Any]]) -> Any:
        async def opened() -> Any:
            db = open_database(sqlite_path="", database_url=url, pool=10)
            await db.start()
            other = await asyncpg.connect(url)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await work(db, other)
            finally:
                await other.close()
                await db.close()

        return asyncio.run(opened())

    return call


def test_a_row_that_somebody_holds_keeps_its_own_change_waiting_alone(
    of_postgres: Callable[..., Any],
) -> None:
    async def work(db: Database, other: Any) -> None:
        group, ids = await _prepare(db, 40)
        async with other.transaction():
            await other.execute("UPDATE audiences SET version = version WHERE id = $1", ids[17])
            tasks = [asyncio.ensure_future(_rename(db, group, id_, "New")) for id_ in ids]
            held = tasks.pop(17)
            # Without end, if they waited for the one.
            assert {row[1] for row in await asyncio.gather(*tasks)} == {"New"}
            assert not held.done()
        assert (await held)[1] == "New"
        assert len(await _events(db)) == 40

    of_postgres(work)


def test_a_batch_whose_connection_is_cut_is_acknowledged_to_nobody(
    of_postgres: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOCK_MS", 60_000)

    async def work(db: Database, other: Any) -> None:
        group, ids = await _prepare(db, 20)
        async with other.transaction():
            await other.execute("UPDATE audiences SET version = version WHERE id = $1", ids[19])
            tasks = [asyncio.ensure_future(_rename(db, group, id_, "New")) for id_ in ids]
            waiting = (
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            while not (pids := await other.fetch(waiting)):
                await asyncio.sleep(0.01)
                # Within a transaction it would show what it showed at first.
                await other.execute("SELECT pg_stat_clear_snapshot()")
            for row in pids:
                await other.execute("SELECT pg_terminate_backend($1)", row["pid"])
            found: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
        lost = [id_ for id_, row in zip(ids, found, strict=True) if isinstance(row, DatabaseAway)]
        assert ids[19] in lost
        assert len(lost) > 1, "nothing was in the batch beside it"
        done = [id_ for id_ in ids if id_ not in lost]
        assert sorted(await _events(db)) == sorted((id_, "New") for id_ in done)
        assert (await _rename(db, group, ids[19], "Newer"))[1] == "Newer"

    of_postgres(work)


def test_two_processes_that_change_the_same_rows_lose_nothing(
    of_postgres: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do they ever wait for each other."""
    monkeypatch.setattr(engine, "LOCK_MS", 60_000)

    async def work(db: Database, other: Any) -> None:
        group, ids = await _prepare(db, 30)
        url = cast(Any, db).dsn
        second = open_database(sqlite_path="", database_url=url, pool=10)
        await second.start()
        try:
            found: list[Any] = await asyncio.gather(
                *(
                    _rename(each, group, id_, f"{side} {turn}")
                    for turn in range(20)
                    for side, each, order in (("a", db, ids), ("b", second, ids[::-1]))
                    for id_ in order
                )
            )
        finally:
            await second.close()
        assert all(row is not None for row in found)
        assert {row["version"] for row in await other.fetch("SELECT version FROM audiences")} == {
            41
        }
        assert len(await _events(db)) == 1200
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert await other.fetchval(deadlocks) == 0

    of_postgres(work)
