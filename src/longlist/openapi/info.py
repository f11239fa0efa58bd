"""The text at the top of the OpenAPI document, and the words about each group of operations."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from longlist.operations import Operation

_DESCRIPTION: Final = """\
Longlist keeps *audiences*: named lists of the people a sales team means to reach. An audience
belongs to an *account group*, is filled by hand or by a *prospecting job*, and can be put into a
folder, exported, and watched through its counts.

## Keys and permissions

Send `Authorization: Bearer llk_...`. The operator issues keys; each has a set of permissions and a
set of account groups, and every permission holds in every one of those groups. Write does not
include read. A request without a valid key is answered 401, whatever is wrong with the key. A key
that lacks the permission, or does not reach the account group, is answered 403; whether that group
exists is never told.

## One form of answer

Every answer is a JSON object of exactly four members: `success`, `data`, `error` and `traceId`.
`success` is true if and only if the status is 2xx; then `error` is null, otherwise `data` is.
The exceptions are streams (CSV and NDJSON), this document, 204, 304 and HEAD. `traceId` equals the
`X-Trace-Id` header and is in every log line about the request; send a W3C `traceparent` to choose
it. New members may be added to answers within `/v1`, so ignore those you do not know.

## Errors

`error.code` is for programs, `error.message` says what went wrong, and `error.details` says what
to do. Validation errors list the members at fault in `error.issues`; facts a program may need are
in `error.context`. A request that ends in an error has changed nothing. When several things are
wrong the answer is the first of: framing, path or method, load, 401, 429, 403, media type and size,
400, a stored idempotency key, 404, 412, 409, 422, 402.

Any request can also meet these, which no operation lists: 404 `NOT_FOUND` for an unknown path
(paths are case-sensitive and take no trailing slash), 405 `METHOD_NOT_ALLOWED` with `Allow`,
408 `REQUEST_TIMEOUT`, 414 `URI_TOO_LONG` above 8 KiB, 431 `HEADERS_TOO_LARGE` above 32 KiB or 100
headers, and 400 or 413 for HTTP that is malformed or too large for every route.

## Repeating a request safely

Every POST takes an `Idempotency-Key`. The same key with the same route and body within 24 hours
gives the first answer again, with `Idempotency-Replayed: true`, and changes nothing; starting a job
gives the same job with its present status. With another route or body it is 409
`IDEMPOTENCY_CONFLICT`, and while the first request is still running 409 `CONFLICT` with
`Retry-After`. Only successful answers are kept, so after an error the same key may be sent again.
PATCH, PUT and DELETE take no such key: read the resource before you repeat them.

## Changing what you have read

Answers with an `ETag` can be guarded: send it back as `If-Match`, and the change is refused with
412 if somebody was quicker. A GET with `If-None-Match` answers 304 while nothing has changed. In a
PATCH a missing member keeps its value, a value sets it, and null clears it where it can be null.

## Audiences that are being filled

From the start of a prospecting job until its end the audience is locked: it is left out of lists
and answers 409 `AUDIENCE_NOT_READY` with `Retry-After`. `context` names the job, its status and
its progress.

## Lists

Lists are newest first unless an operation says otherwise. `limit` is 1 to 200, 50 by default; send
`nextCursor` of one page as `cursor` of the next, with the same filters, until `hasMore` is false.
Rows that exist during the whole walk appear exactly once.

## Rate limits

Each key has a token bucket; a request costs one token. Every answer to an authenticated request
says how it stands, in `RateLimit-Policy` and `RateLimit`, and in `X-RateLimit-Limit`,
`X-RateLimit-Remaining` and `X-RateLimit-Reset`. An empty bucket is 429 `RATE_LIMITED` with
`Retry-After` in seconds. The default is 600 requests a minute with bursts of 100. Failed
authentications are counted for each client address and limited too.

## Values

Ids are 24 lowercase hexadecimal characters. Times are RFC 3339 in UTC with milliseconds and `Z`.
Nothing is converted between types: `"1"`, `1` and `true` are three things. Members and parameters
that are unknown, repeated or not settable are refused with 400. Text is normalised to Unicode NFC,
names are trimmed, and lengths count code points after that.
"""

_TAGS: Final = {
    "Accounts": "Account groups, and what the key at hand may do.",
    "Audiences": "Named lists of people.",
    "Folders": "Folders that audiences can be put into.",
    "Prospects": "People, their membership of audiences, and exports.",
    "Lookups": "Finding prospects by what another system calls them.",
    "Suppressions": "Whom never to import or write to. Values are kept as keyed hashes only.",
    "Files": "Uploads that prospecting jobs read from.",
    "Prospecting": "Jobs that fill audiences, and what became of each row.",
    "Quotas": "How many prospects the jobs of a kind may import in a day.",
    "Monitors": "Sources that run again and again and add the people who are new.",
    "Sources": "Where people come from, and how much of it is left.",
    "Events": "What has changed, in order.",
    "Health": "Is the server up, can it work, and this document. No key is needed.",
}


def tag_of(operation: Operation) -> str:
    """The group an operation is shown in: `audiences.folder_routes` is Folders."""
    *_, feature, module = operation.handler.__module__.split(".")
    part = module.removesuffix("routes").removesuffix("_")
    return f"{part}s".capitalize() if part else feature.capitalize()


def tags(operations: tuple[Operation, ...]) -> list[dict[str, str]]:
    """The groups in the order of their first operation."""
    names = dict.fromkeys(tag_of(operation) for operation in operations)
    return [
        {"name": name} | ({"description": _TAGS[name]} if name in _TAGS else {}) for name in names
    ]


def info() -> dict[str, Any]:
    """Title, version and the text about what all operations share."""
    return {
        "title": "Longlist",
        "version": version("longlist"),
        "summary": "A self-hosted server for prospect audiences",
        "description": _DESCRIPTION,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
