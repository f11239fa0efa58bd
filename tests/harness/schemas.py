"""Answers against the schemas of the OpenAPI document, once there is one."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from longlist import openapi
from longlist.operations import Operation

TRANSPORT_ONLY = frozenset({400, 404, 405, 408, 413, 414, 431})


@cache
def _document() -> dict[str, Any] | None:
    make = getattr(openapi, "document", None)
    return None if make is None else make()


@cache
def _validator(method: str, path: str, status: int) -> Draft202012Validator | None:
    document = _document()
    assert document is not None
    answers = document["paths"][path][method.lower()]["responses"]
    answer = answers.get(str(status))
    if answer is None:
        assert status in TRANSPORT_ONLY, (method, path, status, sorted(answers))
        return None
    reference = answer.get("$ref")
    if reference is not None:
        answer = document["components"]["responses"][reference.rpartition("/")[2]]
    schema = answer["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": document["components"]})


def check(operation: Operation, status: int, body: Any) -> None:
    """Assert that the body is valid against the schema of the operation's status."""
    if _document() is None:
        return
    validator = _validator(operation.method, operation.path, status)
    if validator is not None:
        faults = [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(body)]
        assert not faults, (operation.id, status, faults[:5])
