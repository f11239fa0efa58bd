"""What is kept of the start of a job, and the source made from it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from longlist.jobs import JobFailed
from longlist.prospecting.sources import registry
from longlist.prospecting.sources.file_import import FileImport
from longlist.prospecting.sources.url_upload import UrlUpload

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.prospecting.file_store import StoredFile
    from longlist.prospecting.sources import Source
    from longlist.prospecting.sources.providers import SetUp

NO_PROVIDER_MESSAGE: Final = (
    "No provider is set up any more for this kind of job in this account group."
)


class KeptFile(msgspec.Struct, tag="file_import"):
    """Of a `file_import`: the file itself is named by the job."""

    mapping: dict[str, str | None]
    limit: int
    stop_at_limit: bool


class KeptUrls(msgspec.Struct, tag="url_upload"):
    """Of a `url_upload`."""

    profile_urls: list[str]


class KeptSearch(msgspec.Struct, tag="linkedin_search"):
    """Of a `linkedin_search`: at most `limit` people."""

    search_url: str
    limit: int


class KeptNavigator(msgspec.Struct, tag="sales_navigator"):
    """Of a `sales_navigator`: exactly one of the two ids."""

    limit: int
    saved_search_id: str | None = None
    lead_list_id: str | None = None


class KeptCommenters(msgspec.Struct, tag="post_commenters"):
    """Of a `post_commenters`."""

    post_url: str
    limit: int


class KeptFilters(msgspec.Struct, omit_defaults=True):
    """Of a `directory_search`: any of the texts of each member that is not empty."""

    titles: list[str] = []
    companies: list[str] = []
    locations: list[str] = []
    industries: list[str] = []


class KeptDirectory(msgspec.Struct, tag="directory_search"):
    """Of a `directory_search`."""

    query: str
    limit: int
    filters: KeptFilters = msgspec.field(default_factory=KeptFilters)


Wanted = KeptUrls | KeptSearch | KeptNavigator | KeptCommenters | KeptDirectory
"""What a provider may be asked for."""


class Kept(msgspec.Struct):
    """Of any start."""

    source: KeptFile | Wanted
    search_emails: bool = False

    @property
    def price(self) -> int:
        """Credits for each prospect that the job imports (contract 1.11)."""
        return 2 if self.search_emails else 1


def file_source(wanted: KeptFile, file: StoredFile | None, page_rows: int) -> FileImport:
    """The source of a `file_import`, giving pages of `page_rows` rows."""
    assert file is not None  # the sweep leaves the files of live jobs alone
    return FileImport(file, wanted.mapping, wanted.limit, wanted.stop_at_limit, page_rows)


def open_source(
    installation: Installation,
    group: bytes,
    wanted: Wanted,
    set_ups: Sequence[SetUp],
    page_rows: int,
) -> Source:
    """The source of any other job, giving pages of about `page_rows` rows.

    `set_ups` are those of the one provider that serves the kind (`source_store.set_ups`), none
    where none is set up. Raises JobFailed (SOURCE_ERROR) where a provider is needed and gone.
    """
    match wanted:
        case KeptUrls(profile_urls=urls) if not set_ups:
            return UrlUpload(urls, page_rows)
        case _ if set_ups:
            provider = registry.find(set_ups[0].provider)
            if provider is not None:
                return provider.open(installation, group, set_ups, wanted, page_rows)
    raise JobFailed("SOURCE_ERROR", NO_PROVIDER_MESSAGE)
