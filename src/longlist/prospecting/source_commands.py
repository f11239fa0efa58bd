"""`longlist sources`: the operator sets up people-search providers and directories.

A provider is asked outside any transaction: each command opens the installation for each step.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from longlist.console import (
    Trouble,
    id_of,
    load_settings,
    name_of,
    opened,
    show_json,
    show_table,
    transact,
)

if TYPE_CHECKING:
    from longlist.context import Context, Installation
    from longlist.prospecting.source_store import StoredSource
    from longlist.prospecting.sources.providers import Provider, SetUp

T = TypeVar("T")

app = typer.Typer(
    help="People-search providers and directories.", no_args_is_help=True, rich_markup_mode=None
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the source is called.")]
Group = Annotated[
    str | None,
    typer.Option("--account-group", metavar="ID", help="Needed where there are several."),
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file", metavar="FILE", help="A file with the token; - for standard input."
    ),
]


@app.command()
def add(
    name: Name,
    *,
    provider: Annotated[str, typer.Option(help="unipile, directory, or one of a package.")],
    account_group: Group = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting; may be repeated."),
    ] = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Set up a provider for an account group. Its token is asked for, and kept encrypted."""
    from longlist.prospecting import source_store as store

    found = _provider(provider)
    shown_name = name_of(name, "a source")
    settings = _settings(found, set_ or [])
    token = None
    if found.needs_token or token_file is not None:
        token = _token(token_file)

    async def body(ctx: Context) -> tuple[StoredSource, SetUp]:
        made = await store.add(ctx, name=shown_name, provider=found, settings=settings, token=token)
        return made, made.opened(ctx.installation)

    try:
        made, set_up = _in_group(account_group, body)
    except store.SourceRefused as refused:
        raise Trouble(str(refused)) from refused
    try:
        message = _ask(found, found.load, made, set_up)
    except BaseException:
        _take_out(made, found, set_up)
        raise
    _tell(made, message, json, f"Added {made.name!r}. ")


@app.command("list")
def list_(account_group: Group = None, json: Json = False) -> None:
    """List the sources, oldest first; their tokens are not shown."""
    from longlist.ids import rfc3339
    from longlist.prospecting import source_store as store
    from longlist.prospecting.sources import registry

    if account_group is None:
        found = transact(lambda ctx: store.list_all_everywhere(ctx.tx))
    else:
        found = _in_group(account_group, store.list_all)
    registry.broken()  # said on standard error by the log
    if json:
        show_json([_shown(source) for source in found])
        return
    show_table(
        ("NAME", "PROVIDER", "SERVES", "TOKEN", "SETTINGS", "ACCOUNT GROUP", "ADDED"),
        [
            (
                source.name,
                source.provider,
                ", ".join(_serves(source)) or "nothing: the provider is not there",
                "set" if source.sealed is not None else "none",
                " ".join(f"{key}={value}" for key, value in source.settings.items()) or "none",
                source.group.hex(),
                rfc3339(source.created_at)[:16].replace("T", " "),
            )
            for source in found
        ],
    )


@app.command("test")
def ask(name: Name, account_group: Group = None, json: Json = False) -> None:
    """Ask a provider something harmless, with the token that is kept."""
    source, provider, set_up = _found(account_group, name)
    _tell(source, _ask(provider, provider.test, source, set_up), json)


@app.command()
def refresh(
    name: Name, account_group: Group = None, token_file: TokenFile = None, json: Json = False
) -> None:
    """Take in anew what a source keeps here, or keep another token for it."""
    from longlist.prospecting import source_store as store

    source, provider, set_up = _found(account_group, name)
    if token_file is not None:
        token = _token(token_file)

        async def body(ctx: Context) -> SetUp:
            if not await store.set_token(ctx, source, token):
                raise Trouble(f"The source {name!r} has been removed meanwhile.")
            kept = await store.find(ctx, source.name)
            assert kept is not None
            return kept.opened(ctx.installation)

        set_up = transact(body, group=source.group)
    before = "" if token_file is None else "The new token is kept. "
    _tell(source, _ask(provider, provider.load, source, set_up), json, before)


@app.command()
def remove(name: Name, account_group: Group = None, json: Json = False) -> None:
    """Forget a source, its token and what it keeps here. Its jobs fail; prospects stay."""
    from longlist.prospecting.sources import registry

    source = _in_group(account_group, _source_named, name)
    _take_out(source, registry.find(source.provider), _without_token(source))
    if json:
        show_json({"id": source.id.hex(), "removed": True})
    else:
        typer.echo(f"Removed {source.name!r}.")


def _provider(name: str) -> Provider:
    from longlist.prospecting.sources import registry

    found = registry.find(name)
    if found is not None:
        return found
    for broken in registry.broken():
        if broken.name == name:
            raise Trouble(f"The provider {name!r} cannot be used: {broken.reason}.")
    raise Trouble(f"There is no provider {name[:64]!r}. There are: {', '.join(registry.names())}.")


def _settings(provider: Provider, pairs: list[str]) -> dict[str, str]:
    """The settings that `--set` gives, as the provider has them in normal form."""
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or key in given:
            raise typer.BadParameter("Give each setting once, as --set KEY=VALUE.")
        given[key] = value
    try:
        return provider.check(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _token(file: str | None) -> str:
    """The token of a file, of standard input, or typed in without being shown. Raises Trouble."""
    from longlist.prospecting import source_tokens as tokens

    if file not in (None, "-"):
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Trouble("The file of the token cannot be read.") from error
    elif sys.stdin.isatty():
        text = typer.prompt("Token", hide_input=True, err=True)
    else:
        text = sys.stdin.readline()
    token = text.strip()
    if not tokens.is_usable(token):
        raise Trouble(tokens.FORM)
    return token


async def _only_group(ctx: Context, account_group: str | None) -> bytes:
    """The group named, or the only one there is. Raises Trouble."""
    from longlist.accounts import store as accounts

    groups = {group.id: group.name for group in await accounts.list_all_everywhere(ctx)}
    if account_group is not None:
        wanted = id_of(account_group, "an account group")
        if wanted not in groups:
            raise Trouble(f"There is no account group {account_group}.")
        return wanted
    if len(groups) == 1:
        return next(iter(groups))
    known = ", ".join(f"{id_.hex()} ({name})" for id_, name in groups.items())
    raise Trouble(f"Name the group with --account-group. There are: {known or 'none yet'}.")


def _in_group(account_group: str | None, body: Callable[..., Awaitable[T]], *args: Any) -> T:
    """What `body(ctx, *args)` returns, run in the group that the operator means."""

    async def run(ctx: Context) -> T:
        ctx.group = await _only_group(ctx, account_group)
        return await body(ctx, *args)

    return transact(run)


async def _source_named(ctx: Context, name: str) -> StoredSource:
    from longlist.prospecting import source_store as store

    found = await store.find(ctx, name)
    if found is None:
        known = ", ".join(repr(source.name) for source in await store.list_all(ctx))
        raise Trouble(
            f"There is no source {name[:64]!r} in this account group."
            f" There are: {known or 'none yet'}."
        )
    return found


def _found(account_group: str | None, name: str) -> tuple[StoredSource, Provider, SetUp]:
    """A source with its provider, and with its token decrypted. Raises Trouble."""
    from longlist.prospecting.source_tokens import TokenUnreadable

    async def body(ctx: Context) -> tuple[StoredSource, SetUp]:
        source = await _source_named(ctx, name)
        return source, source.opened(ctx.installation)

    try:
        source, set_up = _in_group(account_group, body)
    except TokenUnreadable as unreadable:
        raise Trouble(str(unreadable)) from None
    return source, _provider(source.provider), set_up


def _without_token(source: StoredSource) -> SetUp:
    from longlist.prospecting.sources.providers import SetUp

    return SetUp(source.id, source.name, source.provider, source.settings)


def _ask(provider: Provider, call: Callable[..., Awaitable[T]], source: Any, set_up: SetUp) -> T:
    """What the provider answers, asked with the installation open. Raises Trouble."""
    from longlist.db import DatabaseAway
    from longlist.prospecting.sources.providers import ProviderFailed
    from longlist.telemetry import place_of

    async def run() -> T:
        async with opened(load_settings()) as installation:
            return await _call(installation)

    async def _call(installation: Installation) -> T:
        return await call(installation, source.group, set_up)

    try:
        return asyncio.run(run())
    except ProviderFailed as failed:
        later = "" if failed.retry_after_s is None else f" Try again in {failed.retry_after_s} s."
        raise Trouble(f"{provider.name}: {failed}{later}") from None
    except (Trouble, DatabaseAway):
        raise
    except Exception as error:
        raise Trouble(f"{provider.name} broke: {place_of(error)}.") from None


def _take_out(source: StoredSource, provider: Provider | None, set_up: SetUp) -> None:
    """Forget a source, and before that what its provider took in for it."""
    from longlist.prospecting import source_store as store
    from longlist.prospecting.sources.providers import Forgets

    if isinstance(provider, Forgets):
        _ask(provider, provider.forget, source, set_up)
    transact(store.remove, source.id, group=source.group)


def _serves(source: StoredSource) -> list[str]:
    from longlist.prospecting.sources import registry

    provider = registry.find(source.provider)
    return [] if provider is None else sorted(provider.serves)


def _shown(source: StoredSource) -> dict[str, Any]:
    from longlist.ids import rfc3339

    return {
        "id": source.id.hex(),
        "accountGroupId": source.group.hex(),
        "name": source.name,
        "provider": source.provider,
        "serves": _serves(source),
        "settings": source.settings,
        "hasToken": source.sealed is not None,
        "createdAt": rfc3339(source.created_at),
        "updatedAt": rfc3339(source.updated_at),
    }


def _tell(source: StoredSource, message: str, json: bool, before: str = "") -> None:
    if json:
        show_json({**_shown(source), "message": message})
    else:
        typer.echo(f"{before}{message}")
