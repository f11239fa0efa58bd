"""The interactive reference: its answers over HTTP, and the page as a browser shows it."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from longlist import reference
from tests.harness.server import Longlist, running_longlist, settings_for
from tests.harness.tenant import Tenant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VENDOR = Path(reference.__file__).parent / "vendor"
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def longlist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Longlist]:
    """A server of this module's own: the page asks nothing of the database."""
    with running_longlist(settings_for(tmp_path_factory.mktemp("data-docs"))) as running:
        yield running


def ask(
    server: Longlist, path: str, method: str = "GET"
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def asset_paths(server: Longlist) -> list[str]:
    page = ask(server, "/docs")[2].decode()
    return ["/" + path for path in re.findall(r'(?:src|href)="(docs/[^"]+)"', page)]


def test_page_may_load_from_its_own_server_only(longlist: Longlist) -> None:
    status, headers, body = ask(longlist, "/docs")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Trace-Id"])
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert b"//" not in body.replace(b"<!doctype html>", b"")
    assert b"$" not in body


def test_assets_are_kept_for_good_under_names_that_change_with_them(longlist: Longlist) -> None:
    paths = asset_paths(longlist)
    assert len(paths) == 5
    for path in paths:
        status, headers, body = ask(longlist, path)
        assert status == 200
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert headers["X-Content-Type-Options"] == "nosniff"
        kind = "text/css" if path.endswith(".css") else "text/javascript"
        assert headers["Content-Type"] == f"{kind}; charset=utf-8"
        if "swagger-ui" in path:
            assert f"-{reference.VENDOR_VERSION}." in path
        else:
            assert f"-{hashlib.sha256(body).hexdigest()[:12]}." in path


def test_head_tells_the_length_and_sends_nothing(longlist: Longlist) -> None:
    for path in ("/docs", asset_paths(longlist)[0]):
        length = len(ask(longlist, path)[2])
        status, headers, body = ask(longlist, path, "HEAD")
        assert (status, headers["Content-Length"], body) == (200, str(length), b"")


@pytest.mark.parametrize(
    "path",
    [
        "/docs/",
        "/docs/swagger-ui.css",
        "/docs/reference.js",
        "/docs/page.html",
        "/docs/../settings.py",
        "/docs/vendor/LICENSE",
        "/docs//",
        "/docsx",
    ],
)
def test_other_paths_are_unknown_paths(longlist: Longlist, path: str) -> None:
    status, headers, body = ask(longlist, path)
    answer = json.loads(body)
    assert status == 404
    assert answer["error"]["code"] == "NOT_FOUND"
    assert answer["traceId"] == headers["X-Trace-Id"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "application/json; charset=utf-8"


def test_other_methods_are_refused_with_those_that_work(longlist: Longlist) -> None:
    status, headers, body = ask(longlist, "/docs", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert json.loads(body)["error"]["code"] == "METHOD_NOT_ALLOWED"
    status, headers, body = ask(longlist, "/docs", "OPTIONS")
    assert (status, headers["Allow"], body) == (204, "GET, HEAD, OPTIONS", b"")


def test_vendored_files_are_the_ones_noted_beside_them() -> None:
    text = (VENDOR / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# swagger-ui-dist {reference.VENDOR_VERSION}\n")
    noted = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", text))
    assert set(noted) == {"swagger-ui-bundle.js", "swagger-ui.css"}
    for name, digest in noted.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
    assert "Apache License" in (VENDOR / "LICENSE").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped, or fail where a browser is required."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        reason = "NO CHROMIUM FOUND: the reference page was not looked at in a browser"
        if os.environ.get("LONGLIST_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=CHROMIUM_OPTIONS)
        yield started
        started.close()


class Watched:
    """A page, what it complained of, and what it asked for."""

    def __init__(self, page: Page, server: Longlist) -> None:
        self.page = page
        self.base = f"http://127.0.0.1:{server.port}/"
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(request.url))
        page.on("request", lambda request: self.requests.append(request.url))

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self, fragment: str = "") -> None:
        self.page.goto(f"{self.base}docs{fragment}")
        self.page.wait_for_selector(".opblock-tag")

    def check(self) -> None:
        """Nothing was complained of, and nothing was asked of another server."""
        assert self.complaints == []
        assert self.requests
        for url in self.requests:
            assert url.startswith((self.base, "data:", f"blob:{self.base}")), url


Scheme = Literal["light", "dark"]


def assert_fits(page: Page, scheme: Scheme, width: int) -> None:
    """A page wider than the screen has to be pushed about to be read."""
    assert page.evaluate("document.documentElement.scrollWidth") == width
    is_dark = (
        page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    )
    assert is_dark is (scheme == "dark")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("width", "first", "then"), [(1280, "light", "dark"), (390, "dark", "light")]
)
def test_page_shows_every_operation(
    browser: Browser, longlist: Longlist, width: int, first: Scheme, then: Scheme
) -> None:
    context = browser.new_context(color_scheme=first, viewport={"width": width, "height": 844})
    watched = Watched(context.new_page(), longlist)
    watched.open("#/Audiences/updateAudience")
    page = watched.page
    page.wait_for_selector("#operations-Audiences-updateAudience .opblock-body")
    document = json.loads(ask(longlist, "/openapi.json")[2])
    shown = page.locator(".opblock-tag").evaluate_all("tags => tags.map(tag => tag.dataset.tag)")
    assert shown == [tag["name"] for tag in document["tags"]]
    for tag in shown:
        if tag != "Audiences":
            page.click(f'.opblock-tag[data-tag="{tag}"]')
    operations = sum(len(methods) for methods in document["paths"].values())
    page.wait_for_function(f"document.querySelectorAll('.opblock').length === {operations}")
    assert_fits(page, first, width)
    page.emulate_media(color_scheme=then)
    assert_fits(page, then, width)
    watched.check()
    context.close()


@pytest.mark.browser
def test_a_request_can_be_tried_and_the_key_is_not_kept(
    browser: Browser, longlist: Longlist
) -> None:
    tenant = Tenant(longlist)
    assert tenant.key is not None
    context = browser.new_context()
    watched = Watched(context.new_page(), longlist)
    watched.open("#/Audiences/createAudience")
    page, operation = watched.page, "#operations-Audiences-createAudience"
    page.click(".btn.authorize")
    page.fill(".auth-container input", tenant.key)
    page.click(".auth-btn-wrapper .authorize")
    page.click(".auth-btn-wrapper .btn-done")
    page.click(f"{operation} .try-out__btn")
    page.fill(f'{operation} [data-param-name="accountGroupId"] input', tenant.group.hex())
    page.click(f"{operation} .execute")
    answer = page.wait_for_selector(f"{operation} .live-responses-table tbody .response-col_status")
    assert answer is not None
    assert (answer.text_content() or "").startswith("201")
    assert [a["name"] for a in tenant.get("AG/audiences").data["items"]] == ["Fintech CTOs"]
    kept = page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
    assert kept == [0, 0, ""]
    watched.check()
    context.close()
