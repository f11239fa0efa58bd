"""The documentation as a site: built strictly and without a network, whole, and able to search."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT

DOCS: Final = ROOT / "docs"
NOWHERE: Final = "http://127.0.0.1:9"
"""A proxy that is not there: whoever asks the network for something does not get it."""
LOADED: Final = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
SERIOUS: Final = ("serious", "critical")
CHROMIUM_OPTIONS: Final = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def _builder() -> ModuleType:
    """The script, as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        return importlib.import_module("build_site")


class Built(HTMLParser):
    """What a page of the site links to, loads, names and says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.navigation: list[str] = []
        self.prose = ""
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
            if "md-nav__link" in given.get("class", ""):
                self.navigation.append(given["href"])
        elif LOADED.get(tag, "") in given:
            self.loaded.append(given[LOADED[tag]])
        if tag in ("pre", "code", "script", "style", "article"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open == ["article"]:
            self.prose += data

    def to(self, link: str) -> tuple[Path, str]:
        """The file and the anchor that a link of this page leads to."""
        parts = urlsplit(link)
        file = (self.path.parent / unquote(parts.path)).resolve() if parts.path else self.path
        return file, unquote(parts.fragment)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The pages that there are to be, and the folder where the site was built."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.setenv(name, NOWHERE)
            patch.setenv(name.lower(), NOWHERE)
        patch.setenv("NO_PROXY", "")
        plan = _builder().Site()
        plan.build(folder)
    return plan, folder


@pytest.fixture(scope="module")
def built(site: tuple[Any, Path]) -> dict[Path, Built]:
    """Every HTML page of the site, read."""
    _, folder = site
    return {path: Built(path) for path in folder.rglob("*.html")}


def test_every_page_is_built_and_in_the_navigation(
    site: tuple[Any, Path], built: dict[Path, Built]
) -> None:
    plan, folder = site
    wanted = {(folder / page.target).with_suffix(".html") for page in plan.pages}
    assert wanted == set(built) - {folder / "404.html"}
    assert set(DOCS.rglob("*.md")) <= {page.source for page in plan.pages}
    for page in (built[folder / "tutorial.html"], built[folder / "howto" / "upgrade.html"]):
        assert wanted <= {page.to(link)[0] for link in page.navigation}


def test_no_link_is_broken(site: tuple[Any, Path], built: dict[Path, Built]) -> None:
    _, folder = site
    inside = [
        (page, link)
        for page in built.values()
        if page.path.name != "404.html"
        for link in page.links + page.loaded
        if not re.match(r"[a-z]+:", link)
    ]
    assert len(inside) > 1000
    for page, link in inside:
        file, anchor = page.to(link)
        where = f"{page.path.relative_to(folder)} links to {link}"
        assert file.is_file() and file.is_relative_to(folder), where
        if anchor:
            assert anchor in built[file].anchors, where


def test_nothing_is_loaded_from_elsewhere(site: tuple[Any, Path], built: dict[Path, Built]) -> None:
    _, folder = site
    for page in built.values():
        assert page.loaded
        for address in page.loaded:
            assert not re.match(r"[a-z]+:|//", address), f"{page.path.name} loads {address}"
    styles = list(folder.rglob("*.css"))
    assert styles
    for style in styles:
        text = style.read_text(encoding="utf-8")
        for address in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", text):
            assert not re.match(r"https?:|//", address), f"{style.name} loads {address}"


def test_no_mark_is_left_as_it_was_written(built: dict[Path, Built]) -> None:
    for page in built.values():
        for mark in ("```", "|---", "](", "**", "\n- ", "\n* ", " {: "):
            assert mark not in page.prose, f"{page.path.name} shows {mark!r}"


def test_pages_open_on_a_title_and_a_sentence(
    site: tuple[Any, Path], built: dict[Path, Built]
) -> None:
    _, folder = site
    for page in built.values():
        if page.path == folder / "404.html":
            continue
        head = page.path.read_text(encoding="utf-8").partition("</head>")[0]
        assert re.search(r"<title>[^<]{3,}</title>", head), page.path
        assert re.search(r'<meta name="description" content="[^"]{10,}">', head), page.path


def test_llms_txt_names_every_page_with_its_first_sentence(site: tuple[Any, Path]) -> None:
    plan, folder = site
    text = (folder / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# Longlist\n\n> ")
    entries = re.findall(r"^- \[([^\]]+)\]\(([^)]+)\): (.+)$", text, re.MULTILINE)
    assert [target for _, target, _ in entries] == [page.target for page in plan.pages[1:]]
    whole = (folder / "llms-full.txt").read_text(encoding="utf-8")
    for title, target, sentence in entries:
        page = (folder / target).read_text(encoding="utf-8")
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", page).replace("`", "").replace("**", "")
        assert plain.startswith(f"# {title}\n")
        assert sentence.rstrip(".") in re.sub(r"\s+", " ", plain)
        assert page in whole
    for tab in ("Learn", "How to", "Reference", "Explanations", "Decisions", "Project"):
        assert f"\n## {tab}\n" in text


def test_texts_for_programs_link_to_texts(site: tuple[Any, Path]) -> None:
    plan, folder = site
    found = 0
    for page in plan.pages:
        path = folder / page.target
        prose = re.sub(r"`[^`]*`", "", path.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)\s#]+\.md)", prose):
            assert (path.parent / target).resolve().is_file(), f"{page.target} links to {target}"
            found += 1
    assert found > 100


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (("tutorial.md", "See [this](howto/nothing.md)."), "docs/tutorial.md links to"),
        (("tutorial.md", "See [this](glossary.md#nothing)."), "anchor"),
        (("explain/new.md", "# New\n\nA page that the index does not name."), "docs/explain/new"),
    ],
    ids=["a page that is not there", "an anchor that is not there", "a page left out"],
)
def test_a_mistake_stops_the_build(tmp_path: Path, mistake: tuple[str, str], told: str) -> None:
    names = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    for folder in ("docs", "client", "deploy", "bench", "examples"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder,
            ignore=shutil.ignore_patterns("__pycache__", ".envs", "results"),
        )  # fmt: skip
    for name in names:
        shutil.copy(ROOT / name, tmp_path / name)
    path = tmp_path / "docs" / mistake[0]
    text = path.read_text(encoding="utf-8") + "\n" if path.exists() else ""
    path.write_text(f"{text}{mistake[1]}\n", encoding="utf-8")
    builder = _builder()
    with pytest.raises(builder.SiteError, match=re.escape(told)):
        builder.Site(tmp_path).build(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_the_script_of_the_makefile_builds_the_same(site: tuple[Any, Path], tmp_path: Path) -> None:
    _, folder = site
    again = tmp_path / "site"
    command = [sys.executable, str(DOCS / "build_site.py"), str(again)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Open {again / 'index.html'}\n"
    made = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert made == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    for name in made:
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name


@pytest.mark.browser
def test_the_search_works_from_files_and_asks_nobody(site: tuple[Any, Path]) -> None:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        reason = "NO CHROMIUM FOUND: the site was not looked at in a browser"
        if os.environ.get("LONGLIST_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
    from playwright.sync_api import sync_playwright

    _, folder = site
    asked: list[str] = []
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_OPTIONS)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto((folder / "index.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.keyboard.press("Control+k")
            page.keyboard.type("idempotency", delay=5)
            page.get_by_text("Idempotency and retries").last.wait_for()
            page.keyboard.press("Enter")
            page.wait_for_url("**/*dempotency*")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.goto((folder / "howto" / "write-a-source.html").as_uri())
            found_wrong = Axe().run(page).response["violations"]
            serious = [one["id"] for one in found_wrong if one["impact"] in SERIOUS]
            assert serious == [], scheme
        browser.close()
    assert complaints == []
    assert len(asked) > 3
    for address in asked:
        assert address.startswith((folder.as_uri(), "data:", "about:", "blob:")), address
