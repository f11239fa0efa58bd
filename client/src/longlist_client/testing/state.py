"""What the mock holds: account groups and everything in them, in memory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from longlist_client.testing.refusals import Refused, changed_since, not_found, not_ready

Json = dict[str, Any]
_numbers: Final = itertools.count(1)
PERMISSIONS: Final = tuple(
    sorted(
        f"{thing}:{verb}"
        for thing in ("audiences", "prospects", "prospecting", "suppressions")
        for verb in ("read", "write")
    )
)
"""What the operations of the mock ask for."""
OUTCOMES: Final = ("added", "updated", "unchanged", "skipped", "failed")


def new_id() -> str:
    """24 hex characters, greater than every id before."""
    return f"{int(time.time()):08x}{next(_numbers):016x}"


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Thing:
    """Something with a tag: its members as they are shown, and a version."""

    data: Json
    version: int = 1

    @property
    def etag(self) -> str:
        identity = self.data.get("id") or self.data["audienceId"]
        return f'"{identity}-{self.version}"'

    def change(self, members: Mapping[str, Any]) -> bool:
        """Set members; False, and the same version, if all of them were so already."""
        changed = {name: value for name, value in members.items() if self.data[name] != value}
        if not changed:
            return False
        self.data.update(changed)
        if "updatedAt" in self.data:
            self.data["updatedAt"] = now()
        self.version += 1
        return True


@dataclass(slots=True)
class Audience(Thing):
    """An audience with its members, newest last; `job_id` while a job fills it."""

    members: dict[str, None] = field(default_factory=dict)
    job_id: str | None = None
    monitor: Thing | None = None


@dataclass(slots=True)
class Row:
    """One person a source gave, or why it gave none; then what became of it."""

    person: Json
    line: int | None = None
    refused: tuple[str, str] | None = None
    shown: Json | None = None


@dataclass(slots=True)
class Job:
    """A prospecting job; `rows` are known from the start and handled when it runs."""

    data: Json
    rows: list[Row]
    price: int
    reserved: int = 0
    error: Json | None = None

    @property
    def is_terminal(self) -> bool:
        return self.data["status"] not in ("queued", "running")

    @property
    def handled(self) -> Iterator[Json]:
        """The rows that were handled, as they are shown."""
        return (row.shown for row in self.rows if row.shown is not None)


@dataclass(slots=True)
class StoredAnswer:
    """The answer to a request with an idempotency key."""

    request: tuple[Any, ...]
    status: int
    data: Any
    headers: Mapping[str, str]
    job_id: str | None


@dataclass(slots=True)
class UploadedFile:
    """A file: what is shown of it, and its rows by column."""

    data: Json
    rows: list[Row]


def _no_counts() -> Json:
    return dict.fromkeys(("received", *OUTCOMES), 0)


@dataclass(slots=True)
class Group:
    """An account group. `credits` is None for an unlimited balance."""

    id: str
    name: str
    created_at: str
    unique_names: bool = False
    max_results_cap: int = 2_000
    file_rows_cap: int = 5_000_000
    credits: int | None = None
    audiences: dict[str, Audience] = field(default_factory=dict)
    folders: dict[str, Thing] = field(default_factory=dict)
    prospects: dict[str, Thing] = field(default_factory=dict)
    suppressions: dict[str, Json] = field(default_factory=dict)
    suppressed: dict[tuple[str, str], str] = field(default_factory=dict)
    files: dict[str, UploadedFile] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    answers: dict[str, StoredAnswer] = field(default_factory=dict)
    sources: dict[str, list[Json]] = field(default_factory=dict)
    navigator: dict[str, list[Json]] = field(default_factory=dict)

    def audience(self, audience_id: str) -> Audience:
        """An audience, filling or not. Raises the 404."""
        found = self.audiences.get(audience_id)
        if found is None:
            raise not_found("audience")
        return found

    def ready(self, audience: Audience) -> Audience:
        """The audience, unless a job fills it: raises the 409."""
        if audience.job_id is not None:
            raise not_ready(self.jobs[audience.job_id].data)
        return audience

    def folder(self, folder_id: str) -> Thing:
        """A folder. Raises the 404."""
        found = self.folders.get(folder_id)
        if found is None:
            raise not_found("folder")
        return found

    def job(self, job_id: str) -> Job:
        """A job. Raises the 404."""
        found = self.jobs.get(job_id)
        if found is None:
            raise not_found("job")
        return found

    def check_name(self, name: str, own_id: str | None = None) -> None:
        """Raise the 422 where names are unique and another audience has this one."""
        if not self.unique_names:
            return
        for other in self.audiences.values():
            if other.data["id"] != own_id and other.data["name"].casefold() == name.casefold():
                raise Refused(
                    422,
                    "AUDIENCE_NAME_TAKEN",
                    "Another audience in this account group has this name.",
                    "Choose another name; this account group requires unique audience names.",
                    issues=[("name", "taken", "The name is in use.")],
                    context={"existingId": other.data["id"]},
                )

    def new_audience(self, name: str, kind: str, description: str | None) -> Audience:
        """A new audience, empty."""
        made = Audience(
            {
                "id": new_id(),
                "name": name,
                "type": kind,
                "description": description,
                "folderId": None,
                "prospectCount": 0,
                "createdAt": now(),
            }
        )
        self.audiences[made.data["id"]] = made
        return made

    def add_member(self, audience: Audience, prospect_id: str) -> bool:
        """Put a prospect into an audience; False if it was there."""
        if prospect_id in audience.members:
            return False
        audience.members[prospect_id] = None
        audience.change({"prospectCount": len(audience.members)})
        return True

    def remove_member(self, audience: Audience, prospect_id: str) -> bool:
        """Take a prospect out of an audience; False if it was not there."""
        if prospect_id not in audience.members:
            return False
        del audience.members[prospect_id]
        audience.change({"prospectCount": len(audience.members)})
        return True


def check_tag(thing: Thing, if_match: str | None) -> None:
    """Raise the 412 unless the header names the present tag."""
    if if_match is None or if_match.strip() == "*":
        return
    if thing.etag not in (tag.strip() for tag in if_match.split(",")):
        raise changed_since(thing.etag)


def counted(rows: Iterator[Json] | list[Json]) -> Json:
    """The counts of rows by their outcome."""
    counts = _no_counts()
    for row in rows:
        counts["received"] += 1
        counts[row["outcome"]] += 1
    return counts
