"""Runs prospecting jobs for the job engine: pages from the source, saved with their outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from longlist.context import Context, Installation
from longlist.db import Transaction
from longlist.ids import now_ms
from longlist.jobs import Waiting
from longlist.prospecting import file_store as files
from longlist.prospecting import queue_store as queue
from longlist.prospecting import store
from longlist.prospecting.entries import entry_of
from longlist.prospecting.sources import Source, SourcePage
from longlist.prospecting.sources.kept import Kept, open_source
from longlist.prospects import intake
from longlist.prospects.intake import Entry

KIND = "prospecting"


class Claim(msgspec.Struct):
    """A job that a worker holds under a token, with its source ready to be read."""

    group: bytes
    job: store.Job
    source: Source
    price: int


class Page(msgspec.Struct):
    """A page made ready outside any transaction: rows checked, normalised and with their keys."""

    entries: list[Entry]
    cursor: str | None


class ProspectingRunner:
    """The engine's view of prospecting jobs: see `jobs.Runner`."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def _context(self, tx: Transaction, group: bytes) -> Context:
        ctx = Context(self._installation, group)
        ctx.tx = tx
        return ctx

    async def waiting(self, tx: Transaction, limit: int) -> Sequence[Waiting]:
        return await queue.waiting_everywhere(tx, limit, now_ms())

    async def held(self, tx: Transaction) -> Sequence[tuple[str, bytes]]:
        return await queue.held_everywhere(tx)

    async def claim(self, tx: Transaction, job_id: bytes, worker_id: str) -> Claim | None:
        claimed = await queue.claim_everywhere(tx, job_id, worker_id, now_ms())
        if claimed is None:
            return None
        group, job = claimed
        kept = msgspec.json.decode(job.source, type=Kept)
        ctx = self._context(tx, group)
        file = None if job.file_id is None else await files.find(ctx, job.file_id)
        source = open_source(kept, file, self._installation.db.slice_rows)
        return Claim(group, job, source, kept.price)

    async def take_over(self, tx: Transaction, worker_id: str, max_rescues: int) -> int:
        return await queue.take_over_everywhere(tx, self._installation, worker_id, max_rescues)

    async def release(self, tx: Transaction, claim: Claim) -> bool:
        ctx = self._context(tx, claim.group)
        return await queue.release(ctx, claim.job.id, claim.job.token)

    async def pages(self, claim: Claim) -> AsyncGenerator[Page, None]:
        async for page in claim.source.pages(claim.job.cursor):
            yield await asyncio.to_thread(self._prepare, claim, page)

    def _prepare(self, claim: Claim, page: SourcePage) -> Page:
        # Of the first page a part may have been taken already: a quota ended in the middle of it.
        done = claim.job.counts.received
        hasher = self._installation.hasher(claim.group)
        return Page([entry_of(hasher, r) for r in page.rows if r.position > done], page.cursor)

    async def save(self, tx: Transaction, claim: Claim, page: Page) -> bool:
        ctx = self._context(tx, claim.group)
        job = await store.fence(ctx, claim.job.id, claim.job.token)
        if job is None:
            return False
        allowed = await store.hold_allowance(ctx, job, len(page.entries), claim.price)
        outcomes, counts, _ = await intake.take_in(
            ctx, job.audience_id, page.entries, job_id=job.id, most=allowed.most
        )
        is_whole = len(outcomes) == len(page.entries)
        cursor = page.cursor if is_whole else job.cursor
        await store.save_page(ctx, job, outcomes, counts=counts, cursor=cursor, price=allowed.price)
        if is_whole:
            return True
        if allowed.waits:
            await queue.release(ctx, job.id, job.token)
        else:
            await self._end(tx, claim, "failed", "INSUFFICIENT_CREDITS", store.NO_CREDITS_MESSAGE)
        return False

    async def finish(self, tx: Transaction, claim: Claim) -> bool:
        return await self._end(tx, claim, "completed")

    async def fail(self, tx: Transaction, claim: Claim, code: str, message: str) -> bool:
        return await self._end(tx, claim, "failed", code, message)

    async def _end(self, tx: Transaction, claim: Claim, status: Any, *error: str) -> bool:
        ctx = self._context(tx, claim.group)
        job = await store.fence(ctx, claim.job.id, claim.job.token)
        if job is None:
            return False
        await store.end(ctx, job, status, *error)
        return True
