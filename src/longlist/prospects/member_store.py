"""Who is in which audience, and the bulk statements that take people in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any, Final

import msgspec

from longlist.audiences import size_store as sizes
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.errors import NotFound
from longlist.events import store as events
from longlist.ids import time_of
from longlist.prospects.person import Person
from longlist.prospects.store import COLUMNS, PERSON_COLUMNS, Stored, stored

_MEMBERS: Final = (
    f"SELECT {COLUMNS} FROM memberships m JOIN prospects p"
    " ON p.account_group_id = m.account_group_id AND p.id = m.prospect_id"
    " WHERE m.account_group_id = $1 AND m.audience_id = $2"
)


async def list_page(ctx: Context, audience_id: bytes, *, before: bytes, limit: int) -> list[Stored]:
    """Up to `limit` prospects of a ready audience, newest first, older than `before`."""
    await audiences.get(ctx, audience_id)
    rows = await ctx.tx.all(
        f"{_MEMBERS} AND m.prospect_id < $3 AND p.id < $3 ORDER BY m.prospect_id DESC LIMIT $4",
        ctx.group,
        audience_id,
        before,
        limit,
    )
    return [stored(row) for row in rows]


def stream(ctx: Context, audience_id: bytes) -> Any:
    """Every prospect of an audience in batches of rows, newest first, from the open snapshot."""
    snapshot: Any = ctx.tx
    return snapshot.stream(f"{_MEMBERS} ORDER BY m.prospect_id DESC", ctx.group, audience_id)


_DELETE: Final = (
    "DELETE FROM memberships WHERE account_group_id = $1 AND audience_id = $2 AND prospect_id = $3"
)


async def delete(ctx: Context, audience_id: bytes, prospect_id: bytes) -> None:
    """Take a prospect out of a ready audience. Raises NotFound where it is not in it."""
    await audiences.hold(ctx, audience_id)
    removed = await ctx.tx.run(_DELETE, ctx.group, audience_id, prospect_id)
    if removed == 0:
        raise NotFound.resource("prospect")
    await count(ctx, audience_id, -1)


async def count(ctx: Context, audience_id: bytes, change: int, counts: Any = None) -> int:
    """Move an audience's `prospectCount` in the membership's own transaction; the new count.

    Writes the event that tells of it, with the row outcomes `counts` where there are any, unless
    nothing changed.
    """
    row = await ctx.tx.one(
        "UPDATE audiences SET prospect_count = prospect_count + $3,"
        " version = version + CASE WHEN $3 = 0 THEN 0 ELSE 1 END"
        " WHERE account_group_id = $1 AND id = $2 RETURNING prospect_count",
        ctx.group,
        audience_id,
        change,
    )
    assert row is not None
    total: int = row[0]
    if change:
        await sizes.note(ctx, audience_id, total)
    if change or counts is not None:
        data = {"audienceId": audience_id.hex(), "prospectCount": total, "counts": counts}
        await events.record(ctx, "audience.members_changed", audience_id, data)
    return total


async def audiences_of(ctx: Context, prospect_id: bytes) -> list[audiences.Stored]:
    """The audiences that a prospect is in, ready or filling, newest first."""
    rows = await ctx.tx.all(
        f"SELECT {audiences.COLUMNS} FROM audiences WHERE account_group_id = $1 AND id IN"
        " (SELECT audience_id FROM memberships WHERE account_group_id = $1 AND prospect_id = $2)"
        " ORDER BY id DESC",
        ctx.group,
        prospect_id,
    )
    return [audiences.stored(row) for row in rows]


async def delete_from_all(ctx: Context, prospect_id: bytes) -> None:
    """Take a prospect out of every audience of the group, also filling ones."""
    rows = await ctx.tx.all(
        "SELECT audience_id FROM memberships WHERE account_group_id = $1 AND prospect_id = $2"
        " ORDER BY audience_id",
        ctx.group,
        prospect_id,
    )
    for (audience_id,) in rows:
        # The audience before its memberships, as everywhere: no two writers wait for each other.
        await ctx.tx.run(
            "UPDATE audiences SET version = version WHERE account_group_id = $1 AND id = $2",
            ctx.group,
            audience_id,
        )
        if await ctx.tx.run(_DELETE, ctx.group, audience_id, prospect_id):
            await count(ctx, audience_id, -1)


async def ids_of_keys(ctx: Context, keys: Sequence[bytes]) -> set[bytes]:
    """The prospects that have one of the keys."""
    rows = await ctx.tx.all_in(
        "SELECT prospect_id FROM prospect_keys WHERE account_group_id = $1 AND key IN_VALUES",
        keys,
        ctx.group,
    )
    return {row[0] for row in rows}


async def touched_among(
    ctx: Context, audience_id: bytes, ids: Sequence[bytes]
) -> dict[bytes, bytes | None]:
    """Those of the prospects that are in the audience, with the job that last had them."""
    rows = await ctx.tx.all_in(
        "SELECT prospect_id, touched_by FROM memberships WHERE account_group_id = $1"
        " AND audience_id = $2 AND prospect_id IN_VALUES",
        ids,
        ctx.group,
        audience_id,
    )
    return {row[0]: row[1] for row in rows}


_WIDTH: Final = len(PERSON_COLUMNS)
_UPDATE: Final = (
    "UPDATE prospects SET updated_at = $3, version = version + 1, "
    + ", ".join(f"{name} = ${at}" for at, name in enumerate(PERSON_COLUMNS, 4))
    + " WHERE account_group_id = $1 AND id = $2"
)


async def insert_people(ctx: Context, people: Sequence[tuple[bytes, Person]]) -> None:
    """Store new people under their ids."""
    if not people:
        return
    # A source fills a few of the many columns: what is unknown of everybody is not sent at all.
    values = zip(*[msgspec.structs.astuple(person)[:_WIDTH] for _, person in people], strict=True)
    known = [
        (name, column)
        for name, column in zip(PERSON_COLUMNS, values, strict=True)
        if column.count(None) < len(people)
    ]
    ids = [id_ for id_, _ in people]
    made = [time_of(id_) for id_ in ids]
    await ctx.tx.insert(
        "prospects",
        ("account_group_id", "id", "created_at", "updated_at", *[name for name, _ in known]),
        list(
            zip(repeat(ctx.group, len(ids)), ids, made, made, *[column for _, column in known],
                strict=True)
        ),
    )  # fmt: skip


async def update_people(ctx: Context, people: Sequence[tuple[bytes, Person]]) -> None:
    """Write changed people over what is stored."""
    if people:
        await ctx.tx.many(
            _UPDATE,
            [
                (ctx.group, id_, ctx.now, *msgspec.structs.astuple(person)[:_WIDTH])
                for id_, person in people
            ],
        )


async def insert_keys(ctx: Context, keys: Iterable[tuple[bytes, bytes]]) -> None:
    """Make people findable: keys with the prospects they belong to."""
    # In the order of the index: neighbours share pages.
    rows = sorted((ctx.group, key, id_) for key, id_ in keys)
    await ctx.tx.insert("prospect_keys", ("account_group_id", "key", "prospect_id"), rows)


async def delete_keys(ctx: Context, keys: Sequence[tuple[bytes, bytes]]) -> None:
    """Forget keys that people no longer have."""
    if keys:
        await ctx.tx.many(
            "DELETE FROM prospect_keys WHERE account_group_id = $1 AND key = $2"
            " AND prospect_id = $3",
            [(ctx.group, key, id_) for key, id_ in keys],
        )


async def insert(
    ctx: Context, audience_id: bytes, ids: Iterable[bytes], job_id: bytes | None
) -> None:
    """Put prospects into an audience that they are not in."""
    await ctx.tx.insert(
        "memberships",
        ("account_group_id", "audience_id", "prospect_id", "touched_by"),
        [(ctx.group, audience_id, id_, job_id) for id_ in ids],
    )


async def touch(ctx: Context, audience_id: bytes, ids: Sequence[bytes], job_id: bytes) -> None:
    """Remember that a job had these members, so that it knows a repeat of them."""
    if ids:
        await ctx.tx.many(
            "UPDATE memberships SET touched_by = $4 WHERE account_group_id = $1"
            " AND audience_id = $2 AND prospect_id = $3",
            [(ctx.group, audience_id, id_, job_id) for id_ in ids],
        )
