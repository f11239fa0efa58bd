"""Every error the client raises.

    LonglistError
    ├── ConfigurationError        no key, or an address that is none
    ├── TransportError            no answer of Longlist's
    │   ├── NotSent               the server was not reached: nothing was changed
    │   ├── AnswerLost            sent, but no whole answer: it may have been carried out or not
    │   │   └── TimedOut
    │   └── UnexpectedAnswer      something answered that is not Longlist
    ├── ApiError                  the server refused; nothing was changed
    │   ├── ValidationError       400 or 422  VALIDATION_ERROR
    │   ├── Unauthorized ... Overloaded       one class for each code
    │   └── Unprocessable         422: base of AudienceNameTaken ... SourceNotConfigured
    ├── JobNotCompleted           a job that was waited for failed or was cancelled
    └── WaitTimedOut              a job that was waited for still goes on

An `ApiError` class names its `code` and `status` where it is defined, and nowhere else: the
answer's class is found by its code, that of a code this version does not know by its status.
No error holds the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

if TYPE_CHECKING:
    from longlist_client.models import Job


class LonglistError(Exception):
    """Base of every error of this package."""


class ConfigurationError(LonglistError):
    """The client cannot be made from what it was given."""


class TransportError(LonglistError):
    """There is no answer of Longlist's. Its cause is the error of the HTTP library."""


class NotSent(TransportError):
    """The server could not be reached, so that nothing was changed."""


class AnswerLost(TransportError):
    """The request may have been carried out: the connection broke before the answer was whole."""


class TimedOut(AnswerLost):
    """No answer came within the timeout; the request may have been carried out all the same."""


class UnexpectedAnswer(TransportError):
    """What came back is not an answer of Longlist's: a proxy's page, or a changed format.

    `status` is its HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status

    def __str__(self) -> str:
        return f"{self.status}: {self.args[1]}"


class Issue(msgspec.Struct, frozen=True):
    """One thing wrong with one member: `field` is a path, `""` for the whole body."""

    field: str
    code: str
    message: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What a refused request was answered. `retry_after` is in seconds."""

    status: int
    code: str
    message: str
    details: str
    issues: list[Issue] = []
    context: dict[str, Any] = {}
    trace_id: str = ""
    retry_after: float | None = None
    etag: str | None = None
    after_lost_answer: bool = False


_BY_CODE: Final[dict[str, type[ApiError]]] = {}


class ApiError(LonglistError):
    """The server refused a request and changed nothing by it.

    `message` says what went wrong, `details` what to do, `issues` which members are at fault,
    `context` facts that differ by code; `trace_id` finds the request in the server's log and
    `retry_after` is in seconds, None where the server named no time. `after_lost_answer` tells
    that an earlier attempt of the same call got no answer: that attempt may have been carried
    out, and may be why this one was refused.
    """

    code: ClassVar[str] = ""
    status: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        code = cls.__dict__.get("code")
        if code:
            _BY_CODE[code] = cls

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.code = refusal.code  # type: ignore[misc]  # that of the class, or one it stands in for
        self.status = refusal.status  # type: ignore[misc]
        self.message = refusal.message
        self.details = refusal.details
        self.issues = list(refusal.issues)
        self.context = dict(refusal.context)
        self.trace_id = refusal.trace_id
        self.retry_after = refusal.retry_after
        self.after_lost_answer = refusal.after_lost_answer

    def __str__(self) -> str:
        named = "; ".join(f"{issue.field or 'body'}: {issue.code}" for issue in self.issues)
        lost = (
            "An earlier attempt of this call got no answer and may have been carried out."
            if self.after_lost_answer
            else ""
        )
        parts = (
            f"{self.status} {self.code}: {self.message}",
            self.details,
            lost,
            f"[{named}]" if named else "",
            f"(trace {self.trace_id})" if self.trace_id else "",
        )
        return " ".join(part for part in parts if part)


class ValidationError(ApiError):
    """The request is not valid: see `issues`. 422 in the few places the server names."""

    code, status = "VALIDATION_ERROR", 400


class Unauthorized(ApiError):
    """The key is missing, unknown, revoked or expired."""

    code, status = "UNAUTHORIZED", 401


class InsufficientCredits(ApiError):
    """The estimate of a job exceeds the credits that are left."""

    code, status = "INSUFFICIENT_CREDITS", 402

    @property
    def required(self) -> int | None:
        """The credits that the job may need."""
        return self.context.get("required")

    @property
    def available(self) -> int | None:
        """The credits that are left."""
        return self.context.get("available")


class Forbidden(ApiError):
    """The key lacks a permission, or does not reach the account group."""

    code, status = "FORBIDDEN", 403

    @property
    def required_permission(self) -> str | None:
        """The permission that is missing; None where the account group is not reached."""
        return self.context.get("requiredPermission")


class NotFound(ApiError):
    """There is no such thing in this account group, or no such path on this server."""

    code, status = "NOT_FOUND", 404


class MethodNotAllowed(ApiError):
    """The server knows the path and not the method: it is older than this client."""

    code, status = "METHOD_NOT_ALLOWED", 405


class RequestTimeout(ApiError):
    """The request was not complete in time."""

    code, status = "REQUEST_TIMEOUT", 408


class AudienceNotReady(ApiError):
    """A prospecting job fills the audience: wait for `job_id`, or cancel it."""

    code, status = "AUDIENCE_NOT_READY", 409

    @property
    def audience_id(self) -> str | None:
        """The audience that is being filled."""
        return self.context.get("audienceId")

    @property
    def job_id(self) -> str | None:
        """The job that fills it."""
        return self.context.get("jobId")

    @property
    def progress(self) -> float | None:
        """How far the job is, 0 to 1."""
        return self.context.get("progress")


class Conflict(ApiError):
    """The present state does not allow it."""

    code, status = "CONFLICT", 409


class IdempotencyConflict(ApiError):
    """The idempotency key was used before, with another route or body."""

    code, status = "IDEMPOTENCY_CONFLICT", 409


class PreconditionFailed(ApiError):
    """The thing has changed since the `etag` that was given as `if_match`."""

    code, status = "PRECONDITION_FAILED", 412

    @property
    def current_etag(self) -> str | None:
        """The tag of the present state."""
        return self.context.get("currentEtag")


class PayloadTooLarge(ApiError):
    """The body is larger than the operation takes."""

    code, status = "PAYLOAD_TOO_LARGE", 413

    @property
    def limit_bytes(self) -> int | None:
        """The largest body that the operation takes."""
        return self.context.get("limitBytes")


class UriTooLong(ApiError):
    """The address is too long."""

    code, status = "URI_TOO_LONG", 414


class UnsupportedMediaType(ApiError):
    """The operation does not take this kind of body."""

    code, status = "UNSUPPORTED_MEDIA_TYPE", 415


class Unprocessable(ApiError):
    """A rule, or the present state of the data, refuses a well-formed request."""

    status = 422


class AudienceNameTaken(Unprocessable):
    """Another audience of the account group has the name, and names must be unique there."""

    code = "AUDIENCE_NAME_TAKEN"

    @property
    def existing_id(self) -> str | None:
        """The audience that has the name."""
        return self.context.get("existingId")


class AudienceTypeMismatch(Unprocessable):
    """The audience is of another kind than the operation is for."""

    code = "AUDIENCE_TYPE_MISMATCH"


class FolderTypeMismatch(Unprocessable):
    """The folder holds audiences of the other kind."""

    code = "FOLDER_TYPE_MISMATCH"


class MappingInvalid(Unprocessable):
    """The mapping of a file names something unknown, or leaves nobody to be known by."""

    code = "MAPPING_INVALID"


class SourceNotConfigured(Unprocessable):
    """The operator has set up no source for this kind of job."""

    code = "SOURCE_NOT_CONFIGURED"


class DryRunUnavailable(Unprocessable):
    """What the job would find can only be known by running it."""

    code = "DRY_RUN_UNAVAILABLE"


class RateLimited(ApiError):
    """Too many requests with this key."""

    code, status = "RATE_LIMITED", 429


class HeadersTooLarge(ApiError):
    """The headers are too large or too many."""

    code, status = "HEADERS_TOO_LARGE", 431


class InternalError(ApiError):
    """A fault of the server: report the `trace_id` to its operator."""

    code, status = "INTERNAL_ERROR", 500


class UpstreamError(ApiError):
    """A source of the server failed."""

    code, status = "UPSTREAM_ERROR", 502


class Overloaded(ApiError):
    """The server sheds load, or its database is away."""

    code, status = "OVERLOADED", 503


def api_error(refusal: Refusal) -> ApiError:
    """The error for a refusal; that of a code from a later server is found by its status."""
    found = _BY_CODE.get(refusal.code)
    if found is None:
        found = Unprocessable if refusal.status == 422 else ApiError
    return found(refusal)


class JobNotCompleted(LonglistError):
    """A job that was waited for ended `failed` or `cancelled`; `job` is its last state.

    What it had imported until then is kept.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.job = job

    def __str__(self) -> str:
        error = self.job.error
        why = f": {error.code}: {error.message}" if error is not None else ""
        return f"The job {self.job.job_id} is {self.job.status}{why}"


class WaitTimedOut(LonglistError):
    """The job was not at its end in the time given; `job` is its last state. It goes on."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.job = job

    def __str__(self) -> str:
        return (
            f"The job {self.job.job_id} is still {self.job.status}, {self.job.progress:.0%} done."
        )
