"""What the server answers, as typed values.

Members that a later server adds are ignored, and texts that are one of a fixed set today (`type`,
`status`, `outcome`, `reason`) are plain strings, so that a new one breaks nobody. Times are aware
datetimes in UTC. An `etag` stands on what came alone in an answer; in lists it is None.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import msgspec

T = TypeVar("T")
TERMINAL: Final = frozenset({"completed", "failed", "cancelled"})
"""The statuses of a job that will not change any more."""


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of everything that is answered."""


class Page(Model, Generic[T], frozen=True, kw_only=True):
    """One page of a list; `next_cursor` is None on the last."""

    items: list[T]
    next_cursor: str | None
    has_more: bool


class Account(Model, frozen=True, kw_only=True):
    """An account group that the key reaches."""

    id: str
    name: str
    created_at: datetime


class AccountSettings(Model, frozen=True, kw_only=True):
    """What the operator has set for an account group."""

    unique_audience_names: bool
    max_results_cap: int
    file_rows_cap: int


class Credits(Model, frozen=True, kw_only=True):
    """The balance of an account group; both numbers are None when it is unlimited."""

    unlimited: bool
    available: int | None
    reserved: int | None


class MyAccountGroup(Model, frozen=True, kw_only=True):
    """An account group with its settings and credits."""

    id: str
    name: str
    settings: AccountSettings
    credits: Credits


class MyRate(Model, frozen=True, kw_only=True):
    """How many requests the key may send."""

    per_minute: int
    burst: int


class Me(Model, frozen=True, kw_only=True):
    """The key: its permissions, limits and account groups. The key itself is never shown."""

    key_id: str
    name: str
    key_prefix: str
    permissions: list[str]
    rate_limit: MyRate
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    account_groups: list[MyAccountGroup]


class Audience(Model, frozen=True, kw_only=True):
    """A named list of people."""

    id: str
    name: str
    type: str
    description: str | None
    folder_id: str | None
    prospect_count: int
    created_at: datetime
    etag: str | None = None


class Filling(Model, frozen=True, kw_only=True):
    """That a job fills an audience, and how far it is (0 to 1)."""

    audience_id: str
    job_id: str
    job_status: str
    progress: float
    since: datetime


class AudiencePage(Page[Audience], frozen=True, kw_only=True):
    """A page of audiences; `filling` is None unless `include="filling"` was asked for."""

    filling: list[Filling] | None = None


class AudienceFolder(Model, frozen=True, kw_only=True):
    """A folder of audiences."""

    id: str
    name: str
    audience_type: str
    is_pinned: bool
    position: int
    created_at: datetime
    updated_at: datetime
    etag: str | None = None


class NavigationFolder(AudienceFolder, frozen=True, kw_only=True):
    """A folder with its audiences, newest first."""

    audiences: list[Audience]


class Navigation(Model, frozen=True, kw_only=True):
    """Every folder and audience of the account group, but those that are being filled."""

    folders: list[NavigationFolder]
    ungrouped_audiences: list[Audience]


class Company(Model, frozen=True, kw_only=True):
    """Where a prospect works; None where unknown."""

    name: str | None = None
    linkedin_identifier: str | None = None
    linkedin_url: str | None = None
    industry: str | None = None
    website: str | None = None
    domain: str | None = None
    size: str | None = None


class Prospect(Model, frozen=True, kw_only=True):
    """A person; None where unknown."""

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
    created_at: datetime
    updated_at: datetime
    etag: str | None = None


class Counts(Model, frozen=True, kw_only=True):
    """How many rows came to what; the other five add up to `received`."""

    received: int
    added: int
    updated: int
    unchanged: int
    skipped: int
    failed: int


class AddedItem(Model, frozen=True, kw_only=True):
    """What became of one prospect that was sent; `position` counts from 1."""

    position: int
    outcome: str
    reason: str | None
    message: str | None
    prospect_id: str | None


class AddedProspects(Model, frozen=True, kw_only=True):
    """What became of the prospects that were sent, in their order."""

    audience_id: str
    prospect_count: int
    counts: Counts
    items: list[AddedItem]


class ProviderIdMatch(Model, frozen=True, kw_only=True):
    """A prospect with the provider id."""

    prospect_id: str
    person_id: str | None
    public_identifier: str | None
    linkedin_url: str | None
    name: str | None
    company_name: str | None
    title: str | None


class ProviderIdLookup(Model, frozen=True, kw_only=True):
    """Who has a provider id; `resolution` is `none`, `single` or `multiple`."""

    provider_id: str
    resolution: str
    matches: list[ProviderIdMatch]


class Suppression(Model, frozen=True, kw_only=True):
    """An entry of the suppression list; the value itself is never returned."""

    id: str
    kind: str
    reason: str
    note: str | None
    created_at: datetime


class UploadedFile(Model, frozen=True, kw_only=True):
    """A file on the server, ready to be imported until `expires_at`."""

    file_id: str
    format: str
    encoding: str | None
    delimiter: str | None
    skipped_lines: int
    size_bytes: int
    preview: list[dict[str, str | None]]
    columns: list[str]
    row_estimate: int
    suggested_mapping: dict[str, str | None]
    created_at: datetime
    expires_at: datetime


class StartedJob(Model, frozen=True, kw_only=True):
    """A job that has been started, and the audience it fills."""

    job_id: str
    status: str
    created_at: datetime
    audience_id: str


class DryRun(Model, frozen=True, kw_only=True):
    """What a job would do; `audience_id` is None where it would make a new audience."""

    dry_run: bool
    audience_id: str | None
    counts: Counts
    estimated_credits: int


class JobSummary(Model, frozen=True, kw_only=True):
    """A prospecting job; `progress` is 0 to 1 and never falls."""

    job_id: str
    type: str
    status: str
    created_at: datetime
    updated_at: datetime
    audience_id: str
    source_type: str
    counts: Counts
    progress: float
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_terminal(self) -> bool:
        """Whether the job is over, in whatever way."""
        return self.status in TERMINAL


class Stage(Model, frozen=True, kw_only=True):
    """How far a stage of a job is."""

    status: str
    progress: float


class Stages(Model, frozen=True, kw_only=True):
    """The stages of a job; `import_` is the document's `import`."""

    import_: Stage = msgspec.field(name="import")
    enrichment: Stage


class JobError(Model, frozen=True, kw_only=True):
    """Why a job failed."""

    code: str
    message: str


class Job(JobSummary, frozen=True, kw_only=True):
    """A job with its stages and its failure.

    `retry_after` is in seconds: when to look again, None for a job that is over.
    """

    stages: Stages
    error: JobError | None
    retry_after: float | None = None


class CancelledJob(Model, frozen=True, kw_only=True):
    """A job that has been cancelled."""

    job_id: str
    status: str


class JobRow(Model, frozen=True, kw_only=True):
    """What became of one row of a job; `line` is that of the file, None for other kinds."""

    position: int
    line: int | None
    outcome: str
    reason: str | None
    message: str | None
    prospect_id: str | None


class Quota(Model, frozen=True, kw_only=True):
    """How much of a kind of job is used up today; the three are None without a limit."""

    list_type: str
    quota_type: str
    used: int
    limit: int | None
    remaining: int | None
    reset_at: datetime | None
    exhausted: bool


class Monitor(Model, frozen=True, kw_only=True):
    """A source that fills an audience again and again; `source` is as it was sent."""

    audience_id: str
    source: dict[str, Any]
    interval_minutes: int
    enabled: bool
    next_run_at: datetime | None
    last_job_id: str | None
    created_at: datetime
    updated_at: datetime
    etag: str | None = None


class SalesNavigatorItem(Model, frozen=True, kw_only=True):
    """A saved search or lead list, by the provider's own id."""

    id: str
    name: str


class SalesNavigatorList(Model, frozen=True, kw_only=True):
    """Every saved search, or every lead list."""

    items: list[SalesNavigatorItem]


class Deleted(Model, frozen=True, kw_only=True):
    """That something is deleted."""

    deleted: bool


class Health(Model, frozen=True, kw_only=True):
    """That the server is up, or ready."""

    status: str
