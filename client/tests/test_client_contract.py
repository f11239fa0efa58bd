"""The client covers the API document: every operation, parameter, member, answer and error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from client.tests.backends import document

import longlist_client
from longlist_client import errors, inputs
from longlist_client.binding import _Method
from longlist_client.calls import Call, Scope
from longlist_client.client import AccountGroup, AsyncAccountGroup, AsyncLonglist, Longlist
from longlist_client.exchange import Answer, Request

DOCUMENT = document()
ID = "66a1f3b9d4e5f60718293a50"
SCOPE = Scope("66a1f0c2d4e5f60718293a4b")
FILTERS = inputs.DirectoryFilters(
    titles=["CTO"], companies=["a"], locations=["b"], industries=["c"]
)
COMPANY = inputs.CompanyInput(**dict.fromkeys(inputs.CompanyInput.__struct_fields__, "x"))
PROSPECT = inputs.ProspectInput(
    **{name: "x" for name in inputs.ProspectInput.__struct_fields__ if name != "company"},
    company=COMPANY,
)
REPEATABLE = [
    inputs.LinkedinSearch(search_url="u"),
    inputs.SalesNavigator(saved_search_id="1", lead_list_id="2"),
    inputs.PostCommenters(post_url="u"),
    inputs.DirectorySearch(query="q", filters=FILTERS),
]
SOURCES = [
    *REPEATABLE,
    inputs.UrlUpload(profile_urls=["u"]),
    inputs.FileImport(file_id=ID, mapping={"Email": "email"}),
]
VALUES: dict[str, Any] = {
    "limit": 5, "wait": 5, "max_results": 5, "interval_minutes": 60, "ungroup": True,
    "enabled": False, "search_emails": True, "prospects": [PROSPECT], "etag": '"x"',
}  # fmt: skip
"""What a parameter of an operation gets, where a text is not enough."""
SOURCE_OF: dict[str, Sequence[Any]] = {"upload_file": [b"x"], "put_monitor": REPEATABLE}
SENT_BY_ALL = {"traceparent"}
"""Parameters that the client itself sends along with every request."""


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = DOCUMENT
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _documented() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path and record of each operation, by its id."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    }


def _resources(client: type) -> Iterator[type]:
    """The client's classes: what its properties are annotated with, all the way down."""
    yield client
    for value in vars(client).values():
        returned = getattr(getattr(value, "func", None), "__annotations__", {}).get("return")
        if returned is not None:
            yield getattr(inspect.getmodule(client), returned)


def _methods(*clients: type) -> dict[str, _Method[..., Any]]:
    """Every method of the clients that was made from an operation, by `Class.name`."""
    return {
        f"{owner.__name__.removeprefix('Async')}.{name}": found
        for client in clients
        for owner in _resources(client)
        for name, found in vars(owner).items()
        if isinstance(found, _Method)
    }


METHODS = _methods(Longlist, AccountGroup)
ASYNC_METHODS = _methods(AsyncLonglist, AsyncAccountGroup)
OPERATIONS = _documented()


def _snake(text: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()


def _calls(build: Any) -> list[Call[Any]]:
    """Calls of an operation with every argument given, one for each kind of source."""
    parameters = list(inspect.signature(build).parameters)[1:]
    choices: Sequence[Any] = [None]
    if "source" in parameters:
        choices = SOURCE_OF.get(build.__name__, SOURCES)
    calls = []
    for source in choices:
        given = {
            name: source if name == "source" else VALUES.get(name, f"a-{name}")
            for name in parameters
            if name not in ("on_progress", "every", "timeout", "check")
        }
        made = build(SCOPE, **given)
        calls.append(made if isinstance(made, Call) else next(made))
    return calls


CALLS = {name: _calls(found.build) for name, found in METHODS.items()}


def _of(operation_id: str) -> list[tuple[str, Request]]:
    """The requests that the client's methods make of an operation."""
    method, path, _ = OPERATIONS[operation_id]
    return [
        (name, call.request)
        for name, calls in CALLS.items()
        for call in calls
        if (call.request.method, call.request.template) == (method, path)
    ]


def test_both_clients_have_the_same_methods() -> None:
    assert {name: found.build for name, found in METHODS.items()} == {
        name: found.build for name, found in ASYNC_METHODS.items()
    }


def test_no_method_leads_to_what_the_document_does_not_know() -> None:
    known = {(method, path) for method, path, _ in OPERATIONS.values()}
    for name, calls in CALLS.items():
        for call in calls:
            assert (call.request.method, call.request.template) in known, name


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_an_operation_has_a_method_by_its_own_name(operation_id: str) -> None:
    builds = {METHODS[name].build.__name__ for name, _ in _of(operation_id)}
    assert _snake(operation_id) in builds


def _headers(request: Request) -> set[str]:
    return {name for name in request.headers if name not in ("Content-Type", "Accept")}


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_every_parameter_can_be_sent(operation_id: str) -> None:
    requests = [request for _, request in _of(operation_id)]
    for wanted in map(_resolved, OPERATIONS[operation_id][2].get("parameters", [])):
        name, where = wanted["name"], wanted["in"]
        if where == "query":
            assert any(name in request.query for request in requests), name
        elif where == "header" and name not in SENT_BY_ALL:
            assert any(name in _headers(request) for request in requests), name
    sent = {name for request in requests for name in request.query}
    documented = {_resolved(p)["name"] for p in OPERATIONS[operation_id][2].get("parameters", [])}
    assert sent <= documented
    assert {name for request in requests for name in _headers(request)} <= documented


def _members(schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """The path of every member of a schema; a branch is marked with its tag."""
    schema = _resolved(schema)
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches:
        for branch in branches:
            yield from _members(branch, at)
        return
    if "items" in schema:
        yield from _members(schema["items"], f"{at}[]")
    properties = schema.get("properties", {})
    tag = properties.get("type", {})
    kind = (
        tag.get("const") or (tag.get("enum") or [""])[0] if len(tag.get("enum", "1")) == 1 else ""
    )
    marked = f"{at}<{kind}>" if kind else at
    for name, member in properties.items():
        yield f"{marked}.{name}"
        yield from _members(member, f"{marked}.{name}")


def _sent_members(value: Any, tags: bool, at: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _sent_members(item, tags, f"{at}[]")
    if isinstance(value, dict):
        kind = value.get("type") if tags else None
        marked = f"{at}<{kind}>" if kind else at
        for name, member in value.items():
            yield f"{marked}.{name}"
            yield from _sent_members(member, tags, f"{marked}.{name}")


@pytest.mark.parametrize(
    "operation_id", [id_ for id_, (_, _, record) in OPERATIONS.items() if "requestBody" in record]
)
def test_every_member_of_a_body_can_be_sent(operation_id: str) -> None:
    content = OPERATIONS[operation_id][2]["requestBody"]["content"]
    requests = [request for _, request in _of(operation_id)]
    if "application/json" not in content:
        assert {request.headers["Content-Type"] for request in requests} == {"a-content_type"}
        return
    wanted = set(_members(content["application/json"]["schema"]))
    tagged = any("<" in path for path in wanted)
    bodies = [msgspec.json.decode(r.body) for r in requests if isinstance(r.body, bytes)]
    sent = {path for body in bodies for path in _sent_members(body, tagged)}
    assert wanted <= sent
    free = [path for path in wanted if path.endswith(".mapping")]
    unknown = {p for p in sent - wanted if not any(p.startswith(f"{f}.") for f in free)}
    assert not unknown


def _examples(operation: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    for status, answer in operation["responses"].items():
        content = _resolved(answer).get("content", {}).get("application/json", {})
        if "example" in content:
            yield int(status), content["example"]
        for example in content.get("examples", {}).values():
            yield int(status), _resolved(example)["value"]


def _assert_keeps(value: Any, example: Any, at: str) -> None:
    """Nothing of the example is lost in the value."""
    if isinstance(example, dict):
        for name, member in example.items():
            assert name in value, f"{at}.{name}"
            _assert_keeps(value[name], member, f"{at}.{name}")
    elif isinstance(example, list):
        for at_index, (one, other) in enumerate(zip(value, example, strict=True)):
            _assert_keeps(one, other, f"{at}[{at_index}]")


@pytest.mark.parametrize("operation_id", [id_ for id_ in OPERATIONS if id_ != "getOpenapi"])
def test_no_member_of_an_answer_is_lost(operation_id: str) -> None:
    decoders = [
        call.decode
        for name, calls in CALLS.items()
        for call in calls
        if METHODS[name].build.__name__ == _snake(operation_id)
        or (operation_id == "startProspectingJob" and "dry_run" in name)
    ]
    examples = [e for status, e in _examples(OPERATIONS[operation_id][2]) if status < 300]
    streams = operation_id == "exportAudience"
    assert examples or streams
    for example in examples:
        content = msgspec.json.encode({**example, "later": 1})
        failures = []
        for decode in decoders:
            try:
                found = decode(Answer(200, {}, content))
            except errors.UnexpectedAnswer as error:
                failures.append(error)
                continue
            if example["data"] == {"deleted": True}:
                assert found is None
            else:
                _assert_keeps(msgspec.to_builtins(found), example["data"], operation_id)
            break
        else:
            raise AssertionError(failures)


def _known_codes() -> Iterator[tuple[str, int]]:
    for _, _, operation in OPERATIONS.values():
        for status, example in _examples(operation):
            if status >= 400:
                yield example["error"]["code"], status


def test_every_code_has_a_class_of_its_own() -> None:
    codes = DOCUMENT["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    for code in codes:
        found = errors._BY_CODE[code]
        assert found.code == code
        assert getattr(longlist_client, found.__name__) is found
    for code, status in set(_known_codes()):
        assert errors._BY_CODE[code].status == status or (code, status) == ("VALIDATION_ERROR", 422)


def test_ids_cannot_lead_elsewhere() -> None:
    def path(value: str) -> str:
        call: Call[Any] = METHODS["Audiences.delete"].build(SCOPE, value)
        return call.request.path

    assert path("a/b?c#d").endswith("/audiences/a%2Fb%3Fc%23d")
    for value in ("", ".", ".."):
        with pytest.raises(ValueError, match="audienceId"):
            path(value)
