"""Every error a caller can see, and the one writer of the envelope.

    LonglistError
    ├── ValidationFailed          400  VALIDATION_ERROR
    ├── Unauthorized              401  UNAUTHORIZED
    ├── InsufficientCredits       402  INSUFFICIENT_CREDITS
    ├── Forbidden                 403  FORBIDDEN
    ├── NotFound                  404  NOT_FOUND
    ├── MethodNotAllowed          405  METHOD_NOT_ALLOWED
    ├── RequestTimeout            408  REQUEST_TIMEOUT
    ├── AudienceNotReady          409  AUDIENCE_NOT_READY
    ├── IdempotencyConflict       409  IDEMPOTENCY_CONFLICT
    ├── Conflict                  409  CONFLICT
    ├── PreconditionFailed        412  PRECONDITION_FAILED
    ├── PayloadTooLarge           413  PAYLOAD_TOO_LARGE
    ├── UriTooLong                414  URI_TOO_LONG
    ├── UnsupportedMediaType      415  UNSUPPORTED_MEDIA_TYPE
    ├── Unprocessable             422  a specific code
    ├── RateLimited               429  RATE_LIMITED
    ├── HeadersTooLarge           431  HEADERS_TOO_LARGE
    ├── InternalError             500  INTERNAL_ERROR
    ├── UpstreamError             502  UPSTREAM_ERROR
    └── Overloaded                503  OVERLOADED

A store or handler raises one of these; the gate turns it into the answer. `message` is one
sentence saying what went wrong, `details` one sentence saying what to do. Neither may repeat raw
input, a key, SQL, a file path or another group's data (contract 1.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

MAX_ISSUES: Final = 50


class Issue(msgspec.Struct, frozen=True):
    """One thing wrong with one member: `field` is a path, `""` for the whole body."""

    field: str
    code: str
    message: str


class LonglistError(Exception):
    """An error with an HTTP status and a code of the contract.

    `context` holds machine-readable facts, `headers` what the answer carries besides the body.
    """

    status: ClassVar[int] = 500
    code: str = "INTERNAL_ERROR"
    message: str = "The server failed to handle the request."
    details: str = (
        "Read the current state before trying again, and report the traceId to the operator."
    )

    def __init__(
        self,
        message: str | None = None,
        details: str | None = None,
        *,
        code: str | None = None,
        issues: Sequence[Issue] = (),
        context: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if message is not None:
            self.message = message
        if details is not None:
            self.details = details
        if code is not None:
            self.code = code
        self.issues: tuple[Issue, ...] = tuple(issues)
        self.context: dict[str, Any] = dict(context or {})
        self.headers: dict[str, str] = dict(headers or {})
        super().__init__(self.message)


class ValidationFailed(LonglistError):
    """400: syntax, shape, type, length, unknown member or parameter, malformed id, bad cursor."""

    status = 400
    code = "VALIDATION_ERROR"
    message = "The request is not valid."
    details = "Correct the fields named in issues and send the request again."

    def as_unprocessable(self) -> Unprocessable:
        """The same as a 422, for the endpoints where that stands in for 400."""
        return Unprocessable(self.message, self.details, issues=self.issues, context=self.context)


class Unauthorized(LonglistError):
    """401: missing, malformed, unknown, revoked or expired key; one and the same body."""

    status = 401
    code = "UNAUTHORIZED"
    message = "The API key is missing or not valid."
    details = "Send a valid key as Authorization: Bearer <key>."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer realm="longlist"'})


class InsufficientCredits(LonglistError):
    """402: the estimate of a job exceeds the credits that are left (contract 1.11)."""

    status = 402
    code = "INSUFFICIENT_CREDITS"
    message = "The account group has too few credits for this job."
    details = "Lower maxResults, or ask the operator for more credits."

    def __init__(self, *, required: int, available: int) -> None:
        super().__init__(context={"required": required, "available": available})


class Forbidden(LonglistError):
    """403: the key lacks the permission, or does not reach the account group."""

    status = 403
    code = "FORBIDDEN"

    @classmethod
    def permission(cls, permission: str) -> Forbidden:
        return cls(
            "This key lacks a permission.",
            f"Ask the operator for a key with {permission}.",
            context={"requiredPermission": permission},
        )

    @classmethod
    def account_group(cls) -> Forbidden:
        """The same body whether or not the group exists, so that nothing is told by it."""
        return cls(
            "This key does not reach this account group.",
            "List the account groups of this key with GET /v1/accounts.",
        )


_WHERE_TO_LOOK: Final = {
    "audience": "Check the audience id with the audience list.",
    "folder": "Check the folder id with the audience navigation.",
    "prospect": "Check the prospect id with the prospect list of an audience.",
    "job": "Check the job id with the job list.",
    "file": "Upload the file again; files are deleted some time after their last use.",
    "suppression": "Check the suppression id with the suppression list.",
    "monitor": "Make a monitor with PUT on the same path.",
}


class NotFound(LonglistError):
    """404: unknown path, or a resource that does not exist in this account group."""

    status = 404
    code = "NOT_FOUND"

    @classmethod
    def path(cls) -> NotFound:
        return cls(
            "There is nothing at this path.",
            "Check the path against /openapi.json; paths are case-sensitive and take no trailing"
            " slash.",
        )

    @classmethod
    def resource(cls, kind: str) -> NotFound:
        """Equal bodies for another group's, a deleted and a never issued id."""
        return cls(
            f"No such {kind} in this account group.",
            _WHERE_TO_LOOK[kind],
            context={"resource": kind},
        )


class MethodNotAllowed(LonglistError):
    """405: the path is known, the method is not."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    message = "This path does not take this method."
    details = "Use one of the methods in the Allow header."

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(context={"allowed": list(allowed)}, headers={"Allow": ", ".join(allowed)})


class RequestTimeout(LonglistError):
    """408: the request was not complete in time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    message = "The request did not arrive in time."
    details = "Send the request again, and send all of it without pauses."


def _seconds(n: int) -> str:
    return str(max(1, n))


class AudienceNotReady(LonglistError):
    """409: a prospecting job fills the audience; the context says which, and how far it is."""

    status = 409
    code = "AUDIENCE_NOT_READY"
    message = "The audience is still being filled by a prospecting job."
    details = "Wait for the job to end or cancel it, then send the request again."

    def __init__(self, context: Mapping[str, Any]) -> None:
        super().__init__(
            context=context, headers={"Retry-After": _seconds(context["retryAfterSeconds"])}
        )


class IdempotencyConflict(LonglistError):
    """409: the Idempotency-Key was used with another route or body."""

    status = 409
    code = "IDEMPOTENCY_CONFLICT"
    message = "This Idempotency-Key was used with a different request."
    details = "Use a new Idempotency-Key for a new request."


class Conflict(LonglistError):
    """409: the state does not allow it."""

    status = 409
    code = "CONFLICT"

    @classmethod
    def still_running(cls, retry_after_s: int = 1) -> Conflict:
        return cls(
            "The first request with this Idempotency-Key is still running.",
            "Wait for the seconds in Retry-After, then send the request again.",
            context={"retryAfterSeconds": retry_after_s},
            headers={"Retry-After": _seconds(retry_after_s)},
        )


class PreconditionFailed(LonglistError):
    """412: If-Match does not match; the ETag header carries the current tag, if there is one."""

    status = 412
    code = "PRECONDITION_FAILED"
    message = "The resource has changed since the version named in If-Match."
    details = "Read the resource again and decide on its current version."

    def __init__(self, current_etag: str | None) -> None:
        super().__init__(
            context={"currentEtag": current_etag},
            headers={} if current_etag is None else {"ETag": current_etag},
        )


class PayloadTooLarge(LonglistError):
    """413: the body is larger than this route takes."""

    status = 413
    code = "PAYLOAD_TOO_LARGE"
    message = "The request body is too large."

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            details=f"Send at most {limit_bytes} bytes, in several requests if need be.",
            context={"limitBytes": limit_bytes},
        )


class UriTooLong(LonglistError):
    """414: request target over 8 KiB."""

    status = 414
    code = "URI_TOO_LONG"
    message = "The request target is longer than 8192 bytes."
    details = "Shorten the path and the query."


class UnsupportedMediaType(LonglistError):
    """415: missing, repeated or other media type, or a content coding."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    message = "The media type of the request body is not supported."

    def __init__(self, supported: Sequence[str], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            details=f"Send one Content-Type header, {' or '.join(supported)}, without a"
            " Content-Encoding.",
            context={"supported": list(supported)},
            headers=headers,
        )


class Unprocessable(LonglistError):
    """422: well-formed, but a rule or the present state of the data refuses it."""

    status = 422
    code = "VALIDATION_ERROR"


class RateLimited(LonglistError):
    """429: too many requests with this key, or too many bad keys from this address."""

    status = 429
    code = "RATE_LIMITED"
    message = "Too many requests with this key."
    details = "Wait for the seconds in Retry-After, then send the request again."

    def __init__(
        self,
        *,
        limit: int,
        remaining: int,
        retry_after_s: int,
        message: str | None = None,
    ) -> None:
        super().__init__(
            message,
            context={
                "limit": limit,
                "remaining": remaining,
                "retryAfterSeconds": max(1, retry_after_s),
            },
            headers={"Retry-After": _seconds(retry_after_s)},
        )


class HeadersTooLarge(LonglistError):
    """431: headers over 32 KiB, or more than 100 of them."""

    status = 431
    code = "HEADERS_TOO_LARGE"
    message = "The request headers are too large or too many."
    details = "Send at most 100 headers and 32768 bytes of them."


class InternalError(LonglistError):
    """500: a fault of ours; the text is fixed and the traceId finds the log."""


class UpstreamError(LonglistError):
    """502: a source failed; its own text is not passed on."""

    status = 502
    code = "UPSTREAM_ERROR"
    message = "A people-search provider failed."
    details = "Try again later; if it goes on, check the source with longlist sources test."


MOVING_RETRY_S: Final = 5
"""An account group that is moved to another database takes no writes for seconds to minutes."""


class Overloaded(LonglistError):
    """503: load is being shed, or the database is away."""

    status = 503
    code = "OVERLOADED"
    message = "The server cannot take this request now."
    details = "Wait for the seconds in Retry-After, then send the request again."

    def __init__(self, retry_after_s: int = 1, *, context: Mapping[str, Any] | None = None) -> None:
        super().__init__(
            context={"retryAfterSeconds": retry_after_s, **(context or {})},
            headers={"Retry-After": _seconds(retry_after_s)},
        )


_encode: Final = msgspec.json.Encoder().encode


def success_body(data: bytes, trace_id: str) -> bytes:
    """The envelope around `data`, which is JSON: exactly four members, in the contract's order."""
    return b'{"success":true,"data":%b,"error":null,"traceId":"%b"}' % (data, trace_id.encode())


def error_object(error: LonglistError) -> dict[str, Any]:
    """The `error` member: code, message, details, then issues and context where there are any."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "details": error.details,
    }
    context = error.context
    if error.issues:
        body["issues"] = error.issues[:MAX_ISSUES]
        if len(error.issues) > MAX_ISSUES:
            context = {**context, "issuesTotal": len(error.issues)}
    if context:
        body["context"] = context
    return body


def error_body(error: LonglistError, trace_id: str) -> bytes:
    """The envelope around an error."""
    return b'{"success":false,"data":null,"error":%b,"traceId":"%b"}' % (
        _encode(error_object(error)),
        trace_id.encode(),
    )
