"""Starting a job: what may be asked for, in which order it is refused, what is kept of it.

The order is the contract's (1.5, 6.2): caps 400, then 404, 409, the 422s in their own order, and
credits 402 last.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from longlist.accounts import store as accounts
from longlist.audiences import folder_store as folders
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.decoding import (
    CreateBody,
    Description,
    HttpsUrl,
    Id,
    Integer,
    Items,
    Name,
    OneLine,
)
from longlist.errors import Issue, Unprocessable, ValidationFailed
from longlist.events import store as events
from longlist.ids import new_id
from longlist.prospecting import file_store as files
from longlist.prospecting import mapping as mappings
from longlist.prospecting import source_store as sources
from longlist.prospecting import store
from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.sources.kept import (
    Kept,
    KeptCommenters,
    KeptDirectory,
    KeptFile,
    KeptFilters,
    KeptNavigator,
    KeptSearch,
    KeptUrls,
    Wanted,
)

_MOST: Final = 2**31 - 1
_AUDIENCE: Final = ("audienceId", "audienceName")
_WITHOUT_PROVIDER: Final = frozenset({"file_import", "url_upload"})
"""The kinds that work where no provider is set up."""
_MaxResults = Annotated[int, Integer(min=1, max=_MOST)]
_Line128 = Annotated[str, OneLine(max=128)]
_Line255 = Annotated[str, OneLine(max=255)]
_Filter = Annotated[list[_Line255], Items(min=1, max=50)]
_ProfileUrl = Annotated[str, HttpsUrl(host="linkedin.com", path=r"/in/[^/]+/?")]


class _Common(CreateBody, kw_only=True):
    """What every kind of start takes."""

    __exactly_one__: ClassVar[tuple[tuple[str, ...], ...]] = (_AUDIENCE,)

    audience_id: Id | None = None
    audience_name: Name | None = None
    audience_description: Description | None = None
    folder_id: Id | None = None
    max_results: _MaxResults | None = None
    search_emails: bool = False
    dry_run: bool = False

    def check(self) -> list[Issue]:
        """A description and a folder are for a new audience."""
        if self.audience_id is None:
            return []
        return [
            Issue(name, "not_settable", f"{name} goes with audienceName only.")
            for name, value in (
                ("audienceDescription", self.audience_description),
                ("folderId", self.folder_id),
            )
            if value is not None
        ]


class StartLinkedinSearch(_Common, kw_only=True, tag_field="type", tag="linkedin_search"):
    """Fill an audience from a LinkedIn people search."""

    search_url: Annotated[str, HttpsUrl(host="linkedin.com", path=r"/search/.*")]


class StartSalesNavigator(_Common, kw_only=True, tag_field="type", tag="sales_navigator"):
    """Fill an audience from a saved search or a lead list of Sales Navigator."""

    __exactly_one__: ClassVar[tuple[tuple[str, ...], ...]] = (
        _AUDIENCE,
        ("savedSearchId", "leadListId"),
    )

    saved_search_id: _Line128 | None = None
    lead_list_id: _Line128 | None = None


class StartPostCommenters(_Common, kw_only=True, tag_field="type", tag="post_commenters"):
    """Fill an audience with the people who commented on a post."""

    post_url: Annotated[str, HttpsUrl(host="linkedin.com", path=r"/(?:posts|feed/update)/.*")]


class StartUrlUpload(_Common, kw_only=True, tag_field="type", tag="url_upload"):
    """Fill an audience from profile URLs."""

    profile_urls: Annotated[list[_ProfileUrl], Items(min=1, max=1000)]


class StartFileImport(_Common, kw_only=True, tag_field="type", tag="file_import"):
    """Fill an audience from an uploaded file; the suggested mapping where none is sent."""

    file_id: Id
    mapping: Annotated[dict[str, _Line255 | None], Items(min=1, max=1000)] | None = None


class DirectoryFilters(CreateBody, omit_defaults=True):
    """Narrows a directory search: any of the texts of each member."""

    titles: _Filter | None = None
    companies: _Filter | None = None
    locations: _Filter | None = None
    industries: _Filter | None = None


class StartDirectorySearch(_Common, kw_only=True, tag_field="type", tag="directory_search"):
    """Fill an audience from the operator's own directory of people."""

    query: Annotated[str, OneLine(max=500)]
    filters: DirectoryFilters | None = None


Start = (
    StartLinkedinSearch
    | StartSalesNavigator
    | StartPostCommenters
    | StartUrlUpload
    | StartFileImport
    | StartDirectorySearch
)


async def start(ctx: Context, body: Start) -> store.Job:
    """Queue a job and lock its audience, in one transaction."""
    group = await accounts.get(ctx)
    file = await check_caps(ctx, body, group)
    job_id = new_id()
    audience = await _audience(ctx, body, job_id)
    kept, expected = kept_of(body, group, file)
    made = await store.create(
        ctx,
        job_id,
        audience.id,
        source_kind=kind_of(body),
        source=msgspec.json.encode(kept).decode(),
        expected_rows=expected,
        credits_reserved=0 if group.credits is None else kept.price * expected,
        file_id=None if file is None else file.id,
    )
    await events.record(ctx, "audience.filling", audience.id, audience.audience)
    return made


def kind_of(body: Start) -> str:
    """The kind of source that a start names."""
    return str(type(body).__struct_config__.tag)


async def check_caps(ctx: Context, body: Start, group: accounts.AccountGroup) -> StoredFile | None:
    """The file of a `file_import`. Raises ValidationFailed over a cap, NotFound for the file."""
    cap = group.file_rows_cap if isinstance(body, StartFileImport) else group.max_results_cap
    wanted = None if isinstance(body, StartUrlUpload) else body.max_results
    if wanted is not None and wanted > cap:
        raise _over_cap(cap, "maxResults is above the cap of this account group.")
    if not isinstance(body, StartFileImport):
        return None
    file = await files.get(ctx, body.file_id)
    if wanted is None and file.inspection.row_estimate > cap:
        raise _over_cap(cap, "The file has more rows than the cap of this account group.")
    return file


def _over_cap(cap: int, message: str) -> ValidationFailed:
    return ValidationFailed(
        message,
        f"Send a maxResults of at most {cap}.",
        issues=[Issue("maxResults", "out_of_range", f"At most {cap}.")],
        context={"cap": cap},
    )


async def _audience(ctx: Context, body: Start, job_id: bytes) -> audiences.Stored:
    """The audience the job fills, locked. The 422s come in the contract's order."""
    existing = folder = None
    if body.audience_id is not None:
        existing = await store.lock_audience(ctx, body.audience_id, job_id)
    elif body.folder_id is not None:
        folder = await folders.hold(ctx, body.folder_id)
    await check_configured(ctx, kind_of(body))
    if folder is not None:
        folders.check_fits(folder, kind_of(body))
    if existing is not None:
        return existing
    assert body.audience_name is not None
    return await audiences.create(
        ctx,
        name=body.audience_name,
        type_=kind_of(body),
        description=body.audience_description,
        folder_id=body.folder_id,
        active_job_id=job_id,
    )


async def check_configured(ctx: Context, kind: str) -> None:
    """Raise Unprocessable (SOURCE_NOT_CONFIGURED) where a kind of job lacks its provider."""
    if kind not in _WITHOUT_PROVIDER and not await sources.serving(ctx, kind):
        raise not_configured()


def not_configured() -> Unprocessable:
    """The 422 of what needs a provider, in an account group that has none for it."""
    return Unprocessable(
        "No provider is set up for this kind of job in this account group.",
        "Ask the operator to add one with longlist sources add.",
        code="SOURCE_NOT_CONFIGURED",
    )


def kept_of(body: Start, group: accounts.AccountGroup, file: StoredFile | None) -> tuple[Kept, int]:
    """What is kept of the start, and the rows expected. Raises Unprocessable (MAPPING_INVALID)."""
    if isinstance(body, StartFileImport):
        assert file is not None
        source, expected = _file(body, group, file)
        return Kept(source, body.search_emails), expected
    if isinstance(body, StartUrlUpload):
        return Kept(KeptUrls(body.profile_urls), body.search_emails), len(body.profile_urls)
    limit = body.max_results or group.max_results_cap
    return Kept(_wanted(body, limit), body.search_emails), limit


def _file(
    body: StartFileImport, group: accounts.AccountGroup, file: StoredFile
) -> tuple[KeptFile, int]:
    inspection = file.inspection
    mapping = body.mapping
    if mapping is None:
        mapping = file.mapping
    if issues := mappings.check(mapping, inspection.columns):
        raise store.mapping_invalid(issues)
    limit = body.max_results or group.file_rows_cap
    source = KeptFile(mapping, limit, body.max_results is not None)
    return source, min(inspection.row_estimate, limit)


def _wanted(
    body: StartLinkedinSearch | StartSalesNavigator | StartPostCommenters | StartDirectorySearch,
    limit: int,
) -> Wanted:
    match body:
        case StartLinkedinSearch(search_url=url):
            return KeptSearch(url, limit)
        case StartSalesNavigator(saved_search_id=search_id, lead_list_id=list_id):
            return KeptNavigator(limit, search_id, list_id)
        case StartPostCommenters(post_url=url):
            return KeptCommenters(url, limit)
        case StartDirectorySearch(query=query, filters=filters):
            chosen = {} if filters is None else msgspec.structs.asdict(filters)
            named = {name: texts for name, texts in chosen.items() if texts is not None}
            return KeptDirectory(query, limit, KeptFilters(**named))
