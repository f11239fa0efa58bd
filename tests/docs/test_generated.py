"""The reference pages are those that the code of this moment makes."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from longlist.app import OPERATIONS
from longlist.settings import Settings
from tests.docs.pages import ROOT


def _generator() -> ModuleType:
    """The script, which finds its own neighbours as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        return importlib.import_module("generate")


PAGES: dict[str, str] = _generator().pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    kept = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert kept == PAGES[name], "run: .venv/bin/python docs/generate.py"


def test_nothing_is_left_out() -> None:
    assert all(
        f"LONGLIST_{name.upper()}" in PAGES["settings.md"] for name in Settings.__struct_fields__
    )
    assert all(
        f"`{operation.method} {operation.path}`" in PAGES["operations.md"]
        for operation in OPERATIONS
    )


def test_every_generated_page_is_a_page_of_the_reference() -> None:
    kept = {path.name for path in (ROOT / "docs" / "reference").glob("*.md")}
    assert set(PAGES) <= kept
