"""Finding prospects by what another system calls them (contract 7.2)."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from longlist.context import Context
from longlist.decoding import VisibleAscii
from longlist.operations import AG, Operation
from longlist.prospects import lookup_store as lookups
from longlist.prospects.store import Stored


class ProviderIdMatch(msgspec.Struct, rename="camel"):
    """A prospect with the provider id; null where unknown.

    `personId` is shared by prospects known to be one person. It is null: prospects are not linked
    to each other beyond the identity keys that they hold.
    """

    prospect_id: str
    person_id: str | None
    public_identifier: str | None
    linkedin_url: str | None
    name: str | None
    company_name: str | None
    title: str | None


class ProviderIdLookup(msgspec.Struct, rename="camel"):
    """Every prospect with a provider id; among several none is chosen."""

    provider_id: str
    resolution: Literal["none", "single", "multiple"]
    matches: list[ProviderIdMatch]


def _match(found: Stored) -> ProviderIdMatch:
    person = found.person
    return ProviderIdMatch(
        prospect_id=found.id.hex(),
        person_id=None,
        public_identifier=person.public_identifier,
        linkedin_url=person.linkedin_url,
        name=person.name,
        company_name=person.company_name,
        title=person.title,
    )


async def find_prospects_by_provider_id(ctx: Context, provider_id: str) -> ProviderIdLookup:
    """Find the prospects that a provider knows by an id; a miss is an empty list."""
    matches = [_match(found) for found in await lookups.list_by_provider_id(ctx, provider_id)]
    resolution: Literal["none", "single", "multiple"] = "none"
    if matches:
        resolution = "single" if len(matches) == 1 else "multiple"
    return ProviderIdLookup(provider_id, resolution, matches)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{AG}/prospects/by-provider-id/{{providerId}}",
        section="7.2",
        summary="Find prospects by provider id",
        handler=find_prospects_by_provider_id,
        permission="prospects:read",
        texts={"providerId": VisibleAscii(max=128)},
        answer=ProviderIdLookup,
        answer_name="ProviderIdProspectLookup",
        invalid_status=422,
    ),
)
