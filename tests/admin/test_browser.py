"""The admin pages in Chromium, before a real `serve` with its worker, on a desktop and on a phone.

Pictures of every page, in light and dark, go to the folder that LONGLIST_SCREENSHOTS names, or to
`build/screenshots` of the checkout.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longlist.prospecting.sources.unipile.double import ACCOUNT_ID, TOKEN, Double, in_thread
from tests.admin.browsing import (
    CHROMIUM_OPTIONS,
    DESKTOP,
    HEIGHT,
    PHONE,
    SCREENSHOTS,
    Site,
    Watched,
    missing,
    people,
)
from tests.admin.visitor import PASSWORD
from tests.cli.place import LEGISLATORS, Place

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser

ROWS = 10_000
both_widths = pytest.mark.parametrize("width", [DESKTOP, PHONE])
Watch = Callable[..., Watched]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped, or fail where a browser is required."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        missing("NO CHROMIUM FOUND: the admin pages were not looked at in a browser")
    from playwright.sync_api import sync_playwright

    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=CHROMIUM_OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, with a user that was made through the link that `serve` prints."""
    place = Place(tmp_path_factory.mktemp("admin"))
    with place.serving() as serving:
        site = Site(place, serving.url, serving.printed)
        context = browser.new_context(viewport={"width": DESKTOP, "height": HEIGHT})
        setting_up = Watched(context.new_page(), site, DESKTOP)
        page = setting_up.go(site.setup)
        setting_up.look("set-up")
        page.fill("[name=name]", "ada")
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=again]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(f"{site.pages}/audiences")
        setting_up.look("nothing-yet")
        assert setting_up.faults == []
        site.cookies = context.storage_state()
        context.close()
        yield site


@pytest.fixture
def watch(browser: Browser, site: Site) -> Iterator[Watch]:
    """Opens a page as a signed-in user; at the end nothing may have been complained of."""
    contexts: list[BrowserContext] = []
    opened: list[Watched] = []

    def open_page(width: int = DESKTOP, *, signed_in: bool = True) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            storage_state=site.cookies if signed_in else None,
            reduced_motion="reduce",
        )
        contexts.append(context)
        opened.append(Watched(context.new_page(), site, width))
        return opened[-1]

    yield open_page
    for context in contexts:
        context.close()
    assert [complaint for watched in opened for complaint in watched.complaints] == []
    assert [fault for watched in opened for fault in watched.faults] == []


@both_widths
def test_signing_in_out_and_being_refused(watch: Watch, site: Site, width: int) -> None:
    door = watch(width, signed_in=False)
    page = door.go("/jobs")
    page.wait_for_url(re.compile("/admin/sign-in[?]"))
    door.look("sign-in")
    assert page.evaluate("document.activeElement.name") == "name"
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", "not the password")
    page.keyboard.press("Enter")
    page.wait_for_selector(".refused")
    assert "do not go together" in page.inner_text(".refused")
    door.look("sign-in-refused")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.pages}/jobs")
    assert page.evaluate("document.cookie") == ""
    page.click("[aria-label='Sign out']")
    page.wait_for_url("**/sign-in")
    page.goto(f"{site.pages}/jobs")
    page.wait_for_url(re.compile("/admin/sign-in[?]"))


def set_quota(page: Page, limit: str) -> None:
    """Limit file imports on the page of limits."""
    page.fill("[name='quota.FILE_IMPORT']", limit)
    page.click("main >> text=Save")
    page.wait_for_selector(".note")


@both_widths
def test_a_file_is_imported_before_ones_eyes(
    watch: Watch, site: Site, tmp_path: Path, width: int
) -> None:
    failed = {n for n in range(ROWS) if n % (ROWS // 20) == 7}
    # A quota holds the job at 40 %, so that what is seen of a running job does not hang on luck.
    operator = watch(width)
    used = site.data("GET", "AG/prospecting/quota?listType=FILE_IMPORT")["used"]
    set_quota(operator.go("/settings"), str(used + ROWS * 4 // 10))
    operator.look("limits")
    watched = watch(width)
    page = watched.go("/import")
    watched.look("import")
    page.set_input_files("input[type=file]", people(tmp_path, ROWS, failed))
    page.wait_for_url("**/import/*")
    assert page.input_value("[name=audienceName]") == "Trade fair 2026"
    chosen = page.locator(".mapping select").evaluate_all("all => all.map(one => one.value)")
    assert chosen == ["firstName", "lastName", "email", "company.name", "title", ""]
    watched.look("import-columns")
    page.click("text=Try it first")
    page.wait_for_selector("#answer .tally")
    assert str(len(failed)) in page.inner_text("#answer .tally .failed")
    watched.look("import-tried")
    page.click("text=Start the import")
    page.wait_for_url("**/jobs/*")
    job = page.url
    page.wait_for_function(
        "at => document.querySelector('#progress progress')?.value >= at", arg=3_999
    )
    watched.look("job-running")
    audience = site.data("GET", f"AG/prospecting/{job.rpartition('/')[2]}")["audienceId"]
    locked = operator.go(f"/audiences/{audience}")
    locked.wait_for_selector("#filling")
    assert "Locked while a file import fills it" in locked.inner_text("#filling")
    locked.click(".pencil")
    locked.wait_for_selector(".editing .locked")
    assert "being filled" in locked.inner_text(".editing .locked")
    assert "40\u202f% done" in locked.inner_text(".editing .locked")
    operator.look("audience-locked")
    locked.keyboard.press("Escape")
    locked.wait_for_selector(".editing", state="detached")

    set_quota(operator.another().go("/settings"), "")
    page.wait_for_selector(".ended", timeout=60_000)
    locked.wait_for_selector(".people tbody tr", timeout=60_000)
    assert f"{ROWS:,}".replace(",", "\u202f") in page.inner_text(".ended")
    watched.look("job")
    page.click(".tabs >> text=Failed")
    page.wait_for_url("**?outcome=failed*")
    assert "Not an e-mail address" in page.inner_text("main")
    watched.look("job-failed-rows")
    with page.expect_download() as download:
        page.click("text=Failed rows as CSV")
    lines = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert [line["Notes"] for line in lines] == [f"note {n}" for n in sorted(failed)]
    assert {line["reason"] for line in lines} == {"INVALID_EMAIL"}
    assert site.data("GET", f"AG/audiences/{audience}")["prospectCount"] == ROWS - len(failed)


def test_a_file_that_cannot_be_read_says_why_and_the_next_one_works(
    watch: Watch, tmp_path: Path
) -> None:
    bad = tmp_path / "twice.csv"
    bad.write_text("Email,Email\na,b\n")
    page = watch().go("/import")
    page.set_input_files("input[type=file]", bad)
    page.wait_for_selector("#upload .refused")
    assert "same name" in page.inner_text("#upload .refused")
    page.set_input_files("input[type=file]", LEGISLATORS)
    page.wait_for_url("**/import/*")


@both_widths
def test_an_audience_is_renamed_where_it_stands_and_moved_by_hand_and_by_keys(
    watch: Watch, site: Site, width: int
) -> None:
    audience = site.data("POST", "AG/audiences", {"name": "Drag me", "type": "on_demand"})["id"]
    kind = {"name": f"By hand {width}", "audienceType": "on_demand"}
    by_hand = site.data("POST", "AG/audiences/folders", kind)["id"]
    kind["name"] = f"By keys {width}"
    by_keys = site.data("POST", "AG/audiences/folders", kind)["id"]
    page = watch(width).go("/audiences")
    row = page.locator(f"tr[data-audience='{audience}']")

    row.locator(".pencil").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".editing input:focus")
    page.keyboard.type("Drag me, renamed")
    page.keyboard.press("Enter")
    row.get_by_role("link", name="Drag me, renamed", exact=True).wait_for()
    assert site.data("GET", f"AG/audiences/{audience}")["name"] == "Drag me, renamed"
    page.wait_for_function("() => document.activeElement.classList.contains('pencil')")

    if width == DESKTOP:
        row.drag_to(page.locator(f"[data-drop='{by_hand}']"))
        row.get_by_role("link", name="By hand").wait_for()
        assert site.data("GET", f"AG/audiences/{audience}")["folderId"] == by_hand

    row.get_by_role("link", name="Move Drag me, renamed").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] input:focus")
    page.locator(f"dialog input[value='{by_keys}']").focus()
    page.keyboard.press("Space")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert site.data("GET", f"AG/audiences/{audience}")["folderId"] == by_keys

    row.get_by_role("link", name="Delete Drag me, renamed").click()
    page.click("dialog[open] >> text=Cancel")
    page.wait_for_selector("dialog", state="hidden")
    row.get_by_role("link", name="Delete Drag me, renamed").click()
    page.click("dialog[open] button.danger")
    page.wait_for_selector(".note")
    assert site.api("GET", f"AG/audiences/{audience}")[0] == 404


@both_widths
def test_a_key_is_made_used_and_revoked(watch: Watch, site: Site, width: int) -> None:
    watched = watch(width)
    page = watched.go(f"{site.url}/admin/keys")
    page.click("text=New key")
    page.wait_for_selector("dialog[open] [name=name]:focus")
    page.click("text=Create the key")
    page.fill("dialog [name=name]", f"CRM sync {width}")
    page.click("text=Create the key")
    page.wait_for_selector("dialog .refused")
    assert "at least one permission" in page.inner_text("dialog .refused")
    page.click("text=Read everything")
    watched.look("key-new")
    page.click("text=Create the key")
    key = page.inner_text("#secret")
    watched.look("key-made")
    status, me = site.api("GET", "/v1/me", key=key)
    assert status == 200
    assert "audiences:read" in me["data"]["permissions"]
    assert "audiences:write" not in me["data"]["permissions"]
    page.click("text=I have copied it")
    row = page.locator("tr", has_text=f"CRM sync {width}")
    row.wait_for()
    assert key not in page.content()
    row.get_by_role("link", name=f"Revoke CRM sync {width}").click()
    page.click("dialog[open] button.danger")
    page.wait_for_selector(".note")
    for _ in range(100):
        if site.api("GET", "/v1/me", key=key)[0] == 401:
            break
        page.wait_for_timeout(100)
    assert site.api("GET", "/v1/me", key=key)[0] == 401


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    """A people-search service, with invented people."""
    with in_thread(Double()) as running:
        yield running


def test_a_source_is_added_tested_and_never_shows_its_token(
    watch: Watch, site: Site, double: Double
) -> None:
    watched = watch()
    page = watched.go("/sources")
    watched.look("sources-none")
    page.click("text=Add a source")
    page.wait_for_selector("dialog[open] [name=name]:focus")
    page.fill("dialog [name=name]", "LinkedIn of the sales team")
    page.fill("dialog [name='set.base_url']", double.base_url)
    page.fill("dialog [name='set.account_id']", ACCOUNT_ID)
    page.fill("dialog [name=token]", TOKEN)
    watched.look("source-new")
    page.click("dialog[open] button.primary")
    page.wait_for_selector(".source")
    assert TOKEN not in page.content()
    page.get_by_role("button", name="Test", exact=True).click()
    page.wait_for_selector(".source .note")
    assert "the LinkedIn account is connected" in page.inner_text(".source .note")


@pytest.fixture(scope="module")
def furnished(site: Site, double: Double) -> Site:
    """With audiences, folders, jobs that ended well and badly, a monitor and a suppression."""
    file = site.data("POST", "AG/files", LEGISLATORS.read_bytes())
    congress = site.fill("Congress", {"type": "file_import", "fileId": file["fileId"]})
    site.has_grown(congress["audienceId"])
    for name in ("Spring campaign", "Fairs"):
        kind = {"name": name, "audienceType": "on_demand"}
        site.data("POST", "AG/audiences/folders", kind)
    for name in ("Fintech CTOs, Benelux", "Heads of RevOps, DACH", "<script>alert(1)</script>"):
        body = {"name": name, "type": "on_demand", "description": "Series A and later."}
        site.data("POST", "AG/audiences", body)
    watched = {"name": "New in RevOps", "type": "monitoring"}
    url = "https://www.linkedin.com/search/results/people/?keywords=revops"
    monitor = {
        "source": {"type": "linkedin_search", "searchUrl": url, "maxResults": 40},
        "intervalMinutes": 1440,
    }
    audience = site.data("POST", "AG/audiences", watched)["id"]
    site.data("PUT", f"AG/audiences/{audience}/monitor", monitor)
    entry = {"kind": "domain", "value": "rival.example", "note": "A competitor"}
    site.data("POST", "AG/suppressions", entry)
    entry = {"kind": "email", "value": "no@example.com", "reason": "unsubscribe"}
    site.data("POST", "AG/suppressions", entry)
    return site


def pages_of(site: Site) -> dict[str, str]:
    """The address of each kind of page, with something on it."""
    audiences = site.data("GET", "AG/audiences?limit=200")["items"]
    congress = next(one for one in audiences if one["name"] == "Congress")["id"]
    prospect = site.data("GET", f"AG/audiences/{congress}/prospects")["items"][0]["id"]
    empty = next(one for one in audiences if one["description"])["id"]
    return {
        "audiences": "/audiences",
        "audience": f"/audiences/{congress}?limit=12",
        "audience-empty": f"/audiences/{empty}",
        "audience-search": f"/audiences/{congress}?q=john&limit=12",
        "search-nobody": f"/audiences/{congress}?q=nobody+at+all",
        "people": "/people?limit=12",
        "person": f"/prospects/{prospect}",
        "jobs": "/jobs?limit=12",
        "monitors": "/monitors",
        "sources": "/sources",
        "suppressions": "/suppressions",
        "suppression-found": "/suppressions?q=no@example.com",
        "activity": "/activity?limit=12",
        "groups": f"{site.url}/admin/groups",
        "keys": f"{site.url}/admin/keys",
        "audit": f"{site.url}/admin/audit",
        "server": f"{site.url}/admin/settings",
        "error": f"{site.url}/admin/nowhere",
    }


@both_widths
def test_every_page_fits_reads_and_can_be_used_by_everybody(
    watch: Watch, furnished: Site, width: int
) -> None:
    watched = watch(width)
    for name, path in pages_of(furnished).items():
        watched.go(path)
        watched.look(name)


@both_widths
def test_dialogs_can_be_used_by_everybody(watch: Watch, furnished: Site, width: int) -> None:
    watched = watch(width)
    prospect = pages_of(furnished)["person"]
    for name, path, opener in (
        ("audience-new", "/audiences", "text=New audience"),
        ("folder-new", "/audiences", "text=New folder"),
        ("audience-move", "/audiences", "tr[data-audience] >> [aria-label^='Move']"),
        ("audience-delete", "/audiences", "tr[data-audience] >> [aria-label^='Delete']"),
        ("person-erase", prospect, "text=Erase"),
        ("suppression-new", "/suppressions", "text=Suppress somebody"),
        ("monitor-remove", "/monitors", "[aria-label^='Remove']"),
        ("source-remove", "/sources", "text=Remove"),
        ("group-new", f"{furnished.url}/admin/groups", "text=New account group"),
    ):
        page = watched.go(path)
        page.locator(opener).first.click()
        page.wait_for_selector("dialog[open] h2")
        assert page.evaluate("document.activeElement.closest('dialog') !== null")
        watched.look(name)
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="hidden")


def test_somebody_is_found_and_erased(watch: Watch, furnished: Site) -> None:
    body = {"prospects": [{"name": "Ada Example", "email": "ada@example.com"}]}
    audience = furnished.data("POST", "AG/audiences", {"name": "One", "type": "on_demand"})["id"]
    furnished.data("POST", f"AG/audiences/{audience}/prospects", body)
    watched = watch()
    page = watched.go("/people")
    page.fill("[name=q]", "exAMple ada")
    page.keyboard.press("Enter")
    page.wait_for_url("**?q=*")
    page.click("text=Ada Example")
    page.click("text=Erase")
    page.click("dialog[open] button.danger")
    page.wait_for_selector(".note")
    page.goto(f"{furnished.pages}/suppressions?q=ada@example.com")
    assert "is suppressed" in page.inner_text("main")
    assert furnished.data("GET", f"AG/audiences/{audience}")["prospectCount"] == 0


def test_a_monitor_is_paused_and_resumed(watch: Watch, furnished: Site) -> None:
    page = watch().go("/monitors")
    page.click("text=Pause")
    page.wait_for_selector("tr.paused")
    page.click("text=Resume")
    page.wait_for_selector("tr:not(.paused) >> text=Pause")


def test_the_pages_say_so_when_the_server_is_away(watch: Watch, furnished: Site) -> None:
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
