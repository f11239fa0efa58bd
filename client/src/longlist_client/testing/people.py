"""Who is who in the mock: persons checked, known again and merged, as the API describes it."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from longlist_client.testing.state import Audience, Group, Json, Thing, new_id, now

LONGEST: Final = {
    "firstName": 255,
    "lastName": 255,
    "name": 255,
    "headline": 500,
    "about": 10_000,
    "photoUrl": 2_048,
    "linkedinUrl": 2_048,
    "publicIdentifier": 255,
    "providerId": 128,
    "title": 255,
    "location": 255,
    "email": 254,
    "phone": 64,
}
"""The members of a prospect in their order, with how long each may be."""
LONGEST_OF_COMPANY: Final = {
    "name": 255,
    "linkedinIdentifier": 255,
    "linkedinUrl": 2_048,
    "industry": 255,
    "website": 2_048,
    "domain": 253,
    "size": 64,
}
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_KEYS: Final = ("providerId", "publicIdentifier", "email")


class RowRefused(Exception):
    """A row that cannot be taken: outcome, reason and message."""

    def __init__(self, reason: str, message: str, outcome: str = "failed") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.outcome = outcome


def _checked(field: str, value: str, longest: int) -> str | None:
    text = unicodedata.normalize("NFC", value)
    if field != "about":
        text = text.strip()
        if _CONTROL.search(text):
            raise RowRefused("INVALID_TEXT", f"{field} has control characters.")
    if len(text) > longest:
        raise RowRefused("FIELD_TOO_LONG", f"{field} has more than {longest} characters.")
    if text and (field.endswith("Url") or field == "website"):
        url = urlsplit(text)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise RowRefused("INVALID_URL", f"{field} is not an http or https URL.")
    return text or None


def slug_of(url: str) -> str | None:
    """The public identifier in a LinkedIn profile URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = re.match(r"/(?:in|pub)/([^/]+)", parts.path)
    if found and (host == "linkedin.com" or host.endswith(".linkedin.com")):
        return unquote(found[1]).lower()
    return None


def normalised(sent: Json) -> tuple[Json, Json]:
    """The members of a person and of the company, only those that say something.

    Raises RowRefused.
    """
    person = {}
    for field, longest in LONGEST.items():
        value = _checked(field, sent[field], longest) if sent.get(field) else None
        if value is not None:
            person[field] = value
    company = {}
    for field, longest in LONGEST_OF_COMPANY.items():
        raw = (sent.get("company") or {}).get(field)
        value = _checked(field, raw, longest) if raw else None
        if value is not None:
            company[field] = value
    if "email" in person:
        if not _EMAIL.fullmatch(person["email"]):
            raise RowRefused("INVALID_EMAIL", "email is not an address.")
        local, _, domain = person["email"].rpartition("@")
        person["email"] = f"{local}@{domain.lower()}"
    slug = slug_of(person.get("linkedinUrl", ""))
    if "publicIdentifier" in person:
        person["publicIdentifier"] = person["publicIdentifier"].lower()
        if slug is not None and slug != person["publicIdentifier"]:
            raise RowRefused("INVALID_URL", "publicIdentifier and linkedinUrl differ.")
    elif slug is not None:
        person["publicIdentifier"] = slug
    if "name" not in person and ("firstName" in person or "lastName" in person):
        parts = (person.get("firstName"), person.get("lastName"))
        person["name"] = " ".join(part for part in parts if part)
    return person, company


def _key(person: Json, field: str) -> str | None:
    value = person.get(field)
    return value.casefold() if value is not None and field == "email" else value


def _folded(text: str | None) -> str:
    return " ".join((text or "").split()).casefold()


def _is_same(person: Json, company: Json, stored: Json) -> bool:
    for field in _KEYS:
        mine, theirs = _key(person, field), _key(stored, field)
        if mine is not None and theirs is not None:
            return mine == theirs
    if any(person.get(field) or stored[field] for field in _KEYS):
        return False
    return (_folded(person.get("name")), _folded(company.get("name"))) == (
        _folded(stored["name"]),
        _folded(stored["company"]["name"]),
    )


def _is_suppressed(group: Group, person: Json) -> bool:
    email = _key(person, "email") or ""
    keys = (
        ("provider_id", person.get("providerId")),
        ("public_identifier", person.get("publicIdentifier")),
        ("email", email or None),
        ("domain", email.rpartition("@")[2] or None),
    )
    return any(value is not None and (kind, value) in group.suppressed for kind, value in keys)


def suppression_key(kind: str, value: str) -> tuple[str, str]:
    """What a suppression is known by."""
    return kind, value if kind == "provider_id" else value.strip().casefold()


def take(group: Group, audience: Audience, sent: Json, seen: set[str]) -> Json:
    """Put a person into an audience: outcome, reason, message and prospect id.

    `seen` are the prospects that the same job or request has taken before.
    """
    try:
        prospect_id, is_changed = _stored(group, sent)
    except RowRefused as refused:
        return {
            "outcome": refused.outcome,
            "reason": refused.reason,
            "message": refused.message,
            "prospectId": None,
        }
    row = {"outcome": "unchanged", "reason": None, "message": None, "prospectId": prospect_id}
    if group.add_member(audience, prospect_id):
        row["outcome"] = "added"
    elif is_changed:
        row["outcome"] = "updated"
    elif prospect_id in seen:
        row["outcome"], row["reason"] = "skipped", "DUPLICATE_IN_SOURCE"
        row["message"] = "This person has come before."
    seen.add(prospect_id)
    return row


def _stored(group: Group, sent: Json) -> tuple[str, bool]:
    """The prospect that a person is, made or updated, and whether that changed it."""
    if "prospectId" in sent:
        if sent["prospectId"] not in group.prospects:
            raise RowRefused("NOT_FOUND", "There is no such prospect.")
        return sent["prospectId"], False
    person, company = normalised(sent)
    if not any(field in person for field in _KEYS) and not ("name" in person and "name" in company):
        raise RowRefused("NO_IDENTITY", "There is nothing to know this person by.")
    if _is_suppressed(group, person):
        message = "This person is on the suppression list."
        raise RowRefused("SUPPRESSED", message, outcome="skipped")
    same = [stored for stored in group.prospects.values() if _is_same(person, company, stored.data)]
    if len(same) > 1:
        raise RowRefused("AMBIGUOUS_MATCH", "This is the same person as two stored ones.")
    if same:
        stored = same[0]
        merged: Json = {**person, "company": {**stored.data["company"], **company}}
        return stored.data["id"], stored.change(merged)
    return _made(group, person, company), False


def _made(group: Group, person: Json, company: Json) -> str:
    moment = now()
    data: Json = {
        "id": new_id(),
        **dict.fromkeys(LONGEST),
        **person,
        "company": {**dict.fromkeys(LONGEST_OF_COMPANY), **company},
        "createdAt": moment,
        "updatedAt": moment,
    }
    group.prospects[data["id"]] = Thing(data)
    made: str = data["id"]
    return made


def erase(group: Group, prospect: Thing) -> None:
    """Take a person out of everything, and suppress them."""
    data = prospect.data
    for audience in group.audiences.values():
        group.remove_member(audience, data["id"])
    for job in group.jobs.values():
        for row in job.rows:
            if row.shown is not None and row.shown["prospectId"] == data["id"]:
                row.shown["prospectId"] = None
                row.person = {}
    kinds: tuple[tuple[str, Any], ...] = (
        ("provider_id", data["providerId"]),
        ("public_identifier", data["publicIdentifier"]),
        ("email", data["email"]),
    )
    for kind, value in kinds:
        if value is not None:
            suppress(group, kind, value, "erasure", None)
    del group.prospects[data["id"]]


def suppress(
    group: Group, kind: str, value: str, reason: str, note: str | None
) -> tuple[Json, bool]:
    """The entry for a value, and whether it is new."""
    key = suppression_key(kind, value)
    if key in group.suppressed:
        return group.suppressions[group.suppressed[key]], False
    entry = {"id": new_id(), "kind": kind, "reason": reason, "note": note, "createdAt": now()}
    group.suppressions[entry["id"] or ""] = entry
    group.suppressed[key] = entry["id"] or ""
    return entry, True
