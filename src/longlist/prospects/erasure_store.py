"""Erasing a person: out of every table, with nothing left but keyed hashes (contract 5.6)."""

from __future__ import annotations

from longlist.context import Context
from longlist.events import store as events
from longlist.prospecting import directory_store as directories
from longlist.prospects import member_store as members
from longlist.prospects import store
from longlist.prospects import suppression_store as suppressions
from longlist.prospects.identity import keys_of


async def erase(ctx: Context, prospect_id: bytes) -> None:
    """Forget a person, and let no import bring them back.

    Filling audiences do not hold it up. The freed pages are scrubbed soon after the commit. Raises
    NotFound and PreconditionFailed.
    """
    await store.lock_identity(ctx)
    prospect = await store.get(ctx, prospect_id)
    keys = keys_of(prospect.person, ctx.hasher).all()
    await suppressions.add_erased(ctx, [(kind.value, key) for kind, key in keys])
    await members.delete_from_all(ctx, prospect_id)
    await members.delete_keys(ctx, [(key, prospect_id) for _, key in keys])
    await directories.erase(ctx, {key for _, key in keys})
    await store.delete(ctx, prospect_id)
    await events.record(ctx, "prospect.erased", prospect_id, {"prospectId": prospect_id.hex()})
