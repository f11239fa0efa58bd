"""An HTTP answer, and what the contract demands of every one of them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from longlist.app import OPERATIONS
from longlist.errors import MethodNotAllowed, NotFound
from longlist.operations import Operation, Router
from tests.harness import schemas

ROUTER = Router(OPERATIONS)
TRANSPORT = {
    400: {"VALIDATION_ERROR"},
    404: {"NOT_FOUND"},
    405: {"METHOD_NOT_ALLOWED"},
    408: {"REQUEST_TIMEOUT"},
    413: {"PAYLOAD_TOO_LARGE"},
    414: {"URI_TOO_LONG"},
    431: {"HEADERS_TOO_LARGE"},
}
"""Contract 1.1: what any request may meet before it has an endpoint."""
CONTEXT = {
    "UNAUTHORIZED": set[str](),
    "NOT_FOUND": {"resource"},
    "METHOD_NOT_ALLOWED": {"allowed"},
    "AUDIENCE_NOT_READY": {
        "audienceId", "jobId", "jobStatus", "progress", "since", "retryAfterSeconds",
    },
    "PRECONDITION_FAILED": {"currentEtag"},
    "PAYLOAD_TOO_LARGE": {"limitBytes"},
    "UNSUPPORTED_MEDIA_TYPE": {"supported"},
    "RATE_LIMITED": {"limit", "remaining", "retryAfterSeconds"},
    "INTERNAL_ERROR": set[str](),
    "FORBIDDEN": {"requiredPermission"},
    "IDEMPOTENCY_CONFLICT": set[str](),
}  # fmt: skip
"""Contract 1.4: the members that `context` may have, by code."""
WITH_RETRY_AFTER = {"AUDIENCE_NOT_READY", "RATE_LIMITED", "OVERLOADED"}
_POLICY = re.compile(r'"key";q=(\d+);w=(\d+)')
_RATE = re.compile(r'"key";r=(\d+);t=(\d+)')


@dataclass(repr=False)
class Answer:
    """Status, headers by lowercase name, and body."""

    method: str
    status: int
    headers: dict[str, str]
    body: bytes
    operation: Operation | None = None
    _json: Any = None

    def __repr__(self) -> str:
        return f"<{self.method} {self.status} {self.body[:200]!r}>"

    @property
    def json(self) -> Any:
        if self._json is None:
            self._json = json.loads(self.body)
        return self._json

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def code(self) -> str:
        return str(self.error["code"])

    @property
    def issues(self) -> list[tuple[str, str]]:
        """Field and code of each issue."""
        return [(issue["field"], issue["code"]) for issue in self.error.get("issues", ())]

    @property
    def etag(self) -> str:
        return self.headers["etag"]

    @property
    def untraced(self) -> Any:
        """The body without its trace id: what two equal answers have in common."""
        return {name: value for name, value in self.json.items() if name != "traceId"}

    def expect(self, status: int, code: str | None = None) -> Answer:
        """This answer, which must have the status, and the error code if one is named."""
        shown = self.body[:800].decode("utf-8", "replace")
        assert self.status == status, f"{self.status}, not {status}: {shown}"
        if code is not None:
            assert self.code == code, shown
        return self


def operation_of(method: str, target: str) -> Operation | None:
    """The operation that a request reaches, None for unknown paths, OPTIONS and wrong methods."""
    try:
        found, _, _ = ROUTER.find(target.partition("?")[0].encode("latin-1"), method)
    except (NotFound, MethodNotAllowed):
        return None
    return found


def check(answer: Answer) -> None:
    """Assert everything the contract says of all answers alike."""
    headers, operation = answer.headers, answer.operation
    assert re.fullmatch(r"(?!0{32})[0-9a-f]{32}", headers["x-trace-id"])
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers
    _check_status(answer)
    if operation is not None and not operation.public:
        _check_rate(answer)
    if answer.status in (204, 304) or answer.method == "HEAD":
        assert answer.body == b""
        return
    kind = headers["content-type"].partition(";")[0]
    if answer.status == 200 and operation is not None and kind in operation.streams:
        return
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert int(headers["content-length"]) == len(answer.body)
    _check_envelope(answer)
    if operation is not None:
        schemas.check(operation, answer.status, answer.json)


def _check_status(answer: Answer) -> None:
    operation, status = answer.operation, answer.status
    if operation is None:
        assert status in TRANSPORT or status == 204, status
        return
    if answer.method != "HEAD" and status >= 400:
        allowed = set(operation.statuses.get(status, ())) | TRANSPORT.get(status, set())
        assert answer.code in allowed, (operation.id, status, answer.code)
    else:
        assert status in operation.statuses or status in TRANSPORT, (operation.id, status)
    if status < 400 and operation.tagged and operation.method != "DELETE":
        assert re.fullmatch(r'"[^"]+"', answer.etag)
    if operation.method == "DELETE" and status == 200:
        assert "etag" not in answer.headers
        assert answer.data == {"deleted": True}


def _check_rate(answer: Answer) -> None:
    """Rate headers are on every answer to an authenticated request, and agree with each other."""
    headers = answer.headers
    named = [name for name in headers if "ratelimit" in name]
    if answer.status in (200, 201, 304, 403, 404, 409, 412, 422):
        assert len(named) == 5, (answer.status, named)
    if answer.status == 401:
        assert not named
    if not named:
        return
    policy, rate = (
        _POLICY.fullmatch(headers["ratelimit-policy"]),
        _RATE.fullmatch(headers["ratelimit"]),
    )
    assert policy is not None, headers
    assert rate is not None, headers
    assert headers["x-ratelimit-limit"] == policy[1]
    assert headers["x-ratelimit-remaining"] == rate[1]
    assert headers["x-ratelimit-reset"] == rate[2]
    assert int(rate[1]) <= int(policy[1])


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), names
    return dict(pairs)


def _check_envelope(answer: Answer) -> None:
    body = json.loads(answer.body, object_pairs_hook=_unrepeated)
    assert list(body) == ["success", "data", "error", "traceId"]
    assert body["traceId"] == answer.headers["x-trace-id"]
    assert body["success"] is (200 <= answer.status < 300)
    if body["success"]:
        assert body["error"] is None
        assert body["data"] is not None
        return
    assert body["data"] is None
    error = body["error"]
    order = ["code", "message", "details", "issues", "context"]
    assert list(error) == [name for name in order if name in error]
    assert error["message"].endswith(".")
    assert error["details"].endswith(".")
    _check_issues(answer.status, error)
    _check_context(answer, error)


def _check_issues(status: int, error: dict[str, Any]) -> None:
    assert "issues" not in error or status in (400, 422)
    issues = error.get("issues", [])
    assert "issues" not in error or 1 <= len(issues) <= 50
    for issue in issues:
        assert list(issue) == ["field", "code", "message"]
        assert issue["message"]
    total = error.get("context", {}).get("issuesTotal")
    assert total is None or total > 50


def _check_context(answer: Answer, error: dict[str, Any]) -> None:
    context, code = error.get("context", {}), error["code"]
    if code in CONTEXT:
        assert set(context) <= CONTEXT[code], (code, context)
    if code == "AUDIENCE_NOT_READY":
        assert set(context) == CONTEXT[code]
    if code in WITH_RETRY_AFTER or "retryAfterSeconds" in context:
        assert int(answer.headers["retry-after"]) == context["retryAfterSeconds"] >= 1
    else:
        assert "retry-after" not in answer.headers
    if code == "PRECONDITION_FAILED":
        assert answer.headers.get("etag") == context["currentEtag"]
    if answer.status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="longlist"'
    if answer.status == 405:
        assert answer.headers["allow"].split(", ") == context["allowed"]
