"""Prospects and the audiences they are in.

`take_in` is the one way in: by request, by import, by any source. It runs under the group's
identity lock, so that two batches cannot each make the same person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from longlist.context import Context
from longlist.db import Row
from longlist.errors import NotFound
from longlist.ids import rfc3339
from longlist.preconditions import etag
from longlist.prospects.person import FIELDS, Person

PERSON_COLUMNS: Final = tuple(FIELDS.values())
COLUMNS: Final = ", ".join(
    f"p.{name}" for name in ("id", *PERSON_COLUMNS, "created_at", "updated_at", "version")
)
_FIELD_COUNT: Final = len(PERSON_COLUMNS)
_OWN_FIELDS: Final = sum(not name.startswith("company.") for name in FIELDS)


class Company(msgspec.Struct, rename="camel"):
    """Where a prospect works; null where unknown."""

    name: str | None
    linkedin_identifier: str | None
    linkedin_url: str | None
    industry: str | None
    website: str | None
    domain: str | None
    size: str | None


class Prospect(msgspec.Struct, rename="camel"):
    """A person of an account group (contract 5.0); null where unknown."""

    id: str
    first_name: str | None
    last_name: str | None
    name: str | None
    headline: str | None
    about: str | None
    photo_url: str | None
    linkedin_url: str | None
    public_identifier: str | None
    provider_id: str | None
    title: str | None
    location: str | None
    email: str | None
    phone: str | None
    company: Company
    created_at: str
    updated_at: str


class Stored(msgspec.Struct):
    """A prospect as it is kept."""

    id: bytes
    person: Person
    created_at: int
    updated_at: int
    version: int

    @property
    def etag(self) -> str:
        return etag(self.id, self.version)

    @property
    def shown(self) -> Prospect:
        """The prospect as callers see it."""
        values = msgspec.structs.astuple(self.person)
        own, company = values[:_OWN_FIELDS], Company(*values[_OWN_FIELDS:_FIELD_COUNT])
        times = (rfc3339(self.created_at), rfc3339(self.updated_at))
        return Prospect(*(self.id.hex(), *own, company, *times))


def stored(row: Row) -> Stored:
    """The prospect in a row of id, fields, times and version."""
    id_, *values, created_at, updated_at, version = row
    return Stored(id_, Person(*values), created_at, updated_at, version)


async def find(ctx: Context, prospect_id: bytes) -> Stored | None:
    """The prospect, or None."""
    row = await ctx.tx.one(
        f"SELECT {COLUMNS} FROM prospects p WHERE p.account_group_id = $1 AND p.id = $2",
        ctx.group,
        prospect_id,
    )
    return None if row is None else stored(row)


async def get(ctx: Context, prospect_id: bytes) -> Stored:
    """The prospect. Raises NotFound and PreconditionFailed."""
    prospect = await find(ctx, prospect_id)
    if prospect is None:
        raise NotFound.resource("prospect")
    ctx.check_if_match(prospect.etag)
    return prospect


async def list_page(ctx: Context, *, before: bytes, limit: int) -> list[Stored]:
    """Up to `limit` prospects of the account group, newest first, older than `before`."""
    rows = await ctx.tx.all(
        f"SELECT {COLUMNS} FROM prospects p WHERE p.account_group_id = $1 AND p.id < $2"
        " ORDER BY p.id DESC LIMIT $3",
        ctx.group,
        before,
        limit,
    )
    return [stored(row) for row in rows]


async def get_many(ctx: Context, ids: Sequence[bytes]) -> dict[bytes, Stored]:
    """Those of the prospects that exist, by id."""
    rows = await ctx.tx.all_in(
        f"SELECT {COLUMNS} FROM prospects p WHERE p.account_group_id = $1 AND p.id IN_VALUES",
        ids,
        ctx.group,
    )
    return {row[0]: stored(row) for row in rows}


async def lock_identity(ctx: Context) -> None:
    """Keep every other change of who is who in this group out, to the end of the transaction."""
    await ctx.tx.lock(b"identity:" + ctx.group)


async def delete(ctx: Context, prospect_id: bytes) -> None:
    """Delete a prospect that is in no audience, and ask for its pages to be scrubbed."""
    await ctx.tx.run(
        "DELETE FROM prospects WHERE account_group_id = $1 AND id = $2", ctx.group, prospect_id
    )
    await ctx.tx.run(
        "INSERT INTO installation (name, value) VALUES ('scrub', '1')"
        " ON CONFLICT (name) DO UPDATE SET value = '1'"
    )
