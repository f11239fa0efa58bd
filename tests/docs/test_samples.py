"""Every sample of the documentation is run, in order, and prints what the page shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, RUN, SHOWN, blocks, needs_server, script, steps
from tests.docs.reader import DATABASE, Failure, Reader

NOT_RUN_AT_MOST = 16
"""Samples that a test cannot run, each with its reason on the page."""


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _has_samples(page: Path) -> bool:
    found = blocks(page.read_text(encoding="utf-8"))
    return any(block.language in RUN and block.not_run is None for block in found)


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if _has_samples(p)], ids=_name)
def test_a_page_does_what_it_shows(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for tool in ("bash", "curl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: the samples of the documentation are not run")
    url = ""
    if DATABASE in page.read_text(encoding="utf-8"):
        url = request.getfixturevalue("postgres").new_database()
    home = tmp_path / "longlist"
    home.mkdir()
    failure: Failure | None = None
    try:
        with Reader(home, url) as reader:
            if needs_server(page):
                reader.start_server()
            for step in script(page, reader.home):
                reader.follow(step)
    except Failure as found:
        failure = found
    if failure is not None:
        pytest.fail(f"{_name(page)}, {failure}", pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_blocks_say_what_they_are(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{_name(page)}, line {block.line}"
        assert block.language in RUN | SHOWN, f"{where}: {block.language or 'no language'}"
        if block.language == "console":
            assert steps(block), f"{where}: nothing to run"
        if block.not_run is not None:
            assert block.language in RUN, f"{where}: not a sample anyway"
            assert len(block.not_run) > 10, f"{where}: say why it cannot be run"


def test_few_samples_are_not_run() -> None:
    found = [block for page in PAGES for block in blocks(page.read_text(encoding="utf-8"))]
    not_run = [block for block in found if block.not_run is not None]
    run = [block for block in found if block.language in RUN and block.not_run is None]
    assert len(not_run) <= NOT_RUN_AT_MOST
    assert len(run) > 2 * len(not_run)
