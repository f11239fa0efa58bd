"""A request as the handlers of the mock see it, and the record of an operation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from longlist_client.testing.refusals import Reply, invalid
from longlist_client.testing.rules import Member, Rule, digits
from longlist_client.testing.state import Group, Json, Thing

if TYPE_CHECKING:
    from longlist_client.testing.mock import MockLonglist

AG: Final = "/v1/accounts/{accountGroupId}"
PAGED: Final[Mapping[str, Rule]] = {"limit": digits(1, 200), "cursor": str}
_DEFAULT_LIMIT: Final = 50


@dataclass(slots=True)
class MockKey:
    """An API key of the mock, with its reach."""

    secret: str
    permissions: frozenset[str]
    groups: frozenset[str]
    id: str


@dataclass(slots=True)
class Ask:
    """A request that has come through the guards: decoded, but not yet carried out."""

    mock: MockLonglist
    key: MockKey | None
    operation: Operation
    ids: Sequence[str]
    query: Json
    body: Json
    headers: Mapping[str, str]
    content: bytes
    _group: Group | None = None

    @property
    def group(self) -> Group:
        """The account group of the path."""
        assert self._group is not None
        return self._group

    @property
    def if_match(self) -> str | None:
        return self.headers.get("if-match")

    def tagged(self, thing: Thing, status: int = 200, **headers: str) -> Reply:
        """A thing with its tag; 304 where the caller has this very state."""
        known = [tag.strip().removeprefix("W/") for tag in self._known_tags]
        if self.operation.method == "GET" and (thing.etag in known or known == ["*"]):
            return Reply(status=304, headers={"ETag": thing.etag}, body=b"")
        return Reply(thing.data, status, {"ETag": thing.etag, **headers})

    @property
    def _known_tags(self) -> list[str]:
        header = self.headers.get("if-none-match", "")
        return header.split(",") if header else []

    def page(self, rows: Sequence[Json], id_of: Callable[[Json], str]) -> Json:
        """The page of rows that the query asks for; the rows are in their order."""
        filters = {name: value for name, value in self.query.items() if name not in PAGED}
        bound = json.dumps([self.operation.template, self.ids, filters], sort_keys=True)
        start = 0
        if self.query.get("cursor"):
            last = self._position(self.query["cursor"], bound)
            ids = [id_of(row) for row in rows]
            ascending = ids == sorted(ids)
            start = sum(1 for id_ in ids if (id_ <= last if ascending else id_ >= last))
        limit = self.query.get("limit", _DEFAULT_LIMIT)
        shown = list(rows[start : start + limit])
        has_more = start + limit < len(rows)
        cursor = self._cursor(id_of(shown[-1]), bound) if has_more else None
        return {"items": shown, "nextCursor": cursor, "hasMore": has_more}

    def _mac(self, position: str, bound: str) -> bytes:
        text = f"{position} {bound}".encode()
        return hmac.digest(self.mock.secret, text, hashlib.sha256)[:16]

    def _cursor(self, position: str, bound: str) -> str:
        raw = self._mac(position, bound) + position.encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def _position(self, cursor: str, bound: str) -> str:
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            position = raw[16:].decode()
        except ValueError:
            raw, position = b"", ""
        if not hmac.compare_digest(raw[:16], self._mac(position, bound)):
            raise invalid(("query.cursor", "invalid_cursor", "The cursor is not from this list."))
        return position


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: where it is, who may call it, what it takes and what it does.

    `takes_file`: the body is not JSON. `body` may choose the members by what was sent.
    """

    method: str
    template: str
    handler: Callable[[Ask], Reply]
    permission: str | None = None
    is_public: bool = False
    query: Mapping[str, Rule] = field(default_factory=dict)
    body: Mapping[str, Member] | Callable[[Json], Mapping[str, Member]] | None = None
    check: Callable[[Json], None] | None = None
    not_settable: frozenset[str] = frozenset()
    takes_file: bool = False
    invalid_status: int = 400
    ids: Mapping[str, str] = field(default_factory=dict)
