"""The Operation record, one for each endpoint, and the router made from the records.

The record drives routing, the gate, decoding, the OpenAPI document, the test matrix and the
reference pages: nothing else in the project restates a path, a permission, a status or a limit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from longlist.decoding.rules import Rule
from longlist.errors import MethodNotAllowed, NotFound

AG: Final = "/v1/accounts/{accountGroupId}"
GROUP_PARAMETER: Final = "accountGroupId"
JSON_LIMIT: Final = 1 << 20
LARGE_JSON_LIMIT: Final = 8 << 20

Handler = Callable[..., Awaitable[Any]]


class Work(Enum):
    """Which transaction a handler runs in."""

    NONE = "none"
    """No transaction: the operation touches no data."""
    READ = "read"
    """A read bounded by a key."""
    READ_LONG = "read_long"
    """A read that may look at many rows."""
    WRITE = "write"
    WRITE_SINGLE = "write_single"
    """At most one statement that writes."""
    WRITE_LONG = "write_long"
    """A write that takes more than a few milliseconds."""
    SNAPSHOT = "snapshot"
    """A consistent view that stays open while the answer is streamed."""


@dataclass(slots=True)
class Answer:
    """What a handler gives back: `data` of the envelope and what goes around it.

    `status` None is the operation's own. `kept` is stored under an idempotency key in place of
    `data`, where that holds what must not outlive its source; `resource_id` is stored with it.
    `pending` asks for another look while the request's `wait` lasts.
    """

    data: Any
    status: int | None = None
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    resource_id: bytes | None = None
    kept: Any = None
    pending: bool = False


@dataclass(slots=True)
class Stream:
    """An answer outside the envelope, sent as it is made."""

    media_type: str
    chunks: AsyncIterator[bytes]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """An answer outside the envelope, whole."""

    media_type: str
    body: bytes


Receiver = Callable[..., AbstractAsyncContextManager[Any]]
"""Takes in a body that is not JSON, before any transaction: gives what the handler gets."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One endpoint. The letters of the contract's matrix follow from the method and the flags.

    `permission` None means any valid key. `errors` names the codes beside those that every scoped
    endpoint has, by status. `answer` is the type of `data`; its schema is
    `<answer_name>SuccessResponse`.
    """

    method: str
    path: str
    section: str
    summary: str
    handler: Handler
    answer: Any
    answer_name: str
    permission: str | None = None
    public: bool = False
    work: Work = Work.READ
    status: int = 200
    also: tuple[int, ...] = ()
    errors: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    body: Any = None
    query: Any = None
    texts: Mapping[str, Rule] = field(default_factory=dict)
    """Path parameters that are no ids of ours, and how each is read."""
    body_limit: int = JSON_LIMIT
    long_if: Callable[[Any], bool] | None = None
    """For a `Work.READ` with a query: True where the query's filters may look at many rows."""
    tagged: bool = False
    """Sends an ETag and honours the conditional headers (letter E)."""
    takes_if_match: bool = True
    """False for a tagged POST that creates: there is nothing to match yet."""
    receive: Receiver | None = None
    media_types: tuple[str, ...] = ()
    """What `receive` takes, in place of JSON."""
    replay: Handler | None = None
    """Makes the answer to a repeated Idempotency-Key, where the stored one would be out of date."""
    streams: tuple[str, ...] = ()
    """Media types answered outside the envelope."""
    rehearses: Callable[[Any], bool] | None = None
    """True for a body that asks what would happen: it runs as a long read and is not stored."""
    also_answers: tuple[tuple[str, Any], ...] = ()
    """Further schemas of an answer 200, by name."""
    invalid_status: int = 400
    """What a request that is not valid is answered; 422 where the contract puts it for 400."""

    @cached_property
    def id(self) -> str:
        """`update_audience` is `updateAudience`."""
        first, *rest = self.handler.__name__.split("_")
        return first + "".join(word.capitalize() for word in rest)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path's parameters, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Path parameters that are ids and reach the handler."""
        return tuple(
            name for name in self.parameters if name != GROUP_PARAMETER and name not in self.texts
        )

    @property
    def in_group(self) -> bool:
        return GROUP_PARAMETER in self.parameters

    @property
    def has_body(self) -> bool:
        return self.body is not None or self.receive is not None

    @cached_property
    def accepts(self) -> tuple[str, ...]:
        """Media types of the request body."""
        if self.media_types:
            return self.media_types
        if self.method == "PATCH":
            return ("application/json", "application/merge-patch+json")
        return ("application/json",)

    @cached_property
    def statuses(self) -> dict[int, tuple[str, ...]]:
        """Every status the endpoint can give, with the error codes of each."""
        found: dict[int, set[str]] = {self.status: set(), **{code: set() for code in self.also}}

        def add(status: int, *codes: str) -> None:
            found.setdefault(status, set()).update(codes)

        add(500, "INTERNAL_ERROR")
        if not self.public:
            add(self.invalid_status, "VALIDATION_ERROR")
            add(401, "UNAUTHORIZED")
            add(429, "RATE_LIMITED")
            add(503, "OVERLOADED")
            if self.in_group:
                add(403, "FORBIDDEN")
        if self.method in ("POST", "PATCH", "PUT"):
            add(413, "PAYLOAD_TOO_LARGE")
            add(415, "UNSUPPORTED_MEDIA_TYPE")
        if self.method == "POST":
            add(409, "IDEMPOTENCY_CONFLICT", "CONFLICT")
        if self.tagged and self.method == "GET":
            add(304)
        elif self.tagged and self.takes_if_match:
            add(412, "PRECONDITION_FAILED")
        for status, codes in self.errors.items():
            add(status, *codes)
        return {status: tuple(sorted(codes)) for status, codes in sorted(found.items())}


class _Node:
    __slots__ = ("literals", "methods", "parameter")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.methods: dict[str, Operation] = {}


class Router:
    """Finds the operation of a path and method.

    A literal segment is taken before a parameter, and is not gone back on: no id looks like one.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)
        self._root = _Node()
        for operation in operations:
            node = self._root
            for segment in operation.path.split("/"):
                if segment.startswith("{"):
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.literals.setdefault(segment, _Node())
            if operation.method in node.methods:
                raise ValueError(f"Two operations at {operation.method} {operation.path}.")
            node.methods[operation.method] = operation

    def find(self, path: bytes, method: str) -> tuple[Operation | None, list[str], tuple[str, ...]]:
        """The operation, the values of its path parameters, and the methods the path takes.

        The operation is None for OPTIONS. Raises NotFound for an unknown path and
        MethodNotAllowed for a known path with another method.
        """
        segments = path.decode("latin-1").split("/")
        if b"%" in path:
            segments = [unquote_to_bytes(s).decode("utf-8", "replace") for s in segments]
        values: list[str] = []
        node = self._root
        for segment in segments:
            child = node.literals.get(segment)
            if child is None and segment:
                child = node.parameter
                values.append(segment)
            if child is None:
                raise NotFound.path()
            node = child
        if not node.methods:
            raise NotFound.path()
        operation = node.methods.get("GET" if method == "HEAD" else method)
        if operation is not None:
            return operation, values, ()
        allowed = [*node.methods, *(["HEAD"] if "GET" in node.methods else []), "OPTIONS"]
        if method == "OPTIONS":
            return None, values, tuple(allowed)
        raise MethodNotAllowed(allowed)
