"""SQLite: one writer with group commit, readers of their own.

Write transactions that arrive together share one `BEGIN IMMEDIATE ... COMMIT`, each in its own
savepoint. Bodies run on the event loop; the commit, which waits for the disk, runs in a thread
while the next batch gathers. No answer leaves before its commit is on disk, and a commit that
fails, fails every transaction in it.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

from longlist.db import (
    IN_VALUES,
    Change,
    DatabaseAway,
    DiskFull,
    Figures,
    GroupMoves,
    Reads,
    Row,
    UniqueViolation,
)
from longlist.db.events import INSERT as INSERT_EVENT
from longlist.db.events import data_of
from longlist.db.full_text import FTS5
from longlist.db.held import HELD
from longlist.db.turns import Turns
from longlist.ids import now_ms
from longlist.tally import SECONDS, SIZES, Tally

BATCH_S: Final = 0.005
BATCH_MAX: Final = 512
BUSY_LIMIT_S: Final = 10.0
READERS: Final = 4
_CHUNK: Final = 256
_INSERT_ROWS: Final = 64
_SCRUB_WAIT_MS: Final = 100

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)
ROOMY: Final = ("PRAGMA cache_size = -65536", "PRAGMA mmap_size = 268435456")
LEAN: Final = ("PRAGMA cache_size = -32768", "PRAGMA mmap_size = 0")
"""Of a worker: what it has mapped would count as its own memory, and grow with the database, while
rows of an import seldom find a page again that one of before had used."""
_PARAMETER: Final = re.compile(r"\$(\d+)")


@lru_cache(maxsize=4096)
def _translate(sql: str) -> tuple[str, tuple[int, ...] | None]:
    """SQLite's text of a statement, and the order of its arguments where it is not plain."""
    order = tuple(int(number) - 1 for number in _PARAMETER.findall(sql))
    plain = order == tuple(range(len(order)))
    return _PARAMETER.sub("?", sql), None if plain else order


def _bind(sql: str, args: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    text, order = _translate(sql)
    return text, args if order is None else [args[at] for at in order]


def _mapped(error: sqlite3.Error) -> Exception:
    """The error of this package that stands for an error of the driver."""
    if isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in str(error):
        return UniqueViolation(str(error).partition(": ")[2])
    if HELD in str(error):
        return GroupMoves(HELD)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return DiskFull("The disk of the database is full or failed.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN):
        return DatabaseAway("The database is locked by another process.")
    return error


def _drive(body: Coroutine[Any, Any, Any]) -> Any:
    """Run a body to its end in one go."""
    try:
        body.send(None)
    except StopIteration as end:
        return end.value
    body.close()
    raise RuntimeError("A transaction's body awaited something other than its transaction.")


def connect(path: Path | str, memory: Sequence[str] = ROOMY) -> sqlite3.Connection:
    """A connection with the settings that every user of the file shares; `memory` is its own."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=5.0
    )
    for pragma in (*_PRAGMAS, *memory):
        connection.execute(pragma)
    return connection


class SqliteTransaction:
    """Statements on one connection, each complete when it returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute

    def _cursor(self, sql: str, args: Sequence[Any]) -> sqlite3.Cursor:
        text, bound = _bind(sql, args)
        try:
            return self._execute(text, bound)
        except sqlite3.Error as error:
            raise _mapped(error) from error

    async def one(self, sql: str, *args: Any) -> Row | None:
        # Every row is fetched, so that the statement is at its end and holds nothing open.
        rows = self._cursor(sql, args).fetchall()
        return rows[0] if rows else None

    async def all(self, sql: str, *args: Any) -> Sequence[Row]:
        return self._cursor(sql, args).fetchall()

    async def all_in(self, sql: str, values: Sequence[Any], *args: Any) -> Sequence[Row]:
        rows: list[Row] = []
        for start in range(0, len(values), _CHUNK):
            chunk = list(values[start : start + _CHUNK])
            # Rounded up to a power of two by repeating a value: a few statements serve all sizes.
            size = 1 << (len(chunk) - 1).bit_length()
            chunk += chunk[-1:] * (size - len(chunk))
            marks = ", ".join(f"${len(args) + 1 + at}" for at in range(size))
            rows += self._cursor(sql.replace(IN_VALUES, f"IN ({marks})"), (*args, *chunk))
        return rows

    async def run(self, sql: str, *args: Any) -> int:
        return self._cursor(sql, args).rowcount

    async def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        text, order = _translate(sql)
        if order is not None:
            rows = ([row[at] for at in order] for row in rows)
        try:
            self._connection.executemany(text, rows)
        except sqlite3.Error as error:
            raise _mapped(error) from error

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        # Many rows a statement: each costs the driver one step, and a worker's other threads one
        # chance to take the interpreter's lock.
        marks = f"({', '.join('?' * len(columns))})"
        start = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
        whole = len(rows) - len(rows) % _INSERT_ROWS
        try:
            if whole:
                sql = start + ", ".join([marks] * _INSERT_ROWS)
                for at in range(0, whole, _INSERT_ROWS):
                    self._execute(sql, list(chain.from_iterable(rows[at : at + _INSERT_ROWS])))
            self._connection.executemany(start + marks, rows[whole:])
        except sqlite3.Error as error:
            raise _mapped(error) from error

    async def change(self, change: Change, *args: Any, event_id: bytes, now: int) -> Row | None:
        row = await self.one(change.sql, *args)
        if row is not None:
            event = (args[0], event_id, change.event, now, row[0], data_of(change, row))
            self._cursor(INSERT_EVENT, event)
        return row

    async def lock(self, key: bytes) -> None:
        """There is one writer: the transaction itself is the lock."""

    async def exclusive(self, table: str) -> None:
        """There is one writer."""

    async def try_lock(self, key: bytes) -> bool:
        return True

    async def cut_off(self, session: str) -> None:
        pass

    async def now(self) -> int:
        return now_ms()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self._execute("SAVEPOINT inner_part")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._execute("ROLLBACK TO inner_part")
                self._execute("RELEASE inner_part")
            raise
        self._execute("RELEASE inner_part")


class SqliteSnapshot:
    """A read transaction held open; each batch is fetched in a thread."""

    def __init__(self, connection: sqlite3.Connection, run: Callable[..., Any]) -> None:
        self._connection = connection
        self._run = run

    async def one(self, sql: str, *args: Any) -> Row | None:
        rows = await self.all(sql, *args)
        return rows[0] if rows else None

    async def all(self, sql: str, *args: Any) -> Sequence[Row]:
        text, bound = _bind(sql, args)
        rows: list[Row] = await self._run(lambda: self._connection.execute(text, bound).fetchall())
        return rows

    async def stream(self, sql: str, *args: Any, size: int = 500) -> AsyncIterator[Sequence[Row]]:
        text, bound = _bind(sql, args)
        cursor = await self._run(lambda: self._connection.execute(text, bound))
        while batch := await self._run(cursor.fetchmany, size):
            yield batch


class _Waiting:
    """A write that waits for its turn."""

    __slots__ = ("args", "body", "future", "kwargs", "long")

    def __init__(
        self, body: Any, args: Any, kwargs: Any, future: asyncio.Future[Any], long: bool
    ) -> None:
        self.body, self.args, self.kwargs = body, args, kwargs
        self.future, self.long = future, long

    def settle(self, error: BaseException | None, value: Any) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)


class SqliteDatabase:
    """The embedded engine. `batches` counts commits, by the transactions in each."""

    slice_rows = 2000
    turn_rows = 250
    one_writer = True
    full_text = FTS5

    def __init__(self, path: Path, memory: Sequence[str] = ROOMY) -> None:
        self.path = path
        self._memory = memory
        self.url = f"sqlite:///{path}"
        self.batches = Tally(SIZES)
        self._lock_waits = Tally(SECONDS)
        self._queue: deque[_Waiting] = deque()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._writer = self._connect()
            self._writer.execute("PRAGMA busy_timeout = 0")
            self._reader = self._connect()
            self._turns = Turns(self.path)
        except (sqlite3.Error, OSError) as error:
            raise DatabaseAway(f"The database file cannot be opened: {error}") from error
        self._reading = SqliteTransaction(self._reader)
        self._writing = SqliteTransaction(self._writer)
        self._writer_thread = ThreadPoolExecutor(1, "sqlite-writer")
        self._reader_threads = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._idle_readers: list[sqlite3.Connection] = []
        self._task = asyncio.get_running_loop().create_task(self._serve_writes())

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, self._memory)

    async def close(self) -> None:
        if self._task is None:
            return
        self._closing = True
        self._wanted.set()
        await self._task
        self._task = None
        self._writer_thread.shutdown()
        self._reader_threads.shutdown()
        for connection in (self._reader, *self._idle_readers, self._writer):
            connection.close()
        self._turns.close()

    @property
    def reads(self) -> Reads:
        return self

    def figures(self) -> Figures:
        return Figures(batches=self.batches, lock_waits=self._lock_waits)

    def wanted_since(self, moment: float) -> bool:
        return bool(self._queue) or self._turns.asked_since(moment)

    async def write(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._enqueue(body, args, kwargs, long=False)

    write_single = write

    async def write_long(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._enqueue(body, args, kwargs, long=True)

    def _enqueue(self, body: Any, args: Any, kwargs: Any, *, long: bool) -> asyncio.Future[Any]:
        if self._closing:
            raise DatabaseAway("The database is closing.")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(body, args, kwargs, future, long))
        self._wanted.set()
        return future

    async def _serve_writes(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wanted.clear()
                await self._wanted.wait()
                continue
            if self._queue[0].future.cancelled():
                self._queue.popleft()
                continue
            try:
                await self._begin()
            except Exception as error:
                # Told to all that wait: in turns, the last would wait for all limits before it.
                while self._queue:
                    self._queue.popleft().settle(error, None)
                continue
            await self._serve_batch()

    async def _begin(self) -> None:
        """Take the write lock, asking every millisecond while another process has it.

        SQLite's own busy handler sleeps ever longer and would lose against a busy worker.
        """
        began, waited = time.monotonic(), False
        while True:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                mapped = _mapped(error)
                if type(mapped) is not DatabaseAway or time.monotonic() > began + BUSY_LIMIT_S:
                    raise mapped from error
                waited = True
                self._turns.ask()
                await asyncio.sleep(0.001)
            else:
                if waited:
                    self._lock_waits.add(time.monotonic() - began)
                return

    async def _serve_batch(self) -> None:
        loop = asyncio.get_running_loop()
        if self._queue[0].long:
            # Body and commit in the thread: it would hold the loop up.
            batch = [self._queue.popleft()]
            done = [await loop.run_in_executor(self._writer_thread, self._run_one, batch[0])]
        else:
            batch, done = [], []
            until = time.monotonic() + BATCH_S
            while self._queue and len(batch) < BATCH_MAX and not self._queue[0].long:
                waiting = self._queue.popleft()
                if waiting.future.cancelled():
                    continue
                batch.append(waiting)
                done.append(self._run_one(waiting))
                if time.monotonic() > until or not self._writer.in_transaction:
                    break
        failure = await loop.run_in_executor(self._writer_thread, self._commit)
        self.batches.add(len(batch))
        for waiting, (error, value) in zip(batch, done, strict=True):
            waiting.settle(error or failure, value)

    def _run_one(self, waiting: _Waiting) -> tuple[BaseException | None, Any]:
        """Run one body in its savepoint; its error is its own and not the batch's."""
        execute = self._writer.execute
        try:
            execute("SAVEPOINT one")
            value = _drive(waiting.body(self._writing, *waiting.args, **waiting.kwargs))
            execute("RELEASE one")
        except BaseException as error:
            # After SQLITE_FULL and SQLITE_IOERR the transaction is gone: nothing to roll back.
            if self._writer.in_transaction:
                execute("ROLLBACK TO one")
                execute("RELEASE one")
            return (_mapped(error) if isinstance(error, sqlite3.Error) else error), None
        return None, value

    def _commit(self) -> Exception | None:
        if not self._writer.in_transaction:
            return DiskFull("The transaction was lost; nothing of it was written.")
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return _mapped(error)
        return None

    async def read(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        return self._read_on(self._reader, self._reading, body, args, kwargs)

    async def read_long(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._reader_threads, self._read_in_thread, body, args, kwargs
        )

    @staticmethod
    def _read_on(
        connection: sqlite3.Connection,
        transaction: SqliteTransaction,
        body: Any,
        args: Any,
        kwargs: Any,
    ) -> Any:
        try:
            connection.execute("BEGIN")
            try:
                return _drive(body(transaction, *args, **kwargs))
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _mapped(error) from error

    def _take_reader(self) -> sqlite3.Connection:
        return self._idle_readers.pop() if self._idle_readers else self._connect()

    def _read_in_thread(self, body: Any, args: Any, kwargs: Any) -> Any:
        connection = self._take_reader()
        try:
            return self._read_on(connection, SqliteTransaction(connection), body, args, kwargs)
        finally:
            self._idle_readers.append(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SqliteSnapshot]:
        loop = asyncio.get_running_loop()

        def run(call: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
            return loop.run_in_executor(self._reader_threads, call, *args)

        connection = await run(self._take_reader)
        try:
            await run(connection.execute, "BEGIN")
            yield SqliteSnapshot(connection, run)
        finally:
            await run(self._give_back, connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        self._idle_readers.append(connection)

    async def scrub(self) -> bool:
        """Empty the write-ahead log: `secure_delete` has overwritten the pages in the file.

        False while a reader, such as a long export, still needs the log. It is not waited for:
        the checkpoint would hold up every writer meanwhile.
        """

        def checkpoint() -> bool:
            connection = self._connect()
            try:
                connection.execute(f"PRAGMA busy_timeout = {_SCRUB_WAIT_MS}")
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.close()
            return not busy

        return await asyncio.get_running_loop().run_in_executor(self._reader_threads, checkpoint)

    async def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"
