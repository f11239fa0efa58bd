"""Reads on replicas of PostgreSQL that are shown to have every write acknowledged so far.

Before a read is done on a replica, the primary is asked how far its log is on disk, and the
replica whether it has replayed that far. Both are asked after the read has arrived: whatever had
been acknowledged by then, to whomever and by whatever process, is then there, as on the primary.
One such proof serves all the reads that were waiting when it began, so that their number costs the
primary nothing.

A replica that is behind or away is passed over until it is shown to have caught up: reads then go
to the primary, and so does one that fails on the way. Positions of two timelines cannot be
compared, so the primary's is noted in a row, which a server that lost the way at a failover never
shows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import asyncpg
import msgspec

from longlist.db import DatabaseAway, ReplicaFigures, Snapshot, Transaction
from longlist.db.postgres import PostgresReads, no_reset, session_settings
from longlist.telemetry import log

if TYPE_CHECKING:
    from longlist.db.postgres import PostgresDatabase

WAIT_S: Final = 0.01
"""A read waits this long for the replica to come up to the primary, which takes about as long as a
packet to it."""
PAUSE_S: Final = 0.0005
ANSWER_S: Final = 1.0
"""A replica that has said nothing for this long is away."""
CONNECT_S: Final = 2.0
ACQUIRE_S: Final = 1.0
"""A read that finds every connection busy for this long goes to the primary."""
BEAT_S: Final = 1.0
SOON_S: Final = 0.02
RETRY_S: Final = 0.25
"""A replica that has not been fit is asked again soon, and ever later up to this."""
_FAILURES: Final = (
    OSError,
    TimeoutError,
    DatabaseAway,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

_POSITION: Final = (
    # What was acknowledged is on disk, unless the operator has said that it need not be.
    "SELECT (CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()"
    " ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint,"
    " substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8)"
)
_NOTE_TIMELINE: Final = (
    "INSERT INTO installation (name, value) VALUES ('timeline', $1)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    " WHERE installation.value <> excluded.value"
)
_SYSTEM: Final = "SELECT system_identifier FROM pg_control_system()"
_REPLAYED: Final = (
    "SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint,"
    " (SELECT value FROM installation WHERE name = 'timeline'),"
    " current_setting('hot_standby_feedback') = 'on' WHERE pg_is_in_recovery()"
)
_INTRODUCTION: Final = (
    "SELECT system_identifier, concat_ws(' ', inet_server_addr(), inet_server_port(),"
    " extract(epoch FROM pg_postmaster_start_time())),"
    " (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint"
    " FROM pg_control_system() WHERE pg_is_in_recovery()"
)

State = Literal["current", "behind", "away"]


class Unfit(DatabaseAway):
    """A server is no replica of the primary, or a connection is not covered by a proof."""


class Mark(msgspec.Struct, frozen=True):
    """How far the primary's log was on disk, in bytes, and on which timeline."""

    position: int
    timeline: str


class Reader(asyncpg.Connection):  # type: ignore[misc]
    """A connection to a replica that knows which server it has come to, and when."""

    server: str
    opened: float
    replayed: int


class Proof(msgspec.Struct, frozen=True):
    """That `server` had replayed up to `position`, as it was asked at `at` (the loop's time)."""

    server: str
    position: int
    at: float

    def covers(self, reader: Any) -> bool:
        """Whether what this connection reads has all that was shown to be there.

        A server that crashes may come back at an earlier position, but without its connections.
        """
        return bool(
            reader.server == self.server
            and (reader.opened <= self.at or reader.replayed >= self.position)
        )


class Primary:
    """Tells how far the primary is."""

    def __init__(self, db: PostgresDatabase) -> None:
        self._db = db
        self._noted = ""
        self.system = 0
        """By what servers of one origin know each other."""

    async def mark(self) -> Mark:
        """A position that includes all that was acknowledged before. Raises DatabaseAway."""
        mark = await self._db.read(_position)
        if mark.timeline != self._noted:
            self.system = await self._db.write(_note_timeline, mark.timeline)
            self._noted = mark.timeline
            mark = await self._db.read(_position)
        return Mark(mark.position, mark.timeline)


async def _position(tx: Transaction) -> Mark:
    row = await tx.one(_POSITION)
    assert row is not None
    return Mark(row[0], row[1])


async def _note_timeline(tx: Transaction, timeline: str) -> int:
    await tx.run(_NOTE_TIMELINE, timeline)
    row = await tx.one(_SYSTEM)
    assert row is not None
    return int(row[0])


class Replica:
    """One replica: its connections, and the proofs that it has all there is."""

    def __init__(self, dsn: str, primary: Primary, *, number: int, size: int, name: str) -> None:
        self._primary = primary
        self._number = number
        self._connect = {
            "dsn": dsn,
            "connection_class": Reader,
            "timeout": CONNECT_S,
            # Also where it has become a primary since.
            "server_settings": {
                **session_settings(name), "default_transaction_read_only": "on",
            },
        }  # fmt: skip
        self._size = size
        self._pool: Any = None
        self._asker: Any = None
        self._asking: asyncio.Task[Proof | None] | None = None
        self._next: asyncio.Task[Proof | None] | None = None
        self._lapsed = asyncio.Event()
        self.state: State = "away"
        self.behind_bytes = 0
        self.keeps_snapshots = False
        """Whether it has the primary keep the rows that a long read on it still needs."""

    async def watch(self) -> None:
        """Keep connected, and find out when it is fit again, until cancelled."""
        pause = SOON_S
        try:
            while True:
                if self._asker is not None or await self._open():
                    await self.prove()
                if self.state == "current":
                    pause = SOON_S
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._lapsed.wait(), BEAT_S)
                else:
                    await asyncio.sleep(pause)
                    pause = min(RETRY_S, 2 * pause)
        finally:
            if self._next is not None:
                self._next.cancel()
            self._drop_asker()
            self._drop_pool()

    async def prove(self) -> Proof | None:
        """What shows that all acknowledged before this call is there; None where nothing does."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._asking))
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[Proof | None] | None) -> Proof | None:
        if before is not None:
            await asyncio.wait([before])
        # Who comes from here on has to wait for another proof.
        self._asking, self._next = self._next, None
        try:
            mark = await self._primary.mark()
        except _FAILURES:
            return None  # the read goes to the primary, and tells
        try:
            async with asyncio.timeout(ANSWER_S):
                proof = await self._reaches(mark)
        except _FAILURES as error:
            self._drop_asker()
            self._turn("away", error)
            return None
        self._turn("behind" if proof is None else "current")
        return proof

    async def _reaches(self, mark: Mark) -> Proof | None:
        """Wait a moment for the replica to come up to a position."""
        reader, loop = self._asker, asyncio.get_running_loop()
        if reader is None:
            raise Unfit("The replica is not connected.")
        at = loop.time()
        until, found = at + WAIT_S, await reader.fetchrow(_REPLAYED)
        self.behind_bytes = max(0, mark.position - found[0]) if found else 0
        while True:
            if found is None:
                raise Unfit("The server is not a replica.")
            if found[0] >= mark.position and found[1] == mark.timeline:
                self.keeps_snapshots = found[2]
                return Proof(reader.server, mark.position, at)
            if loop.time() > until:
                return None
            await asyncio.sleep(PAUSE_S)
            at, found = loop.time(), await reader.fetchrow(_REPLAYED)

    async def _open(self) -> bool:
        try:
            if not self._primary.system:
                await self._primary.mark()
            reader = await asyncpg.connect(**self._connect, command_timeout=ANSWER_S)
            try:
                await self._introduce(reader)
            except BaseException:
                reader.terminate()
                raise
            self._asker = reader
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    **self._connect, min_size=0, max_size=self._size, init=self._introduce,
                    reset=no_reset, command_timeout=300, max_inactive_connection_lifetime=600,
                )  # fmt: skip
        except (*_FAILURES, ValueError) as error:
            # Whoever still waits for an answer goes to the primary.
            self._drop_pool()
            self._turn("away", error)
            return False
        return True

    async def _introduce(self, reader: Any) -> None:
        found = await reader.fetchrow(_INTRODUCTION)
        if found is None or found[0] != self._primary.system:
            raise Unfit("The server is no replica of this primary.")
        reader.server, reader.replayed = found[1], found[2]
        reader.opened = asyncio.get_running_loop().time()

    def _turn(self, state: State, error: BaseException | None = None) -> None:
        if state == self.state:
            return
        # One that has much to replay may fall behind and catch up many times a second.
        tell = log.info if "away" in (state, self.state) else log.debug
        self.state = state
        if state == "current":
            self._lapsed.clear()
        else:
            self._lapsed.set()
        reason = {} if error is None else {"reason": type(error).__name__}
        tell("replica", number=self._number, state=state, **reason)

    def _drop_asker(self) -> None:
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.terminate()

    def _drop_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    @asynccontextmanager
    async def lend(self, proof: Proof) -> AsyncIterator[Any]:
        """A connection that the proof covers. Raises Unfit, or what is wrong with the replica."""
        if self._pool is None:
            raise Unfit("The replica is not connected.")
        async with self._pool.acquire(timeout=ACQUIRE_S) as reader:
            if not proof.covers(reader):
                raise Unfit("The connection is not covered by the proof.")
            yield reader


class Replicas:
    """The replicas of a primary, in turn; and the primary where none will do."""

    def __init__(self, primary: PostgresDatabase, dsns: list[str], *, size: int, name: str) -> None:
        self._primary = primary
        marks = Primary(primary)
        self._replicas = [
            Replica(dsn, marks, number=number, size=size, name=name)
            for number, dsn in enumerate(dsns, start=1)
        ]
        self._watches: list[asyncio.Task[None]] = []
        self._reads: Counter[str] = Counter(replica=0, behind=0, away=0, failed=0, stream=0)
        self._turn = 0

    async def close(self) -> None:
        """Let go of the replicas."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    def figures(self) -> ReplicaFigures:
        """How the reads were shared so far."""
        states = Counter(current=0, behind=0, away=0)
        states.update(replica.state for replica in self._replicas)
        connected = [each.behind_bytes for each in self._replicas if each.state != "away"]
        return ReplicaFigures(dict(states), dict(self._reads), max(connected, default=0))

    def _start(self) -> None:
        """With the first read: a process that answers no requests needs no replica."""
        self._watches = [asyncio.create_task(each.watch()) for each in self._replicas]

    def _pick(self) -> Replica | None:
        if not self._watches:
            self._start()
        self._turn += 1
        for at in range(len(self._replicas)):
            replica = self._replicas[(self._turn + at) % len(self._replicas)]
            if replica.state == "current":
                return replica
        return None

    async def _prove(self, *, snapshot: bool = False) -> PostgresReads | None:
        """Where a read may be done, other than on the primary."""
        replica = self._pick()
        if replica is not None and snapshot and not replica.keeps_snapshots:
            self._reads["stream"] += 1
            return None
        proof = None if replica is None else await replica.prove()
        if replica is not None and proof is not None:
            return PostgresReads(partial(replica.lend, proof))
        behind = any(each.state != "away" for each in self._replicas)
        self._reads["behind" if behind else "away"] += 1
        return None

    async def _either(self, read: Callable[[PostgresReads], Awaitable[Any]]) -> Any:
        reads = await self._prove()
        if reads is not None:
            try:
                answer = await read(reads)
            except _FAILURES:
                # Such as a row that the primary has cleared away under the read: it goes on there.
                self._reads["failed"] += 1
            except Exception:
                self._reads["replica"] += 1  # its answer is an error of the contract
                raise
            else:
                self._reads["replica"] += 1
                return answer
        return await read(self._primary)

    async def read(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._either(lambda reads: reads.read(body, *args, **kwargs))

    async def read_long(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._either(lambda reads: reads.read_long(body, *args, **kwargs))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """On a replica only where it keeps what a long read needs: a stream cannot begin anew."""
        async with AsyncExitStack() as stack:
            found: Any = None
            reads = await self._prove(snapshot=True)
            if reads is not None:
                try:
                    found = await stack.enter_async_context(reads.snapshot())
                    self._reads["replica"] += 1
                except _FAILURES:
                    self._reads["failed"] += 1
            if found is None:
                found = await stack.enter_async_context(self._primary.snapshot())
            yield found
