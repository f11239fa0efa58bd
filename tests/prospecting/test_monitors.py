"""Monitors and their runs (contract 6.7)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from longlist.ids import now_ms, rfc3339
from longlist.prospecting import source_store as sources
from longlist.prospecting.monitors import run_due
from longlist.prospecting.sources import registry
from tests.harness import invented, logs
from tests.harness.answer import Answer
from tests.harness.tenant import UNKNOWN, Tenant
from tests.harness.worker import HandWorker

MINUTE_MS = 60_000
ADA, BEN, CLEO = (f"{name}@example.com" for name in ("ada", "ben", "cleo"))
SEARCH = {"type": "directory_search", "query": "fintech"}
SOURCES: list[dict[str, Any]] = [
    SEARCH,
    {
        "type": "linkedin_search",
        "maxResults": 7,
        "searchUrl": "https://www.linkedin.com/search/results/people/?keywords=cto",
    },
    {"type": "sales_navigator", "searchEmails": True, "savedSearchId": "50123"},
    {"type": "sales_navigator", "maxResults": 9, "leadListId": "6912"},
    {"type": "post_commenters", "postUrl": "https://www.linkedin.com/posts/orbitpay_launch-7"},
    {**SEARCH, "filters": {"titles": ["CTO"], "locations": ["Ghent", "Utrecht"]}},
    {**SEARCH, "filters": {}},
]


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("packages")
    invented.install(folder)
    sys.path.insert(0, str(folder))
    registry.forget()
    yield
    sys.path.remove(str(folder))
    registry.forget()


class Watch:
    """An audience for monitoring, in a group with a provider."""

    def __init__(self, api: Tenant, people: Sequence[str] = ()) -> None:
        self.api = api
        self.worker = HandWorker(api.server)
        self.finds(*people)
        self.audience: str = api.audience("Watched", "monitoring")["id"]
        self.target = f"AG/audiences/{self.audience}/monitor"

    def finds(self, *people: str) -> None:
        """What the provider gives from now on."""
        self.api.server.write(invented.set_up, people, group=self.api.group)

    def put(self, headers: Any = (), interval: int = 60, **more: Any) -> Answer:
        body = {"source": SEARCH, "intervalMinutes": interval, **more}
        return self.api.send("PUT", self.target, json=body, headers=headers)

    def get(self) -> Answer:
        return self.api.get(self.target).expect(200)

    @property
    def shown(self) -> Any:
        return self.get().data

    @property
    def due_at(self) -> int | None:
        found: int | None = self.api.server.value(
            "SELECT next_run_at FROM monitors WHERE audience_id = $1", bytes.fromhex(self.audience)
        )
        return found

    @property
    def run_id(self) -> str:
        """The name of the next run."""
        assert self.due_at is not None
        return self.audience + self.due_at.to_bytes(8).hex()

    def is_due(self) -> bool:
        """Whether a worker is offered the next run."""
        return self.worker.waiting([self.run_id]) == [self.run_id]

    def move(self, due_at: int) -> None:
        """Have the next run be due at a time of the test's own."""
        self.api.server.change(
            (
                "UPDATE monitors SET next_run_at = $2 WHERE audience_id = $1",
                bytes.fromhex(self.audience),
                due_at,
            )
        )

    def take(self, run_id: str | None = None) -> None:
        """What a worker does with a run: start its job, not work on it."""
        assert self.worker.claim(run_id or self.run_id) is None

    def run(self) -> Any:
        """Take the run that is due, and bring its job to its end; the job."""
        assert self.is_due()
        self.take()
        job_id = self.shown["lastJobId"]
        assert self.worker.run(job_id)
        return self.api.get(f"AG/prospecting/{job_id}").expect(200).data

    @property
    def jobs(self) -> list[Any]:
        target = f"AG/prospecting?audienceId={self.audience}"
        return list(self.api.get(target).expect(200).data["items"])

    @property
    def members(self) -> set[str]:
        target = f"AG/audiences/{self.audience}/prospects"
        return {person["email"] for person in self.api.get(target).expect(200).data["items"]}


@pytest.fixture
def watch(api: Tenant) -> Watch:
    return Watch(api)


def test_put_get_delete(watch: Watch) -> None:
    before = now_ms()
    made = watch.put().expect(200)
    data = made.data
    assert list(data) == [
        "audienceId", "source", "intervalMinutes", "enabled", "nextRunAt", "lastJobId",
        "createdAt", "updatedAt",
    ]  # fmt: skip
    assert (data["audienceId"], data["source"], data["intervalMinutes"]) == (
        watch.audience, SEARCH, 60,
    )  # fmt: skip
    assert data["enabled"] is True
    assert data["lastJobId"] is None
    assert data["nextRunAt"] == data["createdAt"] == data["updatedAt"] >= rfc3339(before)
    assert watch.get().untraced == made.untraced
    assert watch.get().etag == made.etag
    watch.api.delete(watch.target).expect(200)
    for answer in (watch.api.get(watch.target), watch.api.delete(watch.target)):
        assert answer.expect(404, "NOT_FOUND").error["context"] == {"resource": "monitor"}
    assert watch.put().expect(200).etag != made.etag


@pytest.mark.parametrize("source", SOURCES, ids="-".join)
def test_the_source_is_shown_as_it_was_sent(watch: Watch, source: Any) -> None:
    assert watch.put(source=source).expect(200).data["source"] == source
    assert watch.shown["source"] == source


def test_the_source_is_shown_in_its_normal_form(watch: Watch) -> None:
    wordy = {"maxResults": None, "searchEmails": False, "filters": {"titles": None}}
    sent = {**wordy, "query": " cafe\u0301 ", "type": "directory_search"}
    normal = {"type": "directory_search", "query": "caf\u00e9", "filters": {}}
    first = watch.put(source=sent).expect(200)
    assert first.data["source"] == normal
    assert watch.put(source=normal, enabled=None).expect(200).etag == first.etag


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"source": None}, "source", "null_not_allowed"),
        ({"source": {"query": "x"}}, "source.type", "required"),
        ({"source": {"type": "file_import", "fileId": UNKNOWN}}, "source.type", "invalid_choice"),
        ({"source": {"type": "url_upload"}}, "source.type", "invalid_choice"),
        ({"source": {**SEARCH, "audienceId": UNKNOWN}}, "source.audienceId", "unknown_field"),
        ({"source": {**SEARCH, "audienceName": "X"}}, "source.audienceName", "unknown_field"),
        ({"source": {**SEARCH, "folderId": None}}, "source.folderId", "unknown_field"),
        ({"source": {**SEARCH, "audienceDescription": ""}}, "source.audienceDescription",
         "unknown_field"),
        ({"source": {**SEARCH, "dryRun": False}}, "source.dryRun", "unknown_field"),
        ({"source": {**SEARCH, "postUrl": "https://x"}}, "source.postUrl", "unknown_field"),
        ({"source": {**SEARCH, "searchEmails": 1}}, "source.searchEmails", "wrong_type"),
        ({"source": {**SEARCH, "maxResults": 0}}, "source.maxResults", "out_of_range"),
        ({"source": {**SEARCH, "maxResults": 2001}}, "source.maxResults", "out_of_range"),
        ({"source": {"type": "sales_navigator"}}, "source", "exactly_one"),
        ({"intervalMinutes": 14}, "intervalMinutes", "out_of_range"),
        ({"intervalMinutes": 43_201}, "intervalMinutes", "out_of_range"),
        ({"intervalMinutes": 15.5}, "intervalMinutes", "wrong_type"),
        ({"enabled": "yes"}, "enabled", "wrong_type"),
        ({"nextRunAt": None}, "nextRunAt", "unknown_field"),
    ],
    ids=str,
)  # fmt: skip
def test_a_body_that_is_not_valid(watch: Watch, change: Any, field: str, code: str) -> None:
    assert watch.put(**change).expect(400, "VALIDATION_ERROR").issues == [(field, code)]
    watch.api.get(watch.target).expect(404)


def test_the_bounds_of_the_interval(watch: Watch) -> None:
    for minutes in (15, 43_200):
        assert watch.put(interval=minutes).expect(200).data["intervalMinutes"] == minutes


def test_the_order_of_refusals(watch: Watch) -> None:
    api = watch.api
    stale = {"If-Match": '"x"'}
    wrong = api.audience("A list")["id"]
    above = {**SEARCH, "maxResults": 2001}
    watch.put().expect(200)
    api.server.write(_forget_sources, group=api.group)
    target, watch.target = watch.target, f"AG/audiences/{UNKNOWN}/monitor"
    assert watch.put(stale, source=above).expect(400).error["context"] == {"cap": 2000}
    missing = watch.put(stale).expect(404, "NOT_FOUND")
    assert missing.error["context"] == {"resource": "audience"}
    watch.target = target
    watch.put(stale).expect(412, "PRECONDITION_FAILED")
    watch.target = f"AG/audiences/{wrong}/monitor"
    assert watch.put(stale).expect(412).error["context"] == {"currentEtag": None}
    watch.put({"If-Match": "*"}).expect(412)
    watch.put().expect(422, "SOURCE_NOT_CONFIGURED")
    watch.finds(ADA)
    refused = watch.put().expect(422, "AUDIENCE_TYPE_MISMATCH")
    assert refused.error["context"] == {"audienceType": "on_demand"}


async def _forget_sources(ctx: Any) -> None:
    for source in await sources.list_all(ctx):
        await sources.remove(ctx, source.id)


def test_a_monitor_of_another_group_is_not_there(watch: Watch, stranger: Tenant) -> None:
    watch.put().expect(200)
    theirs = Watch(stranger)
    theirs.target = watch.target
    for answer in (stranger.get(theirs.target), stranger.delete(theirs.target), theirs.put()):
        assert answer.expect(404).error["context"] == {"resource": "audience"}
    watch.get()


def test_tags(watch: Watch) -> None:
    first = watch.put().expect(200)
    same = watch.put({"If-Match": first.etag}).expect(200)
    assert same.etag == first.etag
    assert same.untraced == first.untraced
    watch.api.get(watch.target, headers={"If-None-Match": first.etag}).expect(304)
    second = watch.put({"If-Match": first.etag}, interval=90).expect(200)
    assert second.etag != first.etag
    assert second.data["updatedAt"] >= first.data["updatedAt"]
    assert second.data["createdAt"] == first.data["createdAt"]
    refused = watch.put({"If-Match": first.etag}).expect(412)
    assert refused.error["context"] == {"currentEtag": second.etag}
    watch.api.get(watch.target, headers={"If-None-Match": first.etag}).expect(200)
    stale = watch.api.delete(watch.target, headers={"If-Match": first.etag})
    assert stale.expect(412).etag == second.etag
    watch.api.delete(watch.target, headers={"If-Match": second.etag}).expect(200)


def test_it_works_while_the_audience_is_filling(watch: Watch) -> None:
    with watch.api.filling(watch.audience):
        watch.api.get(f"AG/audiences/{watch.audience}").expect(409)
        made = watch.put().expect(200)
        assert watch.get().etag == made.etag
        watch.put(interval=90).expect(200)
        watch.api.delete(watch.target).expect(200)
        watch.put().expect(200)
    assert watch.is_due()


def test_a_deleted_audience_takes_its_monitor_along(watch: Watch) -> None:
    watch.put().expect(200)
    run_id = watch.run_id
    watch.api.delete(f"AG/audiences/{watch.audience}").expect(200)
    gone = watch.api.get(watch.target).expect(404)
    assert gone.error["context"] == {"resource": "audience"}
    assert watch.worker.waiting([run_id]) == []
    watch.take(run_id)
    assert watch.jobs == []


def test_each_run_adds_the_new_people_only(api: Tenant) -> None:
    watch = Watch(api, [ADA, BEN])
    watch.put(interval=15).expect(200)
    first = watch.run()
    assert (first["status"], first["sourceType"]) == ("completed", "directory_search")
    assert (first["counts"]["added"], first["counts"]["received"]) == (2, 2)
    shown = watch.shown
    assert shown["lastJobId"] == first["jobId"]
    assert not watch.is_due()
    watch.finds(ADA, BEN, CLEO)
    watch.move(now_ms())
    second = watch.run()
    assert second["jobId"] == watch.shown["lastJobId"] != first["jobId"]
    assert (second["counts"]["added"], second["counts"]["unchanged"]) == (1, 2)
    assert watch.members == {ADA, BEN, CLEO}
    assert len(watch.jobs) == 2
    told = [kind for kind, *_ in api.events() if kind.startswith(("prospecting.", "audience.r"))]
    assert told == ["prospecting.queued", "prospecting.completed", "audience.ready"] * 2


def test_a_run_moves_the_schedule_and_the_tag_but_is_no_update(watch: Watch) -> None:
    made = watch.put(interval=15).expect(200)
    before = now_ms()
    watch.take()
    after = watch.get()
    assert after.etag != made.etag
    assert after.data["updatedAt"] == made.data["updatedAt"]
    assert watch.due_at is not None
    assert before <= watch.due_at - 15 * MINUTE_MS <= now_ms()


def test_runs_that_were_missed_are_made_up_for_by_one(watch: Watch) -> None:
    watch.put(interval=15).expect(200)
    watch.move(now_ms() - 400 * MINUTE_MS)
    began = now_ms()
    watch.run()
    assert watch.due_at is not None
    assert watch.due_at >= began + 15 * MINUTE_MS
    assert not watch.is_due()
    assert len(watch.jobs) == 1


def test_a_run_waits_while_the_audience_is_filling(watch: Watch) -> None:
    watch.put(interval=15).expect(200)
    due_at = now_ms() - 100 * MINUTE_MS
    with watch.api.filling(watch.audience) as job_id:
        watch.move(due_at)
        assert not watch.is_due()
        watch.take()  # offered before the other job began
        assert watch.due_at == due_at
        assert watch.shown["nextRunAt"] == rfc3339(due_at)
        assert [job["jobId"] for job in watch.jobs] == [job_id]
    watch.run()
    assert not watch.is_due()
    assert len(watch.jobs) == 2


def test_a_run_fills_the_audience_like_any_job(watch: Watch) -> None:
    watch.put().expect(200)
    watch.take()
    job_id = watch.shown["lastJobId"]
    busy = watch.api.get(f"AG/audiences/{watch.audience}").expect(409, "AUDIENCE_NOT_READY")
    assert busy.error["context"]["jobId"] == job_id
    watch.api.post(f"AG/prospecting/{job_id}/cancel").expect(200)
    watch.api.get(f"AG/audiences/{watch.audience}").expect(200)
    assert not watch.is_due()


def test_a_run_is_taken_once_however_many_try(watch: Watch) -> None:
    watch.put().expect(200)
    run_id = bytes.fromhex(watch.run_id)
    installation = watch.api.server.installation

    async def all_at_once() -> None:
        take = partial(run_due, installation)

        async def body(tx: Any) -> None:
            await take(tx, run_id)

        await asyncio.gather(*[installation.db.write(body) for _ in range(12)])

    watch.api.server.call(all_at_once)
    assert len(watch.jobs) == 1
    # A worker that wakes up with it once its job has ended finds it moved on.
    assert watch.worker.run(watch.shown["lastJobId"])
    watch.take(run_id.hex())
    assert len(watch.jobs) == 1


class Killed(Exception):
    """Stands for the end of a process before the commit."""


def test_a_run_whose_transaction_is_lost_is_still_due(watch: Watch) -> None:
    watch.put().expect(200)
    run_id = watch.run_id
    installation = watch.api.server.installation

    async def body(tx: Any) -> None:
        await run_due(installation, tx, bytes.fromhex(run_id))
        raise Killed

    with pytest.raises(Killed):
        watch.api.server.call(installation.db.write, body)
    assert watch.jobs == []
    assert watch.run_id == run_id
    assert watch.is_due()
    watch.run()
    assert len(watch.jobs) == 1


def test_off_and_on(watch: Watch) -> None:
    watch.put(interval=15).expect(200)
    run_id = watch.run_id
    off = watch.put(interval=15, enabled=False).expect(200)
    assert (off.data["enabled"], off.data["nextRunAt"]) == (False, None)
    assert watch.worker.waiting([run_id]) == []
    watch.take(run_id)
    assert watch.jobs == []
    watch.put(interval=15).expect(200)
    watch.run()
    next_run_at = watch.shown["nextRunAt"]
    assert next_run_at == rfc3339(one_interval_on(watch, 15))
    watch.put(interval=15, enabled=False).expect(200)
    on = watch.put(interval=15).expect(200).data
    # One interval after the last run, as if it had never been off.
    assert on["nextRunAt"] == next_run_at
    assert on["lastJobId"] is not None


def one_interval_on(watch: Watch, interval: int) -> int:
    """One interval after the last run's job was made."""
    return int.from_bytes(bytes.fromhex(watch.shown["lastJobId"])[:6]) + interval * MINUTE_MS


def test_another_interval_counts_from_the_last_run(watch: Watch) -> None:
    watch.put(interval=60).expect(200)
    watch.run()
    for interval in (15, 600):
        data = watch.put(interval=interval).expect(200).data
        assert data["nextRunAt"] == rfc3339(one_interval_on(watch, interval))
        assert not watch.is_due()


def test_what_would_be_past_is_due_at_once(watch: Watch) -> None:
    watch.put(interval=600).expect(200)
    watch.run()
    old = (now_ms() - 30 * MINUTE_MS).to_bytes(6) + bytes(6)
    watch.api.server.change(
        (
            "UPDATE monitors SET last_job_id = $2 WHERE audience_id = $1",
            bytes.fromhex(watch.audience),
            old,
        )
    )
    before = rfc3339(now_ms())
    assert watch.put(interval=15).expect(200).data["nextRunAt"] >= before
    assert watch.is_due()


def test_another_source_is_due_at_once(watch: Watch) -> None:
    watch.put().expect(200)
    watch.run()
    assert not watch.is_due()
    watch.put(source=SOURCES[1]).expect(200)
    assert watch.run()["sourceType"] == "linkedin_search"


def test_a_run_that_is_refused_is_left_out(watch: Watch) -> None:
    watch.put(interval=15).expect(200)
    tag = watch.get().etag
    watch.api.server.write(_forget_sources, group=watch.api.group)
    before = len(watch.api.events())
    said = _skips(watch, "SOURCE_NOT_CONFIGURED")
    began = now_ms()
    assert watch.is_due()
    watch.take()
    assert _skips(watch, "SOURCE_NOT_CONFIGURED") == said + 1
    left = watch.get()
    assert left.etag != tag
    assert (left.data["enabled"], left.data["lastJobId"]) == (True, None)
    assert watch.due_at is not None
    assert watch.due_at >= began + 15 * MINUTE_MS
    assert not watch.is_due()
    assert watch.jobs == []
    assert len(watch.api.events()) == before
    watch.api.get(f"AG/audiences/{watch.audience}").expect(200)
    watch.finds(ADA)
    watch.move(now_ms())
    assert watch.run()["counts"]["added"] == 1


def _skips(watch: Watch, code: str) -> int:
    """Lines of the log that tell of this audience's skipped runs."""
    return sum(
        line.get("audience") == watch.audience and line.get("reason") == code for line in logs.LINES
    )


def test_a_run_without_credits_is_left_out(watch: Watch) -> None:
    watch.put(source={**SEARCH, "maxResults": 10}).expect(200)
    watch.api.set(credits=9)
    watch.take()
    assert _skips(watch, "INSUFFICIENT_CREDITS") == 1
    assert watch.jobs == []
    watch.api.set(credits=10)
    watch.finds(ADA)
    watch.move(now_ms())
    assert watch.run()["status"] == "completed"


def test_a_cap_that_was_lowered_holds_for_the_runs(api: Tenant) -> None:
    watch = Watch(api, [ADA, BEN, CLEO])
    source = {**SEARCH, "maxResults": 3}
    watch.put(source=source).expect(200)
    api.set(maxResultsCap=2)
    assert watch.run()["counts"]["received"] == 2
    assert watch.shown["source"] == source


def test_e_mail_search_costs_what_it_costs_in_any_job(watch: Watch) -> None:
    watch.put(source={**SEARCH, "maxResults": 1, "searchEmails": True}).expect(200)
    watch.finds(ADA)
    watch.api.set(credits=5)
    watch.run()
    (group,) = (
        group
        for group in watch.api.get("/v1/me").expect(200).data["accountGroups"]
        if group["id"] == watch.api.group.hex()
    )
    assert group["credits"]["available"] == 3


def test_off_and_on_tries_a_refused_run_again(watch: Watch) -> None:
    watch.put().expect(200)
    watch.api.server.write(_forget_sources, group=watch.api.group)
    watch.take()
    assert not watch.is_due()
    watch.finds(ADA)
    watch.put(enabled=False).expect(200)
    watch.put().expect(200)
    assert watch.run()["counts"]["added"] == 1
