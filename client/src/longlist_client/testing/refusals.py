"""What the mock refuses, in the words of the API: statuses, codes, contexts and the envelope."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered; a `body` of bytes goes out as it is, else `data` in the
    envelope."""

    data: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


class Refused(Exception):
    """A request that is answered with an error and has changed nothing."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: str,
        *,
        issues: Sequence[tuple[str, str, str]] = (),
        context: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.error: dict[str, Any] = {"code": code, "message": message, "details": details}
        if issues:
            self.error["issues"] = [
                {"field": name, "code": kind, "message": text} for name, kind, text in issues[:50]
            ]
        if context is not None:
            self.error["context"] = dict(context)


def envelope(data: Any, error: Any, trace_id: str) -> bytes:
    """The four members that every answer has, in their order."""
    whole = {"success": error is None, "data": data, "error": error, "traceId": trace_id}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def invalid(*issues: tuple[str, str, str], status: int = 400) -> Refused:
    """The refusal of a request that is not valid: field, code and message of each issue."""
    return Refused(
        status,
        "VALIDATION_ERROR",
        "The request is not valid.",
        "Correct the members named in issues and send the request again.",
        issues=issues,
    )


def unauthorized() -> Refused:
    return Refused(
        401,
        "UNAUTHORIZED",
        "The API key is missing or not valid.",
        "Send a valid key as Authorization: Bearer <key>.",
        headers={"WWW-Authenticate": 'Bearer realm="longlist"'},
    )


def lacks_permission(permission: str) -> Refused:
    return Refused(
        403,
        "FORBIDDEN",
        "This key lacks a permission.",
        f"Ask the operator for a key with {permission}.",
        context={"requiredPermission": permission},
    )


def out_of_reach() -> Refused:
    return Refused(
        403,
        "FORBIDDEN",
        "This key does not reach this account group.",
        "List the account groups of this key with GET /v1/accounts.",
    )


def unknown_path() -> Refused:
    return Refused(404, "NOT_FOUND", "There is nothing here.", "Check the path of the request.")


def not_found(resource: str) -> Refused:
    return Refused(
        404,
        "NOT_FOUND",
        f"No such {resource} in this account group.",
        "Check the id with the list of those that exist.",
        context={"resource": resource},
    )


def wrong_method(allowed: Sequence[str]) -> Refused:
    return Refused(
        405,
        "METHOD_NOT_ALLOWED",
        "This path does not take this method.",
        "Use one of the allowed methods.",
        context={"allowed": list(allowed)},
        headers={"Allow": ", ".join(allowed)},
    )


def not_ready(job: Mapping[str, Any]) -> Refused:
    context = {
        "audienceId": job["audienceId"],
        "jobId": job["jobId"],
        "jobStatus": job["status"],
        "progress": job["progress"],
        "since": job["createdAt"],
        "retryAfterSeconds": 1,
    }
    return Refused(
        409,
        "AUDIENCE_NOT_READY",
        "The audience is still being filled by a prospecting job.",
        "Wait for the job to end or cancel it, then send the request again.",
        context=context,
        headers={"Retry-After": "1"},
    )


def conflict(message: str, details: str, **context: Any) -> Refused:
    return Refused(409, "CONFLICT", message, details, context=context or None)


def key_used_otherwise() -> Refused:
    return Refused(
        409,
        "IDEMPOTENCY_CONFLICT",
        "This Idempotency-Key was used for another request.",
        "Use a fresh key for each request.",
    )


def changed_since(etag: str) -> Refused:
    return Refused(
        412,
        "PRECONDITION_FAILED",
        "The resource has changed since.",
        "Read it again and decide anew.",
        context={"currentEtag": etag},
        headers={"ETag": etag},
    )


def wrong_media_type(supported: Sequence[str]) -> Refused:
    return Refused(
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "The body has a type that is not taken here.",
        "Send one of the supported types.",
        context={"supported": list(supported)},
    )


def unprocessable(code: str, message: str, details: str, **more: Any) -> Refused:
    return Refused(422, code, message, details, **more)


def not_configured() -> Refused:
    return unprocessable(
        "SOURCE_NOT_CONFIGURED",
        "There is no source for this kind of job.",
        "Ask the operator to set one up.",
    )


INJECTED: Final[Mapping[str, tuple[int, str, str]]] = {
    "RATE_LIMITED": (429, "Too many requests with this key.", "Wait, then send it again."),
    "INTERNAL_ERROR": (500, "The server failed to handle the request.", "Report the traceId."),
    "UPSTREAM_ERROR": (502, "A source failed.", "Send the request again later."),
    "OVERLOADED": (503, "The server sheds load.", "Wait, then send the request again."),
}
"""Errors that tests ask for: status, message and details by code."""


def injected(code: str, retry_after: int) -> Refused:
    """An error that a test asked for."""
    status, message, details = INJECTED[code]
    if status == 500:
        return Refused(status, code, message, details)
    context: dict[str, Any] = {"retryAfterSeconds": retry_after}
    if code == "RATE_LIMITED":
        context = {"limit": 100, "remaining": 0, **context}
    headers = {"Retry-After": str(retry_after)}
    return Refused(status, code, message, details, context=context, headers=headers)
