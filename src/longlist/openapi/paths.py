"""From Operation records to the OpenAPI document: paths, bodies, every status and its headers."""

from __future__ import annotations

import http
from collections.abc import Sequence
from typing import Any, Final

from longlist.decoding.schema import components, json_schema, query_parameters
from longlist.errors import Unauthorized
from longlist.keys.store import PERMISSIONS
from longlist.openapi import refusals, samples
from longlist.openapi.answers import (
    REF,
    TRACE_ID,
    AnswerSchemas,
    codes_of,
    described,
    envelope,
    error_schemas,
    named_text,
)
from longlist.openapi.info import info, tag_of, tags
from longlist.operations import GROUP_PARAMETER, Operation, Work
from longlist.prospecting.upload import MULTIPART

_JSON: Final = "application/json"
_MERGE_PATCH: Final = "application/merge-patch+json"
_TRANSPORT_CODES: Final = (
    "NOT_FOUND", "METHOD_NOT_ALLOWED", "REQUEST_TIMEOUT", "URI_TOO_LONG", "HEADERS_TOO_LARGE",
)  # fmt: skip
"""Codes that any request can meet, beside those of its operation."""

_COUNT: Final = {"type": "integer", "minimum": 0}
_TAG: Final = {"type": "string", "pattern": '^(W/)?"[!#-~\u0080-\u00ff]*"$'}


def _header(description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema, "example": example}


_HEADERS: Final = {
    "X-Trace-Id": _header(
        "The trace id of this request.",
        {"type": "string", "pattern": TRACE_ID},
        refusals.TRACE_ID,
    ),
    "RateLimit-Policy": _header(
        "The key's bucket: `q` tokens, refilled whole in `w` seconds.",
        {"type": "string", "pattern": '^"key";q=[0-9]+;w=[0-9]+$'},
        '"key";q=100;w=10',
    ),
    "RateLimit": _header(
        "`r` tokens left; full again in `t` seconds.",
        {"type": "string", "pattern": '^"key";r=[0-9]+;t=[0-9]+$'},
        '"key";r=87;t=2',
    ),
    "X-RateLimit-Limit": _header("The size of the key's bucket.", _COUNT, 100),
    "X-RateLimit-Remaining": _header("Tokens left.", _COUNT, 87),
    "X-RateLimit-Reset": _header("Seconds until the bucket is full.", _COUNT, 2),
    "Retry-After": _header(
        "Whole seconds to wait before the request is worth sending again.",
        {"type": "integer", "minimum": 1},
        5,
    ),
    "ETag": _header("The version of the resource.", _TAG, refusals.ETAG),
    "Location": _header(
        "The path of what was made.",
        {"type": "string", "format": "uri-reference"},
        f"/v1/accounts/{samples.GROUP_ID}/audiences/{refusals.AUDIENCE_ID}",
    ),
    "Idempotency-Replayed": _header(
        "There when the answer is that of an earlier request with the same Idempotency-Key.",
        {"type": "string", "const": "true"},
        "true",
    ),
    "WWW-Authenticate": _header(
        "How to authenticate.", {"type": "string"}, Unauthorized().headers["WWW-Authenticate"]
    ),
    "Accept-Patch": _header(
        "The media types a PATCH takes.", {"type": "string"}, f"{_JSON}, {_MERGE_PATCH}"
    ),
    "Content-Disposition": _header(
        "A file name for the export.",
        {"type": "string"},
        f'attachment; filename="audience-{refusals.AUDIENCE_ID}.csv"',
    ),
    "X-Row-Count": _header("How many prospects the export holds.", _COUNT, 25),
}
_RATE: Final = (
    "RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)  # fmt: skip
_WAITS: Final = frozenset({"AUDIENCE_NOT_READY", "RATE_LIMITED", "OVERLOADED"})
"""Codes that always come with Retry-After; CONFLICT does where the first request still runs."""
_SHARED: Final = {401: "Unauthorized", 429: "RateLimited", 500: "InternalError", 503: "Overloaded"}
"""Answers that are the same for every operation that needs a key."""
_QUERY_WORDS: Final = {
    "limit": "How many items the page has at most.",
    "cursor": "`nextCursor` of the page before; without it the first page.",
    "q": "A part of the name, in upper or lower case.",
}
"""What parameters mean that are the same everywhere."""


def _header_parameter(
    name: str, description: str, schema: dict[str, Any], example: str
) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        # Not as `example`: pages that send requests would fill it in, and send it.
        "description": f"{description} For example `{example}`.",
        "schema": schema,
    }


_PARAMETERS: Final = {
    "IdempotencyKey": _header_parameter(
        "Idempotency-Key",
        "Makes it safe to send the request again: the same key, route and body within 24 hours"
        " change nothing a second time.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "3f0c7a52-5d3e-4c55-8a0e-6a1f7f8f2b11",
    ),
    "IfMatch": _header_parameter(
        "If-Match",
        "An ETag, a list of them, or `*`. The change is refused with 412 unless one of them is the"
        " present version.",
        {"type": "string", "minLength": 1},
        refusals.ETAG,
    ),
    "IfNoneMatch": _header_parameter(
        "If-None-Match",
        "An ETag, a list of them, or `*`. The answer is 304 when one of them is the present"
        " version.",
        {"type": "string", "minLength": 1},
        refusals.ETAG,
    ),
    "Traceparent": _header_parameter(
        "traceparent",
        "W3C trace context; its trace id becomes the `traceId` of the answer.",
        {"type": "string", "maxLength": 512},
        f"00-{refusals.TRACE_ID}-00f067aa0ba902b7-01",
    ),
}


def build(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of these operations. Raises TypeError or KeyError for what cannot be told."""
    operations = tuple(operations)
    answers = AnswerSchemas()
    shared: dict[str, Any] = {}
    schemas = components(operation.body for operation in operations if operation.body is not None)
    locatable = {operation.path for operation in operations if operation.method == "GET"}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        written = _Described(operation, answers, schemas, shared, locatable).all()
        paths.setdefault(operation.path, {})[operation.method.lower()] = written
    codes = {code for op in operations for found in op.statuses.values() for code in found}
    _merge(schemas, answers.components)
    _merge(schemas, error_schemas(sorted(codes.union(_TRANSPORT_CODES))))
    for name, schema in schemas.items():
        # Pages show a schema in a union by its title, or not by name at all.
        schemas[name] = {"title": name, **schema}
    return {
        "openapi": "3.1.0",
        "info": info(),
        "servers": [{"url": "/", "description": "This server"}],
        "security": [{"bearer": []}],
        "tags": tags(operations),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": dict(sorted(shared.items())),
            "headers": _HEADERS,
            "parameters": _PARAMETERS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "llk_ and 49 letters and digits",
                    "description": "An API key, issued by the operator of the server.\n\n"
                    f"Permissions: {', '.join(f'`{name}`' for name in PERMISSIONS)}.",
                }
            },
        },
    }


def _merge(known: dict[str, Any], more: dict[str, Any]) -> None:
    for name, part in more.items():
        if known.setdefault(name, part) != part:
            raise TypeError(f"two components are named {name}")


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _size(limit: int) -> str:
    unit, name = (1 << 30, "GiB") if limit >= 1 << 30 else (1 << 20, "MiB")
    return f"{limit // unit} {name}" if limit % unit == 0 else f"{limit} bytes"


class _Described:
    """One operation as the document has it."""

    def __init__(
        self,
        operation: Operation,
        answers: AnswerSchemas,
        schemas: dict[str, Any],
        shared: dict[str, Any],
        readable: set[str],
    ) -> None:
        self.operation = operation
        self._answers = answers
        self._schemas = schemas
        self._shared = shared
        self._has_location = operation.method == "POST" and any(
            path.rpartition("/")[0] == operation.path and path.endswith("}") for path in readable
        )

    def all(self) -> dict[str, Any]:
        operation = self.operation
        found: dict[str, Any] = {
            "operationId": operation.id,
            "summary": operation.summary,
            "description": self._description(),
            "tags": [tag_of(operation)],
        }
        if operation.permission is not None:
            found["x-permission"] = operation.permission
        if operation.public:
            found["security"] = []
        found["parameters"] = self._parameters()
        if (body := self._body()) is not None:
            found["requestBody"] = body
        found["responses"] = {
            str(status): self._response_or_ref(status, codes)
            for status, codes in operation.statuses.items()
        }
        return found

    def _description(self) -> str:
        operation = self.operation
        if operation.public:
            needs = "No key is needed."
        elif operation.permission is None:
            needs = "Any valid key will do."
        else:
            needs = f"Permission: `{operation.permission}`."
        parts = [described(operation.handler.__doc__)]
        if operation.query is not None:
            parts.append(described(operation.query.__doc__))
        return "\n\n".join([*parts, needs])

    def _parameters(self) -> list[dict[str, Any]]:
        operation = self.operation
        found = [_path_parameter(name) for name in operation.parameters]
        if operation.query is not None:
            for parameter in query_parameters(operation.query):
                words = {"description": _QUERY_WORDS.get(parameter["name"])}
                found.append(words | parameter if words["description"] else parameter)
        if operation.method == "POST":
            found.append(_ref("parameters", "IdempotencyKey"))
        if operation.tagged and operation.method == "GET":
            found.append(_ref("parameters", "IfNoneMatch"))
        elif operation.tagged and operation.takes_if_match:
            found.append(_ref("parameters", "IfMatch"))
        found.append(_ref("parameters", "Traceparent"))
        return found

    def _body(self) -> dict[str, Any] | None:
        operation = self.operation
        limit = refusals.body_limit(operation)
        bound = {"x-max-bytes": limit}
        if operation.receive is not None:
            content = {media_type: _upload(media_type) for media_type in operation.accepts}
            description = f"At most {_size(limit)}, unless the operator has set another limit."
            return {"description": description, "required": True, "content": content, **bound}
        if operation.body is not None:
            schema = json_schema(operation.body)
            content = {media_type: {"schema": schema} for media_type in operation.accepts}
            if (sample := samples.REQUESTS.get(operation.id)) is not None:
                for media in content.values():
                    media["example"] = sample
            description = f"At most {_size(limit)}."
            return {"description": description, "required": True, "content": content, **bound}
        if operation.method != "POST":
            return None
        empty = {"type": "object", "additionalProperties": False}
        return {
            "description": "No body, or an empty object.",
            "required": False,
            "content": {_JSON: {"schema": empty, "example": {}}},
            **bound,
        }

    def _response_or_ref(self, status: int, codes: tuple[str, ...]) -> dict[str, Any]:
        response = self._response(status, codes)
        name = _SHARED.get(status)
        if name is None or self.operation.public:
            return response
        _merge(self._shared, {name: response})
        return _ref("responses", name)

    def _response(self, status: int, codes: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {"description": self._words(status, codes)}
        names = self._header_names(status, codes)
        found["headers"] = {name: _ref("headers", name) for name in names}
        if codes:
            found["content"] = {_JSON: self._refusal(status, codes)}
        elif status != http.HTTPStatus.NOT_MODIFIED:
            found["content"] = self._success(status)
        return found

    def _words(self, status: int, codes: tuple[str, ...]) -> str:
        if codes:
            return " or ".join(f"`{code}`" for code in codes)
        if status == http.HTTPStatus.NOT_MODIFIED:
            return "The resource is still the version named in If-None-Match; no body."
        if status != self.operation.status:
            return "Nothing was made: it was there already, or it was a repetition or a rehearsal."
        return http.HTTPStatus(status).phrase

    def _header_names(self, status: int, codes: tuple[str, ...]) -> list[str]:
        operation = self.operation
        is_success = not codes
        names = ["X-Trace-Id"]
        if not operation.public and status != Unauthorized.status:
            names += _RATE
        if _WAITS.intersection(codes) or (operation.method == "POST" and "CONFLICT" in codes):
            names.append("Retry-After")
        if is_success and "wait" in getattr(operation.query, "__struct_fields__", ()):
            names.append("Retry-After")
        if operation.tagged and operation.method != "DELETE" and is_success:
            names.append("ETag")
        if "PRECONDITION_FAILED" in codes:
            names.append("ETag")
        if is_success and operation.method == "POST":
            names.append("Idempotency-Replayed")
            if self._has_location:
                names.append("Location")
        if "UNAUTHORIZED" in codes:
            names.append("WWW-Authenticate")
        if "UNSUPPORTED_MEDIA_TYPE" in codes and operation.method == "PATCH":
            names.append("Accept-Patch")
        if is_success and operation.answer is None and operation.work is Work.SNAPSHOT:
            names += ["Content-Disposition", "X-Row-Count"]
        return names

    def _refusal(self, status: int, codes: tuple[str, ...]) -> dict[str, Any]:
        is_validation = status == self.operation.invalid_status
        schema: dict[str, Any] = {
            "$ref": REF + ("ValidationErrorResponse" if is_validation else "ErrorResponse")
        }
        if not is_validation:
            schema |= codes_of(codes)
        examples = {
            name: {"summary": error.message, "value": refusals.shown(error)}
            for name, error in refusals.refusals(self.operation, status).items()
        }
        return {"schema": schema, "examples": examples}

    def _success(self, status: int) -> dict[str, Any]:
        operation = self.operation
        if operation.path == "/openapi.json":
            example = {"openapi": "3.1.0", "info": {"title": "Longlist"}, "paths": {}}
            return {_JSON: {"schema": {"type": "object"}, "example": example}}
        content: dict[str, Any] = {}
        if operation.answer is not None:
            content[_JSON] = self._enveloped(status)
        for media_type in operation.streams:
            content[media_type] = {"schema": {"type": "string"}}
            if (text := samples.stream(operation.id, media_type)) is not None:
                content[media_type]["example"] = text
        return content

    def _enveloped(self, status: int) -> dict[str, Any]:
        operation = self.operation
        answers = [(operation.answer_name, operation.answer)]
        if status == http.HTTPStatus.OK:
            answers += operation.also_answers
        schemas, examples = [], {}
        for answer_name, answer in answers:
            name = f"{answer_name}SuccessResponse"
            _merge(self._schemas, {name: envelope(self._answers.of(answer))})
            schemas.append({"$ref": REF + name})
            data = samples.answer(operation.id, answer_name, status)
            if data is not None:
                body = {"success": True, "data": data, "error": None}
                examples[answer_name] = {"value": body | {"traceId": refusals.TRACE_ID}}
        if len(schemas) > 1:
            return {"schema": {"anyOf": schemas}, "examples": examples}
        media: dict[str, Any] = {"schema": schemas[0]}
        if examples:
            media["example"] = examples[operation.answer_name]["value"]
        return media


def _path_parameter(name: str) -> dict[str, Any]:
    words = "The account group that the request is for. " if name == GROUP_PARAMETER else ""
    example = samples.PARAMETERS.get(name)
    found = {"name": name, "in": "path", "required": True, "schema": named_text(name)}
    if example is not None:
        found["description"] = f"{words}For example `{example}`."
    return found


def _upload(media_type: str) -> dict[str, Any]:
    if media_type == MULTIPART:
        file = {
            "type": "string",
            "format": "binary",
            "contentMediaType": "application/octet-stream",
        }
        return {
            "schema": {
                "type": "object",
                "properties": {"file": file},
                "required": ["file"],
                "additionalProperties": False,
                "description": "A form with one part, named `file`.",
            }
        }
    content: dict[str, Any] = {"schema": {"type": "string", "contentMediaType": media_type}}
    if media_type in samples.UPLOADS:
        content["example"] = samples.UPLOADS[media_type]
    return content
