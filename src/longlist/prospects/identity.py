"""One person stays one person: the keys people are known by, matching and merging.

A person is known by provider id, public identifier and e-mail address, compared in that order;
one with none of these by name and company together. Keys are kept as keyed hashes: the index that
finds stored people and the suppression list that outlives them hold the same 16 bytes, so erasing
a person leaves nothing that can be read, and nothing that can be tried out without the secret.

Pure functions: the store looks candidates up and writes what `decide` and `merge` say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from longlist.prospects.linkedin import (
    MAX_URL,
    linkedin_company_identifier,
    linkedin_public_identifier,
    normal_slug,
    profile_url,
    read_profile_url,
)
from longlist.prospects.person import (
    FIELDS,
    Person,
    RowRefused,
    check_field,
    full_name,
    normal_email,
)
from longlist.text import WHITE_SPACE, fold, nfc

__all__ = [
    "Candidate",
    "KeyHasher",
    "KeyKind",
    "Keys",
    "Match",
    "check_suppressed_value",
    "decide",
    "keys_of",
    "linkedin_company_identifier",
    "linkedin_public_identifier",
    "merge",
    "name_company",
    "read_profile_url",
    "suppression_keys",
]

KEY_BYTES: Final = 16
MIN_SECRET_BYTES: Final = 16


class KeyKind(StrEnum):
    """What a key is made of. DOMAIN is no key of a person; suppressions have it."""

    PROVIDER_ID = "provider_id"
    PUBLIC_IDENTIFIER = "public_identifier"
    EMAIL = "email"
    NAME_COMPANY = "name_company"
    DOMAIN = "domain"


class KeyHasher:
    """Turns identity values into keys of 16 bytes, by BLAKE2b with the server's secret.

    The kind is hashed along, so equal values of two kinds have different keys. Changing the
    secret orphans every stored key and every suppression. Raises ValueError for a secret under
    16 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret must have at least {MIN_SECRET_BYTES} bytes")
        if len(secret) > hashlib.blake2b.MAX_KEY_SIZE:
            secret = hashlib.blake2b(secret).digest()
        self._started: Final = {
            kind: hashlib.blake2b(digest_size=KEY_BYTES, key=secret, person=_TAGS[kind])
            for kind in KeyKind
        }

    def key(self, kind: KeyKind, value: str) -> bytes:
        """The key of a value in any spelling that `make_person` would take.

        Never raises: a value that is not of its kind is folded and has a key that no person has.
        """
        return self.key_of_stored(kind, _NORMALISE[kind](value))

    def key_of_stored(self, kind: KeyKind, value: str) -> bytes:
        """The key of a value as Person holds it, without normalising it once more."""
        hashed = self._started[kind].copy()
        hashed.update(_folded(kind, value).encode("utf-8", "surrogatepass"))
        return hashed.digest()


class Keys(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A person's keys; `name_company` only where there is no other."""

    provider_id: bytes | None = None
    public_identifier: bytes | None = None
    email: bytes | None = None
    name_company: bytes | None = None

    def all(self) -> list[tuple[KeyKind, bytes]]:
        """The keys there are, strongest first."""
        named = (
            (KeyKind.PROVIDER_ID, self.provider_id),
            (KeyKind.PUBLIC_IDENTIFIER, self.public_identifier),
            (KeyKind.EMAIL, self.email),
            (KeyKind.NAME_COMPANY, self.name_company),
        )
        return [(kind, key) for kind, key in named if key is not None]

    def values(self) -> list[bytes]:
        """The keys there are, without their kinds."""
        named = (self.provider_id, self.public_identifier, self.email, self.name_company)
        return [key for key in named if key is not None]


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A stored person that shares at least one key with an input."""

    id: bytes
    provider_id: bytes | None = None
    public_identifier: bytes | None = None
    email: bytes | None = None
    name_company: bytes | None = None

    def values(self) -> list[bytes]:
        """The keys there are."""
        named = (self.provider_id, self.public_identifier, self.email, self.name_company)
        return [key for key in named if key is not None]


class Match(msgspec.Struct, frozen=True):
    """The stored people that an input is: none, one, or several, which is ambiguous."""

    ids: tuple[bytes, ...] = ()

    @property
    def is_new(self) -> bool:
        return not self.ids

    @property
    def is_ambiguous(self) -> bool:
        return len(self.ids) > 1

    @property
    def id(self) -> bytes | None:
        """The one stored person; None when there is none or more than one."""
        return self.ids[0] if len(self.ids) == 1 else None


def keys_of(person: Person, hasher: KeyHasher) -> Keys:
    """The keys a person is known by. Raises RowRefused NO_IDENTITY when there are none."""
    key = hasher.key_of_stored
    provider_id = person.provider_id
    slug = person.public_identifier
    email = person.email
    if provider_id is None and slug is None and email is None:
        if person.name is None or person.company_name is None:
            raise RowRefused(
                "NO_IDENTITY",
                "The row has no providerId, publicIdentifier, linkedinUrl of a profile or email,"
                " and no name together with company.name.",
            )
        value = name_company(person.name, person.company_name)
        return Keys(name_company=key(KeyKind.NAME_COMPANY, value))
    return Keys(
        provider_id=None if provider_id is None else key(KeyKind.PROVIDER_ID, provider_id),
        public_identifier=None if slug is None else key(KeyKind.PUBLIC_IDENTIFIER, slug),
        email=None if email is None else key(KeyKind.EMAIL, email),
    )


def suppression_keys(person: Person, keys: Keys, hasher: KeyHasher) -> list[bytes]:
    """The keys under which a person with these keys may be suppressed: also the address's domain.

    The domain is the one after the @ exactly: suppressing `acme.com` does not cover
    `mail.acme.com`, which may belong to somebody else (`github.io`, `co.uk`).
    """
    listed = keys.values()
    if person.email is not None:
        domain = person.email.rpartition("@")[2]
        listed.append(hasher.key_of_stored(KeyKind.DOMAIN, domain))
    return listed


def check_suppressed_value(kind: KeyKind, value: str) -> str:
    """The value of a suppression in normal form; raises RowRefused when it is not of its kind.

    Name and company are no kind of suppression that can be asked for: ValueError.
    """
    if kind is KeyKind.NAME_COMPANY:
        raise ValueError("name and company cannot be suppressed")
    if kind is not KeyKind.DOMAIN:
        return check_field(_FIELD_OF[kind], value)
    try:
        return _email_domain(value)
    except ValueError:
        raise RowRefused(
            "INVALID_TEXT", "The value is not a domain of e-mail addresses.", "value"
        ) from None


def decide(keys: Keys, candidates: Iterable[Candidate]) -> Match:
    """Which stored people an input is, by the rule of contract 5.0.

    The first of provider id, public identifier and e-mail that both have decides; a later one is
    not asked. So an address shared by two people with different profiles joins nobody. Ids are
    sorted, and the order of the candidates does not matter.
    """
    return Match(tuple(sorted({c.id for c in candidates if _same_person(keys, c)})))


def _same_person(keys: Keys, candidate: Candidate) -> bool:
    for ours, theirs in (
        (keys.provider_id, candidate.provider_id),
        (keys.public_identifier, candidate.public_identifier),
        (keys.email, candidate.email),
    ):
        if ours is not None and theirs is not None:
            return ours == theirs
    # A candidate known by more than name and company has no such key, nor has such an input.
    return keys.name_company is not None and keys.name_company == candidate.name_company


def merge(stored: Person, new: Person) -> tuple[Person, bool]:
    """The stored person with the new values put over the old, and whether a field changed.

    None keeps what is stored. Two pairs of fields are kept in step: a name that was made of first
    and last name never replaces a given one, but follows when either part changes; and the
    LinkedIn URL stays that of the public identifier, so a lead page of Sales Navigator adds its
    provider id and leaves a known profile URL alone. Neither argument is changed.
    """
    merged = Person()
    for attribute in FIELDS.values():
        value = getattr(new, attribute)
        if value is None:
            value = getattr(stored, attribute)
        if value is not None:
            setattr(merged, attribute, value)
    if new.name is None:
        merged.name_made = stored.name_made
    elif new.name_made:
        merged.name_made = stored.name is None or stored.name == _made_name(stored)
        merged.name = _made_name(merged) if merged.name_made else stored.name
    merged.linkedin_url = _merged_url(stored, new, merged.public_identifier)
    changed = any(
        getattr(stored, attribute) != getattr(merged, attribute) for attribute in FIELDS.values()
    )
    return merged, changed


def _made_name(person: Person) -> str | None:
    return full_name(person.first_name, person.last_name)


def _merged_url(stored: Person, new: Person, slug: str | None) -> str | None:
    url = new.linkedin_url or stored.linkedin_url
    if slug is None or url is None:
        return url
    slug_of_url = linkedin_public_identifier(url)
    if slug_of_url is not None:
        return url if slug_of_url == slug else _url_of(slug)
    if new.public_identifier is None and stored.linkedin_url is not None:
        known = linkedin_public_identifier(stored.linkedin_url)
        return url if known is None else stored.linkedin_url
    return url


def _url_of(slug: str) -> str | None:
    """None when encoding takes the URL over its limit, as 171 emoji would."""
    url = profile_url(slug)
    return url if len(url) <= MAX_URL else None


def name_company(name: str, company: str) -> str:
    """The value of a NAME_COMPANY key. A line feed, which neither can hold, parts the two."""
    return f"{name}\n{company}"


_TAGS: Final = {
    KeyKind.PROVIDER_ID: b"provider_id",
    KeyKind.PUBLIC_IDENTIFIER: b"public_id",
    KeyKind.EMAIL: b"email",
    KeyKind.NAME_COMPANY: b"name_company",
    KeyKind.DOMAIN: b"domain",
}

_FIELD_OF: Final = {
    KeyKind.PROVIDER_ID: "providerId",
    KeyKind.PUBLIC_IDENTIFIER: "publicIdentifier",
    KeyKind.EMAIL: "email",
}


def _folded(kind: KeyKind, value: str) -> str:
    match kind:
        case KeyKind.EMAIL:
            # The domain is in its one form already, and folding would join straße.de to
            # strasse.de, which are two domains.
            local, _, domain = value.rpartition("@")
            return f"{fold(local)}@{domain}"
        case KeyKind.NAME_COMPANY:
            return "\n".join(" ".join(fold(part).split()) for part in value.split("\n"))
        case _:
            return value


def _any_email(value: str) -> str:
    try:
        return normal_email(value)
    except ValueError:
        return fold(value.strip(WHITE_SPACE))


def _any_slug(value: str) -> str:
    return normal_slug(value) or fold(value.strip(WHITE_SPACE))


def _any_domain(value: str) -> str:
    try:
        return _email_domain(value)
    except ValueError:
        return value.strip(WHITE_SPACE).lower()


def _email_domain(value: str) -> str:
    """The domain as it stands in stored addresses. Raises ValueError when it cannot be in one."""
    domain = value.strip(WHITE_SPACE).removeprefix("@").removesuffix(".")
    if "@" in domain:
        raise ValueError("not a domain")
    return normal_email(f"a@{domain}").rpartition("@")[2]


_NORMALISE: Final = {
    KeyKind.PROVIDER_ID: lambda value: value.strip(WHITE_SPACE),
    KeyKind.PUBLIC_IDENTIFIER: _any_slug,
    KeyKind.EMAIL: _any_email,
    KeyKind.NAME_COMPANY: nfc,
    KeyKind.DOMAIN: _any_domain,
}
