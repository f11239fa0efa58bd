"""What `longlist doctor` says of an installation that works, or was restored while it did."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import Any

import psycopg
import pytest

from longlist import doctor
from longlist.ids import new_id, now_ms
from longlist.settings import load
from tests.cli.place import PATIENCE_S, Place

MEMBERS = {
    "disk": {"path", "freeBytes", "totalBytes"},
    "schema": {"revision"},
    "clock": {"skewMilliseconds"},
    "jobs": {"queued", "running", "oldestLock"},
    "workers": {"alive", "unheard", "silent"},
    "sources": {"setUp", "broken"},
}
"""What programs may rely on. Members may be added here, never taken away."""


@pytest.fixture
def durable(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An installation that doctor finds nothing wrong with.

    The tests' PostgreSQL runs without fsync, which is a failure of its own.
    """

    async def sound(_db: Any) -> list[Any]:
        return []

    monkeypatch.setattr("longlist.db.checks.soundness", sound)
    place.run("migrate")
    place.run("accounts", "create", "Acme")
    return place


def examined(place: Place) -> dict[str, Any]:
    """The checks by name, none of which may be a failure."""
    report = json.loads(place.run("doctor", "--json"))
    assert report["ok"] is True
    return {check["name"]: check for check in report["checks"]}


def execute(place: Place, sql: str, *args: Any) -> None:
    """A statement with `?` for its arguments, run beside every process."""
    if place.database_url:
        with psycopg.connect(place.database_url, autocommit=True) as connection:
            connection.execute(sql.replace("?", "%s"), args)  # type: ignore[call-overload,unused-ignore]
        return
    with closing(sqlite3.connect(place.data / "longlist.sqlite3")) as embedded, embedded:
        embedded.execute(sql, args)


def add_worker(place: Place, beat_at: int) -> None:
    execute(
        place, "INSERT INTO workers (id, started_at, beat_at) VALUES (?, ?, ?)",
        new_id().hex(), beat_at, beat_at,
    )  # fmt: skip


def test_a_worker_that_beats_is_alive(durable: Place) -> None:
    with durable.serving() as server:
        until = time.monotonic() + PATIENCE_S
        while (workers := examined(durable)["workers"])["facts"]["alive"] == 0:
            assert time.monotonic() < until, workers
        assert workers["state"] == "ok"
        assert workers["detail"] == "1 alive"
        assert server.stop() == 0
    assert examined(durable)["workers"]["facts"]["alive"] == 0


def test_a_row_from_a_backup_is_not_alive_however_fresh(durable: Place) -> None:
    add_worker(durable, now_ms())
    add_worker(durable, now_ms() - 3_600_000)
    add_worker(durable, now_ms() + 3_600_000)
    workers = examined(durable)["workers"]
    assert workers["state"] == "warning"
    assert workers["facts"] == {"alive": 0, "unheard": 1, "silent": 2}
    none, unheard, past, ahead, waiting = workers["detail"].split("; ")
    assert none == "none alive"
    assert unheard == "1 did not beat for the 3 s of this look"
    assert past.startswith("1 silent for up to 36")
    assert past.endswith("s: gone, or rows from a backup")
    assert ahead.startswith("1 with a beat 35")
    assert waiting == "0 jobs wait for longlist serve or a worker"


def test_what_waits_and_the_oldest_lock_are_named(durable: Place) -> None:
    group = bytes.fromhex(durable.json("accounts", "list")[0]["id"])
    jobs = [new_id() for _ in range(2)]
    for job, age_ms in zip(jobs, (10_000, 90_000), strict=True):
        at = now_ms() - age_ms
        execute(
            durable,
            "INSERT INTO prospecting_jobs (account_group_id, id, audience_id, source_kind,"
            " source, status, created_at, updated_at) VALUES (?, ?, ?, 'file_import', '{}',"
            " 'queued', ?, ?)",
            group, job, job, at, at,
        )  # fmt: skip
    found = examined(durable)
    facts = found["jobs"]["facts"]
    assert (facts["queued"], facts["running"]) == (2, 0)
    oldest = facts["oldestLock"]
    assert 90 <= oldest.pop("heldSeconds") < 90 + PATIENCE_S
    assert oldest == {
        "accountGroupId": group.hex(), "audienceId": jobs[1].hex(), "jobId": jobs[1].hex(),
        "status": "queued",
    }  # fmt: skip
    assert f"of the queued job {jobs[1].hex()}" in found["jobs"]["detail"]
    assert "2 jobs wait" in found["workers"]["detail"]


def test_programs_may_rely_on_the_facts(durable: Place) -> None:
    found = examined(durable)
    assert {name: set(found[name]["facts"]) for name in MEMBERS} == MEMBERS
    assert {"name", "state", "detail", "facts"} == set(found["data"])


def test_another_secret_than_the_databases_is_a_failure(durable: Place) -> None:
    def secret(**environ: str) -> tuple[str, str]:
        report = doctor.examine(load({**durable.environ, **environ}))
        [found] = [check for check in report.checks if check.name == "secret"]
        return found.state, found.detail

    assert secret()[0] == "ok"
    other = "it is not the one that this database was made with"
    assert secret(LONGLIST_SECRET="x" * 32) == ("failed", other)
    (durable.data / "secret").unlink()
    assert secret() == ("failed", "it is missing, and this database was made with one")
    assert not (durable.data / "secret").exists(), "doctor has made a secret"


def test_a_token_that_cannot_be_decrypted_is_named(durable: Place) -> None:
    group = bytes.fromhex(durable.json("accounts", "list")[0]["id"])
    source = new_id()
    execute(
        durable,
        "INSERT INTO sources (account_group_id, id, name, provider, settings, token, created_at,"
        " updated_at) VALUES (?, ?, 'Broken', 'unipile', '{}', ?, 1, 1)",
        group, source, b"\x01" + bytes(60),
    )  # fmt: skip
    found = examined(durable)
    assert found["source"]["state"] == "warning"
    assert found["source"]["facts"]["sourceId"] == source.hex()
    assert "cannot be decrypted" in found["source"]["detail"]
    assert found["sources"]["facts"] == {"setUp": 1, "broken": 1}
