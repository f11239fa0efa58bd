"""What a shell completes: commands, options, and the values that are known without a server."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout
from unittest.mock import patch

import pytest

from longlist.cli import main
from tests.cli.desk import Desk


def completed(line: str, **environ: str) -> list[str]:
    """What bash offers for a line that is typed to its end."""
    out = io.StringIO()
    asked = {
        **environ,
        "_LONGLIST_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
    }
    with (
        patch.dict(os.environ, asked),
        patch.object(sys, "argv", ["longlist"]),
        redirect_stdout(out),
        pytest.raises(SystemExit) as exit_,
    ):
        main()
    assert not exit_.value.code
    return out.getvalue().split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("longlist audi", ["audiences"]),
        ("longlist audiences re", ["rename"]),
        ("longlist import people.csv --dry", ["--dry-run"]),
        ("longlist import people.csv --map Firm=company.n", ["Firm=company.name"]),
        ("longlist jobs list --status c", ["completed", "cancelled"]),
        ("longlist jobs rows 0123 --outcome un", ["unchanged"]),
        ("longlist audiences export Fair --format nd", ["ndjson"]),
        ("longlist audiences create Fair --type mon", ["monitoring"]),
    ],
)
def test_values_are_completed(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_profiles_are_completed_unless_they_cannot_be_read(desk: Desk) -> None:
    key_file = desk.folder / "key"
    key_file.write_text(desk.key + "\n")
    for name in ("home", "house"):
        desk.run("profile", "add", name, "--url", desk.url, "--key-file", str(key_file))
    config = desk.environ["XDG_CONFIG_HOME"]
    assert completed("longlist profile use ho", XDG_CONFIG_HOME=config) == ["home", "house"]
    line = "longlist jobs list --profile hom"
    assert completed(line, XDG_CONFIG_HOME=config) == ["home"]
    (desk.folder / "config" / "longlist" / "profiles.toml").chmod(0o644)
    assert completed(line, XDG_CONFIG_HOME=config) == []
