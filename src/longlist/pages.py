"""Paging: the cursor, what it is bound to, and the page that is answered (contract 1.6).

A cursor is the position of the last row of a page, signed together with the operation, the
account group and the filters. It is stable: rows are kept in the order of their ids, which never
change, so a walk sees every row that exists during it exactly once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from longlist.context import Context
from longlist.errors import Issue, ValidationFailed

T = TypeVar("T")
_MAC_BYTES: Final = 16
LAST_ID: Final = b"\xff" * 12
"""Greater than every id: where a walk from the newest starts."""


class Page(msgspec.Struct, Generic[T], rename="camel"):
    """One page of a list, in the list's own order."""

    items: Sequence[T]
    next_cursor: str | None = None
    has_more: bool = False


def _mac(ctx: Context, query: Any, position: bytes) -> bytes:
    filters = {
        name: getattr(query, name)
        for name in query.__struct_fields__
        if name not in ("cursor", "limit")
    }
    bound = msgspec.json.encode([ctx.operation, ctx.group, filters])
    return hashlib.blake2b(
        bound + position, key=ctx.installation.cursor_secret, digest_size=_MAC_BYTES
    ).digest()


def position_of(ctx: Context, query: Any) -> bytes | None:
    """The position that the query's cursor names, None for the first page.

    Raises ValidationFailed (`invalid_cursor`) for a cursor that is altered, foreign or was made
    for other filters.
    """
    if query.cursor is None:
        return None
    try:
        raw = base64.b64decode(query.cursor.encode(), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(raw).decode() != query.cursor:
            # The spare bits at its end let one text be written in several ways.
            raw = b""
    except (binascii.Error, ValueError):
        raw = b""
    position, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not position or not hmac.compare_digest(mac, _mac(ctx, query, position)):
        raise ValidationFailed(
            "The cursor is not valid here.",
            "Send nextCursor of the page before, unchanged and with the same filters, or leave it"
            " out to start again.",
            issues=[
                Issue("query.cursor", "invalid_cursor", "Not a cursor of this list and filters.")
            ],
        )
    return position


def page(ctx: Context, query: Any, found: Sequence[T], position: Callable[[T], bytes]) -> Page[T]:
    """The page of up to `limit` of the rows `found`, of which one more than `limit` was asked."""
    items = found[: query.limit]
    if len(found) <= query.limit:
        return Page(items)
    return Page(items, cursor(ctx, query, position(items[-1])), True)


def cursor(ctx: Context, query: Any, position: bytes) -> str:
    """The cursor from which the query goes on after a position."""
    raw = position + _mac(ctx, query, position)
    return base64.urlsafe_b64encode(raw).decode()
