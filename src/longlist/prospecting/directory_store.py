"""The people of the directories that operators set up, as this installation keeps them.

What a directory holds is a generation: it is loaded in short transactions beside the one that is
searched, takes its place in one statement, and what it replaces is deleted in short transactions
after. Rows are numbered generation by generation, so that one range of numbers is one state of one
directory in the order of its source, and the full-text index is read in that range alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from longlist.context import Context
from longlist.prospecting.words import words_for
from longlist.prospects import store as prospects
from longlist.prospects import suppression_store as suppressions
from longlist.prospects.identity import keys_of
from longlist.prospects.person import make_person

if TYPE_CHECKING:
    from longlist.db.full_text import Wanted

_GENERATION: Final = 1 << 32
MAX_PEOPLE: Final = _GENERATION - 2
"""What one generation has numbers for."""
GENERATIONS_LOCK: Final = b"directory generations"
"""Held by whoever makes the number of a new generation."""
_decode_person: Final = msgspec.json.Decoder(dict[str, str]).decode


def _people_of(rows: str) -> str:
    """SQL of the people whose rows the SQL `rows` gives, in their order."""
    return (
        f"SELECT p.number, p.person FROM ({rows}) AS found JOIN directory_people p"
        " ON p.account_group_id = $1 AND p.number = found.number ORDER BY p.number"
    )


class LoadLost(Exception):
    """Another load of the same directory began, or the directory was removed."""


class DirectoryPerson(msgspec.Struct, gc=False):
    """A person to be kept: fields as JSON, the words of the index, and the identity keys."""

    person: str
    words: str
    keys: Sequence[bytes]


class Generation(msgspec.Struct):
    """A state of a directory; `people` were in it when it was loaded."""

    number: int
    people: int
    created_at: int


def _range(number: int) -> tuple[int, int]:
    """The numbers that come before the first row of a generation and after its last."""
    return number * _GENERATION, (number + 1) * _GENERATION - 1


async def begin(ctx: Context, source_id: bytes) -> int:
    """Begin a generation of a directory. Its number.

    One that was begun before is given up, and so is what a removed directory has left behind.
    Raises LoadLost.
    """
    await ctx.tx.lock(GENERATIONS_LOCK)
    await ctx.tx.run(
        "UPDATE directory_generations SET state = 'gone' WHERE account_group_id = $1"
        " AND (source_id = $2 AND state = 'loading' OR NOT EXISTS (SELECT 1 FROM sources s"
        " WHERE s.account_group_id = $1 AND s.id = directory_generations.source_id))",
        ctx.group,
        source_id,
    )
    if not await _is_set_up(ctx, source_id):
        raise LoadLost
    number = await _next_number_everywhere(ctx)
    await ctx.tx.run(
        "INSERT INTO directory_generations (account_group_id, source_id, number, state,"
        " created_at) VALUES ($1, $2, $3, 'loading', $4)",
        ctx.group,
        source_id,
        number,
        ctx.now,
    )
    return number


async def _is_set_up(ctx: Context, source_id: bytes) -> bool:
    row = await ctx.tx.one(
        "SELECT 1 FROM sources WHERE account_group_id = $1 AND id = $2", ctx.group, source_id
    )
    return row is not None


async def _next_number_everywhere(ctx: Context) -> int:
    """A number above those of all generations there are, so also above all that were searched of
    the same directory: the one searched now is the last of these."""
    row = await ctx.tx.one("SELECT COALESCE(MAX(number), 0) + 1 FROM directory_generations")
    assert row is not None
    return int(row[0])


async def add(
    ctx: Context, source_id: bytes, number: int, people: Sequence[DirectoryPerson]
) -> int:
    """Add people to a generation that is being loaded, but for those who were erased.

    How many were erased. Raises LoadLost.
    """
    # Whoever is being erased now is either on the list by then, or found here by the erasure.
    await prospects.lock_identity(ctx)
    erased = await suppressions.erased(ctx, [key for one in people for key in one.keys])
    kept = [one for one in people if erased.isdisjoint(one.keys)] if erased else people
    row = await ctx.tx.one(
        "UPDATE directory_generations SET people = people + $4 WHERE account_group_id = $1"
        " AND source_id = $2 AND number = $3 AND state = 'loading' RETURNING people",
        ctx.group,
        source_id,
        number,
        len(kept),
    )
    if row is None:
        raise LoadLost
    first = _range(number)[0] + 1 + int(row[0]) - len(kept)
    await ctx.tx.insert(
        "directory_people",
        ("account_group_id", "number", "person"),
        [(ctx.group, at, one.person) for at, one in enumerate(kept, first)],
    )
    await ctx.tx.many(
        "INSERT INTO directory_words (account_group_id, rowid, words)"
        f" VALUES ($1, $2, {ctx.db.full_text.value('$3')})",
        [(ctx.group, at, one.words) for at, one in enumerate(kept, first)],
    )
    return len(people) - len(kept)


async def publish(ctx: Context, source_id: bytes, number: int) -> None:
    """Have a loaded generation searched, in place of the one before. Raises LoadLost."""
    await ctx.tx.run(
        "UPDATE directory_generations SET state = 'gone'"
        " WHERE account_group_id = $1 AND source_id = $2 AND state = 'live'",
        ctx.group,
        source_id,
    )
    published = await ctx.tx.run(
        "UPDATE directory_generations SET state = 'live' WHERE account_group_id = $1"
        " AND source_id = $2 AND number = $3 AND state = 'loading'",
        ctx.group,
        source_id,
        number,
    )
    if not published or not await _is_set_up(ctx, source_id):
        raise LoadLost


async def give_up(ctx: Context, source_id: bytes, number: int) -> None:
    """Have a generation that is being loaded deleted by `delete_some`."""
    await ctx.tx.run(
        "UPDATE directory_generations SET state = 'gone' WHERE account_group_id = $1"
        " AND source_id = $2 AND number = $3 AND state = 'loading'",
        ctx.group,
        source_id,
        number,
    )


async def give_up_all(ctx: Context, source_id: bytes) -> None:
    """Search a directory no more, and have all of it deleted by `delete_some`."""
    await ctx.tx.run(
        "UPDATE directory_generations SET state = 'gone'"
        " WHERE account_group_id = $1 AND source_id = $2",
        ctx.group,
        source_id,
    )


async def delete_some(ctx: Context, most: int) -> bool:
    """Delete up to `most` people whom nobody searches any more; False when there are none left."""
    gone = await ctx.tx.one(
        "SELECT source_id, number FROM directory_generations"
        " WHERE account_group_id = $1 AND state = 'gone' ORDER BY number LIMIT 1",
        ctx.group,
    )
    if gone is None:
        return False
    source_id, number = gone
    rows = await ctx.tx.all(
        "SELECT number FROM directory_people WHERE account_group_id = $1 AND number > $2"
        " AND number < $3 ORDER BY number LIMIT $4",
        ctx.group,
        *_range(number),
        most,
    )
    if rows:
        await _delete_between(ctx, rows[0][0], rows[-1][0])
    if len(rows) < most:
        await ctx.tx.run(
            "DELETE FROM directory_generations"
            " WHERE account_group_id = $1 AND source_id = $2 AND number = $3",
            ctx.group,
            source_id,
            number,
        )
    return True


async def _delete_between(ctx: Context, first: int, last: int) -> None:
    for table, column in (("directory_words", "rowid"), ("directory_people", "number")):
        await ctx.tx.run(
            f"DELETE FROM {table}"
            f" WHERE account_group_id = $1 AND {column} >= $2 AND {column} <= $3",
            ctx.group,
            first,
            last,
        )


async def find_live(ctx: Context, source_id: bytes) -> Generation | None:
    """The generation of a directory that is searched now; None before the first is loaded."""
    row = await ctx.tx.one(
        "SELECT number, people, created_at FROM directory_generations"
        " WHERE account_group_id = $1 AND source_id = $2 AND state = 'live'",
        ctx.group,
        source_id,
    )
    return None if row is None else Generation(*row)


async def search(
    ctx: Context, number: int, wanted: Wanted, *, after: int, limit: int
) -> list[tuple[int, dict[str, str]]]:
    """Up to `limit` people of a generation after row `after` (0 for the first), by their rows.

    The number of each row, and its fields by contract names.
    """
    first, end = _range(number)
    full_text = ctx.db.full_text
    row_id = full_text.row_id("directory_words")
    rows = await ctx.tx.all(
        _people_of(
            f"SELECT {row_id} AS number FROM directory_words"
            f" WHERE {full_text.condition('directory_words', '$2')}"
            f" AND account_group_id = $1 AND {row_id} > $3 AND {row_id} < $4"
            f" ORDER BY {row_id} LIMIT $5"
        ),
        ctx.group,
        full_text.expression(wanted),
        max(first, after),
        end,
        limit,
    )
    return [(row[0], _decode_person(row[1])) for row in rows]


async def erase(ctx: Context, keys: Collection[bytes]) -> None:
    """Delete everybody with one of the identity keys, from every directory of the group.

    The caller holds the group's identity lock.
    """
    any_ = await ctx.tx.one(
        "SELECT 1 FROM directory_generations WHERE account_group_id = $1 LIMIT 1", ctx.group
    )
    if any_ is None:
        return
    full_text = ctx.db.full_text
    wanted = words_for(ctx.installation, ctx.group).of_keys(keys)
    rows = await ctx.tx.all(
        _people_of(
            # Bounded by what no directory has, so that no engine begins with all of its people and
            # looks each of them up among the words.
            "SELECT rowid AS number FROM directory_words"
            f" WHERE {full_text.condition('directory_words', '$2')} AND account_group_id = $1"
            f" LIMIT {_GENERATION}"
        ),
        ctx.group,
        full_text.expression(wanted),
    )
    for number, person in rows:
        # The words of the index are shorter than keys, so the keys decide.
        found = keys_of(make_person(_decode_person(person)), ctx.hasher)
        if any(key in keys for _, key in found.all()):
            await _delete_between(ctx, number, number)
