"""A dry run: the counts that a start would come to, with nothing written, charged or locked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from longlist.accounts import store as accounts
from longlist.audiences import folder_store as folders
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.errors import Unprocessable
from longlist.jobs import JobFailed
from longlist.prospecting import source_store as sources
from longlist.prospecting.entries import entry_of
from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.links import links_of
from longlist.prospecting.source_tokens import TokenUnreadable
from longlist.prospecting.sources import DatabaseSource, LocalSource
from longlist.prospecting.sources.file_import import FileImport
from longlist.prospecting.sources.kept import (
    Kept,
    KeptDirectory,
    KeptFile,
    KeptUrls,
    file_source,
    open_source,
)
from longlist.prospecting.sources.opening import UNREADABLE_MESSAGE
from longlist.prospecting.sources.providers import SetUp
from longlist.prospecting.start import (
    Start,
    check_caps,
    check_configured,
    kept_of,
    kind_of,
)
from longlist.prospects.intake import Counts, Rehearsal
from longlist.prospects.linking import Links

MAX_ROWS: Final = 100_000
_PAGE_ROWS: Final = 500
_SEARCHED_ROWS: Final = 5_000
"""Of a search, each page of which the database may have to sort all it finds for."""


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
    await check_configured(ctx, kind_of(body))
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
        await _rehearse(ctx, rehearsal, await _readable_source(ctx, kept, file))
    except JobFailed as failure:
        raise Unprocessable(
            "The source could not be read to its end.",
            failure.message,
            code="DRY_RUN_UNAVAILABLE",
        ) from failure
    counts = rehearsal.counts
    shown = None if body.audience_id is None else body.audience_id.hex()
    return DryRun(True, shown, counts, kept.price * (counts.added + counts.updated))


async def _rehearse(
    ctx: Context, rehearsal: Rehearsal, source: LocalSource | DatabaseSource
) -> None:
    if isinstance(source, LocalSource):
        links = links_of(ctx.hasher, source) if isinstance(source, FileImport) else Links()
        for page in source.read_pages(None):
            entries = [links.widen(entry_of(ctx.hasher, row)) for row in page.rows]
            await rehearsal.take(entries)
        return
    cursor = None
    while (found := await source.read_page(ctx, cursor)) is not None:
        await rehearsal.take([entry_of(ctx.hasher, row) for row in found.rows])
        cursor = found.cursor
        if cursor is None:
            return


async def _readable_source(
    ctx: Context, kept: Kept, file: StoredFile | None
) -> LocalSource | DatabaseSource:
    """The source, if it is on this machine: profile URLs are read as without a provider.

    Raises Unprocessable (DRY_RUN_UNAVAILABLE) for what only a provider could tell, and JobFailed.
    """
    if isinstance(kept.source, KeptFile):
        return file_source(kept.source, file, _PAGE_ROWS)
    set_ups: Sequence[SetUp] = ()
    page_rows = _PAGE_ROWS
    if isinstance(kept.source, KeptDirectory):
        page_rows = _SEARCHED_ROWS
        try:
            set_ups = await sources.set_ups(ctx, "directory_search")
        except TokenUnreadable:
            raise JobFailed("SOURCE_ERROR", UNREADABLE_MESSAGE) from None
    if isinstance(kept.source, KeptUrls | KeptDirectory):
        source = open_source(ctx.installation, ctx.group, kept.source, set_ups, page_rows)
        if isinstance(source, LocalSource | DatabaseSource):
            return source
    raise Unprocessable(
        "What a people-search provider would find is not known before the job runs.",
        "Start the job without dryRun; a small maxResults bounds what it may cost.",
        code="DRY_RUN_UNAVAILABLE",
    )
