"""Every sample of the README runs, in order, against a real `longlist serve` with its worker."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.place import Place

from longlist_client import Longlist

README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server with one account group and key, both in the environment."""
    place = Place(tmp_path)
    with place.serving() as running:
        monkeypatch.setenv("LONGLIST_URL", running.url)
        monkeypatch.setenv("LONGLIST_API_KEY", re.findall(r"llk_\w{49}", running.printed)[0])
        monkeypatch.chdir(tmp_path)
        yield


@pytest.mark.usefixtures("serving")
def test_the_samples_print_what_they_show() -> None:
    blocks = _BLOCK.findall(README.read_text(encoding="utf-8"))
    languages = [language for language, _, _ in blocks]
    assert {"python", "text", "csv", "console"} == set(languages)
    space: dict[str, object] = {"__name__": "readme"}
    printed = ""
    clients: list[Longlist] = []
    for language, name, content in blocks:
        if language == "csv":
            Path(name).write_text(content, encoding="utf-8")
        elif language == "python":
            assert printed == "", "a sample that prints is followed by what it prints"
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(content, str(README), "exec"), space)
            printed = out.getvalue()
            clients += [value for value in space.values() if isinstance(value, Longlist)]
        elif language == "text":
            assert printed == content
            printed = ""
    for client in clients:
        client.close()
