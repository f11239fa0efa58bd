"""What the browser tests work with: a running site, a page that is watched, and looking at it."""

from __future__ import annotations

import csv
import http.client
import importlib.util
import json
import os
import re
import sqlite3
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from longlist.ids import first_id
from tests.cli.place import Place

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = 1280, 390
HEIGHT = 820
RULES = {
    (DESKTOP, "dark"): ["color-contrast"],
    (PHONE, "light"): [],
    (PHONE, "dark"): ["color-contrast", "target-size", "scrollable-region-focusable"],
}
"""What is checked of each; all there is where nothing is named."""
TALLEST = 1100
"""Of longer pages the pictures show this much."""
DAY_MS = 86_400_000
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of [45]\d\d")
SCREENSHOTS = Path(
    os.environ.get("LONGLIST_SCREENSHOTS")
    or Path(__file__).parents[2].joinpath("build", "screenshots")
)


def missing(reason: str) -> None:
    """Skip loudly, or fail where a browser is required."""
    if os.environ.get("LONGLIST_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def axe_source() -> str:
    """The script of axe-core, as its Python package carries it."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        missing("NO AXE FOUND: the admin pages were not checked for accessibility")
        raise AssertionError
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


class Site:
    """A running installation with one user, and the API of its first account group."""

    def __init__(self, place: Place, url: str, printed: str) -> None:
        self.place, self.url = place, url
        self.setup = str(re.findall(r"http\S+/admin/setup/\S+", printed)[0])
        self.group = str(re.findall(r"account group\s+([0-9a-f]{24})", printed)[0])
        self.key = str(re.findall(r"llk_\w{49}", printed)[0])
        self.pages = f"{url}/admin/g/{self.group}"
        self.cookies: Any = None

    def api(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Status and JSON of a request to the API; bytes are sent as CSV."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        kind = "text/csv" if isinstance(body, bytes) else "application/json"
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": kind}
        target = path.replace("AG", f"/v1/accounts/{self.group}")
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, target, raw, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def data(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.api(method, path, body)
        assert status < 300, answer
        return answer["data"]

    def fill(self, name: str, source: dict[str, Any]) -> Any:
        """The job of a new audience, once it has ended."""
        started = self.data("POST", "AG/prospecting", {"audienceName": name, **source})
        return self.ended(started["jobId"])

    def ended(self, job_id: str) -> Any:
        """A job at its end."""
        for _ in range(600):
            job = self.data("GET", f"AG/prospecting/{job_id}")
            if job["status"] not in ("queued", "running"):
                return job
            time.sleep(0.1)
        raise AssertionError("The job did not end.")

    def has_grown(self, audience_id: str) -> None:
        """Let an audience look as if it had been filled by a job a day for weeks."""
        today = int(time.time() * 1000) // DAY_MS
        group, audience = bytes.fromhex(self.group), bytes.fromhex(audience_id)
        size = self.data("GET", f"AG/audiences/{audience_id}")["prospectCount"]
        with sqlite3.connect(self.place.data / "longlist.sqlite3", timeout=60) as database:
            for ago in range(28, 0, -1):
                at = (today - ago) * DAY_MS + 9 * 3_600_000
                added, failed = 300 * (5 + (ago * 7) % 23), 90 * (ago % 3)
                counts = (added * 2 + failed, added, added // 2, added - added // 2, 0, failed)
                database.execute(
                    "INSERT INTO prospecting_jobs (account_group_id, id, audience_id, source_kind,"
                    " source, status, received, added, updated, unchanged, skipped, failed,"
                    " progress, enqueued, created_at, updated_at, started_at, finished_at)"
                    " VALUES (?, ?, ?, 'linkedin_search', '', 'completed', ?, ?, ?, ?, ?, ?,"
                    " 10000, 1, ?, ?, ?, ?)",
                    (group, first_id(at), audience, *counts, at, at, at, at + 4200),
                )
                database.execute(
                    "INSERT INTO audience_sizes VALUES (?, ?, ?, ?, ?)",
                    (group, audience, at // 3_600_000, at, size * (30 - ago) ** 2 // 900),
                )


class Watched:
    """A page that is signed in, and what it complained of."""

    def __init__(self, page: Page, site: Site, width: int) -> None:
        self.page, self.site, self.width = page, site, width
        self.complaints: list[str] = []
        self.faults: list[str] = []
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._request(request.url))

    def _console(self, kind: str, text: str) -> None:
        # What a form is refused with is shown on the page; the console tells of it too.
        if kind in ("error", "warning") and not REFUSED.match(text):
            self.complaints.append(text)

    def _request(self, url: str) -> None:
        if not url.startswith((f"{self.site.url}/admin", f"{self.site.url}/favicon")):
            self.complaints.append(url)

    def another(self) -> Watched:
        """A further page of the same browser window."""
        return Watched(self.page.context.new_page(), self.site, self.width)

    def go(self, path: str) -> Page:
        self.page.goto(path if path.startswith("http") else f"{self.site.pages}{path}")
        return self.page

    def look(self, name: str) -> None:
        """Keep pictures of the page in light and dark, and note what somebody could not use.

        Everything is checked on the desktop in light. In dark the colours differ, on a phone the
        sizes and what scrolls.
        """
        page = self.page
        page.evaluate(axe_source())
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            self._keep(f"{name}-{self.width}-{scheme}.png")
            violations = self._violations(RULES.get((self.width, scheme)))
            self.faults += [
                f"{name}, {scheme}: {v['id']} {[n['html'] for n in v['nodes']][:2]}"
                for v in violations
            ]
            background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            is_dark = sum(map(int, re.findall(r"\d+", background)[:3])) < 384
            if is_dark is not (scheme == "dark"):
                self.faults.append(f"{name} is not {scheme}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > self.width:
            self.faults.append(f"{name} is {wide} wide")
        page.emulate_media(color_scheme="light", reduced_motion="reduce")

    def _violations(self, rules: list[str] | None) -> list[Any]:
        """What axe says against the page by some rules, or by all."""
        if rules == []:
            return []
        options = "" if rules is None else f"{{runOnly: {rules}}}"
        found: list[Any] = self.page.evaluate(f"axe.run({options}).then(done => done.violations)")
        return found

    def _keep(self, name: str) -> None:
        """A picture of the window where a dialog is open, else of the page's upper end."""
        is_open = self.page.evaluate("document.querySelector('dialog[open]') !== null")
        tall = self.page.evaluate("document.documentElement.scrollHeight")
        clip: Any = {"x": 0, "y": 0, "width": self.width, "height": min(tall, TALLEST)}
        path = SCREENSHOTS / name
        if is_open:
            self.page.screenshot(path=path)
        else:
            self.page.screenshot(path=path, full_page=True, clip=clip)


def people(folder: Path, rows: int, failed: set[int]) -> Path:
    """A file of so many people, of whom those in `failed` have no good address."""
    path = folder / "trade-fair_2026.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(("First Name", "Last Name", "E-Mail", "Company", "Position", "Notes"))
        for n in range(rows):
            email = "not an address" if n in failed else f"guest{n}.{rows}@example.com"
            writer.writerow(
                (f"Guest{n}", "Sample", email, f"Example {n % 300}", "CTO", f"note {n}")
            )
    return path
