"""Changes that arrive together share a commit on PostgreSQL: what group commit is on SQLite.

A change alone costs the server a wake-up, a snapshot and a flush of its log. Those that gathered
while others were under way go out in one message, as one transaction of a few statements, for
about a quarter of the work of each.

What fails one of them undoes all, and nothing was written: each is then sent again on its own, so
that an error is only ever that of the change it belongs to. A change that has to wait for
somebody else's row counts as one that fails, as the others must not wait with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import asyncpg

from longlist.db import Row
from longlist.db.held import HELD_STATE
from longlist.tally import SIZES, Tally

AT_ONCE: Final = 2
"""Batches under way in a process, each on a connection of its own."""
BATCH_MAX: Final = 64
"""Changes in a batch: a few milliseconds' worth, which is what its rows stay locked for."""
LOCK_MS: Final = 50
"""A batch waits this long for a row that somebody else has locked, then its changes go alone."""
_REFUSALS: Final = ("22", "23", "40", "55")
"""Classes of errors that PostgreSQL gives to a statement, whose transaction is then undone: bad
data, constraints, deadlocks, locks. Of others nobody can say whether the commit was done."""

Lend = Callable[[], AbstractAsyncContextManager[Any]]


class _Waiting:
    """One change. Its last parameters are the id and the time of its event."""

    __slots__ = ("args", "done")

    def __init__(self, args: tuple[Any, ...], done: asyncio.Future[Row | None]) -> None:
        self.args, self.done = args, done

    @property
    def row(self) -> tuple[Any, Any]:
        """The row that is written: the account group and the id."""
        return self.args[0], self.args[1]

    def settle(self, row: Any) -> None:
        if not self.done.done():
            self.done.set_result(row)

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Batches:
    """Sends changes on the connections that `together` lends, or one by one on those of `alone`.

    The connections of `together` have `LOCK_MS` as their lock_timeout.
    """

    def __init__(self, together: Lend, alone: Lend) -> None:
        self.sizes = Tally(SIZES)
        self._together, self._alone = together, alone
        self._waiting: dict[str, list[_Waiting]] = {}
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def change(self, sql: str, *args: Any) -> Row | None:
        """The row that a statement gives, or None; it is on disk when this returns.

        `sql` is that of `events.one_statement`. Raises what asyncpg raises.
        """
        done: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(sql, []).append(_Waiting(args, done))
        if self._under_way < AT_ONCE:
            self._under_way += 1
            self._start(self._drain())
        return await done

    async def close(self) -> None:
        """Let what is under way end."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                sql = next(iter(self._waiting))
                every = self._waiting.pop(sql)
                if len(every) > BATCH_MAX:
                    # Behind the other statements: none of them waits for all of this one.
                    self._waiting[sql] = every[BATCH_MAX:]
                batch = [each for each in every[:BATCH_MAX] if not each.done.cancelled()]
                if batch:
                    await self._send(sql, batch)
        finally:
            self._under_way -= 1

    async def _send(self, sql: str, batch: list[_Waiting]) -> None:
        # In one order of rows: two batches that met in two would wait for each other. Changes of
        # one row stay as they came.
        batch.sort(key=lambda each: each.row)
        try:
            async with self._together() as connection:
                rows = await connection.fetchmany(sql, [each.args for each in batch])
        except BaseException as error:
            if _undone(error):
                for each in batch:
                    self._start(self._send_alone(sql, each))
                return
            for each in batch:
                each.fail(error)
            if not isinstance(error, Exception):
                raise
            return
        self.sizes.add(len(batch))
        # Those that a guard refused have no row: the event's id, the last column, tells whose.
        found = {row[-1]: row[:-1] for row in rows}
        for each in batch:
            each.settle(found.get(each.args[-2]))

    async def _send_alone(self, sql: str, each: _Waiting) -> None:
        if each.done.cancelled():
            return
        try:
            async with self._alone() as connection:
                row = await connection.fetchrow(sql, *each.args)
        except BaseException as error:
            each.fail(error)
            if not isinstance(error, Exception):
                raise
            return
        self.sizes.add(1)
        each.settle(None if row is None else row[:-1])


def _undone(error: BaseException) -> bool:
    """True where the error says by itself that nothing of the transaction was written."""
    if not isinstance(error, asyncpg.PostgresError):
        return False
    state = error.sqlstate or ""
    return state[:2] in _REFUSALS or state == HELD_STATE
