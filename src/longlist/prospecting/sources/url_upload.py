"""Profiles named by their LinkedIn URLs. Without a provider a person is what the URL tells."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence

import msgspec

from longlist.prospecting.sources import SourcePage, SourceRow


class UrlUpload(msgspec.Struct):
    """The source of a `url_upload`: at most 1,000 profile URLs. Its cursor is the rows done."""

    profile_urls: Sequence[str]
    page_rows: int

    async def pages(self, cursor: str | None) -> AsyncGenerator[SourcePage, None]:
        """As `read_pages`."""
        for page in self.read_pages(cursor):
            yield page

    def read_pages(self, cursor: str | None) -> Iterator[SourcePage]:
        """The URLs in the order they were sent."""
        done = int(cursor or 0)
        while done < len(self.profile_urls):
            urls = self.profile_urls[done : done + self.page_rows]
            rows = [
                SourceRow(position, {"linkedinUrl": url})
                for position, url in enumerate(urls, done + 1)
            ]
            done += len(urls)
            yield SourcePage(rows, str(done) if done < len(self.profile_urls) else None)
