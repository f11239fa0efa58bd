"""LinkedIn URLs of people and companies in every form, brought to one identifier.

One profile is linked to in dozens of ways: country and mobile hosts, locale suffixes, tracking
queries, sub-pages, the `/pub/` form of before 2015, encoded once or twice. Two rows about one
person are recognised only if all of these come to the same text.

A profile page has a public identifier, the slug after `/in/`. Lead pages of Sales Navigator and
profile pages of Recruiter have none: their path holds a member token (`ACwAA...`, `AEMAA...`),
which is a provider id. A token also works in place of the slug (`/in/ACoAA...`); there too it is
read as a provider id, since its letter case matters and slugs are stored in lower case. Numeric
member ids and authentication codes in such URLs identify nobody outside LinkedIn and are not read.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from longlist.text import WHITE_SPACE, BadText, nfc, one_line

MAX_URL: Final = 2_048
MAX_SLUG: Final = 255

# ASCII, or the dotless i (U+0131) in the host would pass for an i.
_FLAGS: Final = re.IGNORECASE | re.ASCII
_LINKEDIN: Final = re.compile(
    r"(?:(?:https?:)?//)?(?:[a-z0-9-]+\.)*linkedin\.com\.?(?::(?:80|443)?)?(?:(/[^?#]*)|)(?:[?#].*)?",
    _FLAGS,
)
# What nearly every row holds; lower case only, so that it cannot be a member token.
_PLAIN: Final = re.compile(r"(?:https?://)?(?:www\.)?linkedin\.com/in/([a-z0-9-]+)/?")

_TOKEN: Final = re.compile(r"A[A-Z][A-Za-z]AA[A-Za-z0-9_-]{10,123}")
# After /in/ a slug is the rule, so only the two known prefixes at their full length count.
_TOKEN_FOR_SLUG: Final = re.compile(r"AC[ow]AA[A-Za-z0-9_-]{25,123}")
_HEX: Final = re.compile(r"[0-9a-f]{1,3}", _FLAGS)

_WHOLLY_ENCODED: Final = re.compile(
    r"https?:?%(?:25)*(?:3a|2f)|(?:https?://)?[a-z0-9.-]*linkedin\.com%(?:25)*2f", _FLAGS
)
# The same pages under another root: mobile web, links in LinkedIn's mails, public previews.
_ROOTS: Final = frozenset({"mwlite", "m", "comm", "public-profile"})
_COMPANY_ROOTS: Final = frozenset({"company", "company-beta", "school", "showcase"})
_SALES_PAGES: Final = frozenset({"lead", "people", "profile"})
# Written where a program had no slug; taken for one, they would make one person of many.
_PLACEHOLDERS: Final = frozenset(
    {"me", "nan", "none", "null", "unavailable", "undefined", "unknown"}
)

_WRAPPING: Final = WHITE_SPACE + "<>()[]{}\"'`\u201c\u201d\u2018\u2019"
_TRAILING: Final = WHITE_SPACE + ".,;:!?*)]}>\"'`\u201d\u2019/"
_NEVER_IN_SLUG: Final = re.compile(r'[\s/?#%;\\<>"@:\ufffd]')
_NEVER_IN_URL: Final = re.compile(r"[\s\\\x00-\x1f\x7f-\x9f]")
_MAX_ENCODINGS: Final = 3


class Profile(msgspec.Struct, frozen=True):
    """A person's page: the one URL of it, and the slug or the member token that it holds."""

    url: str
    public_identifier: str | None = None
    provider_id: str | None = None


def read_profile_url(url: str) -> Profile | None:
    """The person a LinkedIn URL points to, or None when it points to no one person.

    The scheme may be missing. Companies, schools, searches, directories and other hosts are None.
    """
    if plain := _PLAIN.fullmatch(url):
        slug = plain[1]
        if len(slug) <= MAX_SLUG and slug not in _PLACEHOLDERS:
            return Profile(f"https://www.linkedin.com/in/{slug}", slug)
    match _segments(url):
        case ["in", slug, *_]:
            return _of_slug(slug)
        case ["pub", name, first, second, third, *_] if name.lower() != "dir":
            return _of_pub(name, (first, second, third))
        case ["sales", page, token, *_] if page.lower() in _SALES_PAGES:
            return _of_token("sales/lead", token)
        case ["talent", *pages]:
            return _of_talent(pages)
    return None


def linkedin_public_identifier(url: str) -> str | None:
    """The public identifier of the profile a URL points to; None if it has none."""
    profile = read_profile_url(url)
    return None if profile is None else profile.public_identifier


def linkedin_company_identifier(url: str) -> str | None:
    """The identifier, name or number, of the company or school page a URL points to, or None."""
    match _segments(url):
        case ["sales", page, name, *_] if page.lower() in _COMPANY_ROOTS:
            return normal_slug(name)
        case [root, name, *_] if root in _COMPANY_ROOTS:
            return normal_slug(name)
    return None


def is_broken_profile_url(url: str) -> bool:
    """Whether a URL is meant as a profile (`/in/...` on LinkedIn) and names none."""
    match _segments(url):
        case ["in", *_]:
            return read_profile_url(url) is None
    return False


def normal_slug(value: str) -> str | None:
    """The form in which slugs are stored and compared, or None when it cannot be one.

    Decoded, NFC, lower case, without surrounding white space and trailing punctuation, at most
    255 characters. Normalising twice changes nothing.
    """
    slug = nfc(_decode(value)).strip(WHITE_SPACE).rstrip(_TRAILING)
    slug = nfc(slug.lower())
    if slug in _PLACEHOLDERS or _NEVER_IN_SLUG.search(slug):
        return None
    try:
        return one_line(slug, MAX_SLUG)
    except BadText:
        return None


def profile_url(public_identifier: str) -> str:
    """The one URL of a profile; all but ASCII letters, digits and `-_.~` is percent-encoded."""
    return "https://www.linkedin.com/in/" + quote(public_identifier, safe="")


def _segments(url: str) -> list[str] | None:
    """The decoded path of a LinkedIn URL in parts, or None for another host or a malformed URL.

    The first part is in lower case; roots that lead to the same pages are left out.
    """
    if len(url) > MAX_URL:
        return None
    url = nfc(url).strip(_WRAPPING)
    if _WHOLLY_ENCODED.match(url):
        url = _decode(url)
    match = _LINKEDIN.fullmatch(url)
    if match is None or _NEVER_IN_URL.search(url):
        return None
    path = re.split("[?#;]", nfc(_decode(match[1] or "")), maxsplit=1)[0]
    segments = [part for part in path.split("/") if part.strip(WHITE_SPACE)]
    if "." in segments or ".." in segments:
        return None
    while segments and segments[0].lower() in _ROOTS:
        del segments[0]
    return [segments[0].lower(), *segments[1:]] if segments else []


def _of_slug(segment: str) -> Profile | None:
    token = segment.strip(WHITE_SPACE).rstrip(_TRAILING)
    if _TOKEN_FOR_SLUG.fullmatch(token):
        return Profile(f"https://www.linkedin.com/in/{token}", provider_id=token)
    slug = normal_slug(segment)
    return None if slug is None else Profile(profile_url(slug), slug)


def _of_pub(name: str, numbers: tuple[str, str, str]) -> Profile | None:
    """`/pub/jane-doe/1a/2b3/4c5` is `/in/jane-doe-4c52b31a`.

    LinkedIn's redirect joins the three parts in reverse and fills the last two up to three digits
    with zeros. `/pub/dir/` is a directory of namesakes.
    """
    first, second, third = parts = [part.rstrip(_TRAILING) for part in numbers]
    if not all(_HEX.fullmatch(part) for part in parts):
        return None
    slug = normal_slug(f"{name}-{third.zfill(3)}{second.zfill(3)}{first}")
    return None if slug is None else Profile(profile_url(slug), slug)


def _of_talent(pages: list[str]) -> Profile | None:
    """Recruiter's profile pages lie at any depth: `/talent/hire/1/discover/profile/AEMAA...`."""
    for page, token in pairwise(pages):
        if page.lower() == "profile":
            return _of_token("talent/profile", token)
    return None


def _of_token(page: str, segment: str) -> Profile | None:
    token = segment.lstrip("(").split(",", 1)[0].rstrip(_TRAILING)
    if not _TOKEN.fullmatch(token):
        return None
    return Profile(f"https://www.linkedin.com/{page}/{token}", provider_id=token)


def _decode(value: str) -> str:
    """Percent-decoding until nothing changes, three times at most."""
    for _ in range(_MAX_ENCODINGS):
        if "%" not in value:
            break
        value = unquote(value)
    return value
