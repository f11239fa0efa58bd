"""The pages' words for what the API names by codes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from longlist.prospecting.mapping import FIELDS
from longlist.prospects.person import FIELDS as PERSON_FIELDS

GROUP_PAGES: Final = (
    ("audiences", "Audiences", "/audiences", "list"),
    ("people", "People", "/people", "person"),
    ("import", "Import", "/import", "upload"),
    ("jobs", "Jobs", "/jobs", "clock"),
    ("monitors", "Monitors", "/monitors", "turn"),
    ("sources", "Sources", "/sources", "plug"),
    ("suppressions", "Suppressions", "/suppressions", "block"),
    ("activity", "Activity", "/activity", "pulse"),
    ("rules", "Limits", "/settings", "sliders"),
)
"""The menu of an account group: section, label, path below it, icon."""
SERVER_PAGES: Final = (
    ("groups", "Account groups", "/groups", "blocks"),
    ("keys", "API keys", "/keys", "key"),
    ("audit", "Audit", "/audit", "book"),
    ("settings", "Server", "/settings", "server"),
)
_DAY_MS: Final = 86_400_000
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


class Field(NamedTuple):
    """A setting of a provider in its form."""

    name: str
    label: str
    example: str


PROVIDERS: Final = {"unipile": "Unipile", "directory": "Directory"}
PROVIDER_FIELDS: Final = {
    "unipile": (
        Field("base_url", "Address (DSN)", "https://api1.unipile.com:13111"),
        Field("account_id", "Account id", "as Unipile shows it for the LinkedIn account"),
    ),
}
"""The settings of the providers that the pages know; of others they are lines of KEY=VALUE."""
SUPPRESSION_KINDS: Final = {
    "email": "E-mail address",
    "domain": "Domain",
    "public_identifier": "LinkedIn public identifier",
    "provider_id": "Provider id",
}
SUPPRESSION_REASONS: Final = {
    "erasure": "Erased",
    "unsubscribe": "Unsubscribed",
    "manual": "By hand",
}
ACTS: Final = {
    "signed.in": "Signed in",
    "user.joined": "Became a user",
    "user.invited": "Made a link for a further user",
    "user.removed": "Removed a user",
    "password.changed": "Changed the own password",
    "key.made": "Made a key",
    "key.rotated": "Gave a key a new secret",
    "key.revoked": "Revoked a key",
    "group.made": "Made an account group",
    "group.limits": "Changed the limits of an account group",
    "source.added": "Added a source",
    "source.token": "Gave a source another token",
    "source.removed": "Removed a source",
}
QUOTAS: Final = {
    "LINKEDIN_CLASSIC": "LinkedIn searches",
    "SALES_NAVIGATOR": "Sales Navigator",
    "POST_COMMENTERS": "Post commenters",
    "URL_UPLOAD": "Profile URLs",
    "FILE_IMPORT": "File imports",
    "DIRECTORY": "Directory searches",
}

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
    "suppression.created": "Suppression added",
    "suppression.deleted": "Suppression removed",
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


def interval(minutes: int) -> str:
    """How often, in the largest unit that is whole."""
    for length, name in ((10_080, "week"), (1_440, "day"), (60, "hour")):
        if minutes % length == 0:
            count = minutes // length
            return f"every {name}" if count == 1 else f"every {count} {name}s"
    return f"every {minutes} min"


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


def day_number(number: int) -> str:
    """The day that is counted from 1970, without its year."""
    return day(number * _DAY_MS)[:-5]


def moment(ms: int, beside: int) -> str:
    """The day of an instant, or its time of day where another one is on the same day."""
    if ms // _DAY_MS == beside // _DAY_MS:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%H:%M} UTC"
    return day(ms)


def setting(provider: str, name: str) -> str:
    """What a setting of a provider is called."""
    known = {field.name: field.label for field in PROVIDER_FIELDS.get(provider, ())}
    return known.get(name, name)


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
