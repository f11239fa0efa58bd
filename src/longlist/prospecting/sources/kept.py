"""What is kept of the start of a job, and the source made from it again."""

from __future__ import annotations

import msgspec

from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.sources.file_import import FileImport
from longlist.prospecting.sources.url_upload import UrlUpload


class KeptFile(msgspec.Struct, tag="file_import"):
    """Of a `file_import`: the file itself is named by the job."""

    mapping: dict[str, str | None]
    limit: int
    stop_at_limit: bool


class KeptUrls(msgspec.Struct, tag="url_upload"):
    """Of a `url_upload`."""

    profile_urls: list[str]


class Kept(msgspec.Struct):
    """Of any start."""

    source: KeptFile | KeptUrls
    search_emails: bool = False

    @property
    def price(self) -> int:
        """Credits for each prospect that the job imports (contract 1.11)."""
        return 2 if self.search_emails else 1


def open_source(kept: Kept, file: StoredFile | None, page_rows: int) -> FileImport | UrlUpload:
    """The source, giving pages of `page_rows` rows."""
    match kept.source:
        case KeptFile(mapping=mapping, limit=limit, stop_at_limit=stop):
            assert file is not None  # the sweep leaves the files of live jobs alone
            return FileImport(file, mapping, limit, stop, page_rows)
        case KeptUrls(profile_urls=urls):
            return UrlUpload(urls, page_rows)
