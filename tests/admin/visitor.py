"""A browser without scripts: cookies, forms with their token, and what stands on a page."""

from __future__ import annotations

import html
import http.client
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from argon2 import PasswordHasher

from longlist.admin import store
from longlist.admin.visit import COOKIE
from longlist.context import Context
from longlist.ids import new_id
from tests.harness.server import PATIENCE_S, Longlist

PASSWORD = "a long list of words"
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
"""A cheap hash: signing in checks it as it checks any, and then stores a dear one."""
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


@dataclass
class Shown:
    """An answer. `text` is its body, `cookies` what it sets, each as it was sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def to(self) -> str:
        """Where the answer leads."""
        assert self.status == 303, (self.status, self.text[:500])
        return self.headers["location"]

    @property
    def plain(self) -> str:
        """The text without tags."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.text)).split())

    def expect(self, status: int) -> Shown:
        assert self.status == status, f"{self.status}, not {status}: {self.plain[:800]}"
        return self


class Visitor:
    """Keeps cookies and the token of the last page, as a browser does."""

    def __init__(self, server: Longlist) -> None:
        self.server = server
        self.jar: dict[str, str] = {}
        self.csrf = ""

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Shown:
        """One request, and what every answer below /admin has to hold."""
        sent = {"Cookie": "; ".join(f"{n}={v}" for n, v in self.jar.items()), **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, {n: v for n, v in sent.items() if v})
            answer = connection.getresponse()
            pairs = [(name.lower(), value) for name, value in answer.getheaders()]
            content = answer.read()
        finally:
            connection.close()
        cookies = [value for name, value in pairs if name == "set-cookie"]
        for text in cookies:
            name, _, value = text.partition(";")[0].partition("=")
            self.jar[name] = value
        shown = Shown(answer.status, dict(pairs), content, cookies)
        check(shown)
        found = re.search(rb'"X-CSRF-Token":"([^"]+)"', content)
        if found:
            self.csrf = found[1].decode()
        return shown

    def get(self, path: str, *, htmx: bool = False) -> Shown:
        return self.send("GET", path, headers={"HX-Request": "true"} if htmx else None)

    def post(
        self,
        path: str,
        form: Any = (),
        *,
        htmx: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Shown:
        """Send a form, with the token of the last page unless the form brings one."""
        pairs = list(form.items()) if isinstance(form, dict) else list(form)
        if "csrf" not in dict(pairs):
            pairs.append(("csrf", self.csrf))
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        if htmx:
            sent["HX-Request"] = "true"
        return self.send("POST", path, urlencode(pairs).encode(), sent)

    def upload(self, path: str, content: bytes, filename: str = "people.csv", **more: str) -> Shown:
        """Send a file as the browser does: a form of one part, the token in a header."""
        body = (
            (
                f'--x\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
                "Content-Type: text/csv\r\n\r\n"
            ).encode()
            + content
            + b"\r\n--x--\r\n"
        )
        headers = {"Content-Type": "multipart/form-data; boundary=x", "X-CSRF-Token": self.csrf}
        return self.send("POST", path, body, headers | more)

    def sign_in(self, name: str, password: str = PASSWORD, **more: str) -> Shown:
        self.get("/admin/sign-in")
        return self.post("/admin/sign-in", {"name": name, "password": password, **more})

    @property
    def session(self) -> str:
        return self.jar[COOKIE]


def check(shown: Shown) -> None:
    """Assert the headers of every page, and that nothing in it is inline."""
    kind = shown.headers.get("content-type", "")
    if shown.headers["cache-control"] != "public, max-age=31536000, immutable":
        assert {name: shown.headers.get(name) for name in HEADERS} == HEADERS
    assert re.fullmatch("[0-9a-f]{32}", shown.headers["x-trace-id"])
    assert "server" not in shown.headers
    for cookie in shown.cookies:
        assert "; Path=/admin; HttpOnly; SameSite=Lax" in cookie
    if not kind.startswith("text/html"):
        return
    _Inspector().feed(shown.text)
    assert "None" not in shown.plain.split(), shown.plain


class _Inspector(HTMLParser):
    """Asserts of each tag that nothing in it is inline."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag not in ("style", "base", "iframe", "object", "embed"), tag
        assert tag != "script" or (given["src"] or "").startswith("/admin/static/")
        for name, value in attrs:
            assert name != "style", tag
            assert not name.startswith(("on", "hx-on")), (tag, name)
            assert not (value or "").strip().lower().startswith(("javascript:", "js:")), (tag, name)
            if name in ("href", "src", "action") and not (value or "").startswith("/"):
                assert value == "#main" or (given.get("rel") or "").startswith("noopener"), value


def make_user(server: Longlist, name: str | None = None) -> str:
    """A user with PASSWORD; its name."""
    name = name or f"user {new_id().hex()}"

    async def body(ctx: Context) -> None:
        await store.create_user(ctx, name=name, password=HASH)

    server.write(body)
    return name


def signed_in(server: Longlist) -> Visitor:
    """Somebody who has a session, with a token for forms."""
    visitor = Visitor(server)
    user = server.write(store.find_user, make_user(server))
    visitor.jar[COOKIE] = server.write(store.create_session, user.id)
    visitor.get("/admin/groups").expect(200)
    return visitor
