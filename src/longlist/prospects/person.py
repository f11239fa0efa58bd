"""A prospect's fields: their names, their limits and the form in which they are stored.

Contract 5.0 in code. Rows from every source pass through `make_person`, so that what is compared
and stored has one form; it is called once a row in imports of a million rows and does no work for
fields that are missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

import email_validator
import msgspec

from longlist.prospects.linkedin import (
    MAX_SLUG,
    MAX_URL,
    is_broken_profile_url,
    linkedin_company_identifier,
    normal_slug,
    read_profile_url,
)
from longlist.text import BadText, multi_line, nfc, one_line

MAX_EMAIL: Final = 254
MAX_NAME: Final = 255
MAX_PROVIDER_ID: Final = 128

# A stored address need not be deliverable from here: directories hold .local and .test ones.
# The list is the validator's documented setting, and nothing else in the process uses it.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# The addresses on which the validator's answer is known without asking it: ASCII, no Punycode and
# no other doubled hyphen, labels of 1 to 63, a top-level domain of letters. Held equal by a test.
_LABEL: Final = r"(?![A-Za-z0-9-]{64})[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
PLAIN_EMAIL: Final = re.compile(
    rf"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@((?:{_LABEL}\.)+[A-Za-z]{{2,63}})"
)
_PROVIDER_ID: Final = re.compile(r"[!-.0-~]+")
_HTTP_URL: Final = re.compile(
    r"https?://"
    r'(?:\[[0-9a-f:.]{2,45}\]|(?P<host>[^\s/?#@:\[\]\\<>"%|^`{}]+))'
    r"(?::[0-9]{1,5})?"
    r'(?:[/?#][^\s\\<>"]*)?',
    re.IGNORECASE,
)


class RowRefused(Exception):
    """A row that cannot be taken: a reason of contract 5.0, one sentence, and the field at fault.

    The sentence never repeats the value. `field` is None when no single field is at fault.
    """

    def __init__(self, reason: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.reason: Final = reason
        self.message: Final = message
        self.field: Final = field


class Person(msgspec.Struct, gc=False, array_like=True):
    """What is known of a prospect, without ids and times. None is unknown; no value is empty.

    `name_made` is no field of the contract: it tells a merge that nobody gave the name, that it
    was put together from first and last name.
    """

    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None
    headline: str | None = None
    about: str | None = None
    photo_url: str | None = None
    linkedin_url: str | None = None
    public_identifier: str | None = None
    provider_id: str | None = None
    title: str | None = None
    location: str | None = None
    email: str | None = None
    phone: str | None = None
    company_name: str | None = None
    company_linkedin_identifier: str | None = None
    company_linkedin_url: str | None = None
    company_industry: str | None = None
    company_website: str | None = None
    company_domain: str | None = None
    company_size: str | None = None
    name_made: bool = False


def make_person(values: Mapping[str, str | None]) -> Person:
    """The person that a row of contract names (`firstName`, `company.name`) describes.

    A value with nothing visible in it counts as missing. A name that was not given is made of
    first and last name, and shortened if the two are too long together. Raises RowRefused:
    INVALID_EMAIL, INVALID_URL, INVALID_TEXT or FIELD_TOO_LONG. Raises KeyError for a name that is
    no field, which is the caller's fault and not the row's.
    """
    person = Person()
    for name, value in values.items():
        rule = _RULES[name]
        if value:
            try:
                setattr(person, rule.attribute, rule.clean(value) or None)
            except BadText as error:
                if error.code != "too_short":
                    raise _refused_text(error, name) from None
            except _BadValue as error:
                raise RowRefused(error.reason, f"{name} {error.rest}", name) from None
    if person.linkedin_url is not None:
        _settle_linkedin(person, person.linkedin_url)
    if person.name is None:
        person.name = full_name(person.first_name, person.last_name)
        person.name_made = person.name is not None
    if person.company_linkedin_url is not None and person.company_linkedin_identifier is None:
        person.company_linkedin_identifier = linkedin_company_identifier(
            person.company_linkedin_url
        )
    return person


def full_name(first: str | None, last: str | None) -> str | None:
    """First and last name as one, at most 255 characters; None without either."""
    if first is None or last is None:
        return first or last
    return f"{first} {last}"[:MAX_NAME].rstrip()


def check_field(name: str, value: str) -> str:
    """One value in its stored form, `name` being its contract name.

    For values that come alone, as those of suppressions do. Raises RowRefused as `make_person`
    does, and with INVALID_TEXT when nothing visible is in it.
    """
    try:
        cleaned = _RULES[name].clean(value)
    except BadText as error:
        raise _refused_text(error, name) from None
    except _BadValue as error:
        raise RowRefused(error.reason, f"{name} {error.rest}", name) from None
    return cleaned


def normal_email(value: str) -> str:
    """The address as it is stored: local part as given in NFC, domain in lower case and Unicode.

    Raises ValueError for anything but one address. A `mailto:` before it, as copied from web
    pages and mail programs, is dropped: it cannot be part of an address.
    """
    value = value.strip()
    if value[:7].lower() == "mailto:":
        value = value[7:]
    plain = PLAIN_EMAIL.fullmatch(value)
    if plain is not None and len(value) <= MAX_EMAIL:
        return f"{plain[1]}@{plain[2].lower()}"
    return validated_email(value)


def validated_email(value: str) -> str:
    """What `normal_email` gives, by the full validator; without DNS. Raises ValueError."""
    try:
        checked = email_validator.validate_email(value, check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        raise ValueError("not one e-mail address") from error
    # The validator's own local part has role names such as SALES in lower case.
    return f"{nfc(value.rpartition('@')[0])}@{checked.domain}"


class _BadValue(ValueError):
    """A value that is not of its kind; `rest` follows the field's name in the message."""

    def __init__(self, reason: str, rest: str) -> None:
        super().__init__(rest)
        self.reason: Final = reason
        self.rest: Final = rest


def _refused_text(error: BadText, name: str) -> RowRefused:
    reason = "FIELD_TOO_LONG" if error.code == "too_long" else "INVALID_TEXT"
    return RowRefused(reason, f"{name}: {error.message}", name)


def _too_long(max_chars: int) -> BadText:
    return BadText("too_long", f"The text must have at most {max_chars} characters.")


def _email(value: str) -> str:
    value = one_line(value, MAX_EMAIL + len("mailto:"))
    try:
        return normal_email(value)
    except ValueError:
        if len(value) > MAX_EMAIL:
            raise _too_long(MAX_EMAIL) from None
        raise _BadValue("INVALID_EMAIL", "is not one valid e-mail address.") from None


def _provider_id(value: str) -> str:
    value = one_line(value, MAX_PROVIDER_ID)
    if not _PROVIDER_ID.fullmatch(value):
        raise _BadValue("INVALID_TEXT", "must be visible ASCII characters without a slash.")
    return value


def _public_identifier(value: str) -> str:
    value = one_line(value, MAX_URL)
    slug = normal_slug(value)
    if slug is None:
        if len(value) > MAX_SLUG:
            raise _too_long(MAX_SLUG)
        raise _BadValue("INVALID_TEXT", "is not the last part of a profile URL.")
    return slug


def _http_url(value: str) -> str:
    value = one_line(value, MAX_URL)
    _check_url(value, dotted=False)
    return value


def _web_address(value: str) -> str:
    """An http(s) URL that people also write without its scheme, as they do for websites."""
    value = one_line(value, MAX_URL)
    if value[:7].lower() in ("http://", "https:/"):
        _check_url(value, dotted=False)
        return value
    value = ("https:" if value.startswith("//") else "https://") + value
    _check_url(value, dotted=True)
    return one_line(value, MAX_URL)


def _check_url(value: str, *, dotted: bool) -> None:
    match = _HTTP_URL.fullmatch(value)
    if match is not None:
        host = match["host"]
        if host is None:
            return
        labels = host.removesuffix(".").split(".")
        if all(labels) and (len(labels) > 1 or not dotted):
            return
    raise _BadValue("INVALID_URL", "is not an http or https URL.")


def _linkedin_url(value: str) -> str:
    """The text only: what it points to is settled together with the public identifier."""
    return one_line(value, MAX_URL)


def _domain(value: str) -> str:
    return one_line(value, 253).lower().removesuffix(".")


def _settle_linkedin(person: Person, given: str) -> None:
    """Brings the URL, the public identifier and the provider id into agreement.

    An http(s) URL that is no profile is kept as it is and identifies nobody. A member token in
    the URL is the provider id unless one is given.
    """
    profile = read_profile_url(given)
    if profile is None:
        try:
            if is_broken_profile_url(given):
                raise _BadValue("INVALID_URL", "points to no profile.")
            person.linkedin_url = _web_address(given)
        except _BadValue as error:
            raise RowRefused(error.reason, f"linkedinUrl {error.rest}", "linkedinUrl") from None
        except BadText as error:
            raise _refused_text(error, "linkedinUrl") from None
        return
    if len(profile.url) > MAX_URL:
        raise RowRefused(
            "FIELD_TOO_LONG", f"linkedinUrl: over {MAX_URL} characters when encoded.", "linkedinUrl"
        )
    slug = profile.public_identifier
    if person.public_identifier is None:
        person.public_identifier = slug
    elif slug is not None and slug != person.public_identifier:
        raise RowRefused(
            "INVALID_URL",
            "linkedinUrl and publicIdentifier are of two different profiles.",
            "linkedinUrl",
        )
    if person.provider_id is None:
        person.provider_id = profile.provider_id
    person.linkedin_url = profile.url


class _Rule(NamedTuple):
    attribute: str
    clean: Callable[[str], str]


_line_64: Final = partial(one_line, max_chars=64)
_line_255: Final = partial(one_line, max_chars=MAX_NAME)

_RULES: Final[dict[str, _Rule]] = {
    "firstName": _Rule("first_name", _line_255),
    "lastName": _Rule("last_name", _line_255),
    "name": _Rule("name", _line_255),
    "headline": _Rule("headline", partial(one_line, max_chars=500)),
    "about": _Rule("about", partial(multi_line, max_chars=10_000)),
    "photoUrl": _Rule("photo_url", _http_url),
    "linkedinUrl": _Rule("linkedin_url", _linkedin_url),
    "publicIdentifier": _Rule("public_identifier", _public_identifier),
    "providerId": _Rule("provider_id", _provider_id),
    "title": _Rule("title", _line_255),
    "location": _Rule("location", _line_255),
    "email": _Rule("email", _email),
    "phone": _Rule("phone", _line_64),
    "company.name": _Rule("company_name", _line_255),
    "company.linkedinIdentifier": _Rule("company_linkedin_identifier", _line_255),
    "company.linkedinUrl": _Rule("company_linkedin_url", _web_address),
    "company.industry": _Rule("company_industry", _line_255),
    "company.website": _Rule("company_website", _web_address),
    "company.domain": _Rule("company_domain", _domain),
    "company.size": _Rule("company_size", _line_64),
}

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {name: rule.attribute for name, rule in _RULES.items()}
)
"""Contract name to attribute of Person, in the contract's order."""
