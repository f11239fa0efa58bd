"""`longlist jobs`, and `longlist import` to a server that is elsewhere."""

from __future__ import annotations

import csv
import io
import json
import re
import threading

from tests.cli.desk import Desk, at_terminal
from tests.cli.place import Place


def test_jobs_are_listed_and_shown(desk: Desk) -> None:
    done = desk.job("ada@example.com", "not-an-address", audience="Done")
    waits = desk.job("ben@example.com", audience="Waits", run=False)
    lines = desk.run("jobs", "list").lines
    assert [line[:3] for line in lines] == [
        [waits["jobId"], "queued", "0%"],
        [done["jobId"], "completed", "100%"],
    ]
    assert lines[1][3:7] == ["file_import", done["audienceId"], "2", "1"]
    (only,) = desk.json("jobs", "list", "--status", "completed")
    assert only["jobId"] == done["jobId"]
    (only,) = desk.json("jobs", "list", "--audience", "Waits")
    assert only["jobId"] == waits["jobId"]
    shown = dict(desk.run("jobs", "show", done["jobId"]).lines)
    assert (shown["added"], shown["failed"], shown["progress"]) == ("1", "1", "100%")
    assert desk.json("jobs", "show", done["jobId"])["counts"]["received"] == 2
    desk.run("jobs", "list", "--status", "done", code=2)
    desk.run("jobs", "show", "0123456789abcdef01234567", code=3)


def test_the_rows_of_a_job(desk: Desk) -> None:
    job = desk.job("ada@example.com", "no", "ada@example.com")["jobId"]
    lines = desk.run("jobs", "rows", job).lines
    assert [(line[0], line[1], line[2]) for line in lines] == [
        ("1", "2", "added"), ("2", "3", "failed"), ("3", "4", "skipped"),
    ]  # fmt: skip
    (bad,) = desk.json("jobs", "rows", job, "--outcome", "failed")
    assert (bad["reason"], bad["line"]) == ("INVALID_EMAIL", 3)
    text = desk.run("jobs", "rows", job, "--outcome", "failed", "--csv").text
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["reason"] == "INVALID_EMAIL"
    desk.run("jobs", "rows", job, "--outcome", "bad", code=2)


def test_a_job_is_watched_to_its_end(desk: Desk) -> None:
    job = desk.job("ada@example.com", run=False)["jobId"]
    worker = threading.Timer(0.2, desk.worker.run, [job])
    worker.start()
    assert desk.json("jobs", "watch", job)["status"] == "completed"
    worker.join()
    failed = desk.job("ben@example.com", audience="Breaks", run=False)["jobId"]
    claim = desk.worker.claim(failed)
    assert claim is not None
    desk.worker.fail(claim)
    ended = desk.json("jobs", "watch", failed, code=1)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "SOURCE_ERROR")


def test_a_terminal_sees_a_job_move(desk: Desk) -> None:
    job = desk.job("ada@example.com", run=False)["jobId"]
    code, seen = at_terminal(
        desk.environ, "jobs", "watch", job, meanwhile=lambda: desk.worker.run(job)
    )
    assert code == 0
    assert "Rows" in seen
    assert re.search(r"status.*completed", seen)


def test_a_job_is_cancelled_once(desk: Desk) -> None:
    started = desk.job("ada@example.com", run=False)
    assert desk.json("jobs", "cancel", started["jobId"])["status"] == "cancelled"
    said = desk.run("jobs", "cancel", started["jobId"], code=8)
    assert "already ended" in said.err
    # The audience is free again.
    desk.run("audiences", "rename", started["audienceId"], "Free")


def test_an_import_by_profile_into_a_locked_audience(desk: Desk) -> None:
    key_file = desk.folder / "key"
    key_file.write_text(desk.key + "\n")
    away = {"LONGLIST_URL": None, "LONGLIST_API_KEY": None}
    desk.run("profile", "add", "far", "--url", desk.url, "--key-file", str(key_file))
    file = desk.folder / "people.csv"
    file.write_text("Email\nada@example.com\n")
    id_ = desk.tenant.audience("Locked")["id"]
    with desk.tenant.filling(id_) as job:
        said = desk.run("import", str(file), "--audience", "Locked", code=5, environ=away)
        assert job in said.err
        said = desk.run(
            "import", str(file), "--audience-id", id_, "--profile", "far", code=5, environ=away
        )
        assert job in said.err
    said = desk.run("import", "nowhere.csv", "--audience", "A", code=1, environ=away)
    assert said.err == "longlist: There is no file nowhere.csv.\n"


def test_an_import_on_a_terminal_shows_bars(embedded: Place) -> None:
    file = embedded.folder / "many.csv"
    rows = "".join(f"Ada,ada{at}@example.com\n" for at in range(3_000))
    file.write_text("First name,Email\n" + rows)
    with embedded.serving() as server:
        key = re.search(r"llk_\w+", server.printed)
        assert key
        environ = {**embedded.environ, "LONGLIST_URL": server.url, "LONGLIST_KEY": key[0]}
        code, seen = at_terminal(environ, "import", str(file), "--audience", "Many")
        assert code == 0, seen
        assert "Uploading" in seen
        assert "Importing" in seen
        assert re.search(r"added +3,000", seen)
        again = embedded.run(
            "import", str(file), "--audience", "Many", "--json", "--max-results", "10",
            environ={"LONGLIST_URL": server.url, "LONGLIST_API_KEY": key[0]},
        )  # fmt: skip
        assert json.loads(again)["counts"]["unchanged"] == 10
