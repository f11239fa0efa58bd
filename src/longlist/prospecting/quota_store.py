"""Quotas: how many prospects the jobs of a kind may import in a UTC day.

Use is counted in the transaction that saves a page, with the quota's row held from before the rows
are decided, so that jobs side by side never import more than the limit. Use is counted without a
limit too. A day that is over is not kept: the row holds the last day in which something was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from longlist.context import Context
from longlist.ids import rfc3339

ListType = Literal[
    "LINKEDIN_CLASSIC", "SALES_NAVIGATOR", "POST_COMMENTERS", "URL_UPLOAD", "FILE_IMPORT",
    "DIRECTORY",
]  # fmt: skip
QuotaType = Literal[
    "linkedinClassicSearch", "salesNavigatorSearch", "postCommenters", "urlUpload", "fileImport",
    "directorySearch",
]  # fmt: skip
_KINDS: Final[dict[ListType, tuple[str, QuotaType]]] = {
    "LINKEDIN_CLASSIC": ("linkedin_search", "linkedinClassicSearch"),
    "SALES_NAVIGATOR": ("sales_navigator", "salesNavigatorSearch"),
    "POST_COMMENTERS": ("post_commenters", "postCommenters"),
    "URL_UPLOAD": ("url_upload", "urlUpload"),
    "FILE_IMPORT": ("file_import", "fileImport"),
    "DIRECTORY": ("directory_search", "directorySearch"),
}
LIST_TYPES: Final = tuple(_KINDS)
_NAMES: Final = {kind: name for name, (kind, _) in _KINDS.items()}
DAY_MS: Final = 86_400_000

EXHAUSTED: Final = (
    "EXISTS (SELECT 1 FROM prospecting_quotas q WHERE q.account_group_id = j.account_group_id"
    " AND q.source_kind = j.source_kind AND q.daily_limit IS NOT NULL"
    " AND CASE WHEN q.day >= {day} THEN q.used ELSE 0 END >= q.daily_limit)"
)
"""True of a job `j` whose quota is exhausted; `{day}` is the parameter with the present day."""


class Quota(msgspec.Struct, rename="camel"):
    """How much of a day's quota is used.

    Without a limit `limit`, `remaining` and `resetAt` are null.
    """

    list_type: ListType
    quota_type: QuotaType
    used: int
    limit: int | None
    remaining: int | None
    reset_at: str | None
    exhausted: bool


def day_of(now: int) -> int:
    """The UTC day of an instant in milliseconds, counted from 1970."""
    return now // DAY_MS


async def get(ctx: Context, list_type: ListType) -> Quota:
    """The quota of a list type, as it stands now."""
    kind, quota_type = _KINDS[list_type]
    today = day_of(ctx.now)
    row = await ctx.tx.one(
        "SELECT daily_limit, day, used FROM prospecting_quotas"
        " WHERE account_group_id = $1 AND source_kind = $2",
        ctx.group,
        kind,
    )
    limit, day, used = row or (None, today, 0)
    used = used if day >= today else 0
    if limit is None:
        return Quota(list_type, quota_type, used, None, None, None, exhausted=False)
    left = max(0, limit - used)
    reset_at = rfc3339((max(day, today) + 1) * DAY_MS)
    return Quota(list_type, quota_type, used, limit, left, reset_at, exhausted=left == 0)


async def hold(ctx: Context, source_kind: str) -> int | None:
    """What is left of today's quota, held to the end of the transaction; None for no limit."""
    # The day never goes back: clocks of two machines may differ around midnight.
    row = await ctx.tx.one(
        "INSERT INTO prospecting_quotas (account_group_id, source_kind, day) VALUES ($1, $2, $3)"
        " ON CONFLICT (account_group_id, source_kind) DO UPDATE SET"
        " used = CASE WHEN prospecting_quotas.day < excluded.day THEN 0"
        " ELSE prospecting_quotas.used END,"
        " day = CASE WHEN prospecting_quotas.day < excluded.day THEN excluded.day"
        " ELSE prospecting_quotas.day END"
        " RETURNING daily_limit, used",
        ctx.group,
        source_kind,
        day_of(ctx.now),
    )
    assert row is not None
    return None if row[0] is None else max(0, row[0] - row[1])


async def use(ctx: Context, source_kind: str, imported: int) -> None:
    """Count imported prospects, under a quota that `hold` holds."""
    if imported:
        await ctx.tx.run(
            "UPDATE prospecting_quotas SET used = used + $3"
            " WHERE account_group_id = $1 AND source_kind = $2",
            ctx.group,
            source_kind,
            imported,
        )


async def set_limit(ctx: Context, list_type: ListType, limit: int | None) -> None:
    """Set how many prospects a UTC day may bring; None for no limit. Jobs that wait go on."""
    await ctx.tx.run(
        "INSERT INTO prospecting_quotas (account_group_id, source_kind, day, daily_limit)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT (account_group_id, source_kind)"
        " DO UPDATE SET daily_limit = excluded.daily_limit",
        ctx.group,
        _KINDS[list_type][0],
        day_of(ctx.now),
        limit,
    )


async def list_limits_everywhere(
    ctx: Context, groups: Sequence[bytes]
) -> dict[bytes, dict[str, int]]:
    """The limits of the groups that have any, by list type: for the operator."""
    if not groups:
        return {}
    rows: Sequence[Any] = await ctx.tx.all_in(
        "SELECT account_group_id, source_kind, daily_limit FROM prospecting_quotas"
        " WHERE daily_limit IS NOT NULL AND account_group_id IN_VALUES",
        groups,
    )
    found: dict[bytes, dict[str, int]] = {}
    for group, kind, limit in sorted(rows, key=lambda row: LIST_TYPES.index(_NAMES[row[1]])):
        found.setdefault(group, {})[_NAMES[kind]] = limit
    return found
