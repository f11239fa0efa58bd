"""Invented people, posts and lists for the double, always the same for one seed.

The members and their order are those of the documentation's samples; the names are put together
from parts and belong to nobody.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

FIRST: Final = (
    "Ada", "Bruno", "Célia", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas",
    "Katja", "Luis", "Mira", "Noor", "Oskar", "Pilar", "Quentin", "Rosa", "Søren", "Tova",
)  # fmt: skip
LAST: Final = (
    "Sampleton", "Musterfeld", "Exempelsson", "Beispielowa", "Ejemplar", "Modelli", "Voorbeeldt",
    "Specimen", "Placeholm", "Fictoria", "Inventaire", "Probemann", "Dummov", "Nemoson",
)  # fmt: skip
COMPANIES: Final = ("Nordlicht Werke", "Acme Sample", "Papier & Fils", "Invented Labs", "Muster AG")
ROLES: Final = ("Head of Sales", "CTO", "Product Manager", "VP Marketing", "Data Engineer")
PLACES: Final = ("Lyon, France", "Berlin, Germany", "Porto, Portugal", "Leeds, United Kingdom")
INDUSTRIES: Final = ("Software Development", "Paper Manufacturing", "Energy")


class Somebody(msgspec.Struct, frozen=True):
    """One invented person. `at` is where the person stands in the lists."""

    at: int
    first: str
    last: str
    slug: str
    id: str
    sales_id: str
    company: str
    role: str
    place: str
    industry: str

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def page(self) -> str:
        return f"https://www.linkedin.com/in/{self.slug}"

    @property
    def photo(self) -> str:
        return f"https://media.example.com/photos/{self.slug}.jpg"


def invented(seed: int, count: int) -> list[Somebody]:
    """The first `count` people of a seed."""
    return [_somebody(seed, at) for at in range(count)]


def _somebody(seed: int, at: int) -> Somebody:
    digest = hashlib.sha256(f"{seed}/{at}".encode()).digest()
    token = base64.urlsafe_b64encode(digest)[:34].decode().replace("=", "")
    first, last = _one(FIRST, digest[0]), _one(LAST, digest[1])
    plain = (first + "-" + last).lower().replace("é", "e").replace("ø", "o")
    return Somebody(
        at=at,
        first=first,
        last=last,
        slug=f"{plain}-{digest.hex()[:8]}",
        id=f"ACoAA{token}",
        sales_id=f"ACwAA{token}",
        company=_one(COMPANIES, digest[2]),
        role=_one(ROLES, digest[3]),
        place=_one(PLACES, digest[4]),
        industry=_one(INDUSTRIES, digest[5]),
    )


def _one(choices: Sequence[str], at: int) -> str:
    return choices[at % len(choices)]


def found_in_classic(who: Somebody) -> dict[str, Any]:
    """A result of a classic people search."""
    return {
        "object": "SearchResult",
        "type": "PEOPLE",
        "id": who.id,
        "name": who.name,
        "member_urn": f"urn:li:member:{100_000 + who.at}",
        "public_identifier": who.slug,
        "public_profile_url": f"{who.page}?miniProfileUrn=urn%3Ali%3Afs_miniProfile%3A{who.id}",
        "profile_url": f"{who.page}?miniProfileUrn=urn%3Ali%3Afs_miniProfile%3A{who.id}",
        "profile_picture_url": who.photo,
        "profile_picture_url_large": None,
        "network_distance": "DISTANCE_2",
        "location": who.place,
        "industry": None,
        "headline": f"{who.role} at {who.company}",
    }


def found_in_sales_navigator(who: Somebody) -> dict[str, Any]:
    """A result of a search of Sales Navigator."""
    return {
        "object": "SearchResult",
        "type": "PEOPLE",
        "id": who.sales_id,
        "name": who.name,
        "first_name": who.first,
        "last_name": who.last,
        "member_urn": f"urn:li:member:{100_000 + who.at}",
        "public_identifier": who.slug,
        "public_profile_url": who.page,
        "profile_url": f"https://www.linkedin.com/sales/lead/{who.sales_id},NAME_SEARCH,abcd",
        "profile_picture_url": who.photo,
        "profile_picture_url_large": None,
        "network_distance": "DISTANCE_3",
        "location": who.place,
        "industry": who.industry,
        "headline": f"{who.role} at {who.company}",
        "current_positions": [
            {
                "company": who.company,
                "company_id": str(9_000 + len(who.company)),
                "company_url": f"https://www.linkedin.com/company/{9_000 + len(who.company)}",
                "company_headcount": {"min": 51, "max": 200},
                "role": who.role,
                "industry": who.industry,
                "start": {"year": 2021, "month": 4},
            }
        ],
    }


def comment_of(who: Somebody, at: int, post_id: str) -> dict[str, Any]:
    """A comment on a post, the `at`-th from the newest."""
    return {
        "object": "Comment",
        "id": str(7_400_000_000_000_000_000 + at),
        "post_id": post_id,
        "post_urn": f"urn:li:activity:{post_id}",
        "author": who.name,
        "author_details": {
            "id": who.id,
            "is_company": False,
            "headline": f"{who.role} at {who.company}",
            "profile_url": who.page,
            "profile_picture_url": who.photo,
            "network_distance": "SECOND_DEGREE",
        },
        "date": "2026-01-15T09:30:00.000Z",
        "text": "An invented comment.",
        "reaction_counter": 0,
        "reply_counter": 0,
    }


def company_comment(at: int, post_id: str) -> dict[str, Any]:
    """A comment that a company wrote."""
    written = comment_of(invented(0, 1)[0], at, post_id)
    details = {
        "id": "90001",
        "is_company": True,
        "headline": "1,000 followers",
        "profile_url": "https://www.linkedin.com/company/muster-ag",
    }
    return {**written, "author": "Muster AG", "author_details": details}


def profile_of(who: Somebody) -> dict[str, Any]:
    """A profile with the sections `experience` and `about`."""
    return {
        "object": "UserProfile",
        "provider": "LINKEDIN",
        "provider_id": who.id,
        "public_identifier": who.slug,
        "member_urn": str(100_000 + who.at),
        "first_name": who.first,
        "last_name": who.last,
        "headline": f"{who.role} at {who.company}",
        "summary": f"{who.first} is invented.\n\nSo is {who.company}.",
        "location": who.place,
        "websites": [],
        "profile_picture_url": who.photo,
        "network_distance": "SECOND_DEGREE",
        "is_premium": False,
        "work_experience": [
            {
                "position": who.role,
                "company": who.company,
                "company_id": str(9_000 + len(who.company)),
                "location": who.place,
                "skills": [],
                "current": True,
                "start": "4/1/2021",
                "end": None,
            },
            {
                "position": "Intern",
                "company": "Former Employer",
                "company_id": None,
                "skills": [],
                "start": "1/1/2015",
                "end": "1/1/2016",
            },
        ],
    }


PLACEHOLDER: Final[dict[str, Any]] = {
    "object": "SearchResult",
    "type": "PEOPLE",
    "id": "",
    "name": "LinkedIn Member",
    "public_identifier": None,
    "public_profile_url": None,
    "profile_url": None,
    "network_distance": "OUT_OF_NETWORK",
    "location": "Berlin, Germany",
    "headline": "CTO",
}
"""Somebody too far from the account."""
