"""What the job engine asks of a kind of job, and what a kind of job tells the engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from longlist.db import Transaction

C = TypeVar("C")


class Waiting(NamedTuple):
    """A job that waits, or a run that its claim makes one. Of a `partition` one runs at a time.

    `first`: its group has no job that runs or comes before it.
    """

    job_id: bytes
    partition: str
    first: bool = True


class Rest(NamedTuple):
    """What a save has left of its page, to be saved next."""

    page: Any


class JobFailed(Exception):
    """Raised by a runner to end its job as `failed` with a code and sentence of the contract."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class Runner(Protocol[C]):
    """What the engine asks of one kind of job; `C` is the kind's own claim on a job.

    Every function but `pages` runs inside a transaction, may run again after a lost race, and
    touches the kind's own tables. All but `waiting` and `held` are guarded by the claim's
    token and by `status = 'running'`, and say by False that another took the job or ended it.
    """

    async def waiting(self, tx: Transaction, limit: int) -> Sequence[Waiting]:
        """Jobs that are queued, or running without a worker, in the order to start them in.

        The order is where groups get their fair turns: the engine offers only these.
        """

    async def held(self, tx: Transaction) -> Sequence[tuple[str, bytes]]:
        """Every running job that has a worker, with the worker's id first."""

    async def claim(
        self, tx: Transaction, job_id: bytes, worker_id: str, *, alone: bool = False
    ) -> C | None:
        """Give a waiting job to the worker, as `running` with a higher token; else None. With
        `alone` only where no other job of its group runs."""

    async def take_over(self, tx: Transaction, worker_id: str, max_rescues: int) -> int:
        """Let the running jobs of a dead worker wait again, each with a higher token and one
        rescue more; end those rescued `max_rescues` times already as INTERNAL_ERROR. How many."""

    async def release(self, tx: Transaction, claim: C) -> bool:
        """Let the job wait again with a higher token, without counting a rescue."""

    def pages(self, claim: C) -> AsyncGenerator[Any, None]:
        """Pages from the claim's cursor on, fetched outside any transaction. A page carries the
        cursor that follows it, and is small enough to be saved in one slice."""

    async def save(self, tx: Transaction, claim: C, page: Any) -> bool | Rest:
        """Write a page with its cursor and counts, or a part of it where somebody waits."""

    def committed(self, claim: C) -> None:
        """Told once what the last `save`, `finish` or `fail` wrote is on disk: outside of it."""

    async def finish(self, tx: Transaction, claim: C) -> bool:
        """End the job as completed: terminal state, lock freed, event."""

    async def fail(self, tx: Transaction, claim: C, code: str, message: str) -> bool:
        """End the job as failed: terminal state, lock freed, event."""
