"""`longlist profile`: servers and keys that are used often; and `longlist whoami`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from longlist.console import Trouble, id_of
from longlist.remote import profiles
from longlist.remote.completion import profile_names
from longlist.remote.exits import Exit
from longlist.remote.printing import Column, show_json, show_list, show_record

if TYPE_CHECKING:
    from longlist_client import Me

    from longlist.remote.connection import Remote

app = typer.Typer(
    help="Servers and keys of yours, by name.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.")]
Known = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The profile's name.", autocompletion=profile_names),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_COLUMNS: Final = (
    Column("NAME", lambda profile: profile["name"]),
    Column("URL", lambda profile: profile["url"]),
    Column("ACCOUNT GROUP", lambda profile: profile["accountGroup"]),
    Column("CURRENT", lambda profile: profile["current"]),
)


@app.command()
def add(
    name: Name,
    *,
    url: Annotated[str, typer.Option(metavar="URL", help="The server.")],
    key_file: Annotated[
        Path | None, typer.Option(help="A file with the key; - is the input. Else it is asked for.")
    ] = None,
    account_group: Annotated[
        str | None, typer.Option(metavar="ID", help="Needed where the key reaches several.")
    ] = None,
    use: Annotated[bool, typer.Option("--use", help="Make it the current one.")] = False,
    check: Annotated[bool, typer.Option(help="Ask the server what the key may do.")] = True,
) -> None:
    """Keep a server and a key. The first profile is the current one."""
    from longlist.remote.connection import Target, checked_url, opened

    if not profiles.NAME.match(name):
        raise typer.BadParameter("A profile's name is made of letters, digits, dots, dashes and _.")
    if account_group is not None:
        id_of(account_group, "an account group")
    kept = profiles.load()
    profile = profiles.Profile(checked_url(url), _key(key_file), account_group or "")
    if check:
        with opened(Target(profile.url, profile.key, account_group)) as remote:
            me = remote.client.me()
            groups = {group.id: group.name for group in me.account_groups}
            if account_group is not None and account_group not in groups:
                raise Trouble(
                    f"The key does not reach the account group {account_group}.", Exit.REFUSED
                )
    kept.profiles[name] = profile
    if use or not kept.current:
        kept.current = name
    profiles.save(kept)
    current = ", which is the current one" if kept.current == name else ""
    typer.echo(f"Kept {name}{current}, in {profiles.path()}.")


def _key(file: Path | None) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise typer.BadParameter("Nobody can be asked for the key here: give a --key-file.")
        text = typer.prompt("Key", hide_input=True, err=True)
    elif str(file) == "-":
        text = sys.stdin.readline()
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Trouble(f"{file} cannot be read.") from error
    key = str(text).strip()
    if not key or not all("!" <= character <= "~" for character in key):
        raise Trouble("That is no key: a key starts with llk_ and is one word.", Exit.USAGE)
    return key


@app.command("list")
def list_(json: Json = False) -> None:
    """List profiles. Keys are not shown."""
    kept = profiles.load()
    rows = [
        {
            "name": name,
            "url": profile.url,
            "accountGroup": profile.account_group or None,
            "current": name == kept.current,
        }
        for name, profile in kept.profiles.items()
    ]
    show_list(rows, _COLUMNS, as_json=json)


@app.command()
def use(name: Known) -> None:
    """Make a profile the current one."""
    kept = profiles.load()
    profiles.named(kept, name)
    kept.current = name
    profiles.save(kept)
    typer.echo(f"{name} is the current profile.")


@app.command()
def remove(name: Known) -> None:
    """Forget a profile. Its key stays valid until it is revoked on the server."""
    kept = profiles.load()
    profiles.named(kept, name)
    del kept.profiles[name]
    if kept.current == name:
        kept.current = ""
    profiles.save(kept)
    typer.echo(f"Removed {name}.")


def whoami(remote: Remote) -> None:
    """Show what the key may do, and where."""
    me = remote.client.me()
    if remote.as_json:
        show_json(me)
        return
    show_record(_facts(remote, me), me, as_json=False)


def _facts(remote: Remote, me: Me) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("url", remote.url),
        ("name", me.name),
        ("keyId", me.key_id),
        ("expiresAt", me.expires_at),
        ("rateLimit", f"{me.rate_limit.per_minute} a minute, {me.rate_limit.burst} at once"),
        ("permissions", " ".join(me.permissions)),
    ]
    for group in me.account_groups:
        credits_ = "unlimited" if group.credits.unlimited else f"{group.credits.available}"
        facts.append(("accountGroup", f"{group.id} {group.name} (credits: {credits_})"))
    return facts
