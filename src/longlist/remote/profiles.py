"""Profiles: servers and keys that a person uses often, in a file that nobody else may read.

    current = "acme"

    [profiles.acme]
    url = "https://longlist.example.com"
    key = "llk_..."
    account_group = "66a1f0c2d4e5f60718293a4b"

The file is `~/.config/longlist/profiles.toml`, or below `XDG_CONFIG_HOME` where that is set. It is
written whole and put in its place in one step, with mode 600, and is not read while others could.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from longlist.console import Trouble, program
from longlist.remote.exits import Exit

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class Profile(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A server and a key for it. `account_group` empty: the only one the key reaches."""

    url: str
    key: str
    account_group: str = ""

    def __repr__(self) -> str:
        return f"Profile({self.url!r})"


class Profiles(msgspec.Struct, forbid_unknown_fields=True):
    """Every profile by its name, and which is used where none is named."""

    current: str = ""
    profiles: dict[str, Profile] = {}


def path() -> Path:
    """Where the profiles are kept."""
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    # The specification of these folders has relative paths ignored.
    base = Path(configured) if os.path.isabs(configured) else Path.home() / ".config"
    return base / "longlist" / "profiles.toml"


def load() -> Profiles:
    """The profiles; none where there is no file. Raises Trouble."""
    file = path()
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if mode & 0o077:
                raise Trouble(f"Others can read {file}, which holds keys. Run: chmod 600 {file}")
            found: Any = tomllib.load(opened)
        return msgspec.convert(found, Profiles)
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        raise Trouble(f"{file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        # The text of either error tells places and types, never a value.
        raise Trouble(f"{file} cannot be used: {error}. Mend it, or delete it.") from error


def save(kept: Profiles) -> None:
    """Write the file. Raises Trouble."""
    file = path()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(_written(kept))
                opened.flush()
                os.fsync(opened.fileno())
            Path(name).replace(file)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise Trouble(f"{file} cannot be written: {error.strerror}.") from error


def _written(kept: Profiles) -> str:
    lines = [f"current = {_quoted(kept.current)}"] if kept.current else []
    for name, profile in kept.profiles.items():
        lines += ["", f"[profiles.{_quoted(name)}]"]
        members: dict[str, str] = msgspec.to_builtins(profile)
        lines += [f"{member} = {_quoted(value)}" for member, value in members.items()]
    return "\n".join(lines).lstrip("\n") + "\n"


def _quoted(text: str) -> str:
    # JSON writes a text as TOML does, except for DEL, which no name, address or key can hold.
    return json.dumps(text, ensure_ascii=False)


def named(kept: Profiles, name: str) -> Profile:
    """The profile of a name. Raises Trouble."""
    found = kept.profiles.get(name)
    if found is None:
        known = ", ".join(kept.profiles) or "none"
        raise Trouble(
            f"There is no profile {name[:64]!r}. There are: {known}. Add one with"
            f" `{program()} profile add NAME --url URL`.",
            Exit.NOT_FOUND,
        )
    return found
