"""The mock as users of the package meet it: fixtures, a port, and what it can be asked for."""

from __future__ import annotations

import http.client
import json

import httpx2
import pytest
from client.tests.backends import document

from longlist_client import (
    AudienceNotReady,
    FileImport,
    InternalError,
    JobNotCompleted,
    Longlist,
    NotFound,
    ProspectInput,
    RateLimited,
    Retries,
    UpstreamError,
    UrlUpload,
    ValidationError,
)
from longlist_client.testing import MockLonglist
from longlist_client.testing.fixtures import longlist_client, longlist_mock

__all__ = ["longlist_client", "longlist_mock"]
URLS = UrlUpload(profile_urls=["https://www.linkedin.com/in/ada-example"])


def test_the_fixtures(longlist_mock: MockLonglist, longlist_client: Longlist) -> None:
    account = longlist_client.account(longlist_mock.account_group_id)
    started = account.prospecting.start(URLS, audience_name="A")
    with pytest.raises(AudienceNotReady):
        account.audiences.get(started.audience_id)
    assert account.prospecting.get(started.job_id).status == "running"
    assert account.prospecting.wait(started.job_id).counts.added == 1


def test_the_mock_has_every_operation_of_the_document() -> None:
    from longlist_client.testing.mock import OPERATIONS

    documented = {
        (method.upper(), path) for path, item in document()["paths"].items() for method in item
    }
    assert {(o.method, o.template) for o in OPERATIONS} == documented
    permissions = {
        (method.upper(), path): operation.get("x-permission")
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    }
    assert {(o.method, o.template): o.permission for o in OPERATIONS} == permissions


def test_it_listens_on_a_port() -> None:
    mock = MockLonglist()
    with mock.serve() as served:
        with Longlist(mock.api_key, base_url=served.url, retries=Retries(base_s=0.0)) as client:
            account = client.account(mock.account_group_id)
            mock.drop_next()
            made = account.audiences.create(name="A", type="on_demand")
            assert made.etag is not None
            assert account.audiences.get_if_changed(made.id, made.etag) is None
            account.prospects.add(made.id, [ProspectInput(email="ada@example.com")])
            file = account.files.upload(_Unsized(b"Email\nben@example.com\n"))  # type: ignore[arg-type]
            source = FileImport(file_id=file.file_id)
            job = account.prospecting.start(source, audience_id=made.id)
            account.prospecting.wait(job.job_id)
            with account.audiences.export(made.id, format="ndjson") as export:
                emails = [prospect.email for prospect in export.prospects()]
            assert emails == ["ben@example.com", "ada@example.com"]
            account.audiences.delete(made.id)
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        connection.request("GET", "/healthz")
        with connection.getresponse() as response:
            assert json.loads(response.read())["data"] == {"status": "ok"}
        connection.close()


class _Unsized:
    """A stream without a length: it goes out in chunks."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def seekable(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        piece, self._left = self._left[:size], self._left[size:]
        return piece


def test_groups_do_not_see_each_other() -> None:
    mock = MockLonglist()
    other = mock.add_account_group("Other", unique_audience_names=True, credits=5)
    with mock.client(api_key=mock.add_key()) as client:
        made = client.account(mock.account_group_id).audiences.create(name="A", type="on_demand")
        with pytest.raises(NotFound):
            client.account(other).audiences.get(made.id)
        assert {group.id for group in client.accounts.list()} == {mock.account_group_id, other}
        settings = {group.id: group.settings for group in client.me().account_groups}
        assert settings[other].unique_audience_names


def test_failures_on_demand() -> None:
    mock = MockLonglist(hold_jobs=True)
    with mock.client(retries=Retries(attempts=1)) as client:
        account = client.account(mock.account_group_id)
        for code, error in (
            ("RATE_LIMITED", RateLimited),
            ("UPSTREAM_ERROR", UpstreamError),
            ("INTERNAL_ERROR", InternalError),
        ):
            mock.refuse_next(code, retry_after=3)
            with pytest.raises(error) as caught:
                account.audiences.create(name="A", type="on_demand")
            assert caught.value.retry_after == (None if code == "INTERNAL_ERROR" else 3)
        assert list(account.audiences.list()) == []
        started = account.prospecting.start(URLS, audience_name="A")
        assert account.prospecting.get(started.job_id, wait=30).status == "queued"
        mock.fail_job(started.job_id)
        with pytest.raises(JobNotCompleted, match="SOURCE_ERROR"):
            account.prospecting.wait(started.job_id)
        assert account.audiences.get(started.audience_id).prospect_count == 0


def test_requests_that_no_client_of_ours_sends() -> None:
    mock = MockLonglist()
    path = f"/v1/accounts/{mock.account_group_id}/audiences"
    with httpx2.Client(
        transport=mock.transport(),
        base_url="http://mock",
        headers={"Authorization": f"Bearer {mock.api_key}"},
    ) as raw:

        def code(method: str, target: str, **more: object) -> tuple[int, str, list[str]]:
            response = raw.request(method, target, **more)  # type: ignore[arg-type]
            error = response.json()["error"]
            issues = [f"{i['field']}:{i['code']}" for i in error.get("issues", [])]
            return response.status_code, error["code"], issues

        invalid = (400, "VALIDATION_ERROR")
        assert code("GET", "/v2") == (404, "NOT_FOUND", [])
        assert code("PUT", path) == (405, "METHOD_NOT_ALLOWED", [])
        assert code("POST", path, content=b"x") == (415, "UNSUPPORTED_MEDIA_TYPE", [])
        assert code("POST", path, json=[]) == (*invalid, [":wrong_type"])
        twice = {"content": b'{"a":1,"a":2}', "headers": {"Content-Type": "application/json"}}
        assert code("POST", path, **twice) == (*invalid, [":duplicate_key"])
        body = {"name": 1, "folderId": "x", "more": 1}
        assert set(code("POST", path, json=body)[2]) == {
            "name:wrong_type", "folderId:not_settable", "more:unknown_field", "type:required",
        }  # fmt: skip
        assert code("GET", f"{path}?limit=201") == (*invalid, ["query.limit:out_of_range"])
        assert code("GET", f"{path}?x=1") == (*invalid, ["query.x:unknown_parameter"])
        assert code("GET", f"{path}?q=a&q=b") == (*invalid, ["query.q:repeated_parameter"])
        assert code("GET", f"{path}/x") == (*invalid, ["path.audienceId:invalid_format"])
        bad_key = {
            "json": {"name": "A", "type": "on_demand"},
            "headers": {"Idempotency-Key": "a b"},
        }
        assert code("POST", path, **bad_key)[2] == ["header.Idempotency-Key:invalid_format"]


def test_what_it_cannot_read_it_says() -> None:
    mock = MockLonglist()
    with mock.client() as client:
        account = client.account(mock.account_group_id)
        with pytest.raises(NotImplementedError):
            account.files.upload(b"PK\x03\x04")
        with pytest.raises(ValidationError):
            account.files.upload(b"a,a\n1,2\n")
        file = account.files.upload(b'{"email": "ada@example.com"}\nnonsense\n')
        assert (file.format, file.row_estimate) == ("ndjson", 2)
        job = account.prospecting.start(FileImport(file_id=file.file_id), audience_name="A")
        counts = account.prospecting.wait(job.job_id).counts
        assert (counts.added, counts.failed) == (1, 1)
