"""The two servers that the same scenarios run against: a real Longlist and the mock."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, Protocol

import httpx2
from jsonschema import Draft202012Validator
from longlist import openapi
from longlist.keys.store import PERMISSIONS
from tests.harness.answer import operation_of
from tests.harness.server import Longlist as Server
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker

from longlist_client import AsyncLonglist, Longlist, Retries
from longlist_client.testing import MockLonglist

QUICK = Retries(base_s=0.0)
"""Retries that wait no longer than the server asks."""


@cache
def document() -> dict[str, Any]:
    """The API document of the running code; `make check` holds openapi.json to it."""
    return openapi.document()


class Backend(Protocol):
    """A server with one account group of the test's own."""

    group_id: str
    api_key: str

    def client(self, **options: Any) -> Longlist: ...

    def async_client(self, **options: Any) -> AsyncLonglist: ...

    def make_key(self, permissions: Collection[str]) -> str: ...

    def finish_jobs(self, *job_ids: str) -> None: ...

    def require_unique_names(self) -> None: ...

    def set_credits(self, credits: int) -> None: ...


class RealBackend:
    """A Longlist over HTTP. Its jobs run when the test says so, by a worker led by hand."""

    def __init__(self, server: Server) -> None:
        self._tenant = Tenant(server)
        self._worker = HandWorker(server)
        assert self._tenant.key is not None
        self.api_key = self._tenant.key
        self.group_id = self._tenant.group.hex()
        self.url = f"http://127.0.0.1:{server.port}"

    def client(self, **options: Any) -> Longlist:
        transport = Checked(httpx2.HTTPTransport())
        known = {"api_key": self.api_key, "base_url": self.url, "transport": transport}
        return Longlist(**{**known, "retries": QUICK, **options})

    def async_client(self, **options: Any) -> AsyncLonglist:
        known = {"api_key": self.api_key, "base_url": self.url, "retries": QUICK}
        return AsyncLonglist(**{**known, **options})

    def make_key(self, permissions: Collection[str]) -> str:
        return self._tenant.make_key(list(permissions))[1]

    def finish_jobs(self, *job_ids: str) -> None:
        for job_id in job_ids:
            assert self._worker.run(job_id)

    def require_unique_names(self) -> None:
        self._tenant.set(uniqueAudienceNames=True)

    def set_credits(self, credits: int) -> None:
        self._tenant.set(credits=credits)


class MockBackend:
    """The mock, in the process."""

    def __init__(self) -> None:
        self.mock = MockLonglist(hold_jobs=True)
        self.api_key = self.mock.api_key
        self.group_id = self.mock.account_group_id

    def client(self, **options: Any) -> Longlist:
        transport = Checked(self.mock.transport())
        return self.mock.client(**{"transport": transport, "retries": QUICK, **options})

    def async_client(self, **options: Any) -> AsyncLonglist:
        return self.mock.async_client(**{"retries": QUICK, **options})

    def make_key(self, permissions: Collection[str]) -> str:
        assert set(permissions) <= set(PERMISSIONS)
        return self.mock.add_key(permissions=permissions)

    def finish_jobs(self, *job_ids: str) -> None:
        assert job_ids
        self.mock.run_jobs()

    def require_unique_names(self) -> None:
        self.mock.groups[self.group_id].unique_names = True

    def set_credits(self, credits: int) -> None:
        self.mock.groups[self.group_id].credits = credits


class Checked(httpx2.BaseTransport):
    """A transport that holds every JSON answer against the API document."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        if response.headers.get("content-type", "").startswith("application/json"):
            response.request = request
            response.read()
            check(request, response)
        return response

    def close(self) -> None:
        self._inner.close()


@cache
def _validator(method: str, template: str, status: int) -> Draft202012Validator:
    answer = document()["paths"][template][method.lower()]["responses"][str(status)]
    if "$ref" in answer:
        answer = document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    schema = answer["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": document()["components"]})


def check(request: httpx2.Request, response: httpx2.Response) -> None:
    """Assert that the answer is one that the document knows for this operation."""
    operation = operation_of(request.method, request.url.raw_path.decode())
    assert operation is not None
    if operation.path == "/openapi.json":
        return
    body = response.json()
    validator = _validator(operation.method, operation.path, response.status_code)
    faults = [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(body)]
    assert not faults, (operation.id, response.status_code, faults[:5])
    assert body["traceId"] == response.headers["x-trace-id"]
    if response.status_code >= 400:
        known = operation.statuses[response.status_code]
        assert body["error"]["code"] in known, (operation.id, body["error"]["code"], known)
    if operation.tagged and operation.method != "DELETE" and response.status_code < 300:
        assert response.headers.get("etag", "").startswith('"'), operation.id
