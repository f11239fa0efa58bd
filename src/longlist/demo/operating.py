"""What an operator does before clients come: account groups, keys, a provider, a way in.

Everything looks first whether it is there already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from longlist.accounts import store as accounts
from longlist.admin import store as admins
from longlist.console import transact
from longlist.keys import store as keys
from longlist.prospecting import source_store as sources
from longlist.prospecting.sources.unipile.provider import PROVIDER

if TYPE_CHECKING:
    from longlist.context import Context
    from longlist.prospecting.sources.unipile.double import Double
    from longlist.settings import Settings

SOURCE: Final = "LinkedIn stand-in"
_WORKING_KEY: Final = "longlist demo"
_WORKING_KEY_MS: Final = 3_600_000
_READING: Final = ("audiences:read", "prospects:read", "prospecting:read")


class NewKey(NamedTuple):
    """A key that was made just now: it is shown this once."""

    key: str
    use: str


def groups_named(settings: Settings, names: Sequence[str], *, make: bool) -> dict[str, bytes]:
    """The ids of the account groups with these names; `make`: those that are missing too."""

    async def body(ctx: Context) -> dict[str, bytes]:
        every = await accounts.list_all_everywhere(ctx)
        found = {group.name: group.id for group in every if group.name in names}
        if make:
            for name in names:
                if name not in found:
                    found[name] = (await accounts.create_everywhere(ctx, name)).id
        return found

    return transact(body, settings=settings)


@contextmanager
def working_key(settings: Settings, groups: Collection[bytes]) -> Iterator[str]:
    """A key for everything in the groups, revoked at the end."""

    async def body(ctx: Context) -> tuple[bytes, str]:
        return await keys.create_everywhere(
            ctx,
            name=_WORKING_KEY,
            permissions=keys.PERMISSIONS,
            groups=list(groups),
            expires_at=ctx.now + _WORKING_KEY_MS,
        )

    id_, key = transact(body, settings=settings)
    try:
        yield key
    finally:
        transact(keys.revoke_everywhere, id_, settings=settings)


def new_keys(settings: Settings, groups: dict[str, bytes], agency: str) -> list[NewKey]:
    """A key of the agency's for every group, and one for each client to read with.

    Only those that were not made before: nobody can be shown a key again.
    """
    everything: tuple[str, ...] = keys.PERMISSIONS
    uses = [(f"{agency}: everything, in every account group", everything, groups)]
    uses += [(f"{name}: only reading", _READING, {name: id_}) for name, id_ in groups.items()]

    async def body(ctx: Context) -> list[NewKey]:
        there = {key.name for key in await keys.list_all_everywhere(ctx)}
        made = []
        for use, permissions, reached in uses:
            if use not in there:
                _, key = await keys.create_everywhere(
                    ctx, name=use, permissions=permissions, groups=list(reached.values())
                )
                made.append(NewKey(key, use))
        return made

    return transact(body, settings=settings)


def port_of_the_stand_in(settings: Settings) -> int:
    """Where the stand-in was when the demo ran before; 0 if it never did."""

    async def body(ctx: Context) -> int:
        for source in await sources.list_all_everywhere(ctx.tx):
            if source.name == SOURCE:
                return urlsplit(source.settings["base_url"]).port or 0
        return 0

    return transact(body, settings=settings)


def attach(settings: Settings, group: bytes, double: Double) -> None:
    """Have the group's searches go to the stand-in, at the address where it is now."""
    wanted = PROVIDER.check({"base_url": double.base_url, "account_id": double.account_id})

    async def body(ctx: Context) -> None:
        found = await sources.find(ctx, SOURCE)
        if found is not None:
            if found.settings == wanted:
                return
            await sources.remove(ctx, found.id)
        # Who has set up another provider since wants their searches to go there.
        with suppress(sources.SourceRefused):
            await sources.add(
                ctx, name=SOURCE, provider=PROVIDER, settings=wanted, token=double.token
            )

    transact(body, group=group, settings=settings)


def link_for_the_first_user(settings: Settings) -> str | None:
    """The token of a link that makes the first user of the admin pages; None where there is one."""

    async def body(ctx: Context) -> str | None:
        return None if await admins.has_users(ctx) else await admins.create_link(ctx)

    return transact(body, settings=settings)
