"""Finding people by a part of their name, e-mail address or company, a bounded stretch at a time.

There is no index on these texts: one in random order would cost every import more than anything
else it does. A search therefore reads people from the newest on, `STRETCH` of them at most, and
says where to go on from. However many there are, one call costs what reading that many rows costs,
and whoever asks sees what was found so far.

The case of ASCII letters does not matter; of other letters it is written in one way throughout a
word, or capitalised at its beginning.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from longlist.context import Context
from longlist.prospects import store
from longlist.prospects.store import Stored

STRETCH: Final = 20_000
"""How many people one call looks at: some 50 ms."""
WORDS: Final = 5
"""Words beyond these are not looked for."""
_LIKE: Final = str.maketrans({"%": "!%", "_": "!_", "!": "!!"})
_LOOKED_AT_IN: Final = (
    "SELECT prospect_id AS id FROM memberships WHERE account_group_id = $1"
    " AND prospect_id < $2 AND audience_id = $3 ORDER BY prospect_id DESC"
)
_LOOKED_AT: Final = (
    "SELECT id FROM prospects WHERE account_group_id = $1 AND id < $2 ORDER BY id DESC"
)


class Stretch(msgspec.Struct):
    """What a stretch held. `last` is where to go on from, None at the end of all people.

    `looked_at` counts who was looked at, unless the end was reached.
    """

    people: list[Stored]
    last: bytes | None
    looked_at: int


async def search(
    ctx: Context, text: str, *, audience_id: bytes | None, before: bytes, limit: int
) -> Stretch:
    """Up to `limit` people that have every word of the text, newest first, older than `before`.

    Of one audience, or of the account group. Who checks that the audience is ready is the caller.
    """
    looked_at = _LOOKED_AT if audience_id is None else _LOOKED_AT_IN
    args: list[Any] = [ctx.group, before, *([] if audience_id is None else [audience_id])]
    end = await ctx.tx.one(f"{looked_at} LIMIT 1 OFFSET {STRETCH - 1}", *args)
    # A scalar subquery is looked up row by row; a join might be planned as a scan of everybody.
    conditions, wanted = _conditions(text, len(args))
    rows = await ctx.tx.all(
        f"SELECT looked.id FROM ({looked_at} LIMIT {STRETCH}) AS looked"
        " WHERE (SELECT 1 FROM prospects p WHERE p.account_group_id = $1 AND p.id = looked.id"
        f" AND {conditions} LIMIT 1) = 1 ORDER BY looked.id DESC LIMIT {limit + 1}",
        *args,
        *wanted,
    )
    ids = [row[0] for row in rows[:limit]]
    people = await store.get_many(ctx, ids)
    shown = [people[id_] for id_ in ids]
    if len(rows) <= limit:
        return Stretch(shown, None if end is None else end[0], STRETCH)
    counted = await ctx.tx.one(
        f"SELECT COUNT(*) FROM ({looked_at} LIMIT {STRETCH}) AS looked"
        f" WHERE looked.id >= ${len(args) + 1}",
        *args,
        ids[-1],
    )
    assert counted is not None
    return Stretch(shown, ids[-1], counted[0])


def _conditions(text: str, taken: int) -> tuple[str, list[str]]:
    """SQL that holds for people `p` with every word, and its parameters after those `taken`."""
    patterns: list[str] = []
    words = []
    for word in text.split()[:WORDS]:
        alternatives = []
        for pattern in _patterns(word):
            patterns.append(pattern)
            alternatives += [
                f"lower(p.{column}) LIKE ${taken + len(patterns)} ESCAPE '!'"
                for column in ("name", "email", "company_name")
            ]
        words.append(f"({' OR '.join(alternatives)})")
    return " AND ".join(words) or "1 = 1", patterns


def _patterns(word: str) -> list[str]:
    """How a word may be written in what the database makes of a text by its `lower`.

    Which letters that changes beyond ASCII depends on the engine and its locale.
    """
    spellings = {word: 0, word.lower(): 0, word.upper(): 0, word.capitalize(): 0}
    lowered = {"".join(c.lower() if c.isascii() else c for c in one): 0 for one in spellings}
    return [f"%{one.translate(_LIKE)}%" for one in lowered]
