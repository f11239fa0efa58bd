"""Runs prospecting jobs for the job engine: pages from the source, saved with their outcomes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec

from longlist.context import Context, Installation
from longlist.db import Transaction
from longlist.ids import now_ms
from longlist.jobs import Rest, Waiting
from longlist.prospecting import file_store as files
from longlist.prospecting import monitor_store as monitors
from longlist.prospecting import queue_store as queue
from longlist.prospecting import source_store as sources
from longlist.prospecting import store
from longlist.prospecting.apart import pages_of
from longlist.prospecting.entries import entry_of
from longlist.prospecting.monitors import run_due
from longlist.prospecting.reading import Page, Reading
from longlist.prospecting.source_tokens import TokenUnreadable
from longlist.prospecting.sources import SourcePage
from longlist.prospecting.sources.kept import NO_PROVIDER_MESSAGE, Kept
from longlist.prospecting.sources.opening import Opening
from longlist.prospecting.sources.providers import SetUp
from longlist.prospects import intake
from longlist.prospects.intake import Counts

KIND = "prospecting"
_AT_END: Final = "\x03"
"""The cursor of a job whose last page is saved: None would have it begin anew."""


class Claim(msgspec.Struct):
    """A job that a worker holds under a token, with its source ready to be read."""

    group: bytes
    job: store.Job
    source: Opening
    price: int
    saved: Counts = msgspec.field(default_factory=Counts)
    """Rows of the transaction under way, or of the last one."""
    ended: str | None = None
    """The status that it ends the job in."""

    def begin(self) -> None:
        """Forget what a transaction before has noted: it is counted, or was undone."""
        self.saved, self.ended = Counts(), None


def described(claim: Claim) -> dict[str, str]:
    """What a trace tells of a job."""
    return {"longlist.job_id": claim.job.id.hex(), "longlist.source_kind": claim.job.source_kind}


class ProspectingRunner:
    """The engine's view of prospecting jobs: see `jobs.Runner`."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.rows = Counts()
        """Rows that this process has saved, by outcome."""
        self.ended: Counter[str] = Counter()
        """Jobs that this process has brought to an end, by status."""

    def _context(self, tx: Transaction, group: bytes) -> Context:
        ctx = Context(self._installation, group)
        ctx.tx = tx
        return ctx

    async def waiting(self, tx: Transaction, limit: int) -> Sequence[Waiting]:
        now = now_ms()
        runs = await monitors.due_everywhere(tx, limit, now)
        return [*runs, *await queue.waiting_everywhere(tx, limit, now)]

    async def held(self, tx: Transaction) -> Sequence[tuple[str, bytes]]:
        return await queue.held_everywhere(tx)

    async def claim(
        self, tx: Transaction, job_id: bytes, worker_id: str, *, alone: bool = False
    ) -> Claim | None:
        if len(job_id) == monitors.RUN_ID_BYTES:
            # A run that is due: what it starts waits from now on like any other job.
            await run_due(self._installation, tx, job_id)
            return None
        claimed = await queue.claim_everywhere(tx, job_id, worker_id, now_ms(), alone=alone)
        if claimed is None:
            return None
        group, job = claimed
        kept = msgspec.json.decode(job.source, type=Kept)
        source = await self._source(self._context(tx, group), job, kept)
        return Claim(group, job, source, kept.price)

    async def _source(self, ctx: Context, job: store.Job, kept: Kept) -> Opening:
        """The source of a claimed job, for which the provider is as it is set up now."""
        file = None if job.file_id is None else await files.find(ctx, job.file_id)
        set_ups: Sequence[SetUp] = ()
        unreadable = False
        try:
            set_ups = await sources.set_ups(ctx, job.source_kind)
        except TokenUnreadable:
            unreadable = True
        page_rows = self._installation.db.slice_rows
        return Opening(self._installation, ctx.group, kept, file, set_ups, page_rows, unreadable)

    async def take_over(self, tx: Transaction, worker_id: str, max_rescues: int) -> int:
        return await queue.take_over_everywhere(tx, self._installation, worker_id, max_rescues)

    async def release(self, tx: Transaction, claim: Claim) -> bool:
        ctx = self._context(tx, claim.group)
        return await queue.release(ctx, claim.job.id, claim.job.token)

    async def pages(self, claim: Claim) -> AsyncGenerator[Page, None]:
        job = claim.job
        if job.cursor == _AT_END:
            return
        done, file = job.counts.received, claim.source.file_import()
        if file is None:
            pages = self._found(claim, done)
        else:
            secret = self._installation.identity_secret(claim.group)
            pages = pages_of(Reading(secret, file, job.cursor, done))
        # Closed with this generator: a source may hold a connection, or a process.
        async with aclosing(pages):
            async for page in pages:
                yield page

    async def _found(self, claim: Claim, done: int) -> AsyncGenerator[Page, None]:
        hasher = self._installation.hasher(claim.group)

        def prepare(page: SourcePage) -> Page:
            # Of the first page a part may have been taken: a quota ended in the middle of it.
            rows = [row for row in page.rows if row.position > done]
            return Page([entry_of(hasher, row) for row in rows], page.cursor)

        async with aclosing(claim.source.pages(claim.job.cursor, done)) as pages:
            async for page in pages:
                yield await asyncio.to_thread(prepare, page)

    async def save(self, tx: Transaction, claim: Claim, page: Page) -> bool | Rest:
        began = time.monotonic()
        db = self._installation.db
        claim.begin()
        while await self._save_turn(tx, claim, page, db.turn_rows):
            page = Page(page.entries[db.turn_rows :], page.cursor)
            if not page.entries:
                return True
            if db.wanted_since(began):
                return Rest(page)
        return False

    async def _save_turn(self, tx: Transaction, claim: Claim, page: Page, most: int) -> bool:
        """Save the first rows of a page. The cursor moves with the last of them; a job that goes
        on in the middle of a page leaves out as many rows as it has received."""
        ctx = self._context(tx, claim.group)
        job = await store.fence(ctx, claim.job.id, claim.job.token)
        if job is None:
            return False
        entries = page.entries[:most]
        if not await sources.are_there(ctx, [set_up.id for set_up in claim.source.set_ups]):
            await self._end(tx, claim, "failed", "SOURCE_ERROR", NO_PROVIDER_MESSAGE)
            return False
        allowed = await store.hold_allowance(ctx, job, len(entries), claim.price)
        outcomes, counts, _ = await intake.take_in(
            ctx, job.audience_id, entries, job_id=job.id, most=allowed.most
        )
        claim.saved = claim.saved.plus(counts)
        is_whole = len(outcomes) == len(entries)
        cursor = job.cursor
        if len(outcomes) == len(page.entries):
            cursor = _AT_END if page.cursor is None else page.cursor
        await store.save_page(ctx, job, outcomes, counts=counts, cursor=cursor, price=allowed.price)
        if is_whole:
            return True
        if allowed.waits:
            await queue.release(ctx, job.id, job.token)
        else:
            await self._end(tx, claim, "failed", "INSUFFICIENT_CREDITS", store.NO_CREDITS_MESSAGE)
        return False

    def committed(self, claim: Claim) -> None:
        self.rows = self.rows.plus(claim.saved)
        if claim.ended is not None:
            self.ended[claim.ended] += 1
        claim.begin()

    async def finish(self, tx: Transaction, claim: Claim) -> bool:
        claim.begin()
        return await self._end(tx, claim, "completed")

    async def fail(self, tx: Transaction, claim: Claim, code: str, message: str) -> bool:
        claim.begin()
        return await self._end(tx, claim, "failed", code, message)

    async def _end(self, tx: Transaction, claim: Claim, status: Any, *error: str) -> bool:
        ctx = self._context(tx, claim.group)
        job = await store.fence(ctx, claim.job.id, claim.job.token)
        if job is None:
            return False
        await store.end(ctx, job, status, *error)
        claim.ended = status
        return True
