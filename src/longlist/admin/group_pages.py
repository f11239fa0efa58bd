"""Account groups: the switcher's list, a new one, and what the operator sets for one."""

from __future__ import annotations

from typing import Final

from longlist.accounts import store as accounts
from longlist.admin import PATH
from longlist.admin.visit import Redirect, Reply, View, Visit, invalid
from longlist.context import Context
from longlist.prospecting import quota_store as quotas
from longlist.prospecting.quota_store import Quota
from longlist.text import BadText, one_line

_MOST: Final = 2**31 - 1
_MOST_CREDITS: Final = 2**53 - 1


async def first_page(visit: Visit) -> Reply:
    """The audiences of the group looked at last, or the choice among several."""
    if visit.last_group is not None:
        return Redirect(f"{PATH}/g/{visit.last_group.id.hex()}/audiences")
    return Redirect(f"{PATH}/groups")


async def list_groups(visit: Visit) -> Reply:
    """Every account group, by name."""
    return View("groups.html")


async def show_new(visit: Visit) -> Reply:
    """The form of a new account group."""
    return View("group_new.html")


async def create(visit: Visit) -> Reply:
    """Make an account group."""
    name = _name(visit.form.get("name"))
    visit.act = ("group.made", name)
    made = await visit.change(accounts.create_everywhere, name)
    return Redirect(f"{PATH}/g/{made.id.hex()}/audiences")


def _name(text: str) -> str:
    try:
        return one_line(text, 255)
    except BadText as error:
        raise invalid("name", f"The name cannot be used. {error.message}") from None


async def show_settings(visit: Visit) -> Reply:
    """Caps, credits, daily quotas and the rule of unique names."""
    found = await visit.read(_quotas)
    return View("group_settings.html", {"quotas": found})


async def _quotas(ctx: Context) -> list[Quota]:
    return [await quotas.get(ctx, list_type) for list_type in quotas.LIST_TYPES]


async def change_settings(visit: Visit) -> Reply:
    """Set what the operator may set, as `longlist accounts set` does."""
    form = visit.form
    credits_text = form.get("credits").strip()
    values: dict[str, int | bool | None] = {
        "uniqueAudienceNames": form.get("uniqueAudienceNames") == "on",
        "maxResultsCap": _whole(form.get("maxResultsCap"), "maxResultsCap", 1, _MOST),
        "fileRowsCap": _whole(form.get("fileRowsCap"), "fileRowsCap", 1, _MOST),
        "credits": None if not credits_text else _whole(credits_text, "credits", 0, _MOST_CREDITS),
    }
    for list_type in quotas.LIST_TYPES:
        name = f"{accounts.QUOTA}{list_type}"
        text = form.get(name).strip()
        values[name] = None if not text else _whole(text, name, 0, _MOST)
    assert visit.group is not None
    visit.act = ("group.limits", visit.group.name)
    try:
        await visit.change(accounts.set_values, values)
    except accounts.NamesCollide as error:
        raise invalid("uniqueAudienceNames", str(error)) from None
    return Redirect(f"{visit.here}/settings?note=saved")


def _whole(text: str, field: str, least: int, most: int) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise invalid(field, "Write a whole number, digits only.")
    value = int(digits)
    if not least <= value <= most:
        raise invalid(field, f"Write a number from {least:,} to {most:,}.")
    return value
