"""Steps of a state machine that are transactions of one account group, on an open installation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine

from longlist.accounts import store as accounts
from longlist.context import Context, Installation
from longlist.db import Row, Transaction
from longlist.prospecting.runner import ProspectingRunner
from tests.harness import invented

CREDITS = 400
TURN_ROWS = 2
"""After so many rows a page is cut where somebody waits."""


class Steps(RuleBasedStateMachine):
    """`loop` and `installation` are set by the test, for its engine."""

    loop: asyncio.AbstractEventLoop
    installation: Installation
    done: ClassVar[Counter[str]] = Counter()
    """How often something happened that takes several steps to come to."""

    def __init__(self) -> None:
        super().__init__()
        self.group = b""
        self.group = self.write(_new_group)
        self.runner = ProspectingRunner(self.installation)
        self.wanted = False
        """Whether somebody waits for the write lock, as a job is told that saves a page."""
        db: Any = self.installation.db
        db.turn_rows, db.wanted_since = TURN_ROWS, lambda _moment: self.wanted

    def write(self, body: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        async def inside(ctx: Context) -> Any:
            return await body(ctx, *args, **kwargs)

        context = Context(self.installation, self.group)
        return self.loop.run_until_complete(context.write(inside))

    def engine(self, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run what the job engine runs: it is given the transaction itself."""
        return self.loop.run_until_complete(self.installation.db.write(body, *args))

    def rows(self, sql: str, *args: Any) -> list[Row]:
        async def body(tx: Transaction) -> list[Row]:
            return list(await tx.all(sql, *args))

        found: list[Row] = self.loop.run_until_complete(self.installation.db.read(body))
        return found


async def _new_group(ctx: Context) -> bytes:
    ctx.group = (await accounts.create_everywhere(ctx, "Raced")).id
    await accounts.set_values(ctx, {"credits": CREDITS})
    await invented.set_up(ctx, ())
    return ctx.group
