"""The mock server: the API's main flows in memory, without the network or over it."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final
from urllib.parse import unquote

import httpx2

from longlist_client.client import AsyncLonglist, Longlist
from longlist_client.testing import audience_operations, job_operations, prospect_operations
from longlist_client.testing.asking import PAGED, Ask, MockKey, Operation
from longlist_client.testing.network import Served, transport_to
from longlist_client.testing.network import serve as serve_mock
from longlist_client.testing.refusals import (
    Refused,
    Reply,
    envelope,
    injected,
    invalid,
    key_used_otherwise,
    lacks_permission,
    out_of_reach,
    unauthorized,
    unknown_path,
    wrong_media_type,
    wrong_method,
)
from longlist_client.testing.rules import Bad, an_id, read_body, read_object, read_query
from longlist_client.testing.state import PERMISSIONS, Group, StoredAnswer, new_id, now

_TRACE: Final = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_KEY: Final = re.compile(r"[!-~]{1,255}")
_FILE_TYPES: Final = (
    "multipart/form-data",
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/octet-stream",
)
_BASE_URL: Final = "http://longlist.mock"


class AnswerDropped(Exception):
    """The request was carried out, and a test asked that its answer gets lost."""


def _list_accounts(ask: Ask) -> Reply:
    assert ask.key is not None
    groups = sorted(ask.key.groups, reverse=True)
    rows = [
        {"id": id_, "name": ask.mock.groups[id_].name, "createdAt": ask.mock.groups[id_].created_at}
        for id_ in groups
    ]
    return Reply(ask.page(rows, lambda row: str(row["id"])))


def _shown_group(group: Group) -> dict[str, Any]:
    reserved = sum(job.reserved for job in group.jobs.values() if not job.is_terminal)
    unlimited = group.credits is None
    return {
        "id": group.id,
        "name": group.name,
        "settings": {
            "uniqueAudienceNames": group.unique_names,
            "maxResultsCap": group.max_results_cap,
            "fileRowsCap": group.file_rows_cap,
        },
        "credits": {
            "unlimited": unlimited,
            "available": group.credits,
            "reserved": None if unlimited else reserved,
        },
    }


def _me(ask: Ask) -> Reply:
    key = ask.key
    assert key is not None
    return Reply(
        {
            "keyId": key.id,
            "name": "A key",
            "keyPrefix": key.secret[:12],
            "permissions": sorted(key.permissions),
            "rateLimit": {"perMinute": 600, "burst": 100},
            "createdAt": now(),
            "expiresAt": None,
            "lastUsedAt": None,
            "accountGroups": [_shown_group(ask.mock.groups[id_]) for id_ in sorted(key.groups)],
        }
    )


def _healthy(_ask: Ask) -> Reply:
    return Reply({"status": "ok"})


def _document(_ask: Ask) -> Reply:
    document = {"openapi": "3.1.0", "info": {"title": "Longlist (mock)", "version": "0"}}
    body = json.dumps(document).encode()
    return Reply(headers={"Content-Type": "application/json; charset=utf-8"}, body=body)


OPERATIONS: Final = (
    Operation("GET", "/v1/accounts", _list_accounts, query=PAGED),
    Operation("GET", "/v1/me", _me),
    Operation("GET", "/healthz", _healthy, is_public=True),
    Operation("GET", "/readyz", _healthy, is_public=True),
    Operation("GET", "/openapi.json", _document, is_public=True),
    *audience_operations.OPERATIONS,
    *prospect_operations.OPERATIONS,
    *job_operations.OPERATIONS,
)


def _found(parts: Sequence[str], method: str) -> tuple[Operation, list[str]]:
    """The operation of a path, and the ids in the path. A fixed name goes before an id."""
    allowed: dict[str, tuple[int, Operation, list[str]]] = {}
    for operation in OPERATIONS:
        names = operation.template.split("/")
        if len(names) != len(parts):
            continue
        ids = [part for name, part in zip(names, parts, strict=True) if name.startswith("{")]
        fixed = [(a, b) for a, b in zip(names, parts, strict=True) if not a.startswith("{")]
        if any(name != part for name, part in fixed):
            continue
        if operation.method not in allowed or allowed[operation.method][0] < len(fixed):
            allowed[operation.method] = (len(fixed), operation, ids)
    if not allowed:
        raise unknown_path()
    if method not in allowed:
        raise wrong_method(sorted(allowed))
    _, operation, ids = allowed[method]
    return operation, ids


class MockLonglist:
    """A Longlist in memory, for tests of what uses one.

    It has one account group (`account_group_id`) and one key (`api_key`) that may do everything;
    `add_account_group` and `add_key` make more. A job goes on when it is looked at: a look with
    `wait` (as `prospecting.wait` does) ends it, another sets it running. With `hold_jobs` it stays
    as it is, and its audience locked, until `run_jobs`. Nothing waits for real time.

    What it leaves out: workbooks and Parquet files, rate limits and
    server faults except those asked for by `refuse_next`, and the finest points of text rules.
    """

    def __init__(self, *, hold_jobs: bool = False) -> None:
        self.secret = secrets.token_bytes(16)
        self.hold_jobs = hold_jobs
        self.groups: dict[str, Group] = {}
        self._keys: dict[str, MockKey] = {}
        self._refusals: list[Refused] = []
        self._drops = 0
        self._lock = threading.RLock()
        self.account_group_id = self.add_account_group("Mock")
        self.api_key = self.add_key()

    # What a test sets up.

    def add_account_group(
        self,
        name: str,
        *,
        unique_audience_names: bool = False,
        max_results_cap: int = 2_000,
        file_rows_cap: int = 5_000_000,
        credits: int | None = None,
    ) -> str:
        """A further account group with its settings; its id. `credits` None is unlimited."""
        id_ = new_id()
        self.groups[id_] = Group(
            id_,
            name,
            now(),
            unique_names=unique_audience_names,
            max_results_cap=max_results_cap,
            file_rows_cap=file_rows_cap,
            credits=credits,
        )
        return id_

    def add_key(
        self,
        *,
        permissions: Collection[str] = PERMISSIONS,
        account_group_ids: Collection[str] | None = None,
    ) -> str:
        """A further key: for every account group there is now, unless told which."""
        secret = f"llk_{secrets.token_hex(25)[:49]}"
        reach = self.groups if account_group_ids is None else account_group_ids
        self._keys[secret] = MockKey(secret, frozenset(permissions), frozenset(reach), new_id())
        return secret

    def configure_source(
        self, kind: str, people: Iterable[Mapping[str, Any]], account_group_id: str | None = None
    ) -> None:
        """Whom jobs of a kind find, as members of a prospect in the API's names.

        Until then `linkedin_search`, `sales_navigator`, `post_commenters` and `directory_search`
        are refused as not configured.
        """
        group = self.groups[account_group_id or self.account_group_id]
        group.sources[kind] = [dict(person) for person in people]

    def configure_sales_navigator(
        self,
        *,
        saved_searches: Mapping[str, str],
        lead_lists: Mapping[str, str],
        account_group_id: str | None = None,
    ) -> None:
        """The saved searches and lead lists that are offered: name by id."""
        group = self.groups[account_group_id or self.account_group_id]
        for kind, named in (("saved-searches", saved_searches), ("lead-lists", lead_lists)):
            group.navigator[kind] = [{"id": id_, "name": name} for id_, name in named.items()]

    def run_jobs(self) -> None:
        """Run every queued or running job to its end."""
        with self._lock:
            for group in self.groups.values():
                for job in list(group.jobs.values()):
                    if not job.is_terminal:
                        job_operations.finish(group, job)

    def fail_job(self, job_id: str, code: str = "SOURCE_ERROR") -> None:
        """End a job as failed."""
        with self._lock:
            for group in self.groups.values():
                if job_id in group.jobs:
                    error = {"code": code, "message": "The source failed."}
                    job_operations.end(group, group.jobs[job_id], "failed", error)

    def refuse_next(self, code: str, times: int = 1, *, retry_after: int = 0) -> None:
        """Answer the next requests with RATE_LIMITED, OVERLOADED, UPSTREAM_ERROR or INTERNAL_ERROR,
        carrying out none of them."""
        self._refusals += [injected(code, retry_after)] * times

    def drop_next(self, times: int = 1) -> None:
        """Carry out the next requests and lose their answers, as a cut connection does."""
        self._drops += times

    # How a test reaches it.

    def transport(self) -> httpx2.MockTransport:
        """A transport for any httpx2 client, blocking or not, that ends in this mock."""
        return transport_to(self.handle, AnswerDropped)

    def client(self, **options: Any) -> Longlist:
        """A client of this mock; the options are those of Longlist."""
        known = {"api_key": self.api_key, "base_url": _BASE_URL, "transport": self.transport()}
        return Longlist(**{**known, **options})

    def async_client(self, **options: Any) -> AsyncLonglist:
        """A client of this mock to be awaited; the options are those of AsyncLonglist."""
        known = {"api_key": self.api_key, "base_url": _BASE_URL, "transport": self.transport()}
        return AsyncLonglist(**{**known, **options})

    def serve(self, port: int = 0) -> AbstractContextManager[Served]:
        """Listen on a port of the loopback interface, a free one by default, while in the `with`.

        For programs in other processes; what is entered has the `url`.
        """
        return serve_mock(self.handle, AnswerDropped, port)

    # What it answers.

    def handle(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a request. Raises AnswerDropped where that was asked for."""
        named = {name.lower(): value for name, value in headers.items()}
        traced = _TRACE.fullmatch(named.get("traceparent", ""))
        trace_id = traced[1] if traced else secrets.token_hex(16)
        with self._lock:
            try:
                reply = self._answer(method, target, named, content)
                status, extra = reply.status, reply.headers
                body = envelope(reply.data, None, trace_id) if reply.body is None else reply.body
            except Refused as refused:
                status, extra = refused.status, refused.headers
                body = envelope(None, refused.error, trace_id)
            if self._drops > 0:
                self._drops -= 1
                raise AnswerDropped
        kind = {} if status == 304 else {"Content-Type": "application/json; charset=utf-8"}
        common = {
            **kind,
            "X-Trace-Id": trace_id,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return status, {**common, **extra}, body

    def _answer(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> Reply:
        path, _, query = target.partition("?")
        operation, ids = _found([unquote(part) for part in path.split("/")], method)
        if self._refusals:
            raise self._refusals.pop(0)
        key, group = self._admitted(operation, headers, ids)
        own_ids = ids[1:] if group is not None else ids
        ask = Ask(self, key, operation, own_ids, {}, {}, headers, content, group)
        _check_ids(operation, own_ids)
        status = operation.invalid_status
        if not operation.is_public:
            ask.query = read_query(query, operation.query, status)
        if method in ("POST", "PATCH", "PUT"):
            ask.body = _decoded(operation, headers, content)
        elif content.strip() not in (b"", b"{}"):
            raise invalid(("", "unknown_field", "This takes no body."), status=status)
        return self._once(ask, path)

    def _admitted(
        self, operation: Operation, headers: Mapping[str, str], ids: Sequence[str]
    ) -> tuple[MockKey | None, Group | None]:
        """The key and the account group. Raises the 401 and the 403s."""
        if operation.is_public:
            return None, None
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        key = self._keys.get(secret.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise unauthorized()
        if operation.permission is None:
            return key, None
        if operation.permission not in key.permissions:
            raise lacks_permission(operation.permission)
        if ids[0] not in key.groups:
            raise out_of_reach()
        return key, self.groups[ids[0]]

    def _once(self, ask: Ask, path: str) -> Reply:
        """Carry out a request, unless it is the repetition of one with the same key."""
        key = ask.headers.get("idempotency-key")
        if key is None or ask.operation.method != "POST":
            return ask.operation.handler(ask)
        if not _KEY.fullmatch(key):
            field = "header.Idempotency-Key"
            raise invalid((field, "invalid_format", "Not 1 to 255 visible characters."))
        body = ask.content if ask.operation.takes_file else json.dumps(ask.body, sort_keys=True)
        request = (ask.operation.template, path, json.dumps(ask.query, sort_keys=True), body)
        stored = ask.group.answers.get(key)
        if stored is not None:
            if stored.request != request:
                raise key_used_otherwise()
            return _again(ask.group, stored)
        reply = ask.operation.handler(ask)
        if not ask.body.get("dryRun"):
            job_id = reply.data.get("jobId") if reply.status == 202 else None
            data = json.loads(json.dumps(reply.data))
            ask.group.answers[key] = StoredAnswer(
                request, reply.status, data, reply.headers, job_id
            )
        return reply


def _again(group: Group, stored: StoredAnswer) -> Reply:
    replayed = {"Idempotency-Replayed": "true"}
    if stored.job_id is not None:
        present = job_operations.started(group, group.jobs[stored.job_id])
        return Reply(present.data, present.status, {**present.headers, **replayed})
    return Reply(stored.data, stored.status, {**stored.headers, **replayed})


def _check_ids(operation: Operation, ids: Sequence[str]) -> None:
    names = [part[1:-1] for part in operation.template.split("/") if part.startswith("{")]
    own = [name for name in names if name != "accountGroupId"]
    for name, value in zip(own, ids, strict=True):
        if name == "providerId":
            continue
        try:
            an_id(value)
        except Bad as bad:
            raise invalid((f"path.{name}", bad.code, bad.message)) from bad


def _decoded(operation: Operation, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
    """The body of a request. Raises the 415 and the 400s."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if operation.takes_file:
        if kind not in _FILE_TYPES:
            raise wrong_media_type(_FILE_TYPES)
        if kind == "multipart/form-data":
            raise NotImplementedError("The mock takes files as raw bytes, as the client does.")
        return {}
    supported = ["application/json"]
    if operation.method == "PATCH":
        supported.append("application/merge-patch+json")
    if operation.body is None:
        if content.strip() not in (b"", b"{}"):
            raise invalid(("", "unknown_field", "This takes no body."))
        return {}
    if kind not in supported:
        raise wrong_media_type(supported)
    sent = read_object(content)
    members = operation.body(sent) if callable(operation.body) else operation.body
    found = read_body(
        sent,
        members,
        not_settable=operation.not_settable,
        is_update=operation.method == "PATCH",
    )
    if operation.check is not None:
        operation.check(found)
    return found
