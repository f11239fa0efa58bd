"""What the server runs with, who may sign in here, and one's own password."""

from __future__ import annotations

from importlib.metadata import version

from longlist import settings as settings_module
from longlist.admin import PATH, store
from longlist.admin.passwords import refusal_of
from longlist.admin.visit import Redirect, Reply, View, Visit, invalid
from longlist.context import Context
from longlist.errors import NotFound


async def show(visit: Visit) -> Reply:
    """The settings in effect without secrets, and the users."""
    effective = settings_module.effective(visit.installation.settings)
    values = {
        "settings": {f"LONGLIST_{name.upper()}": value for name, value in effective.items()},
        "defaults": {
            f"LONGLIST_{name.upper()}": value
            for name, value in settings_module.effective(settings_module.Settings()).items()
        },
        "version": version("longlist"),
        "database": await visit.db.version(),
        "users": await visit.read(store.list_users),
        "note": visit.parameter("note"),
    }
    return View("settings.html", values)


async def change_password(visit: Visit) -> Reply:
    """Another password for oneself; sessions elsewhere end."""
    assert visit.session is not None
    user, form = visit.session.user, visit.form
    if not await visit.passwords.is_right(form.get("current")[:1025], user.password):
        raise invalid("current", "That is not your present password.")
    refused = refusal_of(form.get("password"), user.name)
    if refused is not None:
        raise invalid("password", refused)
    if form.get("password") != form.get("again"):
        raise invalid("again", "The two passwords are not the same.")
    kept = await visit.passwords.hash_of(form.get("password"))
    visit.act = ("password.changed", None)
    token = await visit.change(_begin_again, user.id, kept)
    return Redirect(f"{PATH}/settings?note=password", (visit.session_cookie(token),))


async def _begin_again(ctx: Context, user_id: bytes, password: str) -> str:
    await store.set_password(ctx, user_id, password)
    return await store.create_session(ctx, user_id)


async def invite(visit: Visit) -> Reply:
    """A one-time link for a further user."""
    visit.act = ("user.invited", None)
    token = await visit.change(store.create_link)
    return View("link_made.html", {"path": f"{PATH}/setup/{token}"})


async def show_remove(visit: Visit, user_id: bytes) -> Reply:
    """What removing a user means, before it is done."""
    return View("user_remove.html", {"other": await visit.read(_other, visit, user_id)})


async def remove(visit: Visit, user_id: bytes) -> Reply:
    """Remove another user, whose sessions end."""
    visit.act = ("user.removed", (await visit.read(_other, visit, user_id)).name)
    await visit.change(_remove, visit, user_id)
    return Redirect(f"{PATH}/settings?note=removed")


async def _other(ctx: Context, visit: Visit, user_id: bytes) -> store.User:
    assert visit.session is not None
    if user_id == visit.session.user.id:
        raise invalid("user", "You cannot remove yourself.")
    for user in await store.list_users(ctx):
        if user.id == user_id:
            return user
    raise NotFound("There is no such user.", "Choose one of the list of users.")


async def _remove(ctx: Context, visit: Visit, user_id: bytes) -> None:
    await store.delete_user(ctx, (await _other(ctx, visit, user_id)).id)
