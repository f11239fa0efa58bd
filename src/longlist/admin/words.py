"""The pages' words for what the API names by codes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from longlist.prospecting.mapping import FIELDS
from longlist.prospects.person import FIELDS as PERSON_FIELDS

KINDS: Final = {
    "linkedin_search": "LinkedIn search",
    "sales_navigator": "Sales Navigator",
    "post_commenters": "Post commenters",
    "url_upload": "Profile URLs",
    "file_import": "File import",
    "directory_search": "Directory search",
    "on_demand": "On demand",
    "monitoring": "Monitoring",
}
STATUSES: Final = {
    "queued": "Waiting",
    "running": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
OUTCOMES: Final = {
    "added": "Added",
    "updated": "Updated",
    "unchanged": "Unchanged",
    "skipped": "Skipped",
    "failed": "Failed",
}
OUTCOME_HINTS: Final = {
    "added": "new in the audience",
    "updated": "was in it, some field changed",
    "unchanged": "was in it, nothing changed",
    "skipped": "left out on purpose",
    "failed": "could not be taken",
}
REASONS: Final = {
    "SUPPRESSED": "On the suppression list",
    "DUPLICATE_IN_SOURCE": "Repeats an earlier row",
    "NO_IDENTITY": "Nothing to know the person by",
    "AMBIGUOUS_MATCH": "Matches several people",
    "INVALID_EMAIL": "Not an e-mail address",
    "INVALID_URL": "Not a usable URL",
    "INVALID_TEXT": "Characters that cannot be kept",
    "FIELD_TOO_LONG": "A field is too long",
    "MALFORMED_ROW": "The row is broken",
    "NOT_FOUND": "No such prospect",
    "SOURCE_ERROR": "The source failed",
}
_FIELD_WORDS: Final = {
    "firstName": "First name",
    "lastName": "Last name",
    "name": "Full name",
    "headline": "Headline",
    "about": "About",
    "photoUrl": "Photo URL",
    "linkedinUrl": "LinkedIn URL",
    "publicIdentifier": "LinkedIn public identifier",
    "providerId": "Provider id",
    "title": "Job title",
    "location": "Location",
    "email": "E-mail",
    "phone": "Phone",
    "company.name": "Company name",
    "company.linkedinIdentifier": "Company LinkedIn identifier",
    "company.linkedinUrl": "Company LinkedIn URL",
    "company.industry": "Company industry",
    "company.website": "Company website",
    "company.domain": "Company domain",
    "company.size": "Company size",
}
FIELD_NAMES: Final = {field: _FIELD_WORDS.get(field, field) for field in FIELDS}
_FORM_WORDS: Final = {
    "audienceName": "Name of the audience",
    "audienceId": "Audience",
    "audienceType": "Kind",
    "description": "Description",
    "folderId": "Folder",
    "maxResults": "Most rows to import",
    "type": "Kind",
}

PERMISSIONS: Final = (
    ("Audiences", (
        ("audiences:read", "See audiences and folders"),
        ("audiences:write", "Create, rename, move and delete audiences and folders"),
    )),
    ("Prospects", (
        ("prospects:read", "See and export the people in audiences"),
        ("prospects:write", "Add, remove and erase people"),
    )),
    ("Prospecting", (
        ("prospecting:read", "See jobs, their rows and quotas"),
        ("prospecting:write", "Upload files, start and cancel jobs"),
    )),
    ("Suppressions", (
        ("suppressions:read", "See the suppression list"),
        ("suppressions:write", "Put people on the suppression list and take them off"),
    )),
    ("Events and webhooks", (
        ("events:read", "Read the change feed"),
        ("webhooks:read", "See webhooks"),
        ("webhooks:write", "Create, change and delete webhooks"),
    )),
    ("Signals and templates", (
        ("signals:read", "See scans and signals"),
        ("signals:write", "Start and cancel scans"),
        ("templates:read", "See templates"),
        ("templates:write", "Create, change and delete templates"),
    )),
    ("Campaigns and messages", (
        ("campaigns:read", "See campaigns"),
        ("campaigns:write", "Create and change campaigns"),
        ("campaigns:execute", "Start and stop campaigns"),
        ("campaigns:delete", "Delete campaigns"),
        ("messages:read", "Read messages"),
        ("messages:write", "Send responses"),
    )),
)  # fmt: skip
"""Every permission, by what it is about, with what it lets a key do."""

EVENTS: Final = {
    "audience.created": "Audience created",
    "audience.updated": "Audience changed",
    "audience.deleted": "Audience deleted",
    "audience.filling": "Audience locked for filling",
    "audience.ready": "Audience ready",
    "audience.members_changed": "Members changed",
    "folder.created": "Folder created",
    "folder.updated": "Folder renamed",
    "folder.deleted": "Folder deleted",
    "prospecting.queued": "Job queued",
    "prospecting.started": "Job started",
    "prospecting.progress": "Job progress",
    "prospecting.completed": "Job completed",
    "prospecting.failed": "Job failed",
    "prospecting.cancelled": "Job cancelled",
    "prospect.erased": "Prospect erased",
}


def kind(code: str) -> str:
    """The kind of an audience or a source."""
    return KINDS.get(code, code)


def event(code: str) -> str:
    """What an event tells of."""
    return EVENTS.get(code, code.replace(".", " ").replace("_", " ").capitalize())


def reason(code: str | None) -> str:
    """Why a row was left out or failed."""
    return "" if code is None else REASONS.get(code, code)


def attribute(field: str) -> str:
    """The attribute of a person that a field of the API is kept in."""
    return PERSON_FIELDS[field]


def issue(field: str) -> str:
    """The start of a sentence about one field of a form; empty where it is about the whole."""
    name = field.removeprefix("body.").removeprefix("query.")
    known = FIELD_NAMES.get(name) or _FORM_WORDS.get(name)
    return f"{known}: " if known else ""


def duration(ms: int) -> str:
    """A length of time in the unit that suits it."""
    seconds = ms / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def day(ms: int) -> str:
    """The day of an instant in UTC."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{at.day} {at:%b %Y}"


def pretty(json: str) -> str:
    """JSON with a member a line."""
    return msgspec.json.format(json, indent=2)


def about(json: str) -> str | None:
    """What an event's data is about, in a few words; None where they tell nothing."""
    data = msgspec.json.decode(json)
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("name"), str):
        return str(data["name"])
    if isinstance(data.get("prospectCount"), int):
        return f"{data['prospectCount']:,} prospects now"
    counts = data.get("counts")
    if isinstance(counts, dict) and counts.get("received"):
        return f"{counts['received']:,} rows"
    return None
