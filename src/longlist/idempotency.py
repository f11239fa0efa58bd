"""Idempotency-Key: answers of POST requests, stored in the effect's own transaction.

Contract 1.8: scope is the account group; the same key with the same route and body gives the
stored answer again, with another it is 409; only 2xx answers are stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from longlist.context import AT_HOME, Context
from longlist.errors import Conflict, IdempotencyConflict, Issue, ValidationFailed

_FORM: Final = re.compile(r"[\x21-\x7e]{1,255}\Z")
_sorted_json: Final = msgspec.json.Encoder(order="deterministic").encode


class Stored(msgspec.Struct):
    """The answer that the first request got. `data` is JSON."""

    status: int
    data: msgspec.Raw
    headers: dict[str, str]
    resource_id: bytes | None


def key_of(values: Sequence[str]) -> str | None:
    """The key of the headers, None without one. Raises ValidationFailed for a malformed one."""
    if not values:
        return None
    if len(values) > 1 or not _FORM.match(values[0]):
        raise ValidationFailed(
            "The Idempotency-Key header is not valid.",
            "Send one Idempotency-Key of 1 to 255 visible ASCII characters.",
            issues=[
                Issue("header.Idempotency-Key", "invalid_format", "1-255 visible ASCII characters.")
            ],
        )
    return values[0]


def fingerprint(method: str, path: str, query: bytes, body: Any) -> bytes:
    """What a request is, for telling the same from another: route, ids, query and body.

    Bodies are compared as JSON values, so white space, the order of members and `1.0` for `1` do
    not matter; an upload is its digest and name.
    """
    parts = _sorted_json([method, path, query.decode("latin-1"), _plain(body)])
    return hashlib.sha256(parts).digest()


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer() and abs(value) < 2**63:
            return int(value)
        case dict():
            return {name: _plain(member) for name, member in value.items()}
        case list():
            return [_plain(member) for member in value]
        case _:
            return value


async def find(ctx: Context, key: str, request: bytes) -> Stored | None:
    """The stored answer to this request, or None where it is the first with its key.

    Until the transaction ends the key is held: a second request that comes meanwhile gets
    Conflict. Raises IdempotencyConflict where the key belongs to another request.
    """
    if not await ctx.tx.try_lock(b"idempotency:" + ctx.group + key.encode()):
        raise Conflict.still_running()
    oldest = ctx.now - ctx.settings.idempotency_keep_hours * 3_600_000
    row = await ctx.tx.one(
        "SELECT request, status, data, headers, resource_id FROM idempotency_keys"
        " WHERE account_group_id = $1 AND key = $2 AND created_at > $3",
        ctx.group,
        key,
        oldest,
    )
    if row is None:
        return None
    if row[0] != request:
        raise IdempotencyConflict
    return Stored(
        row[1],
        msgspec.Raw(row[2].encode()),
        msgspec.json.decode(row[3], type=dict[str, str]),
        row[4],
    )


async def store(ctx: Context, key: str, request: bytes, answer: Stored) -> None:
    """Keep an answer for as long as the setting says, in place of an expired one."""
    await ctx.tx.run(
        "INSERT INTO idempotency_keys (account_group_id, key, request, status, data, headers,"
        " resource_id, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (account_group_id, key) DO UPDATE SET request = excluded.request,"
        " status = excluded.status, data = excluded.data, headers = excluded.headers,"
        " resource_id = excluded.resource_id, created_at = excluded.created_at",
        ctx.group,
        key,
        request,
        answer.status,
        bytes(answer.data).decode(),
        msgspec.json.encode(answer.headers).decode(),
        answer.resource_id,
        ctx.now,
    )


async def forget_expired_everywhere(ctx: Context) -> int:
    """Delete answers that are past their time; how many."""
    oldest = ctx.now - ctx.settings.idempotency_keep_hours * 3_600_000
    return await ctx.tx.run(
        f"DELETE FROM idempotency_keys WHERE created_at <= $1 AND {AT_HOME}", oldest
    )
