"""Who may use the admin pages: users, sessions, one-time links, failed attempts; what they did.

Operators look after the whole installation, so nothing here belongs to an account group. Of
sessions and links only hashes are kept: whoever reads the database cannot sign in with it.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import msgspec

from longlist.context import Context
from longlist.db import Row, UniqueViolation
from longlist.ids import first_id, new_id, time_of
from longlist.text import fold

_MINUTE_MS: Final = 60_000
IDLE_MS: Final = 12 * 60 * _MINUTE_MS
"""A session ends when it has not been used for this long."""
LONGEST_MS: Final = 30 * 24 * 60 * _MINUTE_MS
"""A session ends this long after its beginning, however much it is used."""
LINK_MS: Final = 24 * 60 * _MINUTE_MS
"""A link that was not followed is void after this."""
WINDOW_MS: Final = 15 * _MINUTE_MS
"""Failed attempts are counted from the first of them on for this long."""
ACTS_KEPT_MS: Final = 400 * 24 * 60 * _MINUTE_MS
"""The audit goes back so far: a year, and some time to look at it."""
_SEEN_EVERY_MS: Final = _MINUTE_MS


class NameTaken(Exception):
    """There is a user of this name already."""


class User(msgspec.Struct, frozen=True):
    """An operator. `password` is its hash. Times are milliseconds since 1970."""

    id: bytes
    name: str
    password: str
    created_at: int
    signed_in_at: int | None


class Session(msgspec.Struct, frozen=True):
    """A valid session and whose it is."""

    user: User
    created_at: int
    seen_at: int

    def is_due(self, now: int) -> bool:
        """True when its last use has to be stored anew."""
        return now - self.seen_at >= _SEEN_EVERY_MS


class Link(msgspec.Struct, frozen=True):
    """A valid one-time link: for a new user, or for the new password of one there is."""

    user: User | None


class Act(msgspec.Struct, frozen=True):
    """What an operator did to the installation; `act` is a code of the pages' words."""

    id: bytes
    actor: str
    act: str
    about: str | None

    @property
    def at(self) -> int:
        return time_of(self.id)


_USER: Final = "id, name, password, created_at, signed_in_at"


def new_token() -> str:
    """A fresh secret for a session or a link: 256 random bits."""
    return secrets.token_urlsafe(32)


def _hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _user(row: Row) -> User:
    return User(*row)


async def has_users(ctx: Context) -> bool:
    """False until somebody has followed the first link."""
    return await ctx.tx.one("SELECT 1 FROM admin_users LIMIT 1") is not None


async def list_users(ctx: Context) -> list[User]:
    """Every user in the order in which they came."""
    return [_user(row) for row in await ctx.tx.all(f"SELECT {_USER} FROM admin_users ORDER BY id")]


async def find_user(ctx: Context, name: str) -> User | None:
    """The user of this name, in whatever case it is written, or None."""
    row = await ctx.tx.one(f"SELECT {_USER} FROM admin_users WHERE name_folded = $1", fold(name))
    return None if row is None else _user(row)


async def _get_user(ctx: Context, user_id: bytes) -> User:
    row = await ctx.tx.one(f"SELECT {_USER} FROM admin_users WHERE id = $1", user_id)
    if row is None:
        raise LookupError("The user is gone.")
    return _user(row)


async def create_user(ctx: Context, *, name: str, password: str) -> User:
    """Add a user; `password` is the hash. Raises NameTaken."""
    id_ = new_id()
    try:
        async with ctx.tx.savepoint():
            await ctx.tx.run(
                "INSERT INTO admin_users (id, name, name_folded, password, created_at)"
                " VALUES ($1, $2, $3, $4, $5)",
                id_, name, fold(name), password, ctx.now,
            )  # fmt: skip
    except UniqueViolation:
        raise NameTaken from None
    return await _get_user(ctx, id_)


async def set_password(ctx: Context, user_id: bytes, password: str) -> None:
    """Give a user another password, of which `password` is the hash; every session of it ends."""
    await ctx.tx.run("UPDATE admin_users SET password = $2 WHERE id = $1", user_id, password)
    await ctx.tx.run("DELETE FROM admin_sessions WHERE user_id = $1", user_id)


async def replace_hash(ctx: Context, user_id: bytes, password: str) -> None:
    """Store the same password under newer parameters; sessions go on."""
    await ctx.tx.run("UPDATE admin_users SET password = $2 WHERE id = $1", user_id, password)


async def delete_user(ctx: Context, user_id: bytes) -> None:
    """Remove a user with all sessions and links; removing the last one is for `admin link`."""
    for statement in (
        "DELETE FROM admin_sessions WHERE user_id = $1",
        "DELETE FROM admin_links WHERE user_id = $1",
        "DELETE FROM admin_users WHERE id = $1",
    ):
        await ctx.tx.run(statement, user_id)


async def create_session(ctx: Context, user_id: bytes) -> str:
    """Begin a session; the token that names it, which is not stored."""
    token = new_token()
    await ctx.tx.run(
        "INSERT INTO admin_sessions (hash, user_id, created_at, seen_at) VALUES ($1, $2, $3, $3)",
        _hash_of(token),
        user_id,
        ctx.now,
    )
    await ctx.tx.run("UPDATE admin_users SET signed_in_at = $2 WHERE id = $1", user_id, ctx.now)
    return token


async def find_session(ctx: Context, token: str) -> Session | None:
    """The session of a token, unless it never was, has ended or has expired."""
    row = await ctx.tx.one(
        "SELECT user_id, created_at, seen_at FROM admin_sessions"
        " WHERE hash = $1 AND created_at > $2 AND seen_at > $3",
        _hash_of(token),
        ctx.now - LONGEST_MS,
        ctx.now - IDLE_MS,
    )
    if row is None:
        return None
    return Session(await _get_user(ctx, row[0]), row[1], row[2])


async def touch_session(ctx: Context, token: str) -> None:
    """Note that a session is in use."""
    await ctx.tx.run(
        "UPDATE admin_sessions SET seen_at = $2 WHERE hash = $1", _hash_of(token), ctx.now
    )


async def delete_session(ctx: Context, token: str) -> None:
    """End a session."""
    await ctx.tx.run("DELETE FROM admin_sessions WHERE hash = $1", _hash_of(token))


async def create_link(ctx: Context, user_id: bytes | None = None) -> str:
    """A link that lets one person set a password once: for a new user, or for the one named."""
    token = new_token()
    await ctx.tx.run(
        "INSERT INTO admin_links (hash, user_id, created_at) VALUES ($1, $2, $3)",
        _hash_of(token),
        user_id,
        ctx.now,
    )
    return token


async def find_link(ctx: Context, token: str) -> Link | None:
    """The link of a token, unless it never was, was used or has expired."""
    row = await ctx.tx.one(
        "SELECT user_id FROM admin_links WHERE hash = $1 AND created_at > $2",
        _hash_of(token),
        ctx.now - LINK_MS,
    )
    if row is None:
        return None
    return Link(None if row[0] is None else await _get_user(ctx, row[0]))


async def use_link(ctx: Context, token: str) -> Link | None:
    """As `find_link`, and of all who come with it only one gets it."""
    link = await find_link(ctx, token)
    used = await ctx.tx.run("DELETE FROM admin_links WHERE hash = $1", _hash_of(token))
    return link if used else None


async def count_attempt(ctx: Context, subject: bytes, most: int) -> int | None:
    """Count an attempt before it is made; milliseconds to wait where it is one too many.

    Counting first keeps attempts that come at once from outrunning the limit.
    """
    row = await ctx.tx.one(
        "INSERT INTO admin_attempts (subject, count, since) VALUES ($1, 1, $2)"
        " ON CONFLICT (subject) DO UPDATE SET"
        " count = CASE WHEN admin_attempts.since <= $3 THEN 1 ELSE admin_attempts.count + 1 END,"
        " since = CASE WHEN admin_attempts.since <= $3 THEN $2 ELSE admin_attempts.since END"
        " RETURNING count, since",
        subject,
        ctx.now,
        ctx.now - WINDOW_MS,
    )
    assert row is not None
    return None if row[0] <= most else max(1, row[1] + WINDOW_MS - ctx.now)


async def forgive(ctx: Context, subject: bytes) -> None:
    """Forget every attempt of a subject."""
    await ctx.tx.run("DELETE FROM admin_attempts WHERE subject = $1", subject)


async def forgive_one(ctx: Context, subject: bytes) -> None:
    """Take back one attempt that turned out to be a good one."""
    await ctx.tx.run("UPDATE admin_attempts SET count = count - 1 WHERE subject = $1", subject)


async def note_act(ctx: Context, actor: str, act: str, about: str | None = None) -> None:
    """Keep what an operator did, in the transaction that does it."""
    await ctx.tx.run(
        "INSERT INTO admin_acts (id, actor, act, about) VALUES ($1, $2, $3, $4)",
        new_id(),
        actor,
        act,
        about,
    )


async def list_acts(ctx: Context, *, before: bytes, limit: int) -> list[Act]:
    """Up to `limit` acts newest first, older than `before`."""
    rows = await ctx.tx.all(
        "SELECT id, actor, act, about FROM admin_acts WHERE id < $1 ORDER BY id DESC LIMIT $2",
        before,
        limit,
    )
    return [Act(*row) for row in rows]


async def forget_expired(ctx: Context) -> None:
    """Delete sessions, links, counts and acts that are past their time."""
    await ctx.tx.run("DELETE FROM admin_acts WHERE id < $1", first_id(ctx.now - ACTS_KEPT_MS))
    await ctx.tx.run(
        "DELETE FROM admin_sessions WHERE created_at <= $1 OR seen_at <= $2",
        ctx.now - LONGEST_MS,
        ctx.now - IDLE_MS,
    )
    await ctx.tx.run("DELETE FROM admin_links WHERE created_at <= $1", ctx.now - LINK_MS)
    await ctx.tx.run("DELETE FROM admin_attempts WHERE since <= $1", ctx.now - WINDOW_MS)
