"""A dry run: the counts that a start would come to, with nothing written, charged or locked."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from longlist.accounts import store as accounts
from longlist.audiences import folder_store as folders
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.errors import Unprocessable
from longlist.jobs import JobFailed
from longlist.prospecting.entries import entry_of
from longlist.prospecting.sources.kept import open_source
from longlist.prospecting.start import (
    Start,
    check_caps,
    check_configured,
    kept_of,
    kind_of,
)
from longlist.prospects.intake import Counts, Rehearsal

MAX_ROWS: Final = 100_000
_PAGE_ROWS: Final = 500


class DryRun(msgspec.Struct, rename="camel"):
    """What a start would come to; `audienceId` is null where it would make a new audience."""

    dry_run: Literal[True]
    audience_id: str | None
    counts: Counts
    estimated_credits: int


async def dry_run(ctx: Context, body: Start) -> DryRun:
    """Rehearse a start. Refuses what the start would refuse, but for missing credits."""
    group = await accounts.get(ctx)
    file = await check_caps(ctx, body, group)
    if body.audience_id is not None:
        await audiences.get(ctx, body.audience_id)
    folder = None if body.folder_id is None else await folders.get(ctx, body.folder_id)
    check_configured(body)
    if folder is not None:
        folders.check_fits(folder, kind_of(body))
    if body.audience_name is not None and group.unique_audience_names:
        await audiences.check_name_free(ctx, body.audience_name)
    kept, expected = kept_of(body, group, file)
    if expected > MAX_ROWS:
        raise Unprocessable(
            f"A dry run takes files of at most {MAX_ROWS} rows.",
            "Start the job without dryRun, or send a maxResults of at most 100000.",
            code="DRY_RUN_UNAVAILABLE",
        )
    rehearsal = Rehearsal(ctx, body.audience_id)
    try:
        for page in open_source(kept, file, _PAGE_ROWS).read_pages(None):
            await rehearsal.take([entry_of(ctx.hasher, row) for row in page.rows])
    except JobFailed as failure:
        raise Unprocessable(
            "The source could not be read to its end.",
            failure.message,
            code="DRY_RUN_UNAVAILABLE",
        ) from failure
    counts = rehearsal.counts
    shown = None if body.audience_id is None else body.audience_id.hex()
    return DryRun(True, shown, counts, kept.price * (counts.added + counts.updated))
