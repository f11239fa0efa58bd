"""Which server a command talks to and with which key, and the things it names there.

An address and a key always come from one place, so that the key of one server is never sent to
another. The first of these that gives a key is taken whole:

1. `--key`, with `--url` or `LONGLIST_URL`
2. `--profile`
3. `LONGLIST_API_KEY` (or `LONGLIST_KEY`, its older name), with `--url` or `LONGLIST_URL`
4. `LONGLIST_PROFILE`
5. the current profile

Without an address it is the one that a server with the settings of this environment listens on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import typer

from longlist.console import Trouble, load_settings, program
from longlist.remote import profiles
from longlist.remote.exits import Exit, explained

if TYPE_CHECKING:
    from longlist_client import AccountGroup, Longlist

    from longlist.settings import Settings

KEY_VARIABLES: Final = ("LONGLIST_API_KEY", "LONGLIST_KEY")
URL_VARIABLE: Final = "LONGLIST_URL"
PROFILE_VARIABLE: Final = "LONGLIST_PROFILE"
_TIMEOUT_S: Final = 60.0
_ID: Final = re.compile(r"[0-9a-f]{24}\Z")
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")
_NAMES_SHOWN: Final = 5


@dataclass(frozen=True)
class Target:
    """A server, a key, and the account group that was asked for, if one was."""

    url: str
    key: str = field(repr=False)
    account_group: str | None = None


def target(
    url: str | None,
    key: str | None,
    profile: str | None,
    account_group: str | None,
    environ: Mapping[str, str] | None = None,
) -> Target | None:
    """Where to go, from options and environment; None where nothing gives a key.

    Raises typer.BadParameter for options that contradict each other, and for an address that no
    key comes with.
    """
    environ = os.environ if environ is None else environ
    if profile is not None and (key is not None or url is not None):
        raise typer.BadParameter("A --profile has an address and a key of its own.")
    given = next((environ[name] for name in KEY_VARIABLES if environ.get(name)), None)
    if key is not None or (profile is None and given is not None):
        address = url or environ.get(URL_VARIABLE) or own_url(load_settings())
        return Target(checked_url(address), key or given or "", account_group)
    if profile is None and (url or environ.get(URL_VARIABLE)):
        raise typer.BadParameter(
            f"An address needs a key: set {KEY_VARIABLES[0]}, or add a profile with"
            f" `{program()} profile add`."
        )
    kept = profiles.load()
    name = profile or environ.get(PROFILE_VARIABLE) or kept.current
    if not name:
        return None
    found = profiles.named(kept, name)
    return Target(checked_url(found.url), found.key, account_group or found.account_group or None)


def checked_url(text: str) -> str:
    """An address without its last slash. Raises typer.BadParameter."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and not (parts.username or parts.query or parts.fragment)
        usable = usable and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise typer.BadParameter(
            "The address must be like https://longlist.example.com, without user or query."
        )
    return text.rstrip("/")


def own_url(settings: Settings) -> str:
    """Where a server with these settings is reached from its own machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


class Remote:
    """A server as the commands see it. Close it, or use it in a `with`."""

    def __init__(self, where: Target, *, as_json: bool = False) -> None:
        self.url = where.url
        self.as_json = as_json
        self._where = where

    @cached_property
    def client(self) -> Longlist:
        """The client of the server."""
        from longlist_client import ConfigurationError, Longlist

        try:
            return Longlist(
                self._where.key, base_url=self.url, timeout=_TIMEOUT_S, transport=direct(self.url)
            )
        except ConfigurationError as error:
            raise typer.BadParameter(str(error)) from error

    @cached_property
    def account(self) -> AccountGroup:
        """The account group to work in: the one asked for, or the only one of the key."""
        wanted = self._where.account_group
        if wanted is not None:
            return self.client.account(wanted)
        groups = self.client.accounts.list_page(limit=200).items
        if len(groups) != 1:
            known = ", ".join(f"{group.id} ({group.name})" for group in groups) or "none"
            raise Trouble(
                f"Name the group with --account-group. The key reaches: {known}.", Exit.USAGE
            )
        return self.client.account(groups[0].id)

    def audience_id(self, text: str) -> str:
        """The id of an audience that is given by its id or by its exact name. Raises Trouble."""
        if _ID.match(text):
            return text
        found = the_one_named(self.account, text)
        if found is None:
            raise Trouble(_unknown(self.account, text), Exit.NOT_FOUND)
        return found

    def close(self) -> None:
        """Hang up."""
        if "client" in self.__dict__:
            self.client.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def direct(url: str) -> Any:
    """A transport around the environment's proxy for a server on this machine, else None."""
    import httpx2

    return httpx2.HTTPTransport() if is_local(url) else None


def is_local(url: str) -> bool:
    """Whether the server is on this machine, where no proxy leads."""
    return urlsplit(url).hostname in _LOCAL


def the_one_named(account: AccountGroup, name: str) -> str | None:
    """The id of the audience with exactly this name, also while it is being filled.

    None where there is none. Raises Trouble where there are several.
    """
    from longlist.text import BadText, one_line

    try:
        wanted = one_line(name, 255)
    except BadText:
        return None
    every = account.audiences.list(q=wanted, include="filling", limit=200)
    found = [audience.id for audience in every if audience.name == wanted]
    if len(found) > 1:
        raise Trouble(
            f"{len(found)} audiences have this name: {', '.join(found)}. Give the id of one, or"
            " rename one.",
            Exit.USAGE,
        )
    return found[0] if found else None


def _unknown(account: AccountGroup, text: str) -> str:
    from longlist.remote.exits import clean
    from longlist.text import BadText, one_line

    try:
        wanted = one_line(text, 255)
        near = account.audiences.list_page(q=wanted, include="filling", limit=_NAMES_SHOWN).items
    except BadText:
        near = []
    names = ", ".join(f"{audience.name} ({audience.id})" for audience in near)
    similar = f" Names that contain it: {clean(names)}." if names else ""
    return (
        f"There is no audience with the name {clean(text, 64)!r}.{similar} See them all with"
        f" `{program()} audiences list`."
    )


@contextmanager
def opened(where: Target | None, *, as_json: bool = False) -> Iterator[Remote]:
    """The server of a target; what the client raises inside becomes Trouble.

    Raises typer.BadParameter for no target.
    """
    if where is None:
        raise typer.BadParameter(
            f"No server is known: set {URL_VARIABLE} and {KEY_VARIABLES[0]}, or add a profile with"
            f" `{program()} profile add`."
        )
    with explained(where.url), Remote(where, as_json=as_json) as remote:
        yield remote
