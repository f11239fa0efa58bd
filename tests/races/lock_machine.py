"""Random sequences of everything that touches the lock, straight on the stores.

The machine knows which jobs are live and who holds them; after each step the database has to agree
with it and with the invariants of `invariants.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from longlist.accounts import store as accounts
from longlist.audiences import folder_store as folders
from longlist.audiences import store as audiences
from longlist.context import Context, Installation
from longlist.db import Row, Transaction
from longlist.errors import (
    AudienceNotReady,
    Conflict,
    InsufficientCredits,
    NotFound,
    Unprocessable,
)
from longlist.prospecting import store as jobs
from longlist.prospecting.runner import Claim, Page, ProspectingRunner
from longlist.prospecting.sources import SourceRow
from longlist.prospecting.start import StartUrlUpload, start
from longlist.prospects import erasure_store as erasure
from longlist.prospects import intake
from longlist.prospects import member_store as members
from longlist.prospects import store as prospects
from longlist.prospects.person import make_person
from tests.races import invariants

CREDITS = 400
MAX_RESCUES = 2
WORKERS = ("one", "two", "three")
NOBODY = bytes(12)
people = st.integers(0, 7)
profile = "https://www.linkedin.com/in/raced-{}".format


class Machine(RuleBasedStateMachine):
    """`loop` and `installation` are set by the test, for its engine."""

    loop: asyncio.AbstractEventLoop
    installation: Installation

    any_audience = Bundle("any_audience")
    any_folder = Bundle("any_folder")
    any_job = Bundle("any_job")
    any_claim = Bundle("any_claim")

    def __init__(self) -> None:
        super().__init__()
        self.group = b""
        self.group = self.write(_new_group)
        self.runner = ProspectingRunner(self.installation)
        self.live: dict[bytes, bytes] = {}
        """The audience of each live job."""
        self.existing: set[bytes] = set()
        self.tokens: dict[bytes, int] = {}
        """The token under which a live job is held."""
        self.holders: dict[bytes, str] = {}
        self.rescues: dict[bytes, int] = {}
        self.touched = False

    # How steps run

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

    def expect(
        self, audience: bytes, body: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> Any:
        """A change of an audience: done where it is ready, refused where it is filling or gone."""
        try:
            found = self.write(body, audience, *args, **kwargs)
        except AudienceNotReady as refused:
            assert audience in self.live.values()
            named = bytes.fromhex(refused.context["jobId"])
            assert self.live[named] == audience
            return None
        except NotFound:
            return None
        assert audience in self.existing
        assert audience not in self.live.values(), "written while a job lives"
        return found

    # Audiences and folders

    @rule(target=any_audience)
    def create(self) -> bytes:
        found = self.write(audiences.create, name="A", type_="on_demand", description=None)
        self.existing.add(found.id)
        return bytes(found.id)

    @rule(target=any_folder)
    def create_folder(self) -> bytes:
        return bytes(self.write(folders.create, name="F", audience_type="on_demand").id)

    @rule(audience=any_audience, number=st.integers(0, 2))
    def rename(self, audience: bytes, number: int) -> None:
        self.expect(audience, audiences.update, name=f"N{number}")

    @rule(audience=any_audience, folder=any_folder)
    def move_in(self, audience: bytes, folder: bytes) -> None:
        self.expect(audience, folders.move_in, folder)

    @rule(audience=any_audience)
    def move_out(self, audience: bytes) -> None:
        self.expect(audience, folders.move_out)

    @rule(folder=any_folder, ungroup=st.booleans())
    def delete_folder(self, folder: bytes, ungroup: bool) -> None:
        inside = {
            row[0]
            for row in self.rows(
                "SELECT id FROM audiences WHERE account_group_id = $1 AND folder_id = $2",
                self.group,
                folder,
            )
        }
        try:
            self.write(folders.delete, folder, ungroup=ungroup)
        except AudienceNotReady:
            assert ungroup
            assert inside & set(self.live.values())
        except Conflict:
            assert inside
            assert not ungroup
        except NotFound:
            assert not inside
        else:
            assert not inside & set(self.live.values()), "ungrouped while a job lives"

    @rule(audience=any_audience)
    def delete(self, audience: bytes) -> None:
        try:
            self.write(audiences.delete, audience)
        except AudienceNotReady:
            assert audience in self.live.values()
        except NotFound:
            assert audience not in self.existing
        else:
            assert audience not in self.live.values(), "deleted while a job lives"
            self.existing.remove(audience)

    # People

    @rule(audience=any_audience, numbers=st.lists(people, min_size=1, max_size=4))
    def add(self, audience: bytes, numbers: list[int]) -> None:
        async def body(ctx: Context, audience_id: bytes) -> None:
            await prospects.lock_identity(ctx)
            await audiences.hold(ctx, audience_id)
            entries = [
                intake.entry(ctx.hasher, at, make_person({"linkedinUrl": profile(number)}))
                for at, number in enumerate(numbers, 1)
            ]
            await intake.take_in(ctx, audience_id, entries)

        self.expect(audience, body)

    @rule(audience=any_audience, number=st.integers(0, 30))
    def remove(self, audience: bytes, number: int) -> None:
        self.expect(audience, members.delete, self._someone(number))

    @rule(number=st.integers(0, 30))
    def erase(self, number: int) -> None:
        """Not held up by filling audiences."""
        someone = self._someone(number)
        try:
            self.write(erasure.erase, someone)
        except NotFound:
            assert someone == NOBODY

    def _someone(self, number: int) -> bytes:
        found = self.rows("SELECT id FROM prospects WHERE account_group_id = $1", self.group)
        return bytes(found[number % len(found)][0]) if found else NOBODY

    # Jobs

    @rule(target=any_job, audience=any_audience, numbers=st.lists(people, min_size=1, max_size=9))
    def start_on(self, audience: bytes, numbers: list[int]) -> Any:
        return self._start(audience, None, numbers)

    @rule(target=any_job, folder=any_folder, numbers=st.lists(people, min_size=1, max_size=9))
    def start_new(self, folder: bytes, numbers: list[int]) -> Any:
        return self._start(None, folder, numbers)

    def _start(self, audience: bytes | None, folder: bytes | None, numbers: list[int]) -> Any:
        body = StartUrlUpload(
            profile_urls=[profile(number) for number in numbers],
            audience_id=audience,
            audience_name=None if audience else "New",
            folder_id=folder,
        )
        try:
            made = self.write(start, body)
        except AudienceNotReady:
            assert audience in self.live.values()
            return multiple()
        except NotFound:
            assert folder or audience not in self.existing
            return multiple()
        except InsufficientCredits:
            return multiple()
        assert made.audience_id not in self.live.values(), "two jobs on one audience"
        self.live[made.id] = made.audience_id
        self.existing.add(made.audience_id)
        self.rescues[made.id] = 0
        return made.id

    @rule(target=any_claim, job=any_job, worker=st.sampled_from(WORKERS))
    def claim(self, job: bytes, worker: str) -> Any:
        worker += self.group.hex()
        claim: Claim | None = self.engine(self.runner.claim, job, worker)
        may = job in self.live and job not in self.holders
        assert (claim is not None) == may
        if claim is None:
            return multiple()
        assert claim.job.token > self.tokens.get(job, 0)
        self.tokens[job], self.holders[job] = claim.job.token, worker
        return claim

    def _holds(self, claim: Claim) -> bool:
        return claim.job.id in self.holders and self.tokens[claim.job.id] == claim.job.token

    def _ended(self, job: bytes) -> None:
        del self.live[job]
        self.holders.pop(job, None)

    @rule(claim=any_claim, numbers=st.lists(people, min_size=1, max_size=5))
    def page(self, claim: Claim, numbers: list[int]) -> None:
        at = self.rows("SELECT received FROM prospecting_jobs WHERE id = $1", claim.job.id)[0][0]
        found = [
            SourceRow(at + place, {"linkedinUrl": profile(number)})
            for place, number in enumerate(numbers, 1)
        ]
        hasher = self.installation.hasher(self.group)
        entries = [intake.entry(hasher, row.position, make_person(row.values)) for row in found]
        saved = self.engine(self.runner.save, claim, Page(entries, str(at + len(numbers))))
        assert saved == self._holds(claim)

    @rule(claim=any_claim, fails=st.booleans())
    def end(self, claim: Claim, fails: bool) -> None:
        if fails:
            ended = self.engine(self.runner.fail, claim, "SOURCE_ERROR", "The source failed.")
        else:
            ended = self.engine(self.runner.finish, claim)
        assert ended == self._holds(claim)
        if ended:
            self._ended(claim.job.id)

    @rule(claim=any_claim)
    def release(self, claim: Claim) -> None:
        released = self.engine(self.runner.release, claim)
        assert released == self._holds(claim)
        if released:
            del self.holders[claim.job.id]
            self.tokens[claim.job.id] += 1

    @rule(worker=st.sampled_from(WORKERS))
    def crash(self, worker: str) -> None:
        worker += self.group.hex()
        taken = self.engine(self.runner.take_over, worker, MAX_RESCUES)
        lost = [job for job, holder in self.holders.items() if holder == worker]
        assert taken == len(lost)
        for job in lost:
            self.rescues[job] += 1
            self.tokens[job] += 1
            del self.holders[job]
            if self.rescues[job] > MAX_RESCUES:
                self._ended(job)

    @rule(job=any_job)
    def cancel(self, job: bytes) -> None:
        was_live = job in self.live
        with contextlib.suppress(Unprocessable):
            self.write(jobs.cancel, job)
            assert was_live, "cancelled a job that had ended"
            self._ended(job)
            return
        assert not was_live

    @rule(amount=st.integers(0, CREDITS))
    def set_credits(self, amount: int) -> None:
        self.write(accounts.set_values, {"credits": amount})

    @invariant()
    def holds(self) -> None:
        async def rows(sql: str, *args: Any) -> list[Row]:
            async def body(tx: Transaction) -> list[Row]:
                return list(await tx.all(sql, *args))

            found: list[Row] = await self.installation.db.read(body)
            return found

        self.loop.run_until_complete(invariants.check(rows, self.group))
        locked = self.rows(
            "SELECT active_job_id, id FROM audiences WHERE account_group_id = $1"
            " AND active_job_id IS NOT NULL",
            self.group,
        )
        assert {row[0]: row[1] for row in locked} == self.live


async def _new_group(ctx: Context) -> bytes:
    ctx.group = (await accounts.create_everywhere(ctx, "Raced")).id
    await accounts.set_values(ctx, {"credits": CREDITS})
    return ctx.group
