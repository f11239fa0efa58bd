"""`longlist accounts`: the operator makes account groups and sets their limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from longlist.console import Trouble, id_of, name_of, show_json, show_table, transact

if TYPE_CHECKING:
    from longlist.accounts.store import AccountGroup
    from longlist.context import Context

app = typer.Typer(help="Account groups: the tenants.", no_args_is_help=True, rich_markup_mode=None)

_MOST: Final = 2**31 - 1
_MOST_CREDITS: Final = 2**53 - 1
_QUOTA: Final = "quota."
_WORDS: Final = {"true": True, "on": True, "false": False, "off": False}

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _shown(group: Any, quotas: dict[str, int]) -> dict[str, Any]:
    """A group as contract 2.2 shows it, with its time and the quotas that are set."""
    from longlist.ids import rfc3339

    unlimited = group.credits is None
    return {
        "id": group.id.hex(),
        "name": group.name,
        "createdAt": rfc3339(group.created_at),
        "settings": {
            "uniqueAudienceNames": group.unique_audience_names,
            "maxResultsCap": group.max_results_cap,
            "fileRowsCap": group.file_rows_cap,
        },
        "credits": {
            "unlimited": unlimited,
            "available": None if unlimited else max(0, group.credits - group.credits_reserved),
            "reserved": None if unlimited else group.credits_reserved,
        },
        "quotas": quotas,
    }


async def _with_quotas(ctx: Context, groups: list[AccountGroup]) -> list[dict[str, Any]]:
    from longlist.prospecting import quota_store

    limits = await quota_store.list_limits_everywhere(ctx, [group.id for group in groups])
    return [_shown(group, limits.get(group.id, {})) for group in groups]


def _show(groups: list[dict[str, Any]]) -> None:
    rows = []
    for group in groups:
        settings, credits_ = group["settings"], group["credits"]
        left = "unlimited" if credits_["unlimited"] else f"{credits_['available']:,}"
        rows.append(
            (
                group["id"],
                group["name"],
                str(settings["uniqueAudienceNames"]).lower(),
                f"{settings['maxResultsCap']:,}",
                f"{settings['fileRowsCap']:,}",
                left,
            )
        )
    show_table(("ID", "NAME", "UNIQUE NAMES", "MAX RESULTS", "FILE ROWS", "CREDITS LEFT"), rows)
    for group in groups:
        for list_type, limit in group["quotas"].items():
            typer.echo(f"{group['name']}: quota of {limit:,} prospects a day for {list_type}")


@app.command()
def create(name: str, json: Json = False) -> None:
    """Make an account group."""
    from longlist.accounts import store

    group = transact(store.create_everywhere, name_of(name, "an account group"))
    if json:
        show_json(_shown(group, {}))
    else:
        typer.echo(group.id.hex())


@app.command("list")
def list_(json: Json = False) -> None:
    """List every account group, newest first."""
    from longlist.accounts import store

    async def body(ctx: Context) -> list[dict[str, Any]]:
        return await _with_quotas(ctx, await store.list_all_everywhere(ctx))

    groups = transact(body)
    if json:
        show_json(groups)
    else:
        _show(groups)


@app.command("set")
def set_(
    account_group: Annotated[str, typer.Argument(metavar="ID")],
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            help="uniqueAudienceNames=true|false, maxResultsCap=N, fileRowsCap=N,"
            " credits=N|unlimited, quota.FILE_IMPORT=N|unlimited (prospects a UTC day; so for"
            " every list type)",
        ),
    ],
    json: Json = False,
) -> None:
    """Set what an account group may do and has."""
    from longlist.accounts import store

    id_ = id_of(account_group, "an account group")
    wanted = dict(_value(text) for text in values)

    async def body(ctx: Context) -> list[dict[str, Any]]:
        if not await store.get_many_everywhere(ctx, [id_]):
            raise Trouble(f"There is no account group {account_group}.")
        try:
            return await _with_quotas(ctx, [await store.set_values(ctx, wanted)])
        except store.NamesCollide as error:
            raise Trouble(
                f"uniqueAudienceNames cannot be set: {error} Rename them first."
            ) from error

    groups = transact(body, group=id_)
    if json:
        show_json(groups[0])
    else:
        _show(groups)


@app.command()
def move(
    account_group: Annotated[str, typer.Argument(metavar="ID")],
    to: Annotated[
        str, typer.Option(help="The target's database: postgresql://... Default: SQLite.")
    ] = "",
    to_data: Annotated[
        Path | None, typer.Option(help="The target's data folder. Default: that of the settings.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for live jobs rather than refuse.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the old rows, where no key reaches them.")
    ] = False,
    to_cluster: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The target in the directory of a front that serves both."
        ),
    ] = "",
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Compare both sides and change nothing.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take a move back that has not reached its target.")
    ] = False,
    json: Json = False,
) -> None:
    """Move an account group to another database, of either kind. Run again what was cut off."""
    from longlist.accounts import move_commands

    id_ = id_of(account_group, "an account group")
    if sum((keep or wait, verify_only, undo)) > 1:
        raise typer.BadParameter("--verify-only and --undo stand alone.")
    done = move_commands.run(
        id_,
        to=to,
        to_data=to_data,
        what="verify" if verify_only else "undo" if undo else "move",
        wait=wait,
        keep=keep,
        to_cluster=to_cluster,
    )
    if json:
        show_json(done)
    else:
        move_commands.show(done)


def _value(text: str) -> tuple[str, Any]:
    """The name and value of `KEY=VALUE`. Raises typer.BadParameter."""
    name, equals, given = text.partition("=")
    match name:
        case _ if not equals:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE.")
        case "uniqueAudienceNames":
            if given.lower() not in _WORDS:
                raise typer.BadParameter("uniqueAudienceNames takes true or false.")
            return name, _WORDS[given.lower()]
        case "maxResultsCap" | "fileRowsCap":
            return name, _integer(name, given, 1, _MOST)
        case "credits":
            return name, None if given == "unlimited" else _integer(name, given, 0, _MOST_CREDITS)
        case _ if name.startswith(_QUOTA):
            _check_list_type(name)
            return name, None if given == "unlimited" else _integer(name, given, 0, _MOST)
        case _:
            raise typer.BadParameter(
                f"There is no {name!r} to set; take uniqueAudienceNames, maxResultsCap,"
                " fileRowsCap, credits or a quota such as quota.FILE_IMPORT."
            )


def _check_list_type(name: str) -> None:
    from longlist.prospecting.quota_store import LIST_TYPES

    if name.removeprefix(_QUOTA) not in LIST_TYPES:
        known = ", ".join(_QUOTA + list_type for list_type in LIST_TYPES)
        raise typer.BadParameter(f"There is no {name!r} to set; the quotas are {known}.")


def _integer(name: str, text: str, least: int, most: int) -> int:
    plain = text.replace("_", "")
    if not (plain.isascii() and plain.isdecimal() and least <= int(plain[:20]) <= most):
        also = " or unlimited" if name == "credits" or name.startswith(_QUOTA) else ""
        raise typer.BadParameter(f"{name} takes a whole number from {least} to {most}{also}.")
    return int(plain)
