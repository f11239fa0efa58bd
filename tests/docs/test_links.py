"""Links lead somewhere, every page can be reached, and what pages say of the code is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longlist.keys.secret import is_well_formed
from tests.docs.pages import PAGES, ROOT

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^( *)(```+).*?^\1\2 *$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_PATH = re.compile(
    r"`((?:src/longlist|tests|docs|examples|bench|client)/[\w./-]*\w/?)(?:::(\w+))?`"
)
_KEY = re.compile(r"llk_[0-9A-Za-z]+")
PRIVATE = re.compile(
    r"/(?:tmp|root|work)/|pypi\.org|files\.pythonhosted|\b(?:TODO|FIXME|XXX)\b", re.IGNORECASE
)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


def _targets(page: Path) -> list[tuple[Path, str]]:
    """What the page's links inside the project point to: file and anchor."""
    found = []
    for link in _LINK.findall(_CODE.sub("", _prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        found.append(((page.parent / path).resolve() if path else page, anchor))
    return found


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page: Path) -> None:
    for target, anchor in _targets(page):
        assert target.exists(), f"{_name(page)} links to {target}, which is not there"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in _anchors(target), f"{_name(page)} links to #{anchor} of {target.name}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [target for target, _ in _targets(page) if target.suffix == ".md"]
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_files_and_tests_that_a_page_names_are_there(page: Path) -> None:
    for name, test in _PATH.findall(_prose(page)):
        path = ROOT / name
        assert path.exists(), f"{_name(page)} names {name}"
        if test:
            text = path.read_text(encoding="utf-8")
            assert re.search(rf"def {test}\b", text), f"{_name(page)} names {name}::{test}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_pages_speak_of_the_project_alone(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not PRIVATE.search(text)
    assert not any(map(is_well_formed, _KEY.findall(text))), "a key that may be somebody's"
