"""The suppression list as callers see it (contract 5.7)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from longlist import pages
from longlist.audiences.routes import Deleted
from longlist.context import Context
from longlist.decoding import CreateBody, Cursor, Limit, MultiLine, OneLine, Query
from longlist.errors import Issue
from longlist.operations import AG, Answer, Operation, Work
from longlist.pages import Page
from longlist.prospects import suppression_store as store
from longlist.prospects.identity import KeyKind, check_suppressed_value
from longlist.prospects.person import RowRefused
from longlist.prospects.suppression_store import Suppression, SuppressionKind, SuppressionReason


class ListSuppressions(Query):
    """Which entries, and which page of them."""

    limit: Limit = 50
    cursor: Cursor | None = None
    kind: SuppressionKind | None = None
    reason: SuppressionReason | None = None


class CreateSuppression(CreateBody):
    """Whom never to import or write to; `domain` covers every address at it."""

    kind: SuppressionKind
    value: Annotated[str, OneLine(max=2048)]
    reason: Literal["unsubscribe", "manual"] = "manual"
    note: Annotated[str, MultiLine(max=500)] | None = None

    def check(self) -> list[Issue]:
        """The value has the form of its kind."""
        try:
            check_suppressed_value(KeyKind(self.kind), self.value)
        except RowRefused as refused:
            return [Issue("value", "invalid_format", refused.message)]
        return []


async def list_suppressions(ctx: Context, query: ListSuppressions) -> Page[Suppression]:
    """The suppression list, newest first."""
    found = await store.list_page(
        ctx,
        before=pages.position_of(ctx, query) or pages.LAST_ID,
        limit=query.limit + 1,
        kind=query.kind,
        reason=query.reason,
    )
    page = pages.page(ctx, query, found, lambda entry: entry.id)
    return Page([entry.suppression for entry in page.items], page.next_cursor, page.has_more)


async def create_suppression(ctx: Context, body: CreateSuppression) -> Answer:
    """Put somebody on the list; 200 where they are on it already."""
    key = ctx.hasher.key(KeyKind(body.kind), body.value)
    found, is_new = await store.create(
        ctx, kind=body.kind, key=key, reason=body.reason, note=body.note
    )
    return Answer(found.suppression, status=201 if is_new else 200, resource_id=found.id)


async def delete_suppression(ctx: Context, suppression_id: bytes) -> Deleted:
    """Take an entry off the list."""
    await store.delete(ctx, suppression_id)
    return Deleted()


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{AG}/suppressions",
        section="5.7",
        summary="List suppressions",
        handler=list_suppressions,
        permission="suppressions:read",
        query=ListSuppressions,
        answer=Page[Suppression],
        answer_name="SuppressionList",
        long_if=lambda query: bool(query.kind or query.reason),
    ),
    Operation(
        method="POST",
        path=f"{AG}/suppressions",
        section="5.7",
        summary="Suppress somebody",
        handler=create_suppression,
        permission="suppressions:write",
        body=CreateSuppression,
        answer=Suppression,
        answer_name="Suppression",
        status=201,
        also=(200,),
        work=Work.WRITE,
    ),
    Operation(
        method="DELETE",
        path=f"{AG}/suppressions/{{suppressionId}}",
        section="5.7",
        summary="Remove a suppression",
        handler=delete_suppression,
        permission="suppressions:write",
        answer=Deleted,
        answer_name="Deleted",
        work=Work.WRITE,
        errors={404: ("NOT_FOUND",)},
    ),
)
