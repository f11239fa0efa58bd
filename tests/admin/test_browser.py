"""The admin pages in Chromium, before a real `serve` with its worker.

Screenshots of every page go to the folder that LONGLIST_SCREENSHOTS names, or to the test's own.
"""

from __future__ import annotations

import csv
import http.client
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.admin.visitor import PASSWORD
from tests.cli.place import LEGISLATORS, Place

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROWS = 10_000
QUOTA = 4_000
FAILED = {n for n in range(ROWS) if n % 500 == 7}
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")


def missing(reason: str) -> None:
    """Skip loudly, or fail where a browser is required."""
    if os.environ.get("LONGLIST_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped, or fail where a browser is required."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        missing("NO CHROMIUM FOUND: the admin pages were not looked at in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=CHROMIUM_OPTIONS)
        yield started
        started.close()


class Site:
    """A running installation with one user, and the API of its first account group."""

    def __init__(self, place: Place, url: str, printed: str) -> None:
        self.place, self.url = place, url
        self.setup = str(re.findall(r"http\S+/admin/setup/\S+", printed)[0])
        self.group = str(re.findall(r"account group\s+([0-9a-f]{24})", printed)[0])
        self.key = str(re.findall(r"llk_\w{49}", printed)[0])
        self.pages = f"{url}/admin/g/{self.group}"
        self.cookies: Any = None

    def run(self, *args: str) -> None:
        """Run a command in a process of its own: there is a loop in this one."""
        status, _, said = self.place._run_in_process_of_its_own(args, self.place.environ)
        assert status == 0, said

    def api(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Status and JSON of a request to the API."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        target = path.replace("AG", f"/v1/accounts/{self.group}")
        try:
            connection.request(method, target, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def data(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.api(method, path, body)
        assert status < 300, answer
        return answer["data"]


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, with a user that was made through the link that `serve` prints."""
    place = Place(tmp_path_factory.mktemp("admin"))
    with place.serving() as serving:
        site = Site(place, serving.url, serving.printed)
        context = browser.new_context()
        page = context.new_page()
        page.goto(site.setup)
        page.fill("[name=name]", "ada")
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=again]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(f"{site.pages}/audiences")
        site.cookies = context.storage_state()
        context.close()
        yield site


class Watched:
    """A page that is signed in, and what it complained of."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site
        self.complaints: list[str] = []
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

    def go(self, path: str) -> Page:
        self.page.goto(path if path.startswith("http") else f"{self.site.pages}{path}")
        return self.page


@pytest.fixture
def watch(browser: Browser, site: Site) -> Iterator[Callable[..., Watched]]:
    """Opens a page as a signed-in user; at the end nothing may have been complained of."""
    contexts: list[BrowserContext] = []
    opened: list[Watched] = []

    def open_page(width: int = 1280, scheme: str = "light", *, signed_in: bool = True) -> Watched:
        context = browser.new_context(
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": 820},
            storage_state=site.cookies if signed_in else None,
            reduced_motion="reduce",
        )
        contexts.append(context)
        opened.append(Watched(context.new_page(), site))
        return opened[-1]

    yield open_page
    for context in contexts:
        context.close()
    assert [complaint for watched in opened for complaint in watched.complaints] == []


def people(folder: Path) -> Path:
    """A file of ROWS people, of whom FAILED have no good address."""
    path = folder / "trade-fair_2026.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(("First Name", "Last Name", "E-Mail", "Company", "Position", "Notes"))
        for n in range(ROWS):
            email = "not an address" if n in FAILED else f"guest{n}@example.com"
            writer.writerow(
                (f"Guest{n}", "Sample", email, f"Example {n % 300}", "CTO", f"note {n}")
            )
    return path


def test_signing_in_out_and_being_refused(watch: Callable[..., Watched], site: Site) -> None:
    page = watch(signed_in=False).go("/jobs")
    page.wait_for_url(re.compile("/admin/sign-in[?]"))
    assert page.evaluate("document.activeElement.name") == "name"
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", "not the password")
    page.keyboard.press("Enter")
    page.wait_for_selector(".refused")
    assert "do not go together" in page.inner_text(".refused")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.pages}/jobs")
    assert page.evaluate("document.cookie") == ""
    page.click("[aria-label='Sign out']")
    page.wait_for_url("**/sign-in")
    page.goto(f"{site.pages}/jobs")
    page.wait_for_url(re.compile("/admin/sign-in[?]"))


def test_a_file_is_imported_before_ones_eyes(
    watch: Callable[..., Watched], site: Site, tmp_path: Path
) -> None:
    # A quota holds the job at 40 %, so that what is seen of a running job does not hang on luck.
    site.run("accounts", "set", site.group, f"quota.FILE_IMPORT={QUOTA}")
    watched = watch()
    page = watched.go("/import")
    page.set_input_files("input[type=file]", people(tmp_path))
    page.wait_for_url("**/import/*")
    assert page.input_value("[name=audienceName]") == "Trade fair 2026"
    chosen = page.locator(".mapping select").evaluate_all("all => all.map(one => one.value)")
    assert chosen == ["firstName", "lastName", "email", "company.name", "title", ""]
    page.click("text=Try it first")
    page.wait_for_selector("#answer .tally")
    tried = page.inner_text("#answer .tally .failed")
    assert str(len(FAILED)) in tried
    page.click("text=Start the import")
    page.wait_for_url("**/jobs/*")
    job = page.url

    page.wait_for_function(
        "at => document.querySelector('#progress progress')?.value >= at",
        arg=10_000 * QUOTA // ROWS - 1,
    )
    audience = site.data("GET", f"AG/prospecting/{job.rpartition('/')[2]}")["audienceId"]
    locked_page = watch()
    locked = locked_page.go(f"/audiences/{audience}")
    locked.wait_for_selector("#filling")
    assert "Locked while a file import fills it" in locked.inner_text("#filling")
    locked.click(".pencil")
    locked.wait_for_selector(".editing .locked")
    assert "being filled" in locked.inner_text(".editing .locked")
    assert "40\u202f% done" in locked.inner_text(".editing .locked")
    locked.keyboard.press("Escape")
    locked.wait_for_selector(".editing", state="detached")

    site.run("accounts", "set", site.group, "quota.FILE_IMPORT=unlimited")
    page.wait_for_selector(".ended", timeout=60_000)
    locked.wait_for_selector(".people tbody tr", timeout=60_000)
    assert f"{ROWS:,}".replace(",", "\u202f") in page.inner_text(".ended")
    page.click(".tabs >> text=Failed")
    page.wait_for_url("**?outcome=failed*")
    assert "Not an e-mail address" in page.inner_text("main")
    with page.expect_download() as download:
        page.click("text=Failed rows as CSV")
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert [row["Notes"] for row in rows] == [f"note {n}" for n in sorted(FAILED)]
    assert {row["reason"] for row in rows} == {"INVALID_EMAIL"}
    assert site.data("GET", f"AG/audiences/{audience}")["prospectCount"] == ROWS - len(FAILED)


def test_a_file_that_cannot_be_read_says_why_and_the_next_one_works(
    watch: Callable[..., Watched], tmp_path: Path
) -> None:
    bad = tmp_path / "twice.csv"
    bad.write_text("Email,Email\na,b\n")
    page = watch().go("/import")
    page.set_input_files("input[type=file]", bad)
    page.wait_for_selector("#upload .refused")
    assert "same name" in page.inner_text("#upload .refused")
    page.set_input_files("input[type=file]", LEGISLATORS)
    page.wait_for_url("**/import/*")


def test_an_audience_is_renamed_where_it_stands_and_moved_by_hand_and_by_keys(
    watch: Callable[..., Watched], site: Site
) -> None:
    audience = site.data("POST", "AG/audiences", {"name": "Drag me", "type": "on_demand"})["id"]
    kind = {"name": "By hand", "audienceType": "on_demand"}
    by_hand = site.data("POST", "AG/audiences/folders", kind)["id"]
    by_keys = site.data("POST", "AG/audiences/folders", {**kind, "name": "By keys"})["id"]
    page = watch().go("/audiences")
    row = page.locator(f"tr[data-audience='{audience}']")

    row.locator(".pencil").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".editing input:focus")
    page.keyboard.type("Drag me, renamed")
    page.keyboard.press("Enter")
    row.get_by_role("link", name="Drag me, renamed", exact=True).wait_for()
    assert site.data("GET", f"AG/audiences/{audience}")["name"] == "Drag me, renamed"
    page.wait_for_function("() => document.activeElement.classList.contains('pencil')")

    row.drag_to(page.locator(f"[data-drop='{by_hand}']"))
    page.wait_for_function("() => document.querySelector('tr[data-audience] td:nth-child(3)')")
    row.get_by_role("link", name="By hand").wait_for()
    assert site.data("GET", f"AG/audiences/{audience}")["folderId"] == by_hand

    row.get_by_role("link", name="Move Drag me, renamed").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] input:focus")
    page.locator(f"dialog input[value='{by_keys}']").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    row.get_by_role("link", name="By keys").wait_for()
    assert site.data("GET", f"AG/audiences/{audience}")["folderId"] == by_keys

    row.get_by_role("link", name="Delete Drag me, renamed").click()
    page.click("dialog[open] >> text=Cancel")
    page.wait_for_selector("dialog", state="hidden")
    row.get_by_role("link", name="Delete Drag me, renamed").click()
    page.click("dialog[open] button.danger")
    page.wait_for_selector(".note")
    assert site.api("GET", f"AG/audiences/{audience}")[0] == 404


def test_a_key_is_made_used_and_revoked(watch: Callable[..., Watched], site: Site) -> None:
    page = watch().go(f"{site.url}/admin/keys")
    page.click("text=New key")
    page.wait_for_selector("dialog[open] [name=name]:focus")
    page.click("text=Create the key")
    page.fill("dialog [name=name]", "CRM sync")
    page.click("text=Create the key")
    page.wait_for_selector("dialog .refused")
    assert "at least one permission" in page.inner_text("dialog .refused")
    page.click("text=Read everything")
    page.click("text=Create the key")
    key = page.inner_text("#secret")
    status, me = site.api("GET", "/v1/me", key=key)
    assert status == 200
    assert "audiences:read" in me["data"]["permissions"]
    assert "audiences:write" not in me["data"]["permissions"]
    page.click("text=I have copied it")
    row = page.locator("tr", has_text="CRM sync")
    row.wait_for()
    assert key not in page.content()
    row.get_by_role("link", name="Revoke CRM sync").click()
    page.click("dialog[open] button.danger")
    page.wait_for_selector(".note")
    for _ in range(100):
        if site.api("GET", "/v1/me", key=key)[0] == 401:
            break
        page.wait_for_timeout(100)
    assert site.api("GET", "/v1/me", key=key)[0] == 401


def pages_of(site: Site) -> dict[str, str]:
    """The address of each kind of page, with something on it."""
    audiences = site.data("GET", "AG/audiences?limit=200")["items"]
    full = max(audiences, key=lambda audience: audience["prospectCount"])
    prospect = site.data("GET", f"AG/audiences/{full['id']}/prospects")["items"][0]["id"]
    job = site.data("GET", "AG/prospecting?status=completed")["items"][-1]["jobId"]
    empty = next(audience for audience in audiences if not audience["prospectCount"])
    return {
        "audiences": "/audiences",
        "audience": f"/audiences/{full['id']}",
        "audience-empty": f"/audiences/{empty['id']}",
        "search": f"/audiences/{full['id']}?q=nobody",
        "rename": f"/audiences/{full['id']}/rename",
        "move": f"/audiences/{full['id']}/move",
        "delete": f"/audiences/{full['id']}/delete",
        "prospect": f"/prospects/{prospect}",
        "import": "/import",
        "jobs": "/jobs",
        "job": f"/jobs/{job}",
        "job-failed": f"/jobs/{job}?outcome=failed",
        "activity": "/activity",
        "limits": "/settings",
        "groups": f"{site.url}/admin/groups",
        "keys": f"{site.url}/admin/keys",
        "key-new": f"{site.url}/admin/keys/new",
        "settings": f"{site.url}/admin/settings",
        "error": f"{site.url}/admin/nowhere",
    }


@pytest.fixture(scope="module")
def furnished(site: Site) -> Site:
    """With audiences, folders and a completed job."""
    site.run("import", str(LEGISLATORS), "--audience", "Congress", "--account-group", site.group)
    for name in ("Spring campaign", "Fairs"):
        kind = {"name": name, "audienceType": "on_demand"}
        site.data("POST", "AG/audiences/folders", kind)
    for name in ("Fintech CTOs, Benelux", "Heads of RevOps, DACH", "<script>alert(1)</script>"):
        body = {"name": name, "type": "on_demand", "description": "Series A and later."}
        site.data("POST", "AG/audiences", body)
    return site


def axe_source() -> str:
    """The script of axe-core, as its Python package carries it."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        missing("NO AXE FOUND: the admin pages were not checked for accessibility")
        raise AssertionError
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_fits_reads_and_can_be_used_by_everybody(
    watch: Callable[..., Watched], furnished: Site, tmp_path: Path, width: int, scheme: str
) -> None:
    axe = axe_source()
    folder = Path(os.environ.get("LONGLIST_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    watched = watch(width, scheme)
    found: list[str] = []
    door = watch(width, scheme, signed_in=False)
    for name, path in {"sign-in": "/jobs", **pages_of(furnished)}.items():
        page = (door if name == "sign-in" else watched).go(path)
        if name == "rename":
            # The form alone has no frame: it belongs into a page.
            continue
        page.screenshot(
            path=folder / f"admin-{name}-{width}-{scheme}.png", full_page=name != "jobs"
        )
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{name} is {wide} wide")
        page.evaluate(axe)
        violations = page.evaluate("axe.run().then(result => result.violations)")
        found += [f"{name}: {v['id']} {[n['html'] for n in v['nodes']][:2]}" for v in violations]
        background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 384) is (scheme == "dark")
    assert found == []


@pytest.mark.parametrize("width", [1280, 390])
def test_dialogs_can_be_used_by_everybody(
    watch: Callable[..., Watched], furnished: Site, width: int
) -> None:
    axe = axe_source()
    watched = watch(width)
    for path, opener in (
        ("/audiences", "text=New audience"),
        ("/audiences", "text=New folder"),
        ("/audiences", "tr[data-audience] >> [aria-label^='Move']"),
        ("/audiences", "tr[data-audience] >> [aria-label^='Delete']"),
        (f"{furnished.url}/admin/keys", "text=New key"),
        (f"{furnished.url}/admin/groups", "text=New account group"),
    ):
        page = watched.go(path)
        page.locator(opener).first.click()
        page.wait_for_selector("dialog[open] h2")
        assert page.evaluate("document.activeElement.closest('dialog') !== null")
        page.evaluate(axe)
        violations = page.evaluate("axe.run().then(result => result.violations)")
        assert [(v["id"], v["nodes"][0]["html"]) for v in violations] == []
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="hidden")


def test_the_pages_say_so_when_the_server_is_away(
    watch: Callable[..., Watched], furnished: Site
) -> None:
    watched = watch()
    page = watched.go("/audiences")
    page.context.set_offline(True)
    page.click("text=New audience")
    page.wait_for_selector("#notices .refused")
    assert "could not be reached" in page.inner_text("#notices")
    page.context.set_offline(False)
    page.click("text=New audience")
    page.wait_for_selector("dialog[open] h2")
    watched.complaints.clear()
