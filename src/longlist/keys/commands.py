"""`longlist keys`: the operator issues, lists, revokes and rotates API keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from longlist.console import Trouble, id_of, name_of, show_json, show_table, transact

if TYPE_CHECKING:
    from longlist.context import Context
    from longlist.keys.store import Key

app = typer.Typer(help="API keys.", no_args_is_help=True, rich_markup_mode=None)

_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])\Z")
_UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LATEST: Final = 253_402_300_799_000
"""The end of the year 9999, beyond which a time cannot be written."""
_MOST_RATE: Final = 2**31 - 1

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, not the key itself.")]


def expiry_of(text: str, now: int) -> int:
    """The instant that `90d`, `12h`, `30m`, `30s`, a date or a time of RFC 3339 means, in ms.

    A date means its beginning in UTC. Raises typer.BadParameter, also for the past.
    """
    if found := _DURATION.match(text):
        at = now + int(found[1]) * _UNIT_MS[found[2]]
    else:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError as error:
            raise typer.BadParameter(
                f"{text[:40]!r} is neither a time from now (90d, 12h, 30s) nor a date (2030-12-31)."
            ) from error
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        at = round(aware.timestamp() * 1000)
    if not now < at <= _LATEST:
        raise typer.BadParameter("A key has to expire in the future, before the year 10000.")
    return at


@app.command()
def create(
    *,
    account_group: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A group the key reaches; may be repeated."),
    ] = None,
    permission: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="Such as audiences:read; may be repeated."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every permission.")] = False,
    name: Annotated[str, typer.Option(help="To tell keys apart.")] = "Key",
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="90d, 12h, 30s or a date.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, max=_MOST_RATE, help="Requests a minute.")
    ] = None,
    burst: Annotated[
        int | None, typer.Option(min=1, max=_MOST_RATE, help="Requests at once.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a key. It is shown once."""
    from longlist.console import load_settings
    from longlist.ids import now_ms
    from longlist.keys import store
    from longlist.limits import Rate

    permissions = _permissions(permission or [], all_)
    expires_at = None if expires is None else expiry_of(expires, now_ms())
    settings = load_settings()
    own_rate = None
    if rate is not None or burst is not None:
        own_rate = Rate(rate or settings.rate_limit_per_minute, burst or settings.rate_limit_burst)
    wanted = [id_of(text, "an account group") for text in dict.fromkeys(account_group or [])]
    shown_name = name_of(name, "a key")

    async def body(ctx: Context) -> tuple[bytes, str]:
        return await store.create_everywhere(
            ctx,
            name=shown_name,
            permissions=permissions,
            groups=await _groups(ctx, wanted),
            expires_at=expires_at,
            rate=own_rate,
        )

    _show_once(*transact(body, settings=settings), json)


def _permissions(named: list[str], every: bool) -> frozenset[str]:
    from longlist.keys.store import PERMISSIONS

    if every == bool(named):
        raise typer.BadParameter("Name each --permission, or give --all.")
    for permission in named:
        if permission not in PERMISSIONS:
            raise typer.BadParameter(
                f"There is no permission {permission[:40]!r}; take one of {', '.join(PERMISSIONS)}."
            )
    return frozenset(PERMISSIONS if every else named)


async def _groups(ctx: Context, wanted: list[bytes]) -> list[bytes]:
    """The groups named, or the only one there is. Raises Trouble."""
    from longlist.accounts import store as accounts

    every = {group.id: group.name for group in await accounts.list_all_everywhere(ctx)}
    for id_ in wanted:
        if id_ not in every:
            raise Trouble(f"There is no account group {id_.hex()}.")
    if wanted or len(every) == 1:
        return wanted or list(every)
    known = ", ".join(f"{id_.hex()} ({name})" for id_, name in every.items())
    raise Trouble(f"Name the groups with --account-group. There are: {known or 'none yet'}.")


def _show_once(id_: bytes, key: str, json: bool) -> None:
    if json:
        show_json({"id": id_.hex(), "key": key})
    else:
        typer.echo(f"id   {id_.hex()}\nkey  {key}\nThe key is shown this once.")


def _state(key: Key, now: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "valid" if key.is_valid(now) else "expired"


def _shown(key: Key) -> dict[str, Any]:
    from longlist.ids import rfc3339, rfc3339_or_none

    return {
        "id": key.id.hex(),
        "name": key.name,
        "keyPrefix": key.prefix,
        "permissions": sorted(key.permissions),
        "accountGroups": sorted(group.hex() for group in key.groups),
        "rateLimit": {"perMinute": key.rate.per_minute, "burst": key.rate.burst},
        "createdAt": rfc3339(key.created_at),
        "expiresAt": rfc3339_or_none(key.expires_at),
        "lastUsedAt": rfc3339_or_none(key.last_used_at),
        "revokedAt": rfc3339_or_none(key.revoked_at),
    }


@app.command("list")
def list_(json: Json = False) -> None:
    """List every key, newest first; the keys themselves are not kept."""
    from longlist.ids import now_ms, rfc3339
    from longlist.keys import store

    keys = transact(store.list_all_everywhere)
    if json:
        show_json([_shown(key) for key in keys])
        return

    def when(at: int | None) -> str:
        return "never" if at is None else rfc3339(at)[:16].replace("T", " ")

    show_table(
        ("ID", "NAME", "PREFIX", "STATE", "PERMISSIONS", "GROUPS", "EXPIRES", "LAST USED"),
        [
            (
                key.id.hex(),
                key.name,
                key.prefix,
                _state(key, now_ms()),
                "all"
                if len(key.permissions) == len(store.PERMISSIONS)
                else str(len(key.permissions)),
                str(len(key.groups)),
                when(key.expires_at),
                when(key.last_used_at),
            )
            for key in keys
        ],
    )


@app.command()
def revoke(key_id: KeyId) -> None:
    """Revoke a key for good; every server stops taking it within a second."""
    from longlist.keys import store

    if not transact(store.revoke_everywhere, id_of(key_id, "a key")):
        raise Trouble(f"There is no key {key_id}.")
    typer.echo(f"Revoked {key_id}.")


@app.command()
def rotate(key_id: KeyId, json: Json = False) -> None:
    """Give a key a new secret, all else unchanged; the old one stops within a second."""
    from longlist.keys import store

    id_ = id_of(key_id, "a key")
    key = transact(store.rotate_everywhere, id_)
    if key is None:
        raise Trouble(f"There is no key {key_id}, or it is revoked.")
    _show_once(id_, key, json)
