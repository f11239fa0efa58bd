"""What the rest of the server relies on in both engines."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from longlist.audiences import store as audiences
from longlist.db import Database, Transaction, UniqueViolation
from longlist.ids import new_id, new_ids
from tests.db.conftest import Run, add_group


async def _count_groups(tx: Transaction) -> int:
    row = await tx.one("SELECT COUNT(*) FROM account_groups")
    assert row is not None
    return int(row[0])


def test_a_write_is_read_back(run: Run) -> None:
    async def work(db: Database) -> None:
        await db.write(add_group, new_id())
        assert await db.read(_count_groups) == 1
        assert await db.read_long(_count_groups) == 1

    run(work)


def test_a_body_that_fails_leaves_nothing_and_harms_no_other(run: Run) -> None:
    """On SQLite these writes share one commit, each in its own savepoint."""

    async def failing(tx: Transaction, id_: bytes) -> None:
        await add_group(tx, id_)
        raise KeyError("mine")

    async def work(db: Database) -> None:
        writes = [db.write(failing if at % 3 == 0 else add_group, new_id()) for at in range(30)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert [isinstance(outcome, KeyError) for outcome in outcomes] == [
            at % 3 == 0 for at in range(30)
        ]
        assert await db.read(_count_groups) == 20

    run(work)


def test_a_taken_key_is_a_unique_violation(run: Run) -> None:
    async def work(db: Database) -> None:
        id_ = new_id()
        await db.write(add_group, id_)
        with pytest.raises(UniqueViolation):
            await db.write(add_group, id_)
        assert await db.read(_count_groups) == 1

    run(work)


def test_what_fails_in_a_savepoint_is_undone_alone(run: Run) -> None:
    async def body(tx: Transaction, id_: bytes) -> None:
        await add_group(tx, id_)
        try:
            async with tx.savepoint():
                await add_group(tx, new_id())
                await add_group(tx, id_)
        except UniqueViolation:
            await add_group(tx, new_id(), "after")

    async def work(db: Database) -> None:
        await db.write(body, new_id())
        assert await db.read(_count_groups) == 2

    run(work)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 255, 256, 257, 1000])
def test_all_in_finds_each_of_any_number_once(run: Run, count: int) -> None:
    ids = new_ids(count)

    async def add(tx: Transaction) -> None:
        rows = [(id_, "a", 1, 1, 0) for id_ in (*ids, new_id())]
        columns = ("id", "name", "max_results_cap", "file_rows_cap", "created_at")
        await tx.insert("account_groups", columns, rows)

    async def find(tx: Transaction) -> list[bytes]:
        rows = await tx.all_in(
            "SELECT id FROM account_groups WHERE name = $1 AND id IN_VALUES", ids, "a"
        )
        return sorted(row[0] for row in rows)

    async def work(db: Database) -> None:
        await db.write_long(add)
        assert await db.read(find) == ids

    run(work)


def test_arguments_may_be_used_twice_and_in_any_order(run: Run) -> None:
    async def body(tx: Transaction) -> Any:
        row = await tx.one(
            "SELECT CAST($2 AS BIGINT), CAST($1 AS BIGINT), CAST($2 AS BIGINT)", 1, 2
        )
        assert row is not None
        return tuple(row)

    async def work(db: Database) -> None:
        assert await db.read(body) == (2, 1, 2)

    run(work)


def test_a_change_writes_its_event_with_it_or_neither(run: Run) -> None:
    group, audience = new_id(), new_id()

    async def prepare(tx: Transaction) -> None:
        await add_group(tx, group)
        await tx.run(
            "INSERT INTO audiences (account_group_id, id, name, name_folded, type, created_at)"
            " VALUES ($1, $2, 'Old', 'old', 'on_demand', 1772600767089)",
            group,
            audience,
        )

    async def rename(tx: Transaction, version: int) -> Any:
        return await tx.change(
            audiences._UPDATES[True, False], group, audience, version, "New", "new",
            event_id=new_id(), now=7,
        )  # fmt: skip

    async def events(tx: Transaction) -> Any:
        rows = await tx.all("SELECT type, resource_id, created_at, data FROM events")
        return [tuple(row) for row in rows]

    async def work(db: Database) -> None:
        await db.write(prepare)
        assert await db.write_single(rename, 99) is None
        assert await db.read(events) == []
        assert await db.write_single(rename, 1) is not None
        [(type_, resource, at, data)] = await db.read(events)
        assert (type_, bytes(resource), at) == ("audience.updated", audience, 7)
        assert json.loads(data) == {
            "id": audience.hex(),
            "name": "New",
            "type": "on_demand",
            "description": None,
            "folderId": None,
            "prospectCount": 0,
            "createdAt": "2026-03-04T05:06:07.089Z",
        }

    run(work)


def test_one_of_two_holders_of_a_lock_waits_or_is_told(run: Run) -> None:
    async def work(db: Database) -> None:
        order: list[str] = []

        async def holder(tx: Transaction, name: str) -> None:
            await tx.lock(b"key")
            order.append(name)
            await tx.one("SELECT 1")
            order.append(name)

        await asyncio.gather(*(db.write(holder, name) for name in "abcd"))
        assert order == sorted(order, key=order.index), "two were inside at once"

    run(work)


def test_a_snapshot_does_not_see_what_comes_after_it(run: Run) -> None:
    async def work(db: Database) -> None:
        for _ in range(5):
            await db.write(add_group, new_id())
        seen = 0
        async with db.snapshot() as snapshot:
            async for batch in snapshot.stream("SELECT id FROM account_groups", size=2):
                await db.write(add_group, new_id())
                seen += len(batch)
        assert seen == 5
        assert await db.read(_count_groups) > 5

    run(work)
