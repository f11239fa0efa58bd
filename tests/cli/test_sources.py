"""`longlist sources`: providers are set up, asked, given new tokens and removed."""

from __future__ import annotations

import io
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from longlist.prospecting.sources import registry
from tests.cli.place import PATIENCE_S, Place, usage_error
from tests.prospecting.scripted import BADGES, TOKEN, registered

ADD = ("sources", "add", "LinkedIn", "--provider", "scripted")
UNIPILE = (
    "--provider", "unipile", "--set", "base_url=http://127.0.0.1:9",
    "--set", "account_id=acc_1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    """A file with the token, with a line's end as editors leave it."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


def group_of(place: Place, name: str = "One") -> str:
    return str(place.json("accounts", "create", name)["id"])


def test_a_source_is_added_listed_asked_and_removed(place: Place, token_file: str) -> None:
    place.run("migrate")
    group = group_of(place)
    made = place.json(*ADD, "--set", "total=3", "--token-file", token_file)
    message = f"The service answered a token of {len(TOKEN)} characters."
    assert made.pop("message") == message
    assert made.pop("createdAt") == made.pop("updatedAt")
    assert len(made.pop("id")) == 24
    assert made == {
        "accountGroupId": group,
        "name": "LinkedIn",
        "provider": "scripted",
        "serves": ["linkedin_search", "post_commenters", "sales_navigator", "url_upload"],
        "settings": {"total": "3"},
        "hasToken": True,
    }
    (listed,) = place.json("sources", "list")
    assert listed["name"] == "LinkedIn"
    assert place.json("sources", "list", "--account-group", group) == [listed]
    table = place.run("sources", "list")
    assert "total=3" in table
    assert place.run("sources", "test", "LinkedIn") == f"{message}\n"
    assert place.json("sources", "test", "LinkedIn")["message"] == message
    assert place.run("sources", "refresh", "LinkedIn") == f"{message}\n"
    assert TOKEN not in table + str(listed)
    assert place.json("sources", "remove", "LinkedIn") == {"id": listed["id"], "removed": True}
    assert place.json("sources", "list") == []
    assert "none yet" in place.run("sources", "remove", "LinkedIn", code=1)


def test_a_token_is_kept_encrypted(embedded: Place, token_file: str) -> None:
    embedded.run("migrate")
    group_of(embedded)
    printed = embedded.run(*ADD, "--token-file", token_file)
    assert (
        printed == f"Added 'LinkedIn'. The service answered a token of {len(TOKEN)} characters.\n"
    )
    for path in embedded.data.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path
    for command in ("doctor", "accounts list", "sources list"):
        assert TOKEN not in embedded.run(*command.split())


def test_a_token_from_standard_input(
    embedded: Place, token_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.run("migrate")
    group_of(embedded)
    for more in ((), ("--token-file", "-")):
        monkeypatch.setattr(sys, "stdin", io.StringIO("a-token\nanother line\n"))
        assert "a token of 7 characters" in embedded.run(*ADD, *more)
        embedded.run("sources", "remove", "LinkedIn")
    bad = Path(token_file)
    for text in ("", "two words", "täglich", "x" * 4097):
        bad.write_text(text)
        said = embedded.run(*ADD, "--token-file", token_file, code=1)
        assert "one line of visible ASCII" in said
        assert not text or text not in said
    assert "cannot be read" in embedded.run(*ADD, "--token-file", "/dev/null/x", code=1)
    assert embedded.json("sources", "list") == []


def test_a_token_is_asked_for_without_showing_it(embedded: Place) -> None:
    embedded.run("migrate")
    group_of(embedded)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "longlist", "sources", "add", "LinkedIn", *UNIPILE],
        env=embedded.environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while not shown.endswith(b"Token: "):
            shown += os.read(ours, 1024)
        os.write(ours, f"{TOKEN}\n".encode())
        while piece := _read(ours):
            shown += piece
        assert process.wait(PATIENCE_S) == 0, shown
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        os.close(ours)
    assert TOKEN.encode() not in shown
    assert b"Added 'LinkedIn'." in shown
    assert embedded.json("sources", "list")[0]["hasToken"] is True


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1024)
    except OSError:  # how Linux tells that the other end is closed
        return b""


@pytest.mark.parametrize(
    "more",
    [("--set", "does"), ("--set", "=x"), ("--set", "total=1", "--set", "total=1")],
    ids=str,
)
def test_a_setting_is_given_once_and_with_a_value(more: tuple[str, ...]) -> None:
    assert "--set KEY=VALUE" in usage_error(*ADD, *more)


def test_what_the_provider_does_not_take_is_a_usage_error() -> None:
    assert "There is no setting 'colour'." in usage_error(*ADD, "--set", "colour=blue")


def test_an_unknown_provider(embedded: Place) -> None:
    said = embedded.run("sources", "add", "X", "--provider", "nobody", code=1)
    assert "no provider 'nobody'" in said
    assert "badges, directory, rival, scripted, unipile" in said


def test_the_group_is_named_where_there_are_several(place: Place, token_file: str) -> None:
    place.run("migrate")
    assert "none yet" in place.run(*ADD, "--token-file", token_file, code=1)
    one, two = group_of(place), group_of(place, "Two")
    assert two in place.run(*ADD, "--token-file", token_file, code=1)
    for group in (one, two):
        place.run(*ADD, "--token-file", token_file, "--account-group", group)
    assert len(place.json("sources", "list")) == 2
    place.run("sources", "test", "LinkedIn", code=1)
    place.run("sources", "remove", "LinkedIn", "--account-group", one)
    (left,) = place.json("sources", "list")
    assert left["accountGroupId"] == two
    unknown = ("--account-group", "0123456789abcdef01234567")
    assert "no account group" in place.run("sources", "list", *unknown, code=1)


def test_a_second_provider_of_a_kind_is_refused(place: Place, token_file: str) -> None:
    place.run("migrate")
    group_of(place)
    place.run(*ADD, "--token-file", token_file)
    rival = ("sources", "add", "Rival", "--provider", "rival", "--token-file", token_file)
    said = place.run(*rival, code=1)
    assert "post_commenters is served in this account group by 'LinkedIn' (scripted)" in said
    assert "scripted is set up" in place.run(
        "sources", "add", "Two", "--provider", "scripted", "--token-file", token_file, code=1
    )
    for name in ("One", "Two"):
        assert "token of 0" in place.run("sources", "add", name, "--provider", "badges")
    assert len(place.json("sources", "list")) == 3


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("fails", "scripted: The service is closed. Try again in 7 s."),
        ("breaks", "scripted broke: RuntimeError at scripted.py:"),
    ],
)
def test_a_source_that_does_not_load_is_not_added(
    place: Place, token_file: str, does: str, says: str
) -> None:
    place.run("migrate")
    group_of(place)
    said = place.run(*ADD, "--set", f"does={does}", "--token-file", token_file, code=1)
    assert says in said
    assert TOKEN not in said
    assert place.json("sources", "list") == []


def test_what_was_taken_in_is_forgotten(embedded: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []

    async def forget(_installation: Any, _group: bytes, set_up: Any) -> None:
        assert set_up.token is None
        forgotten.append(set_up.name)

    async def load(_installation: Any, _group: bytes, _set_up: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(BADGES, "forget", forget, raising=False)
    embedded.run("migrate")
    group_of(embedded)
    embedded.run("sources", "add", "One", "--provider", "badges")
    embedded.run("sources", "remove", "One")
    monkeypatch.setattr(BADGES, "load", load)
    embedded.run("sources", "add", "Two", "--provider", "badges", code=130)
    assert forgotten == ["One", "Two"]
    assert embedded.json("sources", "list") == []


def test_another_token_is_kept(place: Place, token_file: str) -> None:
    place.run("migrate")
    group_of(place)
    place.run(*ADD, "--token-file", token_file)
    Path(token_file).write_text("short")
    said = place.run("sources", "refresh", "LinkedIn", "--token-file", token_file)
    assert said == "The new token is kept. The service answered a token of 5 characters.\n"
    assert "of 5 characters" in place.run("sources", "test", "LinkedIn")


def test_a_row_that_was_changed_by_hand(embedded: Place, token_file: str) -> None:
    embedded.run("migrate")
    group_of(embedded)
    embedded.run(*ADD, "--token-file", token_file)
    with closing(sqlite3.connect(embedded.data / "longlist.sqlite3")) as raw, raw:
        raw.execute('UPDATE sources SET settings = \'{"total":"9"}\'')
    said = embedded.run("sources", "test", "LinkedIn", code=1)
    assert "The token of the source 'LinkedIn' cannot be decrypted" in said
    embedded.run("sources", "remove", "LinkedIn")


def test_a_package_that_is_gone_or_broken_stops_nothing(
    embedded: Place,
    token_file: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    embedded.run("migrate")
    group_of(embedded)
    embedded.run(*ADD, "--token-file", token_file)
    monkeypatch.setitem(registry.BUILT_IN, "scripted", "tests.prospecting.nowhere:PROVIDER")
    registry.forget()
    assert embedded.json("sources", "list")[0]["serves"] == []
    assert "'scripted' cannot be used: ModuleNotFoundError" in caplog.text
    assert "nothing: the provider is not there" in embedded.run("sources", "list")
    said = embedded.run("sources", "test", "LinkedIn", code=1)
    assert "'scripted' cannot be used: ModuleNotFoundError" in said
    report = embedded.run("doctor")
    assert "scripted cannot be used: ModuleNotFoundError" in report
    assert "1 set up" in report
    embedded.run("sources", "remove", "LinkedIn")
