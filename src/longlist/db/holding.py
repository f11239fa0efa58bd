"""Keeps everybody from writing an account group while it is moved to another database.

By triggers that name the group and last as long as its move: no process, of whatever version, can
write past them, and a database in which nothing is moved pays nothing for them. Whoever tries gets
GroupMoves. Reading goes on. The triggers of each move have names of their own: who ends one move
cannot let go of what another one holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from longlist.db import Database, DatabaseAway, Transaction
from longlist.db.held import HELD, HELD_STATE
from longlist.db.sqlite import SqliteDatabase

Held = tuple[str, str]
"""A table, and its column with the id of the group."""
_LOCK_WAIT: Final = "500ms"
"""Others queue behind a lock that is waited for."""
_PAUSE_S: Final = 0.5
_ATTEMPTS: Final = 120


class Holding(Protocol):
    """How one engine does it, for one group. Everything may be done twice."""

    async def hold(self) -> None:
        """Once this returns every write of the group has been committed or is refused.

        Raises DatabaseAway where a transaction that writes will not end.
        """

    async def lift(self, tx: Transaction, *, deleting: bool = False) -> None:
        """Let this transaction write the group; with `deleting` it may delete and nothing else.

        What may be deleted once may be deleted from then on.
        """

    async def release(self) -> None:
        """Keep nobody out any more."""


def holding(db: Database, group: bytes, move_id: bytes, tables: Sequence[Held]) -> Holding:
    """The means of the database's engine. The tables are real ones, no full-text index."""
    name = f"moving_{group.hex()}_{move_id.hex()}"
    if isinstance(db, SqliteDatabase):
        return _SqliteHolding(db, name, group, tables)
    return _PostgresHolding(db, name, group, tables)


class _SqliteHolding:
    """Schema changes are part of a transaction, and seen by every connection's next statement."""

    def __init__(self, db: Database, name: str, group: bytes, tables: Sequence[Held]) -> None:
        self._db, self._prefix, self._group, self._tables = db, name, group.hex(), tables

    def _name(self, table: str, verb: str) -> str:
        return f"{self._prefix}_{table}_{verb.lower()}"

    async def hold(self) -> None:
        async def body(tx: Transaction) -> None:
            for table, column in self._tables:
                for verb, row in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")):
                    await tx.run(
                        f"CREATE TRIGGER IF NOT EXISTS {self._name(table, verb)}"
                        f" BEFORE {verb} ON {table} WHEN {row}.{column} = X'{self._group}'"
                        f" BEGIN SELECT RAISE(ABORT, '{HELD}'); END"
                    )

        await self._db.write(body)

    async def lift(self, tx: Transaction, *, deleting: bool = False) -> None:
        for table, _ in self._tables:
            for verb in ("DELETE",) if deleting else ("INSERT", "UPDATE", "DELETE"):
                await tx.run(f"DROP TRIGGER IF EXISTS {self._name(table, verb)}")

    async def release(self) -> None:
        await self._db.write(self.lift)


class _PostgresHolding:
    """A table at a time, each under a lock that is not waited for long.

    Making a trigger waits for the transactions that have written the table, and so for all that
    could still write the group.
    """

    def __init__(self, db: Database, name: str, group: bytes, tables: Sequence[Held]) -> None:
        self._db, self._name, self._group, self._tables = db, name, group.hex(), tables

    async def hold(self) -> None:
        await self._db.write(self._make_function)
        for table, column in self._tables:

            async def make(tx: Transaction, table: str = table, column: str = column) -> None:
                for suffix, verbs, row in (
                    ("w", "INSERT OR UPDATE", "NEW"),
                    ("d", "DELETE", "OLD"),
                ):
                    await tx.run(
                        f"CREATE OR REPLACE TRIGGER {self._name}_{suffix} BEFORE {verbs} ON {table}"
                        f" FOR EACH ROW WHEN ({row}.{column} = '\\x{self._group}'::bytea)"
                        f" EXECUTE FUNCTION {self._name}()"
                    )

            await self._patiently(table, make)

    async def _make_function(self, tx: Transaction) -> None:
        await tx.run(
            f"CREATE OR REPLACE FUNCTION {self._name}() RETURNS trigger LANGUAGE plpgsql AS $held$"
            " BEGIN"
            f" IF position(lower(TG_OP) in current_setting('longlist.{self._name}', true)) > 0 THEN"
            " IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END IF;"
            f" RAISE EXCEPTION '{HELD}' USING ERRCODE = '{HELD_STATE}';"
            " END $held$"
        )

    async def _patiently(self, table: str, body: Callable[[Transaction], Awaitable[None]]) -> None:
        """Run a body that locks a table, again and again for as long as somebody is in the way."""

        async def inside(tx: Transaction) -> None:
            await tx.one("SELECT set_config('lock_timeout', $1, true)", _LOCK_WAIT)
            await body(tx)

        for _ in range(_ATTEMPTS):
            try:
                return await self._db.write(inside)
            except DatabaseAway:
                await asyncio.sleep(_PAUSE_S)
        raise DatabaseAway(f"Another transaction holds the table {table} and does not end.")

    async def lift(self, tx: Transaction, *, deleting: bool = False) -> None:
        verbs = "delete" if deleting else "insert update delete"
        await tx.one("SELECT set_config($1, $2, true)", f"longlist.{self._name}", verbs)

    async def release(self) -> None:
        for table, _ in self._tables:

            async def drop(tx: Transaction, table: str = table) -> None:
                for suffix in ("w", "d"):
                    await tx.run(f"DROP TRIGGER IF EXISTS {self._name}_{suffix} ON {table}")

            await self._patiently(table, drop)

        async def drop_function(tx: Transaction) -> None:
            await tx.run(f"DROP FUNCTION IF EXISTS {self._name}()")

        await self._db.write(drop_function)
