"""Fills the account group of a client, over the API, as any program does with the Python client."""

from __future__ import annotations

from typing import Final

from longlist_client import (
    AccountGroup,
    FileImport,
    LinkedinSearch,
    NotFound,
    PostCommenters,
)

from longlist.demo.plan import SEARCH_URL, Client, FromFile
from longlist.demo.stand_in import PEOPLE, Unhurried
from longlist.prospecting.sources.unipile.double_faults import Fault

MONITORED: Final = 50
_HOUR_MIN: Final = 60
_LIVE: Final = ("queued", "running")


class Filling:
    """An account group that is being filled with what the plan has for a client.

    What is there already, by its name, is left as it is: an earlier run may have been cut off
    anywhere.
    """

    def __init__(self, account: AccountGroup, client: Client, double: Unhurried) -> None:
        self._account = account
        self._client = client
        self._double = double
        every = account.audiences.list(include="filling", limit=200)
        self._audiences = {audience.name: audience.id for audience in every}
        self._is_new = not self._audiences

    def lists(self) -> None:
        """The audiences that come from files, each in its folder."""
        if self._is_new:
            for address in self._client.suppressed:
                self._account.suppressions.create(
                    kind="email", value=address, reason="unsubscribe", note="Asked to be left out."
                )
        missing = [one for one in self._client.lists if one.audience not in self._audiences]
        jobs = [self._import(one) for one in missing]
        for job_id in jobs:
            self._account.prospecting.wait(job_id)

    def _import(self, one: FromFile) -> str:
        uploaded = self._account.files.upload(one.content(), filename=one.filename)
        started = self._account.prospecting.start(
            FileImport(file_id=uploaded.file_id),
            audience_name=one.audience,
            audience_description=one.description,
            folder_id=self._folder(one.folder),
        )
        return started.job_id

    def _folder(self, name: str) -> str:
        found = {folder.name: folder.id for folder in self._account.audiences.navigation().folders}
        if name in found:
            return found[name]
        return self._account.folders.create(name=name, audience_type="on_demand").id

    def failed_job(self) -> None:
        """A job that the provider breaks off: its account was disconnected in the middle."""
        name = self._client.commenters
        if name is None or name in self._audiences:
            return
        self._double.set_faults(Fault("session_expired", route="comments", after=1))
        try:
            source = PostCommenters(post_url=self._double.post_url())
            started = self._account.prospecting.start(source, audience_name=name)
            self._account.prospecting.wait(started.job_id, check=False)
        finally:
            self._double.set_faults()

    def running_job(self) -> None:
        """A search that goes on for some minutes; begun again where it has ended.

        Its audience is known by its first job: people may have given it another name.
        """
        if self._client.search is None:
            return
        every = self._account.prospecting.list(limit=200)
        searches = [job for job in every if job.source_type == "linkedin_search"]
        if any(job.status in _LIVE for job in searches):
            return
        there = set(self._audiences.values())
        known = [job.audience_id for job in searches if job.audience_id in there]
        self._account.prospecting.start(
            LinkedinSearch(search_url=SEARCH_URL),
            audience_id=known[-1] if known else None,
            audience_name=None if known else self._client.search,
            max_results=PEOPLE,
        )

    def monitor(self) -> None:
        """A search that is run every hour, the first time at once."""
        name = self._client.monitor
        if name is None:
            return
        audience_id = self._audiences.get(name)
        if audience_id is None:
            audience_id = self._account.audiences.create(name=name, type="monitoring").id
        try:
            self._account.monitors.get(audience_id)
        except NotFound:
            self._account.monitors.put(
                audience_id,
                LinkedinSearch(search_url=SEARCH_URL),
                interval_minutes=_HOUR_MIN,
                max_results=MONITORED,
            )


FIRST_RUN: Final = (Filling.lists, Filling.failed_job, Filling.running_job, Filling.monitor)
"""Each for every client before the next: the search is slow, and what comes first is not held up
by it."""
LATER_RUN: Final = (Filling.running_job,)
"""Once all of the above is there it is left to those who look at it."""
