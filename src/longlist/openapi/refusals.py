"""An example of each error an operation can give, made by the code that gives it.

Bad requests are decoded by the operation's own decoder and the rest are instances of the real
error classes, so that no example says what the server would not. Only the sentences of a 422 or
409 that a store words itself are written out here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from longlist import errors
from longlist.audiences import store as audiences
from longlist.audiences.store import Filling
from longlist.decoding import compile as compile_body
from longlist.decoding import compile_query, path_id
from longlist.dispatch import NoQuery
from longlist.errors import Issue, LonglistError, Unprocessable
from longlist.operations import GROUP_PARAMETER, Operation
from longlist.preconditions import etag
from longlist.prospecting import mapping
from longlist.prospecting import store as prospecting
from longlist.prospecting.dry_run import MAX_ROWS
from longlist.prospecting.monitors import type_mismatch
from longlist.settings import Settings

AUDIENCE_ID: Final = "66a1f3b9d4e5f60718293a50"
JOB_ID: Final = "66a1f4aad4e5f60718293a61"
TRACE_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
ETAG: Final = etag(bytes.fromhex(AUDIENCE_ID), 2)

_SETTINGS: Final = Settings()

# What is wrong with the request that the example of a 400 answers, where the simplest mistake
# (an empty body, a malformed id, an unknown parameter) would not be the one that callers make.
BAD_BODIES: Final[dict[str, dict[str, Any]]] = {
    "updateAudience": {"folderId": "66a1f2a0d4e5f60718293a48"},
    "createAudience": {"name": "Fintech CTOs", "type": "dynamic"},
    "addProspects": {"prospects": []},
}
_MISSING: Final = {"startProspectingJob": "file"}
"""What is not found where it is named in the body."""


def upload_limit() -> int:
    """The most bytes of an uploaded file, where the operator has set nothing else."""
    return _SETTINGS.max_upload_bytes


def body_limit(operation: Operation) -> int:
    """The most bytes of the operation's request body."""
    return upload_limit() if operation.receive is not None else operation.body_limit


def invalid(operation: Operation) -> LonglistError:
    """What the operation's decoder says of a request that is not valid."""
    try:
        if operation.body is not None:
            compile_body(operation.body).decode(BAD_BODIES.get(operation.id, {}))
        elif operation.ids:
            path_id("recent", operation.ids[0])
        else:
            is_paged = "limit" in getattr(operation.query, "__struct_fields__", ())
            query = b"limit=500" if is_paged else b"page=2"
            compile_query(operation.query or NoQuery).decode(query)
    except errors.ValidationFailed as error:
        return error
    raise AssertionError(f"{operation.id} takes the request that was to be refused")


def _forbidden(operation: Operation) -> dict[str, LonglistError]:
    found: dict[str, LonglistError] = {}
    if operation.permission is not None:
        found["PERMISSION"] = errors.Forbidden.permission(operation.permission)
    if operation.in_group:
        found["ACCOUNT_GROUP"] = errors.Forbidden.account_group()
    return found


def _not_found(operation: Operation) -> LonglistError:
    names = [name for name in operation.parameters if name != GROUP_PARAMETER]
    kind = _MISSING.get(operation.id) or names[-1].removesuffix("Id")
    return errors.NotFound.resource(kind)


def _not_ready(_: Operation) -> LonglistError:
    filling = Filling(
        audience_id=AUDIENCE_ID,
        job_id=JOB_ID,
        job_status="running",
        progress=0.42,
        since="2026-03-04T05:10:00.000Z",
    )
    context = msgspec.to_builtins(filling)
    return errors.AudienceNotReady(context | {"retryAfterSeconds": audiences.RETRY_AFTER_S})


def _conflict(operation: Operation) -> LonglistError:
    if operation.method == "POST":
        return errors.Conflict.still_running()
    if operation.ids == ("folderId",):
        return errors.Conflict(
            "The folder is not empty.",
            "Move its audiences out first, or send ungroup=true.",
            context={"audienceCount": 3},
        )
    return errors.Conflict(
        "The audience is in use by an active campaign.",
        "Stop the campaign, then send the request again.",
        context={"campaignId": "66a1f8a2d4e5f60718293a95"},
    )


def _overloaded(operation: Operation) -> LonglistError:
    if operation.path == "/readyz":
        checks = {"database": "ok", "schema": "ok", "disk": "failed", "running": "ok"}
        return errors.Overloaded(5, context={"checks": checks})
    return errors.Overloaded()


def _unsupported(operation: Operation) -> LonglistError:
    headers = {"Accept-Patch": ", ".join(operation.accepts)}
    return errors.UnsupportedMediaType(
        operation.accepts, headers if operation.method == "PATCH" else None
    )


def _unprocessable(operation: Operation, code: str) -> LonglistError:
    made = _UNPROCESSABLE[code]()
    assert made.code == code, operation.id
    return made


def _name_taken() -> LonglistError:
    return Unprocessable(
        "Another audience in this account group has this name.",
        "Choose another name; this account group requires unique audience names.",
        code="AUDIENCE_NAME_TAKEN",
        issues=[Issue("name", "taken", "The name is in use.")],
        context={"existingId": "66a1f3b9d4e5f60718293a44"},
    )


def _folder_mismatch() -> LonglistError:
    return Unprocessable(
        "This folder is for audiences of another kind.",
        "Choose a folder whose audienceType is that of the audience.",
        code="FOLDER_TYPE_MISMATCH",
        context={"audienceType": "on_demand", "folderType": "monitoring"},
    )


def _mapping_invalid() -> LonglistError:
    return prospecting.mapping_invalid(
        mapping.check({"E-mail": "email", "Company": "company.name"}, ["Email", "Company"])
    )


def _source_missing() -> LonglistError:
    return Unprocessable(
        "No provider is set up for this kind of job in this account group.",
        "Ask the operator to add one with longlist sources add.",
        code="SOURCE_NOT_CONFIGURED",
    )


def _no_dry_run() -> LonglistError:
    return Unprocessable(
        f"A dry run takes files of at most {MAX_ROWS} rows.",
        f"Start the job without dryRun, or send a maxResults of at most {MAX_ROWS}.",
        code="DRY_RUN_UNAVAILABLE",
    )


def _ended() -> LonglistError:
    return Unprocessable(
        "The job has already ended.",
        "Nothing is left to cancel; read the job for its outcome.",
        context={"jobStatus": "completed"},
    )


_UNPROCESSABLE: Final[dict[str, Callable[[], LonglistError]]] = {
    "AUDIENCE_NAME_TAKEN": _name_taken,
    "AUDIENCE_TYPE_MISMATCH": lambda: type_mismatch("on_demand"),
    "DRY_RUN_UNAVAILABLE": _no_dry_run,
    "FOLDER_TYPE_MISMATCH": _folder_mismatch,
    "MAPPING_INVALID": _mapping_invalid,
    "SOURCE_NOT_CONFIGURED": _source_missing,
    "VALIDATION_ERROR": _ended,
}

_BY_CODE: Final[dict[str, Callable[[Operation], LonglistError]]] = {
    "VALIDATION_ERROR": invalid,
    "UNAUTHORIZED": lambda _: errors.Unauthorized(),
    "INSUFFICIENT_CREDITS": lambda _: errors.InsufficientCredits(required=2000, available=350),
    "NOT_FOUND": _not_found,
    "AUDIENCE_NOT_READY": _not_ready,
    "IDEMPOTENCY_CONFLICT": lambda _: errors.IdempotencyConflict(),
    "CONFLICT": _conflict,
    "PRECONDITION_FAILED": lambda _: errors.PreconditionFailed(ETAG),
    "PAYLOAD_TOO_LARGE": lambda operation: errors.PayloadTooLarge(body_limit(operation)),
    "UNSUPPORTED_MEDIA_TYPE": _unsupported,
    "RATE_LIMITED": lambda _: errors.RateLimited(
        limit=_SETTINGS.rate_limit_burst, remaining=0, retry_after_s=1
    ),
    "INTERNAL_ERROR": lambda _: errors.InternalError(),
    "UPSTREAM_ERROR": lambda _: errors.UpstreamError(),
    "OVERLOADED": _overloaded,
}


def refusals(operation: Operation, status: int) -> dict[str, LonglistError]:
    """The errors the operation gives with this status, by code; 403 by what was lacking.

    Raises KeyError for a code without an example.
    """
    if status == errors.Forbidden.status:
        return _forbidden(operation)
    found: dict[str, LonglistError] = {}
    for code in operation.statuses[status]:
        if status == Unprocessable.status != operation.invalid_status:
            found[code] = _unprocessable(operation, code)
        else:
            found[code] = _BY_CODE[code](operation)
        # Where 422 stands in for 400, it is the dispatcher that says so.
        assert found[code].status in (status, 400), (operation.id, code)
    return found


def shown(error: LonglistError) -> dict[str, Any]:
    """The error in its envelope."""
    found: dict[str, Any] = msgspec.json.decode(errors.error_body(error, TRACE_ID))
    return found
