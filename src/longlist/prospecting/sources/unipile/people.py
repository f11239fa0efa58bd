"""People as Unipile gives them, as rows of a job.

From the documentation: the members read here of a search result of type PEOPLE, of a comment's
`author` and `author_details`, and of a UserProfile with its `work_experience`. Assumed, from
answers that others have published: `author_details.is_company`, and that `author` is the display
name of whoever wrote the comment.

A person has one id on LinkedIn and another in Sales Navigator (`ACwAA...`). The second becomes the
provider id only where there is no public identifier: it would keep the same person, found in both
places, from being recognised. E-mail addresses and phone numbers are not read; a job that wants
addresses asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from longlist.prospecting.sources import SourceRow
from longlist.prospects.linkedin import linkedin_company_identifier, profile_url, read_profile_url
from longlist.prospects.person import RowRefused

_LETTERS: Final = re.compile(r"[^\W\d_]+")
_PLACEHOLDER_NAMES: Final = frozenset(
    {
        "linkedinmember", "linkedinmitglied", "membredelinkedin", "membrelinkedin",
        "utilisateurlinkedin", "miembrodelinkedin", "usuariodelinkedin", "membrodolinkedin",
        "usuáriodolinkedin", "utentelinkedin", "membrodilinkedin", "linkedinlid",
    }
)  # fmt: skip
"""Shown instead of a name, in the account's language, for people too far from the account."""

_PLACEHOLDER_IDS: Final = frozenset({"unknown", "headless", "null", "none", "undefined"})
_SALES_ID: Final = re.compile(r"ACwAA[A-Za-z0-9_-]+")

Values = dict[str, str | None]


def search_row(position: int, item: Any) -> SourceRow:
    """The row of a search result."""
    return _row(position, item, _of_search)


def comment_row(position: int, item: Any) -> SourceRow:
    """The row of a comment: the person who wrote it."""
    return _row(position, item, _of_comment)


def profile_values(profile: Any) -> Values:
    """The fields of a profile. Raises RowRefused: MALFORMED_ROW, NO_IDENTITY."""
    return _identified(_of_profile(_object(profile, "profile")))


def _row(position: int, item: Any, values_of: Callable[[Mapping[str, Any]], Values]) -> SourceRow:
    try:
        return SourceRow(position, _identified(values_of(_object(item, "result"))))
    except RowRefused as refused:
        return SourceRow(position, {}, reason=refused.reason, message=refused.message)


def _of_search(item: Mapping[str, Any]) -> Values:
    if _text(item, "type") not in {None, "PEOPLE"}:
        raise _malformed("This result is not a person.")
    values = _person(item, provider_id=_text(item, "id"))
    places = item.get("current_positions")
    if places is not None and not isinstance(places, list):
        raise _malformed("The provider's current_positions is not a list.")
    if places:
        place = _object(places[0], "position")
        values |= {"title": _text(place, "role"), **_company(place)}
    return values


def _of_comment(item: Mapping[str, Any]) -> Values:
    details = _object(item.get("author_details") or {}, "author")
    url = _text(details, "profile_url")
    of_company = details.get("is_company") is True
    if of_company or (url and linkedin_company_identifier(url) is not None):
        raise _malformed("The author of this comment is not a person.")
    named: dict[str, Any] = {
        "name": _text(item, "author"),
        "headline": details.get("headline"),
        "profile_url": url,
        "profile_picture_url": details.get("profile_picture_url"),
    }
    id_ = _text(details, "id")
    if named["name"] == id_ or (named["name"] or "").startswith("urn:"):
        named["name"] = None
    return _person(named, provider_id=id_)


def _of_profile(profile: Mapping[str, Any]) -> Values:
    if _text(profile, "object") not in {None, "UserProfile"}:
        raise _malformed("The provider's answer is not a person's profile.")
    values = _person(profile, provider_id=_text(profile, "provider_id"))
    values["about"] = _text(profile, "summary", several_lines=True)
    places = profile.get("work_experience")
    if places is not None and not isinstance(places, list):
        raise _malformed("The provider's work_experience is not a list.")
    for at in places or []:
        place = _object(at, "position")
        if place.get("current") is True or (place.get("start") and not place.get("end")):
            values |= {"title": _text(place, "position"), **_company(place)}
            break
    return values


def _person(item: Mapping[str, Any], provider_id: str | None) -> Values:
    """What all three kinds share."""
    slug = _text(item, "public_identifier")
    url = _text(item, "public_profile_url") or _text(item, "profile_url")
    if slug is None and url is not None and (page := read_profile_url(url)) is not None:
        slug = page.public_identifier
    if slug is not None and url is None:
        url = profile_url(slug)
    if (provider_id or "").lower() in _PLACEHOLDER_IDS:
        provider_id = None
    if slug is not None and provider_id is not None and _SALES_ID.fullmatch(provider_id):
        provider_id = None
        url = profile_url(slug)  # a lead's page has the same id in it
    names = {
        "firstName": _text(item, "first_name"),
        "lastName": _text(item, "last_name"),
        "name": _text(item, "name"),
    }
    if _is_placeholder(names["name"] or " ".join(n for n in names.values() if n)):
        names = {}
    photo = _text(item, "profile_picture_url_large") or _text(item, "profile_picture_url")
    return {
        **names,
        "headline": _text(item, "headline"),
        "publicIdentifier": slug,
        "linkedinUrl": url,
        "providerId": provider_id,
        "location": _text(item, "location"),
        "photoUrl": photo,
    }


def _company(place: Mapping[str, Any]) -> Values:
    url = _text(place, "company_url")
    is_page = url is not None and linkedin_company_identifier(url) is not None
    return {
        "company.name": _text(place, "company"),
        "company.linkedinIdentifier": _text(place, "company_id"),
        "company.linkedinUrl": url if is_page else None,
        "company.industry": _text(place, "industry"),
        "company.size": _size(place.get("company_headcount")),
    }


def _size(headcount: Any) -> str | None:
    if headcount is None:
        return None
    least, most = _object(headcount, "headcount").get("min"), headcount.get("max")
    if not all(isinstance(number, int | None) for number in (least, most)):
        raise _malformed("The provider's headcount is not of numbers.")
    if least is None:
        return None if most is None else f"1-{most}"
    return f"{least}+" if most is None else f"{least}-{most}"


def _identified(values: Values) -> Values:
    """The values, if they say who it is. A placeholder has neither key nor name."""
    kept = {name: value for name, value in values.items() if value is not None}
    url = kept.get("linkedinUrl")
    keys = ("providerId", "publicIdentifier")
    known = any(kept.get(key) for key in keys) or (url and read_profile_url(url) is not None)
    if not known and not (kept.get("name") or kept.get("firstName") or kept.get("lastName")):
        raise RowRefused(
            "NO_IDENTITY", "The provider does not say who this is: too far from its account."
        )
    return values


def _is_placeholder(name: str) -> bool:
    return "".join(_LETTERS.findall(name)).lower() in _PLACEHOLDER_NAMES


def _text(item: Mapping[str, Any], name: str, *, several_lines: bool = False) -> str | None:
    """A text with something in it, or None. Breaks inside a line become spaces."""
    value = item.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _malformed(f"The provider's {name} is not a text.")
    return (value if several_lines else " ".join(value.split())) or None


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(f"The provider's {what} is not an object.")
    return value


def _malformed(message: str) -> RowRefused:
    return RowRefused("MALFORMED_ROW", message)
