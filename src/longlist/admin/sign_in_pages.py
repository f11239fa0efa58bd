"""Signing in and out, and the one-time link by which a user comes to be."""

from __future__ import annotations

import hashlib
from typing import Final

from longlist.admin import PATH, store
from longlist.admin.passwords import is_outdated, refusal_of
from longlist.admin.visit import Redirect, Reply, View, Visit, own_target
from longlist.context import Context
from longlist.errors import NotFound, RateLimited
from longlist.telemetry import log
from longlist.text import BadText, fold, one_line

MOST_BY_USER: Final = 5
"""Failed attempts for one user name within `store.WINDOW_MS`."""
MOST_BY_ADDRESS: Final = 20
"""Failed attempts from one client address within `store.WINDOW_MS`."""
NAME_CHARACTERS: Final = 64
_LONGEST_NAME: Final = 255


async def show(visit: Visit) -> Reply:
    """The sign-in form."""
    if visit.session is not None:
        return Redirect(PATH)
    return View(
        "sign_in.html",
        {
            "next": visit.parameter("next"),
            "name": "",
            "refused": None,
            "has_users": await visit.read(store.has_users),
        },
    )


async def sign_in(visit: Visit) -> Reply:
    """Check a name and password, and begin a session under a fresh token."""
    name, password = visit.form.get("name")[:_LONGEST_NAME].strip(), visit.form.get("password")
    by_user, by_address = _subject("user", fold(name)), _subject("address", visit.address)
    wait_ms = await visit.change(_count, by_user, by_address)
    if wait_ms is not None:
        log.warning("sign-in locked", trace_id=visit.request.trace_id)
        raise _locked(wait_ms)
    user = await visit.read(store.find_user, name)
    hasher = visit.passwords
    right = await hasher.is_right(password[:1025], None if user is None else user.password)
    if not right or user is None:
        log.warning("sign-in refused", trace_id=visit.request.trace_id)
        values = {
            "next": visit.form.get("next"),
            "name": name,
            "refused": "That name and password do not go together.",
            "has_users": True,
        }
        return View("sign_in.html", values, status=401)
    if is_outdated(user.password):
        await visit.change(store.replace_hash, user.id, await hasher.hash_of(password))
    token = await visit.change(_begin, user, visit.token, (by_user, by_address))
    log.info("signed in", trace_id=visit.request.trace_id, user_id=user.id.hex())
    return Redirect(own_target(visit.form.get("next")), (visit.session_cookie(token),))


async def sign_out(visit: Visit) -> Reply:
    """End the session in the database, whatever becomes of the cookie."""
    await visit.change(store.delete_session, visit.token)
    return Redirect(f"{PATH}/sign-in", (visit.session_cookie(None),))


async def show_setup(visit: Visit, token: str) -> Reply:
    """The form of a one-time link."""
    link = await visit.read(store.find_link, token)
    if link is None:
        raise _no_link()
    return _setup_form(link, "", None)


async def set_up(visit: Visit, token: str) -> Reply:
    """Use a one-time link: a user with a password, signed in."""
    link = await visit.read(store.find_link, token)
    if link is None:
        raise _no_link()
    name, password = visit.form.get("name"), visit.form.get("password")
    try:
        name = one_line(name, NAME_CHARACTERS) if link.user is None else link.user.name
    except BadText as error:
        return _setup_form(link, name, f"The name cannot be used. {error.message}")
    refused = refusal_of(password, name)
    if refused is None and password != visit.form.get("again"):
        refused = "The two passwords are not the same."
    if refused is not None:
        return _setup_form(link, name, refused)
    kept = await visit.passwords.hash_of(password)
    try:
        session = await visit.change(_follow, token, name, kept, visit.token)
    except store.NameTaken:
        return _setup_form(link, name, "There is a user of this name already.")
    return Redirect(PATH, (visit.session_cookie(session),))


def _setup_form(link: store.Link, name: str, refused: str | None) -> View:
    values = {"link": link, "name": name, "refused": refused}
    return View("setup.html", values, status=200 if refused is None else 400)


def _no_link() -> NotFound:
    return NotFound(
        "This link has been used or has expired.",
        "Make another on the server with: longlist admin link",
    )


def _subject(kind: str, value: str | bytes) -> bytes:
    raw = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return hashlib.sha256(kind.encode() + b":" + raw).digest()


async def _count(ctx: Context, by_user: bytes, by_address: bytes) -> int | None:
    # The address first: one that is locked cannot fill the table with names.
    wait_ms = await store.count_attempt(ctx, by_address, MOST_BY_ADDRESS)
    if wait_ms is not None:
        return wait_ms
    return await store.count_attempt(ctx, by_user, MOST_BY_USER)


async def _begin(
    ctx: Context, user: store.User, old_token: str, subjects: tuple[bytes, bytes]
) -> str:
    """A new session in place of the one the browser had; this attempt was no failure."""
    await store.forget_expired(ctx)
    await store.delete_session(ctx, old_token)
    await store.forgive(ctx, subjects[0])
    await store.forgive_one(ctx, subjects[1])
    await store.note_act(ctx, user.name, "signed.in")
    return await store.create_session(ctx, user.id)


async def _follow(ctx: Context, token: str, name: str, password: str, old_token: str) -> str:
    link = await store.use_link(ctx, token)
    if link is None:
        raise _no_link()
    if link.user is None:
        user = await store.create_user(ctx, name=name, password=password)
        await store.note_act(ctx, user.name, "user.joined")
    else:
        user = link.user
        await store.set_password(ctx, user.id, password)
        await store.note_act(ctx, user.name, "password.changed")
    await store.forgive(ctx, _subject("user", fold(user.name)))
    await store.delete_session(ctx, old_token)
    return await store.create_session(ctx, user.id)


def _locked(wait_ms: int) -> RateLimited:
    wait_s = -(-wait_ms // 1000)
    error = RateLimited(
        limit=MOST_BY_USER,
        remaining=0,
        retry_after_s=wait_s,
        message="Too many failed attempts to sign in.",
    )
    minutes = -(-wait_s // 60)
    error.details = (
        f"Try again in {minutes} minute{'' if minutes == 1 else 's'}, or make a link on the server"
        " with: longlist admin link"
    )
    return error
