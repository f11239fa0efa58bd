"""Which prospects another system knows by one id."""

from __future__ import annotations

from longlist.context import Context
from longlist.prospects import member_store as members
from longlist.prospects import store
from longlist.prospects.identity import KeyKind
from longlist.prospects.store import Stored


async def list_by_provider_id(ctx: Context, provider_id: str) -> list[Stored]:
    """Every prospect of the group with this provider id, oldest first.

    The keys are hashes and only narrow the search; the stored value decides.
    """
    key = ctx.hasher.key_of_stored(KeyKind.PROVIDER_ID, provider_id)
    ids = await members.ids_of_keys(ctx, [key])
    found = (await store.get_many(ctx, sorted(ids))).values()
    same = [prospect for prospect in found if prospect.person.provider_id == provider_id]
    return sorted(same, key=lambda prospect: prospect.id)
