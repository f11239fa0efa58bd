"""Invented people as CSV files: always the same, and some of them in several files."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable
from typing import Final

from longlist.prospecting.sources.unipile.double_people import (
    COMPANIES,
    FIRST,
    LAST,
    PLACES,
    ROLES,
)

_COLUMNS: Final = ("First Name", "Last Name", "Work Email", "Job Title", "Company", "Location")
_PLAIN: Final = str.maketrans("éø", "eo")
_SEED: Final = 2026
_BROKEN_EVERY: Final = 60


def invented_file(numbers: Iterable[int], *, with_mistakes: bool = False) -> bytes:
    """The people with these numbers; a number is the same person in every file.

    `with_mistakes`: as files are, with addresses that are none, rows that name nobody, and people
    who stand there twice.
    """
    rows = [_person(number) for number in numbers]
    if with_mistakes:
        rows = [row for at, person in enumerate(rows, 1) for row in _mistaken(at, person)]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def address_of(number: int) -> str:
    """The e-mail address of a person."""
    return _person(number)[2]


def _person(number: int) -> list[str]:
    chance = random.Random(f"{_SEED}/{number}")  # noqa: S311 - invents people, keeps no secret
    first, last = chance.choice(FIRST), chance.choice(LAST)
    company = chance.choice(COMPANIES)
    domain = "".join(filter(str.isalnum, company.lower())) + ".example.com"
    address = f"{first}.{last}{number}@{domain}".lower().translate(_PLAIN)
    return [first, last, address, chance.choice(ROLES), company, chance.choice(PLACES)]


def _mistaken(at: int, person: list[str]) -> list[list[str]]:
    """A person's rows: now and then one that cannot be taken, or the same one twice."""
    first, last, address, *rest = person
    match at % _BROKEN_EVERY:
        case 20:
            return [[first, last, address.replace("@", " at "), *rest]]
        case 40:
            return [["", last, "", "", "", ""]]
        case 0:
            return [person, person]
    return [person]
