"""Files and prospecting jobs through the client, on the real server and on the mock."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from client.tests.backends import Backend, MockBackend

from longlist_client import (
    AudienceNotReady,
    AudienceTypeMismatch,
    DirectorySearch,
    FileImport,
    IdempotencyConflict,
    InsufficientCredits,
    Job,
    JobNotCompleted,
    LinkedinSearch,
    MappingInvalid,
    NotFound,
    SalesNavigator,
    SourceNotConfigured,
    UrlUpload,
    ValidationError,
    WaitTimedOut,
)
from longlist_client.client import AccountGroup

UNKNOWN = "0123456789abcdef01234567"
CSV = (
    b"Name,Email,Company\r\nAda Example,ada@example.com,Example Ltd\r\n"
    b"Grace Sample,nonsense,Sample BV\r\nAda Example,ada@example.com,Example Ltd\r\n"
)
URLS = UrlUpload(
    profile_urls=[
        "https://www.linkedin.com/in/ada-example",
        "https://www.linkedin.com/in/grace-sample/",
        "https://www.linkedin.com/in/ada-example",
    ]
)


def _from_bytes(account: AccountGroup, _folder: Path) -> str:
    return account.files.upload(CSV, filename="people.csv").file_id


def _from_path(account: AccountGroup, folder: Path) -> str:
    path = folder / "people.csv"
    path.write_bytes(CSV)
    return account.files.upload(path, format="csv", content_type="text/csv").file_id


def _from_file(account: AccountGroup, folder: Path) -> str:
    (folder / "people.csv").write_bytes(b"skipped" + CSV)
    with (folder / "people.csv").open("rb") as file:
        file.seek(7)
        return account.files.upload(file).file_id


class _Stream(io.RawIOBase):
    """A file that cannot seek, as a pipe or a download."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def read(self, size: int = -1) -> bytes:
        piece, self._left = self._left[:size], self._left[size:]
        return piece

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def _from_stream(account: AccountGroup, _folder: Path) -> str:
    return account.files.upload(_Stream(CSV)).file_id  # type: ignore[arg-type]


@pytest.mark.parametrize("upload", [_from_bytes, _from_path, _from_file, _from_stream])
def test_a_file_is_uploaded_and_imported(
    backend: Backend,
    account: AccountGroup,
    tmp_path: Path,
    upload: Callable[[AccountGroup, Path], str],
) -> None:
    file_id = upload(account, tmp_path)
    started = account.prospecting.start(FileImport(file_id=file_id), audience_name="Imported")
    assert started.status == "queued"
    backend.finish_jobs(started.job_id)
    job = account.prospecting.wait(started.job_id)
    assert (job.counts.added, job.counts.skipped, job.counts.failed) == (1, 1, 1)
    assert job.progress == 1
    assert job.stages.import_.status == "completed"
    rows = list(account.prospecting.rows(job.job_id, limit=2))
    assert [(row.position, row.outcome, row.reason) for row in rows] == [
        (1, "added", None),
        (2, "failed", "INVALID_EMAIL"),
        (3, "skipped", "DUPLICATE_IN_SOURCE"),
    ]
    assert [row.position for row in account.prospecting.rows(job.job_id, outcome="failed")] == [2]
    with account.prospecting.export_rows(job.job_id, outcome="failed") as export:
        assert [row["position"] for row in csv.DictReader(export.lines())] == ["2"]
    audience = account.audiences.get(started.audience_id)
    assert (audience.type, audience.prospect_count) == ("file_import", 1)


def test_what_is_known_of_a_file(account: AccountGroup) -> None:
    file = account.files.upload(CSV)
    assert (file.format, file.delimiter, file.columns) == ("csv", ",", ["Name", "Email", "Company"])
    assert file.size_bytes == len(CSV)
    assert file.suggested_mapping == {"Name": "name", "Email": "email", "Company": "company.name"}
    assert file.preview[0]["Email"] == "ada@example.com"
    assert file.expires_at > file.created_at
    with pytest.raises(ValidationError):
        account.files.upload(b"")
    mapping = {"Email": "email", "Name": None}
    with pytest.raises(MappingInvalid) as caught:
        account.prospecting.start(
            FileImport(file_id=file.file_id, mapping={"Nothing": "email"}), audience_name="A"
        )
    assert caught.value.issues[0].code == "unknown_column"
    source = FileImport(file_id=file.file_id, mapping=mapping)
    assert account.prospecting.start(source, audience_name="A").status == "queued"
    with pytest.raises(NotFound):
        account.prospecting.start(FileImport(file_id=UNKNOWN), audience_name="A")


def test_a_start_that_is_sent_again_is_the_same_start(
    backend: Backend, account: AccountGroup
) -> None:
    first = account.prospecting.start(URLS, audience_name="A", idempotency_key="k")
    assert account.prospecting.start(URLS, audience_name="A", idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict):
        account.prospecting.start(URLS, audience_name="B", idempotency_key="k")
    backend.finish_jobs(first.job_id)
    again = account.prospecting.start(URLS, audience_name="A", idempotency_key="k")
    assert (again.job_id, again.status) == (first.job_id, "completed")
    another = account.prospecting.start(URLS, audience_name="A")
    assert another.job_id != first.job_id
    assert [job.job_id for job in account.prospecting.list(limit=1)] == [
        another.job_id,
        first.job_id,
    ]
    assert [job.job_id for job in account.prospecting.list(status="completed")] == [first.job_id]


def test_a_dry_run_changes_nothing(account: AccountGroup) -> None:
    told = account.prospecting.dry_run(URLS, audience_name="A", search_emails=True)
    assert (told.counts.added, told.counts.skipped, told.estimated_credits) == (2, 1, 4)
    assert told.audience_id is None
    assert list(account.audiences.list(include="filling")) == []
    assert list(account.prospecting.list()) == []


def test_progress_is_told_until_the_end(
    backend: Backend, account: AccountGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("longlist_client.transports.time.sleep", pauses.append)
    started = account.prospecting.start(URLS, audience_name="A")
    seen: list[str] = []

    def on_progress(job: Job) -> None:
        seen.append(job.status)
        if len(seen) == 1:
            backend.finish_jobs(job.job_id)

    job = account.prospecting.wait(started.job_id, on_progress=on_progress, every=1)
    assert seen == ["queued", "completed"]
    assert len(pauses) == 1
    assert pauses[0] >= 1, "the server's Retry-After"
    assert job.retry_after is None
    assert job.finished_at is not None


def test_waiting_ends_in_time(account: AccountGroup) -> None:
    started = account.prospecting.start(URLS, audience_name="A")
    with pytest.raises(WaitTimedOut) as caught:
        account.prospecting.wait(started.job_id, timeout=0)
    assert caught.value.job.status == "queued"
    assert caught.value.job.retry_after is not None


def test_a_cancelled_job(account: AccountGroup) -> None:
    started = account.prospecting.start(URLS, audience_name="A")
    assert account.prospecting.cancel(started.job_id).status == "cancelled"
    with pytest.raises(ValidationError) as caught:
        account.prospecting.cancel(started.job_id)
    assert (caught.value.status, caught.value.context) == (422, {"jobStatus": "cancelled"})
    with pytest.raises(JobNotCompleted) as not_completed:
        account.prospecting.wait(started.job_id)
    assert not_completed.value.job.status == "cancelled"
    assert account.prospecting.wait(started.job_id, check=False).is_terminal
    assert account.audiences.get(started.audience_id).prospect_count == 0
    with pytest.raises(NotFound):
        account.prospecting.get(UNKNOWN)


def test_credits(backend: Backend, account: AccountGroup) -> None:
    backend.set_credits(2)
    with pytest.raises(InsufficientCredits) as caught:
        account.prospecting.start(URLS, audience_name="A")
    assert (caught.value.required, caught.value.available) == (3, 2)
    backend.set_credits(3)
    started = account.prospecting.start(URLS, audience_name="A")
    with backend.client() as client:
        (group,) = client.me().account_groups
        assert (group.credits.available, group.credits.reserved) == (0, 3)
        backend.finish_jobs(started.job_id)
        (group,) = client.me().account_groups
        assert (group.credits.available, group.credits.reserved) == (1, 0)


def test_sources_that_nobody_set_up(account: AccountGroup) -> None:
    search = LinkedinSearch(search_url="https://www.linkedin.com/search/results/people/?x=1")
    for source in (search, DirectorySearch(query="CTO"), SalesNavigator(lead_list_id="1")):
        with pytest.raises(SourceNotConfigured):
            account.prospecting.start(source, audience_name="A")
    with pytest.raises(ValidationError):
        account.prospecting.start(SalesNavigator(), audience_name="A")
    with pytest.raises(ValidationError):
        account.prospecting.start(URLS)
    with pytest.raises(SourceNotConfigured):
        account.sales_navigator.saved_searches()
    with pytest.raises(SourceNotConfigured):
        account.sales_navigator.lead_lists()
    quota = account.prospecting.quota("URL_UPLOAD")
    assert (quota.quota_type, quota.used, quota.limit, quota.exhausted) == (
        "urlUpload", 0, None, False,
    )  # fmt: skip
    assert account.prospecting.quota().list_type == "LINKEDIN_CLASSIC"


def test_monitors_are_refused_where_they_cannot_be(account: AccountGroup) -> None:
    watched = account.audiences.create(name="A", type="monitoring")
    source = DirectorySearch(query="CTO")
    with pytest.raises(SourceNotConfigured):
        account.monitors.put(watched.id, source, interval_minutes=15)
    with pytest.raises(ValidationError):
        account.monitors.put(watched.id, source, interval_minutes=14)
    with pytest.raises(NotFound):
        account.monitors.get(watched.id)
    with pytest.raises(NotFound):
        account.monitors.delete(watched.id)


def test_only_one_of_many_starts_wins(account: AccountGroup) -> None:
    audience = account.audiences.create(name="A", type="on_demand")
    account.prospecting.start(URLS, audience_id=audience.id)
    with pytest.raises(AudienceNotReady):
        account.prospecting.start(URLS, audience_id=audience.id)


def test_sources_and_monitors_of_the_mock() -> None:
    backend = MockBackend()
    backend.mock.configure_source("directory_search", [{"email": "ada@example.com"}])
    backend.mock.configure_sales_navigator(saved_searches={"7": "CTOs"}, lead_lists={})
    with backend.client() as client:
        account = client.account(backend.group_id)
        (item,) = account.sales_navigator.saved_searches().items
        assert (item.id, item.name) == ("7", "CTOs")
        assert account.sales_navigator.lead_lists().items == []
        watched = account.audiences.create(name="A", type="monitoring")
        source = DirectorySearch(query="CTO")
        made = account.monitors.put(watched.id, source, interval_minutes=60, max_results=10)
        assert made.source == {"type": "directory_search", "query": "CTO", "maxResults": 10}
        assert made.next_run_at is not None
        assert account.monitors.get(watched.id) == made
        assert made.etag is not None
        assert account.monitors.get_if_changed(watched.id, made.etag) is None
        off = account.monitors.put(
            watched.id, source, interval_minutes=60, enabled=False, if_match=made.etag
        )
        assert off.next_run_at is None
        account.monitors.delete(watched.id, if_match=off.etag)
        plain = account.audiences.create(name="B", type="on_demand")
        with pytest.raises(AudienceTypeMismatch):
            account.monitors.put(plain.id, source, interval_minutes=15)
        started = account.prospecting.start(source, audience_id=watched.id)
        backend.finish_jobs(started.job_id)
        assert account.audiences.get(watched.id).prospect_count == 1
