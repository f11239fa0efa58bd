"""Prospects and membership as callers see them (contract 5.1 to 5.6)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from longlist import pages
from longlist.audiences import store as audiences
from longlist.audiences.routes import Deleted
from longlist.context import Context
from longlist.decoding import Body, Cursor, Id, Items, Limit, Query, Raw
from longlist.errors import Issue
from longlist.operations import AG, LARGE_JSON_LIMIT, Answer, Operation, Stream, Work
from longlist.pages import Page
from longlist.prospects import erasure_store, export, intake, store
from longlist.prospects import member_store as members
from longlist.prospects.intake import Counts, Entry, OutcomeName, Reason
from longlist.prospects.linking import links_among
from longlist.prospects.person import FIELDS, RowRefused, make_person
from longlist.prospects.store import Prospect


class ListProspects(Query):
    """Which page of the list."""

    limit: Limit = 50
    cursor: Cursor | None = None


class CompanyInput(Body):
    """Where a prospect works."""

    name: Raw = None
    linkedin_identifier: Raw = None
    linkedin_url: Raw = None
    industry: Raw = None
    website: Raw = None
    domain: Raw = None
    size: Raw = None


class ProspectInput(Body):
    """A person to add, or `prospectId` alone for one who is stored already.

    Wrong types and unknown members refuse the request; a bad value is the outcome of its row.
    """

    prospect_id: Id | None = None
    first_name: Raw = None
    last_name: Raw = None
    name: Raw = None
    headline: Raw = None
    about: Raw = None
    photo_url: Raw = None
    linkedin_url: Raw = None
    public_identifier: Raw = None
    provider_id: Raw = None
    title: Raw = None
    location: Raw = None
    email: Raw = None
    phone: Raw = None
    company: CompanyInput | None = None

    def check(self) -> list[Issue]:
        """`prospectId` stands alone."""
        if self.prospect_id is None:
            return []
        if any(value is not None for value in msgspec.structs.astuple(self)[1:]):
            return [
                Issue("prospectId", "exactly_one", "Send prospectId alone, or the person's fields.")
            ]
        return []

    def values(self) -> dict[str, str | None]:
        """The fields by their contract names, `company.name` and so on."""
        flat: dict[str, str | None] = {}
        for name in FIELDS:
            attribute = FIELDS[name]
            if name.startswith("company."):
                if self.company is not None:
                    flat[name] = getattr(self.company, attribute.removeprefix("company_"))
            else:
                flat[name] = getattr(self, attribute)
        return flat


class AddProspects(Body):
    """The people to add, at most 1,000 at once."""

    prospects: Annotated[list[ProspectInput], Items(min=1, max=1000)]


class AddedItem(msgspec.Struct, rename="camel"):
    """What became of one row; `position` counts from 1 in request order."""

    position: int
    outcome: OutcomeName
    reason: Reason | None
    message: str | None
    prospect_id: str | None


class Added(msgspec.Struct, rename="camel"):
    """The audience after the request, and what became of each row."""

    audience_id: str
    prospect_count: int
    counts: Counts
    items: list[AddedItem]


class ExportAudience(Query):
    """The format; without it the Accept header decides, and CSV where it does not."""

    format: Literal["csv", "ndjson"] | None = None


async def list_audience_prospects(
    ctx: Context, audience_id: bytes, query: ListProspects
) -> Page[Prospect]:
    """The prospects of an audience, newest first."""
    found = await members.list_page(
        ctx,
        audience_id,
        before=pages.position_of(ctx, query) or pages.LAST_ID,
        limit=query.limit + 1,
    )
    page = pages.page(ctx, query, found, lambda prospect: prospect.id)
    return Page([prospect.shown for prospect in page.items], page.next_cursor, page.has_more)


def _entry(ctx: Context, position: int, row: ProspectInput) -> Entry:
    if row.prospect_id is not None:
        return Entry(position, prospect_id=row.prospect_id)
    try:
        return intake.entry(ctx.hasher, position, make_person(row.values()))
    except RowRefused as refused:
        return intake.refusal(position, refused.reason, refused.message)


async def add_prospects(ctx: Context, audience_id: bytes, body: AddProspects) -> Answer:
    """Add people to an audience in one transaction, each row with its own outcome."""
    entries = [_entry(ctx, position, row) for position, row in enumerate(body.prospects, 1)]
    links = links_among(entry.keys for entry in entries if entry.keys is not None)
    entries = [links.widen(entry) for entry in entries]
    # Identity before audience, as imports and erasures take them: no two wait for each other.
    await store.lock_identity(ctx)
    await audiences.hold(ctx, audience_id)
    outcomes, counts, total = await intake.take_in(ctx, audience_id, entries)
    items: list[Any] = [
        AddedItem(o.position, o.outcome, o.reason, o.message, o.prospect_id and o.prospect_id.hex())  # type: ignore[arg-type]
        for o in outcomes
    ]
    return Answer(Added(audience_id.hex(), total, counts, items), resource_id=audience_id)


async def remove_prospect(ctx: Context, audience_id: bytes, prospect_id: bytes) -> Deleted:
    """Take a prospect out of an audience; the prospect stays."""
    await members.delete(ctx, audience_id, prospect_id)
    return Deleted()


async def export_audience(ctx: Context, audience_id: bytes, query: ExportAudience) -> Stream:
    """Every prospect of an audience, as one consistent snapshot."""
    audience = await audiences.get(ctx, audience_id)
    wants_ndjson = query.format == "ndjson" or (
        query.format is None and "application/x-ndjson" in ctx.accept
    )
    suffix = "ndjson" if wants_ndjson else "csv"
    chunks = export.ndjson_chunks if wants_ndjson else export.csv_chunks
    return Stream(
        "application/x-ndjson" if wants_ndjson else "text/csv; charset=utf-8",
        chunks(ctx, audience_id),
        {
            "Content-Disposition": f'attachment; filename="audience-{audience_id.hex()}.{suffix}"',
            "X-Row-Count": str(audience.audience.prospect_count),
        },
    )


async def get_prospect(ctx: Context, prospect_id: bytes) -> Answer:
    """Read one prospect."""
    found = await store.get(ctx, prospect_id)
    return Answer(found.shown, etag=found.etag)


async def erase_prospect(ctx: Context, prospect_id: bytes) -> Deleted:
    """Forget a person for good, and keep imports from bringing them back."""
    await erasure_store.erase(ctx, prospect_id)
    return Deleted()


_AUDIENCE: Final = f"{AG}/audiences/{{audienceId}}"
_UNREADY: Final = {404: ("NOT_FOUND",), 409: ("AUDIENCE_NOT_READY",)}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{_AUDIENCE}/prospects",
        section="5.1",
        summary="List the prospects of an audience",
        handler=list_audience_prospects,
        permission="prospects:read",
        query=ListProspects,
        answer=Page[Prospect],
        answer_name="AudienceProspectList",
        errors={**_UNREADY, 502: ("UPSTREAM_ERROR",)},
    ),
    Operation(
        method="POST",
        path=f"{_AUDIENCE}/prospects",
        section="5.2",
        summary="Add prospects to an audience",
        handler=add_prospects,
        permission="prospects:write",
        body=AddProspects,
        body_limit=LARGE_JSON_LIMIT,
        answer=Added,
        answer_name="AudienceProspectsAdd",
        work=Work.WRITE_LONG,
        errors=_UNREADY,
    ),
    Operation(
        method="DELETE",
        path=f"{_AUDIENCE}/prospects/{{prospectId}}",
        section="5.3",
        summary="Remove a prospect from an audience",
        handler=remove_prospect,
        permission="prospects:write",
        answer=Deleted,
        answer_name="Deleted",
        work=Work.WRITE,
        errors=_UNREADY,
    ),
    Operation(
        method="GET",
        path=f"{_AUDIENCE}/export",
        section="5.4",
        summary="Export an audience as CSV or NDJSON",
        handler=export_audience,
        permission="prospects:read",
        query=ExportAudience,
        answer=None,
        answer_name="",
        streams=("text/csv", "application/x-ndjson"),
        work=Work.SNAPSHOT,
        errors=_UNREADY,
    ),
    Operation(
        method="GET",
        path=f"{AG}/prospects/{{prospectId}}",
        section="5.5",
        summary="Get a prospect",
        handler=get_prospect,
        permission="prospects:read",
        answer=Prospect,
        answer_name="Prospect",
        tagged=True,
        errors={404: ("NOT_FOUND",)},
    ),
    Operation(
        method="DELETE",
        path=f"{AG}/prospects/{{prospectId}}",
        section="5.6",
        summary="Erase a prospect",
        handler=erase_prospect,
        permission="prospects:write",
        answer=Deleted,
        answer_name="Deleted",
        tagged=True,
        work=Work.WRITE,
        errors={404: ("NOT_FOUND",)},
    ),
)
