"""How much of a day's quota is used (contract 7.1)."""

from __future__ import annotations

from typing import Final

from longlist.context import Context
from longlist.decoding import Query
from longlist.operations import AG, Operation
from longlist.prospecting import quota_store as quotas
from longlist.prospecting.quota_store import ListType, Quota


class GetQuota(Query):
    """`listType`: the kind of job."""

    list_type: ListType = "LINKEDIN_CLASSIC"


async def get_prospecting_quota(ctx: Context, query: GetQuota) -> Quota:
    """How many prospects the jobs of a kind have imported today, and how many they may."""
    return await quotas.get(ctx, query.list_type)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{AG}/prospecting/quota",
        section="7.1",
        summary="Quota of a kind of prospecting job",
        handler=get_prospecting_quota,
        permission="prospecting:read",
        query=GetQuota,
        answer=Quota,
        answer_name="ProspectingQuota",
    ),
)
