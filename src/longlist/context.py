"""What a store function works with: who asks, in which account group, in which transaction.

The gate makes a Context for a request, a worker for a slice of a job, the command line for a
command. Store functions take it first and filter by its `group`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from longlist.errors import PreconditionFailed
from longlist.ids import new_id, now_ms

if TYPE_CHECKING:
    from longlist.db import Database, Transaction
    from longlist.keys.store import Key
    from longlist.preconditions import IfMatch
    from longlist.prospects.identity import KeyHasher
    from longlist.settings import Settings


AT_HOME: Final = (
    "account_group_id NOT IN (SELECT account_group_id FROM account_group_moves"
    " WHERE state <> 'kept')"
)
"""SQL for what is done from time to time to the rows of all groups: not to those of a group that
is on its way to another database, where neither side may change."""


class Installation:
    """What is the same for every request of a process: settings, database and derived secrets."""

    def __init__(self, settings: Settings, db: Database, secret: bytes) -> None:
        self.settings = settings
        self.db = db
        self.stopping = False
        """Set when the server begins to stop: readiness fails first."""
        self.jobs_ended: Counter[str] = Counter()
        """Jobs that this process has cancelled, and those it gave up as too many workers died."""
        self._secret = secret
        self.cursor_secret = self.derive(b"cursors")
        self.hasher = lru_cache(maxsize=1024)(self._hasher)

    def derive(self, purpose: bytes) -> bytes:
        """A 32-byte secret for one purpose, so that no two uses share one."""
        return hashlib.blake2b(purpose, key=self._secret, digest_size=32).digest()

    def identity_secret(self, group: bytes) -> bytes:
        """What makes the identity keys of one account group."""
        return self.derive(b"identity:" + group)

    def _hasher(self, group: bytes) -> KeyHasher:
        """Identity keys of one account group: equal people in two groups have unequal keys."""
        from longlist.prospects.identity import KeyHasher

        return KeyHasher(self.identity_secret(group))


class Context:
    """One unit of work. `now` is its time in milliseconds; `tx` is set while a body runs."""

    __slots__ = (
        "accept",
        "event_ids",
        "group",
        "if_match",
        "installation",
        "key",
        "now",
        "operation",
        "trace_id",
        "tx",
    )

    tx: Transaction

    def __init__(
        self,
        installation: Installation,
        group: bytes,
        *,
        key: Key | None = None,
        trace_id: str = "",
        if_match: IfMatch | None = None,
        operation: str = "",
        accept: str = "",
    ) -> None:
        self.installation = installation
        self.group = group
        self.key = key
        self.trace_id = trace_id
        self.if_match = if_match
        self.operation = operation
        self.accept = accept
        self.now = now_ms()
        self.event_ids: list[bytes] | None = None
        """The events that were written; None where nobody asks."""

    def new_event_id(self) -> bytes:
        """The id of an event that is about to be written."""
        id_ = new_id()
        if self.event_ids is not None:
            self.event_ids.append(id_)
        return id_

    @property
    def settings(self) -> Settings:
        return self.installation.settings

    @property
    def db(self) -> Database:
        return self.installation.db

    @property
    def hasher(self) -> KeyHasher:
        return self.installation.hasher(self.group)

    def check_if_match(self, etag: str) -> None:
        """Raise PreconditionFailed where the request's If-Match does not match `etag`."""
        if self.if_match is not None and not self.if_match.allows(etag):
            raise PreconditionFailed(etag)

    async def write(self, body: Any, *args: Any) -> Any:
        """Run `body(self, *args)` in a write transaction: for the worker and the command line."""

        async def inside(tx: Transaction) -> Any:
            self.tx = tx
            return await body(self, *args)

        return await self.db.write(inside)

    async def read(self, body: Any, *args: Any) -> Any:
        """Run `body(self, *args)` in a read transaction."""

        async def inside(tx: Transaction) -> Any:
            self.tx = tx
            return await body(self, *args)

        return await self.db.read(inside)
