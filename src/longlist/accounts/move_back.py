"""Takes a move back that has not reached its target: the group is served again where it was."""

from __future__ import annotations

from longlist.accounts import move_store as store
from longlist.accounts import parcel_store as parcels
from longlist.accounts.move import Side
from longlist.accounts.move_store import Marker, MarkerGone
from longlist.console import Trouble
from longlist.context import Context


async def take_back(source: Side, target: Side | None) -> str:
    """Undo a move; how the group stands then. Raises Trouble and DatabaseAway.

    `target` is None where it cannot be reached: enough while the rows that make the group reachable
    have not left.
    """
    try:
        return await _take_back(source, target)
    except MarkerGone as error:
        raise Trouble("Another process moves this account group, or has ended its move.") from error


async def _take_back(source: Side, target: Side | None) -> str:
    marker = await source.marker()
    if marker is None:
        return "not on its way, nothing was changed"
    if marker.state in ("arrived", "kept"):
        raise Trouble(f"The account group has arrived in {marker.other}. Move it from there.")
    if marker.state == "left" and target is None:
        raise Trouble("The target may have the account group by now: it has to be reached first.")
    if marker.state != "releasing":
        if target is not None:
            await _give_up(target, marker)
        await source.write(_restore, source, marker)
    await source.release(marker.id)
    return "taken back, served as before"


async def _give_up(target: Side, marker: Marker) -> None:
    """Delete what the target has, from where on it cannot take the group in."""
    if await target.has_group():
        raise Trouble("The account group has arrived. Run the move again without --undo.")
    theirs = await target.marker()
    if theirs is None or theirs.id != marker.id:
        if marker.state == "left" and marker.other != target.name:
            raise Trouble(f"This account group is on its way to {marker.other}: name that target.")
        return
    if theirs.state == "arriving":
        await target.write(store.advance, marker.id, "arriving", "clearing")
    await target.clear(marker.id, "clearing")
    await target.write(store.end, marker.id, "clearing")


async def _restore(ctx: Context, source: Side, marker: Marker) -> None:
    await source.held(marker.id).lift(ctx.tx)
    if marker.parcel is not None:
        await parcels.put(ctx, parcels.unpack(marker.parcel))
    await store.advance(ctx, marker.id, marker.state, "releasing")
