"""API keys: made, shown once, given a new secret, revoked."""

from __future__ import annotations

from typing import Final

from longlist.admin.visit import Redirect, Reply, View, Visit, invalid
from longlist.context import Context
from longlist.errors import NotFound
from longlist.ids import now_ms, parse_id
from longlist.keys import store as keys
from longlist.keys.store import Key
from longlist.limits import Rate
from longlist.text import BadText, one_line

DAYS: Final = (7, 30, 90, 365)
"""How long a key may last, beside for ever."""
_DAY_MS: Final = 86_400_000
_MOST_RATE: Final = 2**31 - 1


async def list_keys(visit: Visit) -> Reply:
    """Every key: valid ones first, then those that are no longer of use."""
    found = await visit.read_long(keys.list_all_everywhere)
    now = now_ms()
    found.sort(key=lambda key: not key.is_valid(now))
    names = {group.id: group.name for group in visit.groups}
    values = {"keys": found, "now": now, "names": names, "every": len(keys.PERMISSIONS)}
    return View("keys.html", values)


async def show_new(visit: Visit) -> Reply:
    """The form of a new key."""
    settings = visit.installation.settings
    values = {"days": DAYS, "per_minute": settings.rate_limit_per_minute}
    return View("key_new.html", values)


async def create(visit: Visit) -> Reply:
    """Make a key and show it, this once."""
    form = visit.form
    try:
        name = one_line(form.get("name"), 255)
    except BadText as error:
        raise invalid("name", f"The name cannot be used. {error.message}") from None
    chosen = form.all("permission")
    if not chosen or any(permission not in keys.PERMISSIONS for permission in chosen):
        raise invalid("permission", "Choose at least one permission.")
    known = {group.id for group in visit.groups}
    wanted = [id_ for text in form.all("group") if (id_ := parse_id(text)) in known]
    if not wanted:
        raise invalid("group", "Choose at least one account group.")
    days = form.get("days")
    if days and (not days.isdigit() or int(days) not in DAYS):
        raise invalid("days", "Choose how long the key lasts.")
    visit.act = ("key.made", name)
    _, key = await visit.change(
        keys.create_everywhere,
        name=name,
        permissions=set(chosen),
        groups=[id_ for id_ in dict.fromkeys(wanted) if id_ is not None],
        expires_at=now_ms() + int(days) * _DAY_MS if days else None,
        rate=_rate(visit),
    )
    return _shown_once(key, name, rotated=False)


def _shown_once(key: str, name: str, *, rotated: bool) -> View:
    """The key in place of the form that asked for it."""
    headers = {"HX-Retarget": "#dialog-body", "HX-Reswap": "innerHTML"}
    values = {"key": key, "name": name, "rotated": rotated}
    return View("key_made.html", values, headers=headers)


def _rate(visit: Visit) -> Rate | None:
    text = visit.form.get("perMinute").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 0 < int(text) <= _MOST_RATE):
        raise invalid("perMinute", "Write the requests a minute as a whole number above zero.")
    return Rate(int(text), min(int(text), visit.installation.settings.rate_limit_burst))


async def _find(ctx: Context, key_id: bytes) -> Key:
    for key in await keys.list_all_everywhere(ctx):
        if key.id == key_id:
            return key
    raise NotFound("There is no such key.", "Choose one of the list of keys.")


async def show_rotate(visit: Visit, key_id: bytes) -> Reply:
    """What a new secret means, before it is made."""
    return View("key_rotate.html", {"key": await visit.read_long(_find, key_id)})


async def rotate(visit: Visit, key_id: bytes) -> Reply:
    """Give a key a new secret and show it, this once."""
    found = await visit.read_long(_find, key_id)
    visit.act = ("key.rotated", found.name)
    key = await visit.change(_rotate, key_id)
    return _shown_once(key, found.name, rotated=True)


async def _rotate(ctx: Context, key_id: bytes) -> str:
    key = await keys.rotate_everywhere(ctx, key_id)
    if key is None:
        raise invalid("key", "The key is revoked: make a new one.")
    return key


async def show_revoke(visit: Visit, key_id: bytes) -> Reply:
    """What revoking means, before it is done."""
    return View("key_revoke.html", {"key": await visit.read_long(_find, key_id)})


async def revoke(visit: Visit, key_id: bytes) -> Reply:
    """Revoke a key for good."""
    found = await visit.read_long(_find, key_id)
    visit.act = ("key.revoked", found.name)
    await visit.change(keys.revoke_everywhere, key_id)
    return Redirect("/admin/keys?note=revoked")
