"""A call: one request to one operation, and how its answer becomes a value.

Every operation of the server is one pure function in `resources/` that returns a Call. What sends
it, blocking or awaiting, comes later.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec

from longlist_client.errors import UnexpectedAnswer
from longlist_client.exchange import Answer, Request, retry_after
from longlist_client.inputs import KEEP
from longlist_client.models import Deleted
from longlist_client.uploads import Upload

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
AG: Final = "/v1/accounts/{accountGroupId}"
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """What to send, and what to make of the answer."""

    request: Request
    decode: Callable[[Answer], T_co]

    def with_query(self, **query: str) -> Call[T_co]:
        """The same call with more query parameters."""
        return replace(self, request=self.request.with_query(**query))


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the operations work: in one account group, or in none."""

    account_group_id: str = ""

    def request(
        self,
        method: str,
        template: str,
        *ids: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> Request:
        """The request to a path: `template` with the ids put in, in their order.

        Parameters that are None are left out. A POST gets a fresh idempotency key unless it is
        given one. Raises ValueError for an id that would change the path.
        """
        names = [self.account_group_id, *ids] if template.startswith(AG) else list(ids)
        headers: dict[str, str] = {}
        content = body
        if body is not None and not isinstance(body, Upload):
            content = _encode(body)
            headers["Content-Type"] = "application/json"
        if if_match is not None:
            headers["If-Match"] = if_match
        if method == "POST":
            headers["Idempotency-Key"] = idempotency_key or uuid.uuid4().hex
        sent = {name: _as_text(value) for name, value in (query or {}).items() if value is not None}
        return Request(method, template, _filled(template, names), sent, headers, content)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(template: str, ids: list[str]) -> str:
    parts = []
    for part in template.split("/"):
        if not part.startswith("{"):
            parts.append(part)
            continue
        value = ids.pop(0)
        if value in ("", ".", ".."):
            raise ValueError(f"{part[1:-1]} must not be empty, nor a dot segment.")
        parts.append(quote(value, safe=""))
    return "/".join(parts)


def changes(**members: Any) -> dict[str, Any]:
    """The members of an update that are not to be kept."""
    return {name: value for name, value in members.items() if value is not KEEP}


def given(**members: Any) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


class _Success(msgspec.Struct, Generic[T]):
    data: T


@functools.cache
def _decoder(type_: Any) -> msgspec.json.Decoder[_Success[Any]]:
    return msgspec.json.Decoder(_Success[type_])


def decoded(type_: type[T], answer: Answer) -> T:
    """The `data` of an answer. Raises UnexpectedAnswer for one that is not of the type."""
    wanted: Any = type_
    try:
        found: T = _decoder(wanted).decode(answer.content).data
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # The text of a msgspec error names members and types, never values.
        raise UnexpectedAnswer(answer.status, f"The answer cannot be read: {error}") from error
    fields: dict[str, Any] = {}
    if hasattr(found, "etag") and "etag" in answer.headers:
        fields["etag"] = answer.headers["etag"]
    if hasattr(found, "retry_after"):
        fields["retry_after"] = retry_after(answer.headers)
    return msgspec.structs.replace(found, **fields) if fields else found  # type: ignore[type-var]


def answering(type_: type[T], request: Request) -> Call[T]:
    """A call that is answered with this type."""
    return Call(request, functools.partial(decoded, type_))


def answering_nothing(request: Request) -> Call[None]:
    """A call that is answered with a deletion, which leaves nothing to tell."""

    def decode(answer: Answer) -> None:
        decoded(Deleted, answer)

    return Call(request, decode)


def answering_if_changed(type_: type[T], request: Request, etag: str) -> Call[T | None]:
    """A call that is answered with None as long as the tag is the present one."""

    def decode(answer: Answer) -> T | None:
        return None if answer.status == 304 else decoded(type_, answer)

    return Call(replace(request, headers={**request.headers, "If-None-Match": etag}), decode)
