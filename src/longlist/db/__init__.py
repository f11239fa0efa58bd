"""The database as the rest of the server sees it: one interface, two engines.

`await db.write(body, *args)` and `await db.read(body, *args)` run `body(tx, *args)` in one
transaction and give back what it returns. SQL is written once, with `$1` parameters, in the subset
that SQLite and PostgreSQL share; what differs lives in this package and nowhere else.

On SQLite the methods of a transaction complete without suspending, so that a whole body is driven
by one `send(None)`. A body must therefore await nothing but its own transaction: no sleep, no
file, no call to the outside. One that suspends raises RuntimeError.

A body may be run again after a lost race (a unique key taken by a concurrent transaction, a
deadlock), so it must have no effect but on its transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar

import msgspec

from longlist.db.full_text import FullText
from longlist.tally import Tally

Row = Sequence[Any]
P = ParamSpec("P")
T = TypeVar("T")

IN_VALUES: Final = "IN_VALUES"
"""Stands in SQL for "is one of the values given to `all_in`"."""


class DatabaseAway(Exception):
    """The database cannot be reached or cannot take the transaction now; nothing was written."""


class DiskFull(DatabaseAway):
    """The disk is full or failed; nothing was written."""


class GroupMoves(DatabaseAway):
    """The account group is on its way to another database and takes no write; nothing was written.

    See `db.holding`.
    """


class UniqueViolation(Exception):
    """A unique key is taken. `constraint` names the index or the columns, as the engine says."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class SchemaMismatch(Exception):
    """The schema is behind or ahead of this version; the text says what to run."""


class Pool(msgspec.Struct, frozen=True):
    """Connections that are open, and how many there may be."""

    most: int
    busy: int
    idle: int


class ReplicaFigures(msgspec.Struct, frozen=True):
    """How reads were shared between a primary and its replicas."""

    states: dict[str, int]
    """Replicas that are `current`, `behind` or `away`."""
    reads: dict[str, int]
    """Reads that a `replica` has answered, and those that went to the primary because each was
    `behind` or `away`, because the one that was asked has `failed`, or because a `stream` needs
    rows that it does not keep."""
    behind_bytes: int
    """How much of the log the replica that was furthest behind lacked when it was last asked."""


class Figures(msgspec.Struct, frozen=True):
    """What an engine notes of its own work; None for what it does not have."""

    batches: Tally | None = None
    """Group commits, by the transactions in each."""
    lock_waits: Tally | None = None
    """Times that a commit had to wait for another process's write lock, in seconds."""
    pool: Pool | None = None
    replicas: ReplicaFigures | None = None


class Column(msgspec.Struct, frozen=True):
    """A column of an event's `data`: its name in SQL, its member name, and how it is written."""

    sql: str
    member: str
    kind: Literal["id", "text", "integer", "boolean", "time"]


class Change(msgspec.Struct, frozen=True):
    """A guarded write of one row together with the event that tells of it.

    `sql` ends in `RETURNING` the `columns`, of which the first is the resource's id, and then
    further columns the caller wants back; its `$1` is the account group. Where the row was
    written, the event's `data` is the object made of `columns`, all in one transaction, on
    PostgreSQL in one statement.
    """

    sql: str
    event: str
    columns: tuple[Column, ...]
    also: tuple[str, ...] = ()

    @property
    def returning(self) -> str:
        """The columns after `RETURNING`."""
        return ", ".join([*(column.sql for column in self.columns), *self.also])


class Transaction(Protocol):
    """The statements of one transaction."""

    async def one(self, sql: str, *args: Any) -> Row | None:
        """The first row, or None."""

    async def all(self, sql: str, *args: Any) -> Sequence[Row]:
        """Every row. For answers of bounded size."""

    async def all_in(self, sql: str, values: Sequence[Any], *args: Any) -> Sequence[Row]:
        """Every row of a statement with `IN_VALUES` for `values` (bytes), of any number."""

    async def run(self, sql: str, *args: Any) -> int:
        """Run a statement; the number of rows it changed."""

    async def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row."""

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert many rows in bulk: COPY on PostgreSQL."""

    async def change(self, change: Change, *args: Any, event_id: bytes, now: int) -> Row | None:
        """Run a Change; the row it returned, or None where its guard refused."""

    async def lock(self, key: bytes) -> None:
        """Wait until no other transaction holds `key`; held to the end of this transaction."""

    async def exclusive(self, table: str) -> None:
        """Wait for the writers of a table that are under way, and keep others out to the end."""

    async def try_lock(self, key: bytes) -> bool:
        """As `lock`, but False where another transaction holds `key`."""

    async def cut_off(self, session: str) -> None:
        """End the connections of a process that opened the database under this name.

        For one that counts as dead: frozen in a transaction it would keep its rows locked. On
        SQLite, where nobody can end another's transaction, its supervisor kills the process.
        """

    async def now(self) -> int:
        """The database's own clock in milliseconds since 1970."""

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """What fails inside is undone without undoing the transaction."""


class Snapshot(Protocol):
    """A consistent view for reading in batches, held open across suspensions."""

    async def one(self, sql: str, *args: Any) -> Row | None:
        """The first row, or None."""

    async def all(self, sql: str, *args: Any) -> Sequence[Row]:
        """Every row. For answers of bounded size."""

    def stream(self, sql: str, *args: Any, size: int = 500) -> AsyncIterator[Sequence[Row]]:
        """The rows in batches of `size`, in constant memory."""


Body = Callable[Concatenate[Transaction, P], Awaitable[T]]


class Reads(Protocol):
    """Where reads are done."""

    async def read(self, body: Body[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a reading body whose cost is bounded by a key."""

    async def read_long(self, body: Body[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, for a body that may look at many rows."""

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """A consistent view for streams."""


class Database(Reads, Protocol):
    """One database, open."""

    url: str
    """For the tools that open it by SQLAlchemy: migrations and the job engine."""
    slice_rows: int
    """Rows of an import that are well written in one transaction where nobody waits for it."""
    turn_rows: int
    """Rows after which a transaction ends where somebody does."""
    one_writer: bool
    """True where writers take turns, so that a busy one has to leave pauses."""
    full_text: FullText
    """How this engine writes full-text search."""

    @property
    def reads(self) -> Reads:
        """For reads of requests: the database itself, or replicas of it.

        They see every write that was acknowledged, by whatever process, before they began.
        """

    async def start(self) -> None:
        """Connect. Raises DatabaseAway."""

    async def close(self) -> None:
        """Let what runs end, then disconnect."""

    async def write(self, body: Body[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a writing body; it is on disk when this returns. Raises DatabaseAway, DiskFull."""

    async def write_long(self, body: Body[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for a body that may run for more than a few milliseconds."""

    async def write_single(self, body: Body[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for a body that writes by at most one statement and reads besides."""

    def figures(self) -> Figures:
        """What this process has noted since it opened the database."""

    def wanted_since(self, moment: float) -> bool:
        """Whether somebody has waited for this one's write lock since a `time.monotonic()`."""

    async def scrub(self) -> bool:
        """Make what was deleted before unreadable on disk: after an erasure.

        False where somebody still reads what was deleted: to be tried again.
        """

    async def version(self) -> str:
        """The engine's name and version, for `longlist doctor`."""


def open_database(
    *, sqlite_path: Any, database_url: str, read_url: str = "", pool: int = 20, session: str = ""
) -> Database:
    """The engine that the settings name, not yet connected.

    `read_url`: replicas of a PostgreSQL. `session` as in `cut_off`, which workers have.
    """
    if database_url:
        from longlist.db.postgres import PostgresDatabase

        return PostgresDatabase(database_url, read_url=read_url, pool=pool, session=session)
    from longlist.db.sqlite import LEAN, ROOMY, SqliteDatabase

    return SqliteDatabase(sqlite_path, LEAN if session else ROOMY)
