"""What is counted, how it is rendered, and what may never be a label."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from longlist.app import OPERATIONS
from longlist.db import DatabaseAway
from longlist.limits import Rate
from longlist.metrics import Metrics
from longlist.prospecting import queue_store as queue
from longlist.tally import Tally
from longlist.telemetry import UNKNOWN
from tests.harness.server import Longlist
from tests.harness.tenant import UNKNOWN as UNKNOWN_ID
from tests.harness.tenant import Tenant

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples_of(text: str) -> Samples:
    """Every sample by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def rendered(server: Longlist, **parts: Any) -> str:
    async def render() -> str:
        _, text = await Metrics(server.installation, app=server.app, **parts).render()
        return text.decode()

    return str(server.call(render))


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def test_a_tally_counts_up_to_each_bound() -> None:
    tally = Tally((1.0, 2.0, 4.0))
    for number in (0.5, 1.0, 1.5, 4.0, 100.0):
        tally.add(number)
    assert tally.cumulative() == [2, 3, 4, 5]
    assert (tally.count, tally.sum) == (5, 107.0)


def test_requests_are_counted_by_operation_and_status(server: Longlist, api: Tenant) -> None:
    def counts() -> tuple[float, ...]:
        found = samples_of(rendered(server))
        return tuple(
            found.get(("longlist_requests_total", (("operation", name), ("status", status))), 0.0)
            for name, status in (
                ("createAudience", "201"), ("getAudience", "404"), (UNKNOWN, "404"),
                ("listAudiences", "401"),
            )
        )  # fmt: skip

    before = counts()
    api.audience("Counted")
    api.get(f"AG/audiences/{UNKNOWN_ID}")
    api.get("/v2/nobody@example.com")
    api.with_key("nonsense").get(api.path("AG/audiences"))
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 1, 1, 1]
    found = samples_of(rendered(server))
    timed = value(found, "longlist_request_seconds_count", operation="createAudience")
    all_of_it = [
        number for (name, labels), number in found.items()
        if name == "longlist_requests_total" and ("operation", "createAudience") in labels
    ]  # fmt: skip
    assert timed == sum(all_of_it)
    assert value(
        found, "longlist_request_seconds_bucket", operation="createAudience", le="+Inf"
    ) == timed  # fmt: skip


def test_a_refusal_for_the_rate_is_counted(server: Longlist, api: Tenant) -> None:
    before = value(samples_of(rendered(server)), "longlist_rate_limited_total", bucket="key")
    _, slow = api.make_key(rate=Rate(1, 1))
    for _ in range(3):
        api.with_key(slow).get("/v1/me")
    after = value(samples_of(rendered(server)), "longlist_rate_limited_total", bucket="key")
    assert after - before == 2


def test_live_jobs_and_the_oldest_lock_are_told(server: Longlist, api: Tenant) -> None:
    found = samples_of(rendered(server))
    queued = value(found, "longlist_jobs", state="queued")
    urls = ["https://linkedin.com/in/ada-counted"]
    body = {"type": "url_upload", "audienceName": "Locked", "profileUrls": urls}
    job = api.post("AG/prospecting", body).expect(202).data
    server.change(
        (
            "UPDATE prospecting_jobs SET created_at = created_at - 7000 WHERE id = $1",
            bytes.fromhex(job["jobId"]),
        )
    )
    found = samples_of(rendered(server))
    assert value(found, "longlist_jobs", state="queued") == queued + 1
    assert value(found, "longlist_oldest_lock_seconds") >= 7
    assert value(found, "longlist_database_up") == 1


def test_jobs_that_no_worker_finished_are_counted(server: Longlist, api: Tenant) -> None:
    def counts() -> list[float]:
        found = samples_of(rendered(server))
        statuses = ("completed", "failed", "cancelled", "given_up")
        return [value(found, "longlist_jobs_ended_total", status=status) for status in statuses]

    def job(name: str) -> str:
        urls = [f"https://linkedin.com/in/{name}"]
        body = {"type": "url_upload", "audienceName": name, "profileUrls": urls}
        return str(api.post("AG/prospecting", body).expect(202).data["jobId"])

    before = counts()
    api.post(f"AG/prospecting/{job('ada-cancelled')}/cancel").expect(200)
    job("ada-given-up")
    server.change(
        (
            "UPDATE prospecting_jobs SET status = 'running', worker_id = 'a dead one', rescues = 5"
            " WHERE account_group_id = $1 AND status = 'queued'",
            api.group,
        )
    )
    server.call(
        server.installation.db.write, queue.take_over_everywhere, server.installation,
        "a dead one", 5,
    )  # fmt: skip
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [0, 0, 1, 1]


def test_the_engine_tells_of_its_commits_or_its_pool(server: Longlist, api: Tenant) -> None:
    api.audience("Committed")
    found = samples_of(rendered(server))
    if server.settings.uses_postgres:
        assert value(found, "longlist_pool_connections_max") == server.settings.database_pool
        states = [value(found, "longlist_pool_connections", state=s) for s in ("busy", "idle")]
        assert 1 <= sum(states) <= server.settings.database_pool
    else:
        commits = value(found, "longlist_commit_transactions_count")
        assert 1 <= commits <= value(found, "longlist_commit_transactions_sum")


def test_a_database_that_is_away_is_said_and_the_rest_is_there(
    server: Longlist, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise DatabaseAway("away")

    monkeypatch.setattr(server.installation.db, "read_long", away)
    found = samples_of(rendered(server))
    assert value(found, "longlist_database_up") == 0
    assert "longlist_requests_under_way" in {name for name, _ in found}
    assert "longlist_jobs" not in {name for name, _ in found}


def test_labels_are_words_of_the_code(server: Longlist, api: Tenant) -> None:
    """No id, key, name or path as it was sent."""
    api.get("AG/audiences?q=Grace%20Hopper")
    api.get("/grace@example.com/" + "a" * 24)
    text = rendered(server, worker_starts=lambda: 1)
    assert api.key is not None
    assert api.key not in text
    assert api.group.hex() not in text
    words = {operation.id for operation in OPERATIONS} | {UNKNOWN}
    for (name, labels), _ in samples_of(text).items():
        for label, said in labels:
            if label == "operation":
                assert said in words
            elif label == "page":
                assert said == UNKNOWN or re.fullmatch(r"[A-Z]+ /admin(/[a-z.-]+|/\{\w+\})*", said)
            elif name != "longlist_build_info":
                assert re.fullmatch(r"[a-z_]+|\d{3}|\d+(\.\d+)?|\+Inf", said), (name, label, said)


def test_several_scrapes_at_once_are_one_after_the_other(server: Longlist) -> None:
    async def together() -> list[tuple[str, bytes]]:
        metrics = Metrics(server.installation, app=server.app)
        return await asyncio.gather(*(metrics.render() for _ in range(4)))

    found = server.call(together)
    assert all(b"longlist_build_info{" in text for _, text in found)
