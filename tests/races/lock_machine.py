"""Random sequences of everything that touches the lock, straight on the stores.

The machine knows which jobs are live and who holds them; after each step the database has to agree
with it and with the invariants of `invariants.py`.
"""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from longlist.accounts import store as accounts
from longlist.context import Context
from longlist.db import Row, Transaction
from longlist.errors import (
    AudienceNotReady,
    InsufficientCredits,
    NotFound,
    Unprocessable,
)
from longlist.ids import now_ms
from longlist.jobs import Rest
from longlist.prospecting import monitor_store, monitors
from longlist.prospecting import source_store as sources
from longlist.prospecting import store as jobs
from longlist.prospecting.reading import Page
from longlist.prospecting.runner import Claim
from longlist.prospecting.sources import SourceRow
from longlist.prospecting.start import StartUrlUpload, start
from longlist.prospects import intake
from longlist.prospects.person import make_person
from tests.harness import invented
from tests.races import invariants
from tests.races.audience_steps import AudienceSteps, people, profile
from tests.races.steps import CREDITS, TURN_ROWS

MAX_RESCUES = 2
WORKERS = ("one", "two", "three")
numbers_of = st.integers(0, 30)
often_false = st.sampled_from([False, False, False, True])


class Machine(AudienceSteps):
    """Who holds which live job, as the database has to agree with."""

    any_audience = AudienceSteps.any_audience
    any_watched = AudienceSteps.any_watched
    any_folder = AudienceSteps.any_folder

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[bytes, int] = {}
        """The token under which a live job is held."""
        self.holders: dict[bytes, str] = {}
        self.rescues: dict[bytes, int] = {}
        self.jobs: list[bytes] = []
        """All that were started, most of them ended by now."""
        self.claims: list[Claim] = []
        """All that were made, most of them lost by now."""
        self.rests: list[tuple[Claim, Page]] = []

    @initialize(target=any_audience, numbers=st.lists(people, min_size=1, max_size=9))
    def begin(self, numbers: list[int]) -> bytes:
        """One audience is there, with a job that a worker holds."""
        audience = self._create("on_demand")
        self._start(audience, None, numbers)
        self._claim(self.jobs[0], WORKERS[0])
        return audience

    @initialize(target=any_watched)
    def begin_to_watch(self) -> bytes:
        return self._watch(2)

    # Jobs

    @rule(audience=any_audience, numbers=st.lists(people, min_size=1, max_size=9))
    def start_on(self, audience: bytes, numbers: list[int]) -> None:
        self._start(audience, None, numbers)

    @rule(folder=any_folder, numbers=st.lists(people, min_size=1, max_size=9))
    def start_new(self, folder: bytes, numbers: list[int]) -> None:
        self._start(None, folder, numbers)

    def _start(self, audience: bytes | None, folder: bytes | None, numbers: list[int]) -> None:
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
            return
        except NotFound:
            assert folder or audience not in self.existing
            return
        except InsufficientCredits:
            return
        assert made.audience_id not in self.live.values(), "two jobs on one audience"
        self.live[made.id] = made.audience_id
        self.existing.add(made.audience_id)
        self._queued(made.id)

    def _queued(self, job: bytes) -> None:
        self.jobs.append(job)
        self.rescues[job] = 0

    def _job(self, number: int, stale: bool) -> bytes:
        """A job that waits, else one that lives; any, where none does or it shall be stale."""
        waiting = [job for job in self.live if job not in self.holders]
        among = self.jobs if stale else waiting or list(self.live) or self.jobs
        return among[number % len(among)]

    @precondition(lambda self: self.jobs)
    @rule(number=numbers_of, stale=often_false, worker=st.sampled_from(WORKERS))
    def claim(self, number: int, stale: bool, worker: str) -> None:
        self._claim(self._job(number, stale), worker)

    def _claim(self, job: bytes, worker: str) -> None:
        worker += self.group.hex()
        claim: Claim | None = self.engine(self.runner.claim, job, worker)
        may = job in self.live and job not in self.holders
        assert (claim is not None) == may
        if claim is None:
            return
        assert claim.job.token > self.tokens.get(job, 0)
        self.tokens[job], self.holders[job] = claim.job.token, worker
        self.claims.append(claim)

    def _one_of(self, claims: list[Claim], number: int, lost: bool) -> Claim:
        """One that still holds its job, unless there is none or it shall be a lost one."""
        held = [claim for claim in claims if self._holds(claim)]
        among = claims if lost or not held else held
        return among[number % len(among)]

    def _holds(self, claim: Claim) -> bool:
        return claim.job.id in self.holders and self.tokens[claim.job.id] == claim.job.token

    def _ended(self, job: bytes) -> None:
        del self.live[job]
        self.holders.pop(job, None)

    @precondition(lambda self: self.claims)
    @rule(
        number=numbers_of,
        lost=often_false,
        numbers=st.lists(people, min_size=1, max_size=7),
        wanted=st.booleans(),
    )
    def page(self, number: int, lost: bool, numbers: list[int], wanted: bool) -> None:
        """A page, of which only the first rows are saved where somebody waits."""
        claim = self._one_of(self.claims, number, lost)
        at, _ = self._come_to(claim)
        found = [
            SourceRow(at + place, {"linkedinUrl": profile(number)})
            for place, number in enumerate(numbers, 1)
        ]
        hasher = self.installation.hasher(self.group)
        entries = [intake.entry(hasher, row.position, make_person(row.values)) for row in found]
        self._save(claim, Page(entries, str(at + len(numbers))), wanted)

    @precondition(lambda self: self.rests)
    @rule(wanted=st.booleans())
    def rest_of_page(self, wanted: bool) -> None:
        """What a save has left; at once, or after its job went elsewhere or ended."""
        claim, page = self.rests.pop()
        if self._holds(claim) and page.entries[0].position != self._come_to(claim)[0] + 1:
            return  # a worker goes on with what a save has left, and with nothing else
        who = "holds it" if self._holds(claim) else "lost it"
        self.done[f"the rest of a page by who {who}"] += 1
        self._save(claim, page, wanted)

    def _save(self, claim: Claim, page: Page, wanted: bool) -> None:
        self.wanted = wanted
        held, (before, cursor) = self._holds(claim), self._come_to(claim)
        saved = self.engine(self.runner.save, claim, page)
        after, now_at = self._come_to(claim)
        if not held:
            assert saved is False
            assert (after, now_at) == (before, cursor), "written by who does not hold the job"
            return
        if saved is False:
            self._ended_by(claim, {"INSUFFICIENT_CREDITS", "SOURCE_ERROR"})
            assert now_at == cursor or after - before == len(page.entries)
            return
        if saved is True:
            assert (after - before, now_at) == (len(page.entries), page.cursor)
            return
        assert isinstance(saved, Rest)
        assert wanted
        assert (after - before, now_at) == (TURN_ROWS, cursor), "a part moves no cursor"
        assert [e.position for e in saved.page.entries] == [
            e.position for e in page.entries[TURN_ROWS:]
        ]
        self.done["a page saved in part"] += 1
        self.rests.append((claim, saved.page))

    def _come_to(self, claim: Claim) -> tuple[int, str | None]:
        """How many rows a job has handled, and the cursor it would go on from."""
        [row] = self.rows(
            "SELECT received, cursor FROM prospecting_jobs WHERE id = $1", claim.job.id
        )
        return row[0], row[1]

    def _ended_by(self, claim: Claim, codes: set[str]) -> None:
        """A save has ended its job, for one of some reasons."""
        [row] = self.rows(
            "SELECT status, error_code FROM prospecting_jobs WHERE id = $1", claim.job.id
        )
        assert row[0] == "failed"
        assert row[1] in codes
        self.done[f"ended by {row[1]}"] += 1
        self._ended(claim.job.id)

    @precondition(lambda self: self.claims)
    @rule(number=numbers_of, lost=st.booleans(), fails=st.booleans())
    def end(self, number: int, lost: bool, fails: bool) -> None:
        claim = self._one_of(self.claims, number, lost)
        if fails:
            ended = self.engine(self.runner.fail, claim, "SOURCE_ERROR", "The source failed.")
        else:
            ended = self.engine(self.runner.finish, claim)
        assert ended == self._holds(claim)
        if ended:
            self._ended(claim.job.id)

    @precondition(lambda self: self.claims)
    @rule(number=numbers_of, lost=st.booleans())
    def release(self, number: int, lost: bool) -> None:
        claim = self._one_of(self.claims, number, lost)
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
            self.done["taken over"] += 1
            if self.rescues[job] > MAX_RESCUES:
                self._ended(job)

    @precondition(lambda self: self.jobs)
    @rule(number=numbers_of, stale=st.booleans())
    def cancel(self, number: int, stale: bool) -> None:
        job = self._job(number, stale)
        was_live = job in self.live
        with contextlib.suppress(Unprocessable):
            self.write(jobs.cancel, job)
            assert was_live, "cancelled a job that had ended"
            self.done["cancelled, held" if job in self.holders else "cancelled, waiting"] += 1
            self._ended(job)
            return
        assert not was_live

    @rule()
    def offer(self) -> None:
        """The queue offers each live job that nobody runs, and each run that may start."""

        async def body(tx: Transaction) -> list[bytes]:
            return [job.job_id for job in await self.runner.waiting(tx, 1_000_000)]

        offered = set(self.engine(body))
        for job in self.live:
            assert (job in offered) == (job not in self.holders)
        for audience, due in self._monitors():
            is_due = due is not None and due <= now_ms()
            run = audience + (due or 0).to_bytes(8)
            assert (run in offered) == (is_due and audience not in self.live.values())

    # Monitors

    @rule(target=any_watched, most=st.integers(1, 3))
    def watch(self, most: int) -> bytes:
        """A new audience with a monitor, which is due at once where there is a provider."""
        return self._watch(most)

    def _watch(self, most: int) -> bytes:
        audience = self._create("monitoring")
        self._put_monitor(audience, True, most)
        return audience

    @rule(
        audience=st.one_of(any_watched, any_audience), enabled=st.booleans(), most=st.integers(1, 3)
    )
    def put_monitor(self, audience: bytes, enabled: bool, most: int) -> None:
        """Works while the audience is filling."""
        self._put_monitor(audience, enabled, most)

    def _put_monitor(self, audience: bytes, enabled: bool, most: int) -> None:
        source = monitors.MonitoredDirectorySearch(query="anyone", max_results=most)
        body = monitors.PutMonitor(source=source, interval_minutes=15, enabled=enabled)
        try:
            self.write(monitors.put, audience, body)
        except NotFound:
            assert audience not in self.existing
        except Unprocessable as refused:
            assert refused.code in ("AUDIENCE_TYPE_MISMATCH", "SOURCE_NOT_CONFIGURED")
        else:
            assert audience in self.existing

    @rule(audience=st.one_of(any_watched, any_audience))
    def delete_monitor(self, audience: bytes) -> None:
        with contextlib.suppress(NotFound):
            self.write(monitor_store.delete, audience)
        assert audience not in dict(self._monitors())

    @rule()
    def fall_due(self) -> None:
        async def body(ctx: Context) -> None:
            await ctx.tx.run(
                "UPDATE monitors SET next_run_at = $2 WHERE account_group_id = $1 AND enabled = 1",
                ctx.group,
                now_ms() - 1,
            )

        self.write(body)

    @rule(
        audience=st.one_of(any_watched, any_audience),
        late_ms=st.sampled_from([0, 0, 0, 1]),
        worker=st.sampled_from(WORKERS),
    )
    def run_monitor(self, audience: bytes, late_ms: int, worker: str) -> None:
        """A worker takes a run that it was offered, or one that another has taken meanwhile."""
        due = dict(self._monitors()).get(audience)
        run = audience + ((due or 0) + late_ms).to_bytes(8)
        assert self.engine(self.runner.claim, run, worker + self.group.hex()) is None
        made = self.rows(
            "SELECT active_job_id FROM audiences WHERE account_group_id = $1 AND id = $2"
            " AND active_job_id IS NOT NULL",
            self.group,
            audience,
        )
        if not made or made[0][0] in self.live:
            if made:
                assert dict(self._monitors()).get(audience) == due, "not left to wait for its turn"
            return
        assert audience not in self.live.values(), "two jobs on one audience"
        assert due is not None
        assert not late_ms, "a run that was not due"
        self.done["a monitor's run"] += 1
        job = bytes(made[0][0])
        self.live[job] = audience
        self._queued(job)

    def _monitors(self) -> list[tuple[bytes, int | None]]:
        """The group's monitors, and when each runs next."""
        sql = "SELECT audience_id, next_run_at FROM monitors WHERE account_group_id = $1"
        return [(bytes(row[0]), row[1]) for row in self.rows(sql, self.group)]

    @rule(there=st.booleans())
    def provider(self, there: bool) -> None:
        """The operator removes the provider, or sets it up: another one to the jobs under way."""

        async def body(ctx: Context) -> None:
            if there:
                await invented.set_up(ctx, ())
                return
            for source in await sources.list_all(ctx):
                await sources.remove(ctx, source.id)

        self.write(body)

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
