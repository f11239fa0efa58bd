"""What callers hand over that is more than a few plain arguments.

A member that is None is not sent: where something is made, null and missing are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias

import msgspec


class Keep(Enum):
    """The third state of a member of an update, beside a value and None."""

    KEEP = "keep"

    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = Keep.KEEP
"""Leave the member as it is. None clears it."""

AudienceKind: TypeAlias = Literal["on_demand", "monitoring"]
SuppressionKind: TypeAlias = Literal["email", "domain", "public_identifier", "provider_id"]


class Input(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what is sent."""


class CompanyInput(Input, frozen=True, kw_only=True):
    """Where a prospect works."""

    name: str | None = None
    linkedin_identifier: str | None = None
    linkedin_url: str | None = None
    industry: str | None = None
    website: str | None = None
    domain: str | None = None
    size: str | None = None


class ProspectInput(Input, frozen=True, kw_only=True):
    """A person to add: either `prospect_id` alone, for one who is stored, or who it is.

    One of `provider_id`, `public_identifier` (or `linkedin_url`) and `email` is needed to know
    the person by, or `name` together with `company.name`.
    """

    prospect_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None
    headline: str | None = None
    about: str | None = None
    photo_url: str | None = None
    linkedin_url: str | None = None
    public_identifier: str | None = None
    provider_id: str | None = None
    title: str | None = None
    location: str | None = None
    email: str | None = None
    phone: str | None = None
    company: CompanyInput | None = None


class DirectoryFilters(Input, frozen=True, kw_only=True):
    """Whom a directory search may find; each takes 1 to 50 texts."""

    titles: Sequence[str] | None = None
    companies: Sequence[str] | None = None
    locations: Sequence[str] | None = None
    industries: Sequence[str] | None = None


class LinkedinSearch(Input, frozen=True, kw_only=True, tag="linkedin_search", tag_field="type"):
    """The people of a LinkedIn search."""

    search_url: str


class SalesNavigator(Input, frozen=True, kw_only=True, tag="sales_navigator", tag_field="type"):
    """The people of a saved search or of a lead list: exactly one of the two."""

    saved_search_id: str | None = None
    lead_list_id: str | None = None


class PostCommenters(Input, frozen=True, kw_only=True, tag="post_commenters", tag_field="type"):
    """The people who commented on a LinkedIn post."""

    post_url: str


class UrlUpload(Input, frozen=True, kw_only=True, tag="url_upload", tag_field="type"):
    """The people behind 1 to 1,000 LinkedIn profile addresses."""

    profile_urls: Sequence[str]


class FileImport(Input, frozen=True, kw_only=True, tag="file_import", tag_field="type"):
    """The people of an uploaded file.

    `mapping` tells for columns which member of a prospect they are (`firstName`,
    `company.name`, ...), None leaves a column out; without it the suggested mapping is used.
    """

    file_id: str
    mapping: Mapping[str, str | None] | None = None


class DirectorySearch(Input, frozen=True, kw_only=True, tag="directory_search", tag_field="type"):
    """The people a directory finds."""

    query: str
    filters: DirectoryFilters | None = None


RepeatableSource: TypeAlias = LinkedinSearch | SalesNavigator | PostCommenters | DirectorySearch
"""What a monitor can run again and again."""
ProspectingSource: TypeAlias = RepeatableSource | UrlUpload | FileImport
"""What a job can be started from."""
