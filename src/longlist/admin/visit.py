"""One visit to a page: who asks, for which account group, with which form; and what is answered.

A page's function gets a Visit and gives back a View, a Redirect or a Download. What it wants of
the data it asks of stores, each call in a transaction of its own that is over, and on disk, before
the next line runs. Rules and SQL are the stores'.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from longlist import decoding
from longlist.admin import PATH, store
from longlist.admin.store import LONGEST_MS
from longlist.context import Context
from longlist.errors import Issue, UnsupportedMediaType, ValidationFailed
from longlist.events import store as events

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from longlist.accounts.store import AccountGroup
    from longlist.admin.passwords import Passwords
    from longlist.admin.store import Session
    from longlist.context import Installation
    from longlist.db import Database, Transaction
    from longlist.request import Request

T = TypeVar("T")
COOKIE: Final = "longlist_admin"
GROUP_COOKIE: Final = "longlist_group"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
FORM_LIMIT: Final = 1 << 20
_MOST_FIELDS: Final = 5_000
_OWN_TARGET: Final = re.compile(rf"{PATH}(?:/[A-Za-z0-9_/.-]*)?(?:\?[A-Za-z0-9_=&%.+-]*)?\Z")


class View(msgspec.Struct):
    """A page, or for htmx a part of one: a template and its values."""

    template: str
    values: dict[str, Any] = {}
    status: int = 200
    headers: dict[str, str] = {}


class Redirect(msgspec.Struct):
    """Another page to go to; `cookies` are set on the way."""

    to: str
    cookies: tuple[str, ...] = ()


class Download(msgspec.Struct):
    """A file, sent as it is made. Its first part is made before the answer begins."""

    media_type: str
    filename: str
    chunks: AsyncIterator[bytes]


Reply = View | Redirect | Download


class Form:
    """The fields of a form. A field that is not there is the empty text."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Raises ValidationFailed for what no browser sends."""
        try:
            return cls(
                parse_qsl(
                    raw.decode("ascii"),
                    keep_blank_values=True,
                    errors="strict",
                    max_num_fields=_MOST_FIELDS,
                )
            )
        except ValueError:
            raise ValidationFailed(
                "The form could not be read.", "Load the page again and send the form once more."
            ) from None

    def get(self, name: str) -> str:
        """The last value of a field."""
        return next((value for key, value in reversed(self._pairs) if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a field, such as of checked boxes."""
        return [value for key, value in self._pairs if key == name]

    def given(self, *names: str) -> dict[str, str]:
        """Those of the fields that are filled in, by their names."""
        return {name: value for name in names if (value := self.get(name)) != ""}


class Visit:
    """A request for a page, by a signed-in user unless the page is public."""

    def __init__(
        self, installation: Installation, request: Request, route: str, passwords: Passwords
    ) -> None:
        self.request = request
        self.installation = installation
        self.passwords = passwords
        self.route = self.operation = route
        """Which page; the operation also names whose, and is what cursors are bound to."""
        self.session: Session | None = None
        self.token = ""
        self.groups: list[AccountGroup] = []
        self.group: AccountGroup | None = None
        self.last_group: AccountGroup | None = None
        """What the browser looked at last: the menu goes on leading there."""
        self.form = Form([])
        self.csrf = ""
        self.address = b""
        self.is_secure = False
        self.act: tuple[str, str | None] | None = None
        """What the audit is told of the next change, and about what; None: the events tell."""
        self.is_htmx = request.header_values(b"hx-request") == ["true"]

    @property
    def ctx(self) -> Context:
        """A context for the visit's account group; a new one at each use."""
        group = b"" if self.group is None else self.group.id
        return Context(
            self.installation, group, trace_id=self.request.trace_id, operation=self.operation
        )

    @property
    def here(self) -> str:
        """The path below which the pages of the account group are."""
        assert self.group is not None
        return f"{PATH}/g/{self.group.id.hex()}"

    @property
    def db(self) -> Database:
        return self.installation.db

    async def read(self, body: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """What a store function returns, run in a read that is bounded by a key."""
        found: T = await self.db.read(self._in_context(body, args, kwargs))
        return found

    async def read_long(self, body: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """As `read`, for what may look at many rows."""
        found: T = await self.db.read_long(self._in_context(body, args, kwargs))
        return found

    async def change(self, body: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """What a store function returns; its changes are on disk when this returns."""
        made: T = await self.db.write(self._noted(body, args, kwargs))
        return made

    async def change_one(self, body: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """As `change`, for what writes by one statement, and may read on where that fails.

        Who did it is noted right after: where the process ends between the two, the event has no
        name.
        """
        ctx = self.ctx
        made: T = await self.db.write_single(self._in_context(body, args, kwargs, ctx))
        if ctx.event_ids:
            await self.db.write(self._in_context(self._note, (ctx.event_ids,), {}))
        return made

    async def change_long(self, body: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """As `change`, for what may take more than a few milliseconds."""
        made: T = await self.db.write_long(self._noted(body, args, kwargs))
        return made

    def _in_context(
        self, body: Any, args: Any, kwargs: Any, ctx: Context | None = None
    ) -> Callable[..., Awaitable[Any]]:
        ctx = ctx or self.ctx

        async def inside(tx: Transaction) -> Any:
            ctx.tx = tx
            ctx.event_ids = []
            return await body(ctx, *args, **kwargs)

        return inside

    def _noted(self, body: Any, args: Any, kwargs: Any) -> Callable[..., Awaitable[Any]]:
        """The body, and in the same transaction who changes what."""

        async def noted(ctx: Context) -> Any:
            made = await body(ctx, *args, **kwargs)
            await self._note(ctx, ctx.event_ids or [])
            return made

        return self._in_context(noted, (), {})

    async def _note(self, ctx: Context, event_ids: list[bytes]) -> None:
        if self.session is None:
            return
        actor = self.session.user.name
        if event_ids:
            await events.note_actor(ctx, event_ids, actor)
        if self.act is not None:
            await store.note_act(ctx, actor, *self.act)

    def cookie(self, name: str, value: str, *, lasts_s: int | None = None) -> str:
        """A Set-Cookie that no script reads and no other site can have sent along with a form."""
        parts = [f"{name}={value}", f"Path={PATH}", "HttpOnly", "SameSite=Lax"]
        if lasts_s is not None:
            parts.append(f"Max-Age={lasts_s}")
        if self.is_secure:
            parts.append("Secure")
        return "; ".join(parts)

    def session_cookie(self, token: str | None) -> str:
        """The cookie of a session that begins; None for one that ends."""
        if token is None:
            return self.cookie(COOKIE, "", lasts_s=0)
        return self.cookie(COOKIE, token, lasts_s=LONGEST_MS // 1000)

    def snapshot(self) -> AbstractAsyncContextManager[Any]:
        """A consistent view for a download."""
        return self.db.snapshot()

    async def read_form(self) -> None:
        """Take the form of the request in. Raises UnsupportedMediaType and PayloadTooLarge."""
        if not self.request.sends_body:
            return
        if self.request.media_type() != FORM_TYPE:
            raise UnsupportedMediaType((FORM_TYPE,))
        self.form = Form.parse(await self.request.body(FORM_LIMIT))

    def query(self, decoder: decoding.QueryDecoder[T]) -> T:
        """The query, but for `note`, what is left empty taken for missing.

        Raises ValidationFailed.
        """
        pairs = parse_qsl(self.request.query.decode("latin-1"), errors="replace")
        wanted = [(name, value) for name, value in pairs if name != "note"]
        return decoder.decode(urlencode(wanted, quote_via=quote).encode())

    def parameter(self, name: str) -> str:
        """The last value of a parameter of the query; empty where there is none."""
        pairs = parse_qsl(self.request.query.decode("latin-1"), errors="replace")
        return Form(pairs).get(name)


def own_target(text: str) -> str:
    """A page of ours that a form names, or the first page for anything else."""
    if _OWN_TARGET.match(text) and "//" not in text and "/../" not in text:
        return text
    return PATH


def invalid(field: str, message: str) -> ValidationFailed:
    """The refusal of one field of a form."""
    return ValidationFailed(
        message, "Change it and send the form again.", issues=[Issue(field, "invalid", message)]
    )
