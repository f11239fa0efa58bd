"""PostgreSQL through asyncpg: one statement per write where it can be.

Isolation is READ COMMITTED. Guards stand in the WHERE of the statement that writes, so that a
concurrent change is seen by the statement itself and not by a look-up before it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from longlist.db import (
    IN_VALUES,
    Change,
    DatabaseAway,
    DiskFull,
    Figures,
    GroupMoves,
    Pool,
    Reads,
    Row,
    UniqueViolation,
)
from longlist.db.events import one_statement
from longlist.db.full_text import TSVECTOR
from longlist.db.held import HELD, HELD_STATE
from longlist.db.postgres_batches import AT_ONCE, LOCK_MS, Batches, Lend

if TYPE_CHECKING:
    from longlist.db.replicas import Replicas

_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that the server has just cut
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
_FAILURES: Final = (*_AWAY, asyncpg.PostgresError)
ATTEMPTS: Final = 6
ACQUIRE_S: Final = 10.0
IDLE_MS: Final = 5_000
"""The server ends a transaction whose client has sent nothing for this long, and frees its rows: a
frozen worker must not keep the others from taking its jobs over when it counts as dead."""
_HOSTS: Final = re.compile(r"(?P<start>[^/]*//(?:[^@/?]*@)?)(?P<hosts>[^/?]*)(?P<rest>.*)\Z")
_COUNT: Final = re.compile(r"(\d+)\Z")
_CUT_OFF: Final = (
    # Of processes of this installation, which has its database and its role.
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
    " AND datname = current_database() AND usename = current_user"
)
_SCRUBBED: Final = ("prospects", "prospect_keys", "memberships", "directory_people")
_SCRUB_WAIT_S: Final = 30.0
_OLDER_TRANSACTIONS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND xact_start < $1"
)


class LostRace(DatabaseAway):
    """A deadlock or a conflict, which running the transaction again may resolve."""


@lru_cache(maxsize=1024)
def _any_of(sql: str, parameters: int) -> str:
    return sql.replace(IN_VALUES, f"= ANY(${parameters + 1}::bytea[])")


@lru_cache(maxsize=1024)
def _with_event(change: Change, parameters: int) -> str:
    return one_statement(change, parameters)


def application_name(session: str) -> str:
    """What PostgreSQL calls the connections of a process."""
    return f"longlist {session}".strip()


def each_host(database_url: str) -> list[str]:
    """A URL for each host of one that names several."""
    found = _HOSTS.match(database_url)
    if found is None:
        return [database_url]
    return [found["start"] + host + found["rest"] for host in found["hosts"].split(",")]


def session_settings(name: str) -> dict[str, str]:
    """What every connection of a process sets; `name` as `application_name` gives it."""
    return {
        "application_name": name,
        "jit": "off",
        "idle_in_transaction_session_timeout": str(IDLE_MS),
    }


def sqlalchemy_url(database_url: str) -> str:
    """The same database as SQLAlchemy names it, which takes several hosts as parameters alone."""
    url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", database_url)
    found = _HOSTS.match(url)
    if found is None or "," not in found["hosts"]:
        return url
    rest = found["rest"] + ("&" if "?" in found["rest"] else "?")
    return found["start"] + rest + "&".join(f"host={host}" for host in found["hosts"].split(","))


def _lock_number(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), signed=True)


class PostgresTransaction:
    """Statements on one connection, in a transaction or each on its own."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def one(self, sql: str, *args: Any) -> Row | None:
        try:
            row: Row | None = await self._connection.fetchrow(sql, *args)
        except asyncpg.UniqueViolationError as error:
            raise UniqueViolation(error.constraint_name or "") from error
        return row

    async def all(self, sql: str, *args: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self._connection.fetch(sql, *args)
        return rows

    async def all_in(self, sql: str, values: Sequence[Any], *args: Any) -> Sequence[Row]:
        if not values:
            return []
        rows: Sequence[Row] = await self._connection.fetch(
            _any_of(sql, len(args)), *args, list(values)
        )
        return rows

    async def run(self, sql: str, *args: Any) -> int:
        try:
            status = await self._connection.execute(sql, *args)
        except asyncpg.UniqueViolationError as error:
            raise UniqueViolation(error.constraint_name or "") from error
        found = _COUNT.search(status)
        return int(found[1]) if found else 0

    async def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            await self._connection.executemany(sql, rows)
        except asyncpg.UniqueViolationError as error:
            raise UniqueViolation(error.constraint_name or "") from error

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        if not rows:
            return
        try:
            await self._connection.copy_records_to_table(table, columns=columns, records=rows)
        except asyncpg.UniqueViolationError as error:
            raise UniqueViolation(error.constraint_name or "") from error

    async def change(self, change: Change, *args: Any, event_id: bytes, now: int) -> Row | None:
        row = await self.one(_with_event(change, len(args)), *args, event_id, now)
        return None if row is None else row[:-1]

    async def lock(self, key: bytes) -> None:
        await self._connection.execute("SELECT pg_advisory_xact_lock($1)", _lock_number(key))

    async def exclusive(self, table: str) -> None:
        await self._connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")

    async def try_lock(self, key: bytes) -> bool:
        taken: bool = await self._connection.fetchval(
            "SELECT pg_try_advisory_xact_lock($1)", _lock_number(key)
        )
        return taken

    async def cut_off(self, session: str) -> None:
        await self._connection.execute(_CUT_OFF, application_name(session))

    async def now(self) -> int:
        ms: int = await self._connection.fetchval(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        )
        return ms

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            yield


class _Lending:
    """Stands for a connection where each statement may have one of its own."""

    def __init__(self, acquire: Lend) -> None:
        self._acquire = acquire

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        async with self._acquire() as connection:
            return await connection.fetchrow(sql, *args)

    async def fetch(self, sql: str, *args: Any) -> Any:
        async with self._acquire() as connection:
            return await connection.fetch(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        async with self._acquire() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> Any:
        async with self._acquire() as connection:
            return await connection.execute(sql, *args)


class _Singles(PostgresTransaction):
    """Statements that are each a transaction of their own, changes together with those of others.

    It has no connection to itself, so there is nothing that lasts from one statement to the next.
    """

    def __init__(self, acquire: Lend, batches: Batches) -> None:
        super().__init__(_Lending(acquire))
        self._batches = batches

    async def change(self, change: Change, *args: Any, event_id: bytes, now: int) -> Row | None:
        try:
            return await self._batches.change(_with_event(change, len(args)), *args, event_id, now)
        except asyncpg.UniqueViolationError as error:
            raise UniqueViolation(error.constraint_name or "") from error


class PostgresSnapshot:
    """A REPEATABLE READ transaction held open for a stream."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def one(self, sql: str, *args: Any) -> Row | None:
        row: Row | None = await self._connection.fetchrow(sql, *args)
        return row

    async def all(self, sql: str, *args: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self._connection.fetch(sql, *args)
        return rows

    async def stream(self, sql: str, *args: Any, size: int = 500) -> AsyncIterator[Sequence[Row]]:
        cursor = await self._connection.cursor(sql, *args)
        while batch := await cursor.fetch(size):
            yield batch


async def no_reset(_connection: Any) -> None:
    """Nothing here changes a session, so a returned connection needs no round trip to clean it."""


def _mapped(error: BaseException) -> BaseException:
    if isinstance(error, asyncpg.DiskFullError):
        return DiskFull("The disk of the database is full.")
    # An internal error of the server is one of timing as a rule: its transaction is undone, so it
    # may run again, and what stays broken ends as a 503.
    if isinstance(
        error,
        asyncpg.SerializationError | asyncpg.DeadlockDetectedError | asyncpg.InternalServerError,
    ):
        return LostRace("Other transactions were in the way.")
    if isinstance(error, _AWAY):
        return DatabaseAway("The database cannot be reached.")
    if getattr(error, "sqlstate", None) == HELD_STATE:
        return GroupMoves(HELD)
    return error


class PostgresReads:
    """Reads on the connections that `acquire` lends."""

    def __init__(self, acquire: Lend) -> None:
        self._acquire = acquire

    async def _in_transaction(
        self, body: Any, args: Any, kwargs: Any, *, autocommit: bool = False
    ) -> Any:
        try:
            async with self._acquire() as connection:
                transaction = PostgresTransaction(connection)
                if autocommit:
                    return await body(transaction, *args, **kwargs)
                async with connection.transaction():
                    return await body(transaction, *args, **kwargs)
        except _FAILURES as error:
            raise _mapped(error) from error

    async def read(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._in_transaction(body, args, kwargs, autocommit=True)

    async def read_long(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            async with (
                self._acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                return await body(PostgresTransaction(connection), *args, **kwargs)
        except _FAILURES as error:
            raise _mapped(error) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresSnapshot]:
        try:
            async with (
                self._acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                # A stream may wait long for a slow client, and holds no row.
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield PostgresSnapshot(connection)
        except _FAILURES as error:
            raise _mapped(error) from error


class PostgresDatabase(PostgresReads):
    """A pool of connections to one PostgreSQL installation."""

    slice_rows = 4000
    turn_rows = 4000
    one_writer = False
    full_text = TSVECTOR

    def __init__(
        self, database_url: str, *, pool: int, session: str = "", read_url: str = ""
    ) -> None:
        super().__init__(lambda: self._pool.acquire(timeout=ACQUIRE_S))
        self._batches = Batches(
            together=lambda: self._batch_pool.acquire(timeout=ACQUIRE_S), alone=self._acquire
        )
        self._singles = _Singles(self._acquire, self._batches)
        self.dsn = database_url
        self.url = sqlalchemy_url(database_url)
        self._size = pool
        self._name = application_name(session)
        self._pool: Any = None
        self._batch_pool: Any = None
        self._read_url = read_url
        self._replicas: Replicas | None = None

    async def start(self) -> None:
        settings = session_settings(self._name)
        patience = {"lock_timeout": str(LOCK_MS)}
        try:
            self._pool = await self._open_pool(1, max(1, self._size - AT_ONCE), settings)
            self._batch_pool = await self._open_pool(0, AT_ONCE, settings | patience)
        except (*_AWAY, asyncpg.PostgresError, ValueError) as error:
            raise DatabaseAway(
                "The database cannot be reached; check LONGLIST_DATABASE_URL and that it runs."
            ) from error

    async def _open_pool(self, now: int, most: int, settings: dict[str, str]) -> Any:
        return await asyncpg.create_pool(
            self.dsn,
            # No floor: while the server is away the pool would try, and log, by itself.
            min_size=0,
            init_size=now,
            max_size=most,
            reset=no_reset,
            command_timeout=300,
            max_inactive_connection_lifetime=600,
            server_settings=settings,
        )

    @property
    def reads(self) -> Reads:
        if self._replicas is None and self._read_url:
            from longlist.db.replicas import Replicas

            self._replicas = Replicas(
                self, each_host(self._read_url), size=self._size, name=self._name
            )
        return self._replicas or self

    async def close(self) -> None:
        if self._replicas is not None:
            await self._replicas.close()
        pools = [pool for pool in (self._pool, self._batch_pool) if pool is not None]
        try:
            async with asyncio.timeout(10):
                await self._batches.close()
                for pool in pools:
                    await pool.close()
        except TimeoutError:
            for pool in pools:
                pool.terminate()
        self._pool = self._batch_pool = None

    @staticmethod
    async def _until_won(run: Callable[[], Awaitable[Any]]) -> Any:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await run()
            except (LostRace, UniqueViolation):
                # Run again: its look-ups now see the transaction that won.
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(0.002 * attempt)
        raise AssertionError("unreachable")

    async def write(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._until_won(lambda: self._in_transaction(body, args, kwargs))

    write_long = write

    async def write_single(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        """Each statement is its own transaction, and a change shares that of others."""

        async def run() -> Any:
            try:
                return await body(self._singles, *args, **kwargs)
            except _FAILURES as error:
                raise _mapped(error) from error

        return await self._until_won(run)

    async def scrub(self) -> bool:
        """Free the dead rows; a plain VACUUM overwrites nothing that somebody may still read.

        So the transactions that were running when it began have to end first.
        """
        async with self._pool.acquire(timeout=ACQUIRE_S) as connection:
            began = await connection.fetchval("SELECT clock_timestamp()")
            until = time.monotonic() + _SCRUB_WAIT_S
            while older := await connection.fetchval(_OLDER_TRANSACTIONS, began):
                if time.monotonic() > until:
                    break
                await asyncio.sleep(0.1)
            for table in _SCRUBBED:
                await connection.execute(f"VACUUM {table}", timeout=3600)
        return not older

    def figures(self) -> Figures:
        pool = self._pool
        if pool is None:
            return Figures()
        pools = (pool, self._batch_pool)
        idle = sum(each.get_idle_size() for each in pools)
        busy = sum(each.get_size() for each in pools) - idle
        return Figures(
            batches=self._batches.sizes,
            pool=Pool(most=self._size, busy=busy, idle=idle),
            replicas=None if self._replicas is None else self._replicas.figures(),
        )

    def wanted_since(self, moment: float) -> bool:
        return False

    async def version(self) -> str:
        async with self._pool.acquire(timeout=ACQUIRE_S) as connection:
            return f"PostgreSQL {await connection.fetchval('SHOW server_version')}"
