"""`longlist front`: one API in front of several clusters, and the directory of their groups."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from longlist.console import Trouble, id_of, load_settings, show_json, show_table, transact

if TYPE_CHECKING:
    from longlist.front.directory_store import Cluster

app = typer.Typer(
    help="One API in front of several clusters.", no_args_is_help=True, rich_markup_mode=None
)
clusters = typer.Typer(
    help="The clusters of the directory.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(clusters, name="clusters")

T = TypeVar("T")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
Url = Annotated[str, typer.Argument(metavar="URL", help="http://HOST:PORT or https://HOST")]


def _read(body: Callable[..., Awaitable[T]], *args: Any) -> T:
    from longlist.front import directory

    async def run() -> T:
        async with directory.opened(load_settings()) as db:
            return await db.read(body, *args)

    return asyncio.run(run())


def _change(body: Callable[..., Awaitable[T]], *args: Any) -> T:
    from longlist.front import directory

    async def run() -> T:
        async with directory.opened(load_settings()) as db:
            found: T = await directory.change(db, body, *args)
            return found

    return asyncio.run(run())


def _url(text: str) -> str:
    from longlist.front.upstream import address_of

    try:
        address_of(text)
    except ValueError as error:
        raise Trouble("A cluster's address is http://HOST:PORT or https://HOST.") from error
    return text.rstrip("/")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
) -> None:
    """Answer for all clusters of the directory."""
    from longlist.front import process

    process.serve(load_settings(host=host, port=port))


@clusters.command()
def add(
    name: Name,
    url: Url,
    replace: Annotated[
        bool, typer.Option("--replace", help="Change the address of a cluster that is there.")
    ] = False,
) -> None:
    """Add a cluster: a Longlist of one or more processes, by the address that answers for it."""
    from longlist.front import directory_store as store

    if not _NAME.match(name):
        raise Trouble("A cluster's name has lowercase letters, digits and dashes, 40 at most.")
    made = store.change_cluster_everywhere if replace else store.add_cluster_everywhere
    _change(made, name, _url(url))
    typer.echo(f"{name}: {_url(url)}")


@clusters.command("list")
def list_(json: Json = False) -> None:
    """List the clusters, their number of groups, and whether they are ready now."""
    from longlist.front import directory_store as store

    found = _read(store.list_clusters_everywhere)
    ready = asyncio.run(_ready(found))
    rows = [
        {"name": one.name, "url": one.url, "accountGroups": one.groups, "ready": ready[one.name]}
        for one in found
    ]
    if json:
        show_json(rows)
        return
    show_table(
        ("NAME", "ADDRESS", "GROUPS", "READY"),
        [
            (one.name, one.url, f"{one.groups:,}", "yes" if ready[one.name] else "no")
            for one in found
        ],
    )


async def _ready(found: list[Cluster]) -> dict[str, bool]:
    from longlist.front.readiness import is_ready
    from longlist.front.upstream import Pool, address_of

    answers = await asyncio.gather(*(is_ready(Pool(address_of(one.url))) for one in found))
    return {one.name: up for one, up in zip(found, answers, strict=True)}


@clusters.command()
def remove(name: Name) -> None:
    """Remove a cluster that has no groups."""
    from longlist.front import directory_store as store

    _change(store.remove_cluster_everywhere, name)


@app.command()
def place(
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER")],
    account_groups: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Every group of the database of the settings that has no entry yet."
        ),
    ] = False,
) -> None:
    """Say which cluster has these account groups. It moves nothing: see accounts move."""
    from longlist.accounts import store as accounts
    from longlist.front import directory_store as store

    if every is bool(account_groups):
        raise typer.BadParameter("Name account groups, or take --all.")
    if every:
        found = transact(accounts.list_all_everywhere)
        count = _change(store.place_new_everywhere, [group.id.hex() for group in found], cluster)
        typer.echo(f"{count} account groups placed on {cluster}")
        return
    for text in account_groups or ():
        group = id_of(text, "an account group").hex()
        _change(store.place_everywhere, group, cluster)
        typer.echo(f"{group}: {cluster}")


@app.command()
def forget(account_group: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Delete the entry of an account group: nobody reaches it through a front any more."""
    from longlist.front import directory_store as store

    _change(store.forget_everywhere, id_of(account_group, "an account group").hex())


@app.command()
def groups(
    cluster: Annotated[str | None, typer.Option(help="Those of one cluster.")] = None,
    json: Json = False,
) -> None:
    """List which cluster has which account group."""
    from longlist.front import directory_store as store

    found = _read(store.list_groups_everywhere, cluster)
    if json:
        show_json(
            [
                {"accountGroupId": one.group, "cluster": one.cluster, "goingTo": one.going_to}
                for one in found
            ]
        )
        return
    show_table(
        ("ID", "CLUSTER", "GOING TO"),
        [(one.group, one.cluster, one.going_to or "") for one in found],
    )
