"""Which server and key a command uses, profiles, exit codes, completion."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from longlist.console import Trouble
from longlist.limits import Rate
from longlist.remote import profiles
from longlist.remote.connection import target
from tests.cli.desk import Desk, at_terminal
from tests.harness.tenant import Tenant

AWAY = {"LONGLIST_URL": None, "LONGLIST_API_KEY": None}


def keep(desk: Desk, name: str, *more: str, key: str | None = None) -> None:
    args = ("profile", "add", name, "--url", desk.url, "--key-file", "-", *more)
    desk.run(*args, stdin=(key or desk.key) + "\n", environ=AWAY)


def test_a_profile_is_kept_for_its_owner_alone(desk: Desk) -> None:
    keep(desk, "acme")
    keep(desk, "spare", "--account-group", desk.tenant.group.hex())
    file = desk.folder / "config" / "longlist" / "profiles.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    listed = json.loads(desk.run("profile", "list", "--json").out)
    assert listed == [
        {"name": "acme", "url": desk.url, "accountGroup": None, "current": True},
        {
            "name": "spare",
            "url": desk.url,
            "accountGroup": desk.tenant.group.hex(),
            "current": False,
        },
    ]
    made = desk.tenant.audience("Seen")
    assert [line[0] for line in desk.run("audiences", "list", environ=AWAY).lines] == [made["id"]]
    desk.run("profile", "use", "spare")
    desk.run("profile", "remove", "acme")
    assert desk.run("audiences", "list", environ=AWAY).lines[0][0] == made["id"]
    desk.run("profile", "remove", "spare")
    said = desk.run("audiences", "list", code=2, environ=AWAY)
    assert "profile add" in said.err
    assert "spare" in desk.run("profile", "use", "spare", code=3).err


def test_a_profile_that_others_can_read_is_not_used(desk: Desk) -> None:
    keep(desk, "acme")
    file = desk.folder / "config" / "longlist" / "profiles.toml"
    file.chmod(0o640)
    assert "chmod 600" in desk.run("audiences", "list", code=1, environ=AWAY).err
    file.chmod(0o600)
    file.write_text("current = 3")
    assert "cannot be used" in desk.run("audiences", "list", code=1, environ=AWAY).err


def test_a_profile_is_checked_with_its_server(desk: Desk) -> None:
    args = ("profile", "add", "bad", "--url", desk.url, "--key-file", "-")
    bad = "llk_" + "a" * 49
    assert "does not take this key" in desk.run(*args, stdin=bad, code=4).err
    desk.run(*args, "--account-group", "0" * 24, stdin=desk.key, code=4)
    desk.run("profile", "add", "bad name", "--url", desk.url, "--key-file", "-", code=2)
    desk.run("profile", "add", "bad", "--url", "ftp://x", "--key-file", "-", code=2)
    assert json.loads(desk.run("profile", "list", "--json").out) == []
    desk.run(*args, "--no-check", stdin=bad)
    assert "longlist keys create" in desk.run("whoami", "--profile", "bad", code=4).err


def test_a_key_typed_at_a_terminal_is_not_shown(desk: Desk) -> None:
    environ = {k: v for k, v in desk.environ.items() if k not in AWAY}
    args = ("profile", "add", "typed", "--url", desk.url)
    code, seen = at_terminal(environ, *args, typed=desk.key + "\n", hidden=True)
    assert code == 0, seen
    assert "Kept typed" in seen
    assert json.loads(desk.run("whoami", "--json", environ=AWAY).out)["name"] == "A key"


def test_a_key_goes_to_its_own_server_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    kept = profiles.Profiles("home", {"home": profiles.Profile("http://home.example", "llk_home")})
    profiles.save(kept)
    assert profiles.load() == kept

    def chosen(*options: str | None, **environ: str) -> tuple[str, str]:
        url, key, profile = options or (None, None, None)
        found = target(url, key, profile, None, environ)
        assert found is not None
        assert found.key not in repr(found)
        return found.url, found.key

    home = ("http://home.example", "llk_home")
    env = {"LONGLIST_URL": "http://env.example", "LONGLIST_API_KEY": "llk_env"}
    assert chosen() == home
    assert chosen(**env) == ("http://env.example", "llk_env")
    assert chosen(LONGLIST_KEY="llk_old", LONGLIST_URL="http://old.example/") == (
        "http://old.example", "llk_old",
    )  # fmt: skip
    both = {**env, "LONGLIST_KEY": "llk_old"}
    assert chosen(**both)[1] == "llk_env"
    assert chosen("http://opt.example", "llk_opt", None, **env) == ("http://opt.example", "llk_opt")
    assert chosen(None, None, "home", **env) == home
    assert chosen(None, None, None, LONGLIST_PROFILE="home") == home
    for url, profile in (("http://opt.example", None), ("http://x.example", "home")):
        with pytest.raises(Exception, match="key"):
            target(url, None, profile, None, {})
    with pytest.raises(Exception, match="needs a key"):
        target(None, None, None, None, {"LONGLIST_URL": "http://env.example"})
    with pytest.raises(Trouble, match="There are: home"):
        target(None, None, "work", None, {})


def test_who_the_key_is(desk: Desk) -> None:
    shown = desk.run("whoami").lines
    assert ["url", desk.url] in shown
    assert desk.json("whoami")["accountGroups"][0]["id"] == desk.tenant.group.hex()


def test_exit_codes_and_what_to_do_next(desk: Desk) -> None:
    def said(code: int, *args: str, **environ: str) -> str:
        return desk.run(*args, code=code, environ=environ).err

    _, reads = desk.tenant.make_key(["audiences:read"])
    assert "audiences:write" in said(4, "audiences", "create", "A", LONGLIST_API_KEY=reads)
    assert "whoami" in said(4, "audiences", "list", "--account-group", "0" * 24)
    _, slow = desk.tenant.make_key(rate=Rate(1, 1))
    assert desk.run("whoami", environ={"LONGLIST_API_KEY": slow}).code == 0
    assert "Try again in" in said(6, "whoami", LONGLIST_API_KEY=slow)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert nobody in said(7, "whoami", LONGLIST_URL=nobody)
    _, two = desk.tenant.make_key(groups=[desk.tenant.group, Tenant(desk.tenant.server).group])
    assert "--account-group" in said(2, "audiences", "list", LONGLIST_API_KEY=two)
    desk.tenant.set(uniqueAudienceNames=True)
    desk.tenant.audience("Taken")
    assert "another name" in said(8, "audiences", "create", "Taken")
    assert "audiences" in said(2, "audiences", "lost")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    program = tmp_path / "longlist"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m longlist "$@"\n')
    program.chmod(0o755)
    script = subprocess.run(
        [program, "--show-completion", "bash"],
        env={"PATH": "/usr/bin:/bin", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    (tmp_path / "completion.sh").write_text(script)
    typed = """
        source ./completion.sh
        function_name=$(complete -p longlist | grep -oE '_[a-z_]+completion')
        for line in "longlist aud" "longlist audiences re" "longlist jobs watch --pro"; do
            COMP_WORDS=($line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
            $function_name longlist
            echo "${COMPREPLY[@]}"
        done
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", typed],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, cwd=tmp_path,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["audiences", "rename", "--profile"], done.stderr


def test_starting_needs_neither_the_client_nor_rich() -> None:
    code = (
        "import sys; import longlist.cli;"
        " print([m for m in ('longlist_client', 'httpx2', 'rich', 'mcp', 'pydantic')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
