"""The OpenAPI document: valid, complete, true to the contract's matrix, and as it is committed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from longlist import decoding, openapi
from longlist.app import OPERATIONS
from longlist.openapi import refusals, samples
from longlist.operations import AG, Operation

DOCUMENT = openapi.document()
ROOT = Path(__file__).parents[2]

# Contract 14, sections 2 to 8 and 13: permission, successes, errors.
MATRIX = {
    ("2.1", "GET", "/v1/accounts"): ("any valid key", "200", "400 401 429 500 503"),
    ("2.2", "GET", "/v1/me"): ("any valid key", "200", "400 401 429 500 503"),
    ("3.2", "GET", "AG/audiences"): ("audiences:read", "200", "400 401 403 429 500 502 503"),
    ("3.3", "GET", "AG/audiences/navigation"): (
        "audiences:read", "200", "400 401 403 429 500 503"),
    ("3.4", "POST", "AG/audiences"): (
        "audiences:write", "201", "400 401 403 409 413 415 422 429 500 503"),
    ("3.5", "PATCH", "AG/audiences/{audienceId}"): (
        "audiences:write", "200", "400 401 403 404 409 412 413 415 422 429 500 503"),
    ("3.6", "GET", "AG/audiences/{audienceId}"): (
        "audiences:read", "200 304", "400 401 403 404 409 429 500 502 503"),
    ("3.7", "DELETE", "AG/audiences/{audienceId}"): (
        "audiences:write", "200", "400 401 403 404 409 412 429 500 503"),
    ("3.8", "POST", "AG/audiences/{audienceId}/move-to-folder"): (
        "audiences:write", "200", "400 401 403 404 409 412 413 415 422 429 500 503"),
    ("3.9", "POST", "AG/audiences/{audienceId}/remove-from-folder"): (
        "audiences:write", "200", "400 401 403 404 409 412 413 415 429 500 503"),
    ("4.2", "POST", "AG/audiences/folders"): (
        "audiences:write", "201", "400 401 403 409 413 415 429 500 503"),
    ("4.3", "PATCH", "AG/audiences/folders/{folderId}"): (
        "audiences:write", "200", "400 401 403 404 412 413 415 429 500 503"),
    ("4.4", "DELETE", "AG/audiences/folders/{folderId}"): (
        "audiences:write", "200", "400 401 403 404 409 412 429 500 503"),
    ("5.1", "GET", "AG/audiences/{audienceId}/prospects"): (
        "prospects:read", "200", "400 401 403 404 409 429 500 502 503"),
    ("5.2", "POST", "AG/audiences/{audienceId}/prospects"): (
        "prospects:write", "200", "400 401 403 404 409 413 415 429 500 503"),
    ("5.3", "DELETE", "AG/audiences/{audienceId}/prospects/{prospectId}"): (
        "prospects:write", "200", "400 401 403 404 409 429 500 503"),
    ("5.4", "GET", "AG/audiences/{audienceId}/export"): (
        "prospects:read", "200", "400 401 403 404 409 429 500 503"),
    ("5.5", "GET", "AG/prospects/{prospectId}"): (
        "prospects:read", "200 304", "400 401 403 404 429 500 503"),
    ("5.6", "DELETE", "AG/prospects/{prospectId}"): (
        "prospects:write", "200", "400 401 403 404 412 429 500 503"),
    ("5.7", "GET", "AG/suppressions"): (
        "suppressions:read", "200", "400 401 403 429 500 503"),
    ("5.7", "POST", "AG/suppressions"): (
        "suppressions:write", "200 201", "400 401 403 409 413 415 429 500 503"),
    ("5.7", "DELETE", "AG/suppressions/{suppressionId}"): (
        "suppressions:write", "200", "400 401 403 404 429 500 503"),
    ("6.1", "POST", "AG/files"): (
        "prospecting:write", "201", "400 401 403 409 413 415 429 500 503"),
    ("6.2", "POST", "AG/prospecting"): (
        "prospecting:write", "200 202", "400 401 402 403 404 409 413 415 422 429 500 502 503"),
    ("6.3", "GET", "AG/prospecting"): ("prospecting:read", "200", "400 401 403 429 500 503"),
    ("6.4", "GET", "AG/prospecting/{jobId}"): (
        "prospecting:read", "200", "400 401 403 404 429 500 503"),
    ("6.5", "POST", "AG/prospecting/{jobId}/cancel"): (
        "prospecting:write", "200", "400 401 403 404 409 413 415 422 429 500 502 503"),
    ("6.6", "GET", "AG/prospecting/{jobId}/rows"): (
        "prospecting:read", "200", "400 401 403 404 429 500 503"),
    ("6.7", "GET", "AG/audiences/{audienceId}/monitor"): (
        "prospecting:read", "200 304", "400 401 403 404 429 500 503"),
    ("6.7", "PUT", "AG/audiences/{audienceId}/monitor"): (
        "prospecting:write", "200", "400 401 403 404 412 413 415 422 429 500 503"),
    ("6.7", "DELETE", "AG/audiences/{audienceId}/monitor"): (
        "prospecting:write", "200", "400 401 403 404 412 429 500 503"),
    ("7.1", "GET", "AG/prospecting/quota"): ("prospecting:read", "200", "400 401 403 429 500 503"),
    ("7.2", "GET", "AG/prospects/by-provider-id/{providerId}"): (
        "prospects:read", "200", "401 403 422 429 500 503"),
    ("7.3", "GET", "AG/sales-navigator/saved-searches"): (
        "prospecting:read", "200", "400 401 403 422 429 500 502 503"),
    ("7.3", "GET", "AG/sales-navigator/lead-lists"): (
        "prospecting:read", "200", "400 401 403 422 429 500 502 503"),
    ("8.1", "GET", "AG/events"): ("events:read", "200", "400 401 403 422 429 500 503"),
    ("8.2", "GET", "AG/webhooks"): ("webhooks:read", "200", "400 401 403 429 500 503"),
    ("8.2", "POST", "AG/webhooks"): (
        "webhooks:write", "201", "400 401 403 409 413 415 422 429 500 503"),
    ("8.2", "GET", "AG/webhooks/{webhookId}"): (
        "webhooks:read", "200 304", "400 401 403 404 429 500 503"),
    ("8.2", "PATCH", "AG/webhooks/{webhookId}"): (
        "webhooks:write", "200", "400 401 403 404 412 413 415 422 429 500 503"),
    ("8.2", "DELETE", "AG/webhooks/{webhookId}"): (
        "webhooks:write", "200", "400 401 403 404 412 429 500 503"),
    ("13", "GET", "/healthz"): ("no key", "200", "500"),
    ("13", "GET", "/readyz"): ("no key", "200", "500 503"),
    ("13", "GET", "/openapi.json"): ("no key", "200", "500 503"),
}  # fmt: skip
NOT_YET = {"8.1", "8.2"}
"""Sections of the matrix without operations so far: their paths are unknown paths."""


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    while set(part) == {"$ref"}:
        found: Any = DOCUMENT
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _documented() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Operation id, status and media object of every answer with a body."""
    for _, _, operation in _documented():
        for status, response in operation["responses"].items():
            for media_type, media in _resolved(response).get("content", {}).items():
                yield f"{operation['operationId']} {status} {media_type}", status, media


def _examples(media: dict[str, Any]) -> list[Any]:
    if "example" in media:
        return [media["example"]]
    return [example["value"] for example in media.get("examples", {}).values()]


def _validator(schema: dict[str, Any]) -> Any:
    return jsonschema.Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


def _by_id(operation_id: str) -> dict[str, Any]:
    return next(o for _, _, o in _documented() if o["operationId"] == operation_id)


def test_document_is_valid_openapi() -> None:
    jsonschema.Draft202012Validator(OPENAPI_31).validate(DOCUMENT)
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    found: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                found.add(part["$ref"])
            for mapped in part.get("discriminator", {}).get("mapping", {}).values():
                found.add(mapped)
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk(DOCUMENT)
    assert found
    for ref in found:
        assert ref.startswith("#/components/")
        assert _resolved({"$ref": ref})


def test_no_component_goes_unused() -> None:
    text = openapi.document_text()
    unused = [
        f"{kind}/{name}"
        for kind in ("schemas", "responses", "headers", "parameters")
        for name in DOCUMENT["components"][kind]
        if f'"#/components/{kind}/{name}"' not in text
    ]
    assert unused == []


def test_committed_document_is_the_generated_one() -> None:
    assert (ROOT / "openapi.json").read_text(encoding="utf-8") == openapi.document_text(), (
        "run: longlist openapi > openapi.json"
    )


def test_served_document_is_the_generated_one() -> None:
    assert msgspec.json.decode(openapi.document_bytes()) == DOCUMENT


def test_statuses_and_permissions_are_those_of_the_matrix() -> None:
    expected = {
        (method, path.replace("AG", AG, 1)): (permission, set(f"{good} {bad}".split()))
        for (_, method, path), (permission, good, bad) in MATRIX.items()
    }
    found = {}
    for path, method, operation in _documented():
        permission = operation.get("x-permission")
        if permission is None:
            permission = "no key" if operation.get("security") == [] else "any valid key"
        found[method, path] = (permission, set(operation["responses"]))
    assert found == {key: row for key, row in expected.items() if key in found}
    assert {section for section, *_ in MATRIX} - {o.section for o in OPERATIONS} == NOT_YET


def test_an_operation_without_a_permission_is_one_of_the_exceptions() -> None:
    without = {o["operationId"] for _, _, o in _documented() if "x-permission" not in o}
    public = {o["operationId"] for _, _, o in _documented() if o.get("security") == []}
    assert public == {"getHealth", "getReadiness", "getOpenapi"}
    assert without - public == {"listAccounts", "getMe"}


@pytest.mark.parametrize(
    ("where", "status", "media"), [pytest.param(*c, id=c[0]) for c in _contents()]
)
def test_every_answer_has_an_example_that_fits_its_schema(
    where: str, status: str, media: dict[str, Any]
) -> None:
    found = _examples(media)
    assert found, where
    validator = _validator(media["schema"])
    for example in found:
        validator.validate(example)
        if "application/json" in where and "getOpenapi 200" not in where:
            assert example["success"] is (status < "300")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_every_code_has_an_example_and_no_other_has(operation: Operation) -> None:
    for status, codes in operation.statuses.items():
        content = _resolved(_by_id(operation.id)["responses"][str(status)]).get("content", {})
        if codes:
            shown = {e["error"]["code"] for e in _examples(content["application/json"])}
            assert shown == set(codes)
        else:
            assert (content == {}) is (status == 304)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_request_bodies_have_an_example_that_the_server_takes(operation: Operation) -> None:
    body = _by_id(operation.id).get("requestBody")
    if operation.method not in ("POST", "PUT", "PATCH"):
        assert body is None
        return
    assert body is not None
    assert set(body["content"]) == set(operation.accepts)
    assert body["required"] is operation.has_body
    if operation.receive is not None:
        return
    assert body["x-max-bytes"] == operation.body_limit
    for media in body["content"].values():
        _validator(media["schema"]).validate(media["example"])
        if operation.body is not None:
            decoding.compile(operation.body).decode(media["example"])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_parameters_are_those_the_server_reads(operation: Operation) -> None:
    parameters = [_resolved(p) for p in _by_id(operation.id)["parameters"]]
    by_place = {
        place: {p["name"] for p in parameters if p["in"] == place}
        for place in ("path", "query", "header")
    }
    assert by_place["path"] == set(operation.parameters)
    query = operation.query
    known = [f.encode_name for f in msgspec.structs.fields(query)] if query is not None else []
    assert by_place["query"] == set(known)
    header = {"traceparent"}
    if operation.method == "POST":
        header.add("Idempotency-Key")
    if operation.tagged and operation.takes_if_match:
        header.add("If-None-Match" if operation.method == "GET" else "If-Match")
    assert by_place["header"] == header


def test_headers_go_with_their_answers() -> None:
    for _, method, operation in _documented():
        for status, ref in operation["responses"].items():
            headers = set(_resolved(ref)["headers"])
            where = (operation["operationId"], status)
            assert "X-Trace-Id" in headers, where
            is_limited = operation.get("security") != [] and status != "401"
            assert ("RateLimit" in headers) is is_limited, where
            assert ("WWW-Authenticate" in headers) is (status == "401"), where
            assert ("Idempotency-Replayed" in headers) is (method == "POST" and status < "300")
            if status in ("429", "503"):
                assert "Retry-After" in headers, where
            if status in ("304", "412"):
                assert "ETag" in headers, where
    with_location = {
        o["operationId"]
        for _, _, o in _documented()
        if any("Location" in _resolved(r)["headers"] for r in o["responses"].values())
    }
    assert with_location == {"createAudience", "startProspectingJob"}


def test_answers_are_closed_and_whole() -> None:
    optional = {
        (name, member)
        for name, schema in DOCUMENT["components"]["schemas"].items()
        if name in _answer_schemas() - SHOWN_BACK
        for member in set(schema["properties"]) - set(schema["required"])
    }
    assert optional == {("AudiencePage", "filling"), ("Error", "issues"), ("Error", "context")}
    for name in _answer_schemas():
        assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False, name


SHOWN_BACK = {
    "MonitoredLinkedinSearch", "MonitoredSalesNavigator", "MonitoredPostCommenters",
    "MonitoredDirectorySearch", "DirectoryFilters",
}  # fmt: skip
"""Parts of requests that an answer shows as they were sent: without what was left out."""


def _answer_schemas() -> set[str]:
    """Names of the object schemas that answers are made of."""
    schemas = DOCUMENT["components"]["schemas"]
    found: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, list):
            for inner in part:
                walk(inner)
        elif isinstance(part, dict):
            name = str(part.get("$ref", "")).removeprefix("#/components/schemas/")
            if name in schemas and name not in found:
                found.add(name)
                walk(schemas[name])
            for inner in part.values():
                walk(inner)

    for _, _, media in _contents():
        walk(media["schema"])
    return {
        name for name in found if "properties" in schemas[name] and "allOf" not in schemas[name]
    }


def test_names_of_answer_schemas() -> None:
    for operation in OPERATIONS:
        for status, codes in operation.statuses.items():
            response = _resolved(_by_id(operation.id)["responses"][str(status)])
            media = response.get("content", {}).get("application/json")
            if media is None or operation.path == "/openapi.json":
                continue
            parts = media["schema"].get("anyOf", [media["schema"]])
            names = [part["$ref"].rpartition("/")[2] for part in parts]
            if codes:
                is_invalid = status == operation.invalid_status
                expected = ["ValidationErrorResponse" if is_invalid else "ErrorResponse"]
            else:
                also = [name for name, _ in operation.also_answers if status == 200]
                expected = [f"{name}SuccessResponse" for name in (operation.answer_name, *also)]
                assert len(_examples(media)) == len(expected)
            assert names == expected


def test_update_audience_is_shown_as_the_contract_has_it() -> None:
    """Contract 3.5, the examples to the letter but for sentences that are free."""

    def error(status: int, name: str) -> dict[str, Any]:
        response = _resolved(_by_id("updateAudience")["responses"][str(status)])
        value = response["content"]["application/json"]["examples"][name]["value"]
        assert list(value) == ["success", "data", "error", "traceId"]
        found: dict[str, Any] = value["error"]
        return found

    ok = _by_id("updateAudience")["responses"]["200"]["content"]["application/json"]["example"]
    assert list(ok["data"].items()) == [
        ("id", "66a1f3b9d4e5f60718293a50"),
        ("name", "Fintech CTOs, Benelux"),
        ("type", "linkedin_search"),
        ("description", "Series A and later"),
        ("folderId", None),
        ("prospectCount", 25),
        ("createdAt", "2026-03-04T05:06:07.089Z"),
    ]
    assert error(400, "VALIDATION_ERROR") == {
        "code": "VALIDATION_ERROR",
        "message": "The request body is not valid.",
        "details": "Remove folderId from the body and use move-to-folder to change the folder.",
        "issues": [
            {
                "field": "folderId",
                "code": "not_settable",
                "message": "folderId cannot be set here.",
            }
        ],
    }
    assert error(403, "PERMISSION")["context"] == {"requiredPermission": "audiences:write"}
    assert "context" not in error(403, "ACCOUNT_GROUP")
    assert error(404, "NOT_FOUND")["context"] == {"resource": "audience"}
    assert error(409, "AUDIENCE_NOT_READY")["context"] == {
        "audienceId": "66a1f3b9d4e5f60718293a50",
        "jobId": "66a1f4aad4e5f60718293a61",
        "jobStatus": "running",
        "progress": 0.42,
        "since": "2026-03-04T05:10:00.000Z",
        "retryAfterSeconds": 5,
    }
    assert error(422, "AUDIENCE_NAME_TAKEN")["issues"] == [
        {"field": "name", "code": "taken", "message": "The name is in use."}
    ]
    assert error(429, "RATE_LIMITED")["context"] == {
        "limit": 100,
        "remaining": 0,
        "retryAfterSeconds": 1,
    }


def test_samples_are_of_operations_that_exist() -> None:
    ids = {operation.id for operation in OPERATIONS}
    names = {name for operation in OPERATIONS for name in operation.parameters}
    assert set(samples.REQUESTS) <= ids
    assert set(samples.ANSWERS) <= ids
    assert set(refusals.BAD_BODIES) <= ids
    assert set(samples.ALSO_ANSWERS) == {n for o in OPERATIONS for n, _ in o.also_answers}
    assert set(samples.PARAMETERS) == names


def test_a_start_of_the_server_does_not_make_the_document() -> None:
    code = "import sys, longlist.app; print(sorted(m for m in sys.modules if 'openapi' in m))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "['longlist.openapi']"
