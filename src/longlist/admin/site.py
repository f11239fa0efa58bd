"""The admin pages as one ASGI application: routes, sessions, CSRF, headers, errors as sentences.

The order of guards: unknown path, load, session, request forgery, account group; then the page.
Every answer carries a policy under which only this server's own styles and scripts work, none of
them inline, and may not be framed or kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from contextlib import aclosing
from http.cookies import CookieError, SimpleCookie
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from longlist.accounts import store as accounts
from longlist.admin import PATH, assets, rendering, store
from longlist.admin.passwords import Passwords
from longlist.admin.routing import PAGES, Page, find
from longlist.admin.visit import COOKIE, GROUP_COOKIE, Download, Redirect, Reply, View, Visit
from longlist.db import DatabaseAway, GroupMoves
from longlist.errors import (
    MOVING_RETRY_S,
    Forbidden,
    InternalError,
    LonglistError,
    NotFound,
    Overloaded,
)
from longlist.ids import now_ms, parse_id
from longlist.request import ClientGone, Receive, Request, Scope, Send
from longlist.telemetry import UNKNOWN, log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longlist.accounts.store import AccountGroup
    from longlist.admin.store import Session
    from longlist.context import Context, Installation
    from longlist.gate import Gate
    from longlist.telemetry import Telemetry

FORM_COOKIE: Final = "longlist_form"
"""Names a browser before anybody has signed in, so that the sign-in form has a token too."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)
Headers = list[tuple[bytes, bytes]]


class SignInFirst(Exception):
    """The page is for signed-in users."""


class Site:
    """The pages over an open installation."""

    def __init__(self, installation: Installation, gate: Gate, telemetry: Telemetry) -> None:
        self._installation = installation
        self._gate = gate
        self._telemetry = telemetry
        self._secret = installation.derive(b"admin csrf")
        self._passwords = Passwords()

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, overloaded: bool = False
    ) -> None:
        started = time.perf_counter()
        request = Request(scope, receive)
        path = scope["path"].removeprefix(PATH)
        asset = assets.contents().get(path.removeprefix("/static/"))
        if asset is not None and path.startswith("/static/") and request.method in ("GET", "HEAD"):
            await _send_asset(request, path, asset, send)
            return
        page, values, methods = find(PAGES, path, request.method)
        route = UNKNOWN if page is None else page.path
        visit = Visit(self._installation, request, route, self._passwords)
        visit.is_secure = scope.get("scheme") == "https" or self._is_behind_https(request)
        cookies: list[str] = []
        try:
            status = await self._answer(visit, page, values, methods, overloaded, cookies, send)
        except ClientGone:
            status = 499
        self._telemetry.page(
            request,
            None if page is None else PATH + page.path,
            status,
            time.perf_counter() - started,
            None if visit.session is None else visit.session.user.id,
        )

    async def _answer(
        self,
        visit: Visit,
        page: Page | None,
        values: dict[str, str],
        methods: list[str],
        overloaded: bool,
        cookies: list[str],
        send: Send,
    ) -> int:
        """Send the answer; its status."""
        try:
            if overloaded:
                raise Overloaded
            await self._recognise(visit, cookies)
            if page is None:
                raise _wrong_method(methods) if methods else NotFound.path()
            reply = await self._perform(visit, page, values)
            if visit.group is not None and visit.group is not visit.last_group:
                cookies.append(visit.cookie(GROUP_COOKIE, visit.group.id.hex()))
            if isinstance(reply, Download):
                return await _send_download(visit, reply, send)
        except SignInFirst:
            reply = Redirect(f"{PATH}/sign-in?next={quote(_way_back(visit))}")
        except LonglistError as error:
            reply = _refusal(visit, error)
        except GroupMoves:
            reply = _refusal(visit, Overloaded(MOVING_RETRY_S))
        except DatabaseAway as error:
            log.error("database away", trace_id=visit.request.trace_id, reason=str(error))
            reply = _refusal(visit, Overloaded())
        except ClientGone:
            raise
        except Exception:
            log.exception("request failed", trace_id=visit.request.trace_id)
            reply = _refusal(visit, InternalError())
        return await _send_page(visit, reply, cookies, send)

    async def _recognise(self, visit: Visit, cookies: list[str]) -> None:
        """Find out who asks, and make the token that this visit's forms carry."""
        request = visit.request
        visit.address = self._gate.client_of(request)
        jar = _cookies(request)
        token = jar.get(COOKIE, "")
        if token:
            visit.session, visit.groups = await visit.read(_whose, token)
        if visit.session is not None:
            visit.token = token
            visit.csrf = self._csrf_of(token)
            visit.last_group = _last_group(visit.groups, jar.get(GROUP_COOKIE, ""))
            if visit.session.is_due(now_ms()):
                await visit.change(store.touch_session, token)
            return
        known = jar.get(FORM_COOKIE, "")
        if not known:
            known = secrets.token_urlsafe(24)
            cookies.append(visit.cookie(FORM_COOKIE, known))
        visit.csrf = self._csrf_of(known)

    def _csrf_of(self, token: str) -> str:
        digest = hashlib.blake2b(
            token.encode("utf-8", "replace"), key=self._secret, digest_size=24
        ).digest()
        return base64.urlsafe_b64encode(digest).decode()

    def _is_behind_https(self, request: Request) -> bool:
        """Whether a trusted proxy forwards this, unless it says that the browser came by http."""
        if not self._gate.is_proxy(request.peer):
            return False
        said = request.header_values(b"x-forwarded-proto")
        return not said or said[-1].rpartition(",")[2].strip().lower() != "http"

    async def _perform(self, visit: Visit, page: Page, values: dict[str, str]) -> Reply:
        if visit.session is None and not page.public:
            raise SignInFirst
        if visit.request.method == "POST":
            if not page.uploads:
                await visit.read_form()
            _check_forgery(visit)
        visit.operation = ":".join((page.path, *values.values()))
        reply: Reply = await page.function(visit, *_arguments(visit, values))
        return reply


def _arguments(visit: Visit, values: dict[str, str]) -> list[str | bytes]:
    """What the page's function takes of the path; sets the account group. Raises NotFound."""
    arguments: list[str | bytes] = []
    for name, text in values.items():
        id_ = parse_id(text)
        if name == "token":
            arguments.append(text)
        elif name == "group":
            visit.group = next((group for group in visit.groups if group.id == id_), None)
            if visit.group is None:
                raise _no_group()
        elif id_ is None:
            raise NotFound.path()
        else:
            arguments.append(id_)
    return arguments


def _last_group(groups: list[AccountGroup], id_: str) -> AccountGroup | None:
    """The group a browser looked at last; the only one there is where it has not looked yet."""
    known = next((group for group in groups if group.id.hex() == id_), None)
    return groups[0] if known is None and len(groups) == 1 else known


async def _whose(ctx: Context, token: str) -> tuple[Session | None, list[AccountGroup]]:
    session = await store.find_session(ctx, token)
    if session is None:
        return None, []
    groups = await accounts.list_all_everywhere(ctx)
    return session, sorted(groups, key=lambda group: (group.name.casefold(), group.id))


def _cookies(request: Request) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load("; ".join(request.header_values(b"cookie")))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _check_forgery(visit: Visit) -> None:
    """Raise unless the request comes from a page of ours that this browser was given."""
    request = visit.request
    sites = request.header_values(b"sec-fetch-site")
    sent = request.header_values(b"x-csrf-token") or [visit.form.get("csrf")]
    if (sites and sites[0] not in ("same-origin", "none")) or not hmac.compare_digest(
        sent[0].encode("utf-8", "replace"), visit.csrf.encode()
    ):
        raise Forbidden(
            "The form is out of date.", "Load the page again and send the form once more."
        )


def _no_group() -> NotFound:
    return NotFound("There is no such account group.", "Choose one of the account groups.")


def _wrong_method(methods: list[str]) -> LonglistError:
    from longlist.errors import MethodNotAllowed

    return MethodNotAllowed(methods)


def _way_back(visit: Visit) -> str:
    """Where to go on once signed in: the page that the browser shows or asked for."""
    request = visit.request
    if shown := request.header_values(b"hx-current-url"):
        return urlsplit(shown[0]).path
    return request.path.decode("latin-1") if request.method == "GET" else PATH


def _refusal(visit: Visit, error: LonglistError) -> View:
    """The error as a page, or for htmx as the notice that its form shows."""
    if visit.is_htmx:
        # htmx puts it where the form wants its refusals; a part that is polled stays as it is.
        headers = {} if visit.request.method == "POST" else {"HX-Reswap": "none"}
        return View("refusal.html", {"error": error}, error.status, {**error.headers, **headers})
    return View("error.html", {"error": error}, error.status, dict(error.headers))


async def _send_page(visit: Visit, reply: View | Redirect, cookies: list[str], send: Send) -> int:
    headers: Headers = [(b"x-trace-id", visit.request.trace_id.encode()), *_HEADERS]
    if isinstance(reply, Redirect):
        cookies = [*cookies, *reply.cookies]
        status, body = (200, b"") if visit.is_htmx else (303, b"")
        headers.append((b"hx-redirect" if visit.is_htmx else b"location", reply.to.encode()))
    else:
        status = reply.status
        body = rendering.render(visit, reply).encode()
        headers.append((b"content-type", b"text/html; charset=utf-8"))
        headers += [(n.lower().encode(), v.encode("latin-1")) for n, v in reply.headers.items()]
    headers += [(b"set-cookie", value.encode("latin-1")) for value in cookies]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    is_head = visit.request.method == "HEAD"
    await send({"type": "http.response.body", "body": b"" if is_head else body})
    return status


async def _send_download(visit: Visit, reply: Download, send: Send) -> int:
    chunks: Any = reply.chunks
    async with aclosing(chunks):
        # What refuses the download does so here, while there is still a status to tell it by.
        first = await anext(chunks, b"")
        headers: Headers = [
            (b"x-trace-id", visit.request.trace_id.encode()),
            *_HEADERS,
            (b"content-type", reply.media_type.encode()),
            (b"content-disposition", f'attachment; filename="{reply.filename}"'.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if visit.request.method != "HEAD":
            await send({"type": "http.response.body", "body": first, "more_body": True})
            await _send_rest(chunks, send)
        await send({"type": "http.response.body", "body": b""})
    return 200


async def _send_rest(chunks: AsyncIterator[bytes], send: Send) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _send_asset(request: Request, path: str, body: bytes, send: Send) -> None:
    headers: Headers = [
        (b"x-trace-id", request.trace_id.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"content-type", assets.MEDIA_TYPES[PurePosixPath(path).suffix].encode()),
        (b"cache-control", assets.FOREVER.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    is_head = request.method == "HEAD"
    await send({"type": "http.response.body", "body": b"" if is_head else body})
