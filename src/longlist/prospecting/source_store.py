"""Providers as they are set up for an account group, with their tokens (contract 6.2, 7.3).

Of each kind of job one provider serves an account group: whom a job asks is never a matter of
chance. A provider that is not installed any more, or broken, serves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from longlist.context import Context, Installation
from longlist.db import Row, Transaction
from longlist.errors import NotFound
from longlist.ids import new_id
from longlist.prospecting import source_tokens as tokens
from longlist.prospecting.sources import registry
from longlist.prospecting.sources.providers import Provider, SetUp


class SourceRefused(Exception):
    """A source cannot be added; the text is a sentence for the operator."""


class StoredSource(msgspec.Struct):
    """A set-up as it is kept. `sealed` is its encrypted token; times are milliseconds."""

    group: bytes
    id: bytes
    name: str
    provider: str
    settings_text: str
    sealed: bytes | None
    created_at: int
    updated_at: int

    @property
    def settings(self) -> dict[str, str]:
        return msgspec.json.decode(self.settings_text, type=dict[str, str])

    @property
    def place(self) -> bytes:
        """What the token is bound to; each part ends where the next one begins."""
        texts = (self.provider.encode(), self.settings_text.encode())
        return self.group + self.id + b"".join(len(text).to_bytes(4) + text for text in texts)

    def opened(self, installation: Installation) -> SetUp:
        """As a provider gets it, with its token. Raises TokenUnreadable."""
        token = None
        if self.sealed is not None:
            token = tokens.unseal(installation, self.sealed, self.place, self.name)
        return SetUp(self.id, self.name, self.provider, self.settings, token)


_COLUMNS: Final = "account_group_id, id, name, provider, settings, token, created_at, updated_at"


def _stored(row: Row) -> StoredSource:
    found = StoredSource(*row)
    if found.sealed is not None:
        found.sealed = bytes(found.sealed)
    return found


async def list_all(ctx: Context) -> list[StoredSource]:
    """The sources of the account group, oldest first."""
    rows = await ctx.tx.all(
        f"SELECT {_COLUMNS} FROM sources WHERE account_group_id = $1 ORDER BY id", ctx.group
    )
    return [_stored(row) for row in rows]


async def list_all_everywhere(tx: Transaction) -> list[StoredSource]:
    """The sources of every account group: for the operator."""
    rows = await tx.all(f"SELECT {_COLUMNS} FROM sources ORDER BY account_group_id, id")
    return [_stored(row) for row in rows]


async def find(ctx: Context, name: str) -> StoredSource | None:
    """The source of this name in the account group, or None."""
    row = await ctx.tx.one(
        f"SELECT {_COLUMNS} FROM sources WHERE account_group_id = $1 AND name = $2",
        ctx.group,
        name,
    )
    return None if row is None else _stored(row)


async def get(ctx: Context, source_id: bytes) -> StoredSource:
    """The source of this id in the account group. Raises NotFound."""
    row = await ctx.tx.one(
        f"SELECT {_COLUMNS} FROM sources WHERE account_group_id = $1 AND id = $2",
        ctx.group,
        source_id,
    )
    if row is None:
        raise NotFound("There is no such source.", "Choose one of the list of sources.")
    return _stored(row)


async def add(
    ctx: Context, *, name: str, provider: Provider, settings: dict[str, str], token: str | None
) -> StoredSource:
    """Keep a source whose settings the provider has checked. Raises SourceRefused."""
    await ctx.tx.exclusive("sources")
    for other in await list_all(ctx):
        _check_beside(other, name, provider)
    made = StoredSource(
        group=ctx.group,
        id=new_id(),
        name=name,
        provider=provider.name,
        settings_text=msgspec.json.encode(settings, order="deterministic").decode(),
        sealed=None,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    if token is not None:
        made.sealed = tokens.seal(ctx.installation, token, made.place)
    await ctx.tx.run(
        f"INSERT INTO sources ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        *msgspec.structs.astuple(made),
    )
    return made


def _check_beside(other: StoredSource, name: str, provider: Provider) -> None:
    """Raise SourceRefused where a new source cannot stand beside one that is there."""
    if other.name == name:
        raise SourceRefused(f"There is a source {name!r} in this account group already.")
    if other.provider == provider.name:
        if not provider.several:
            raise SourceRefused(
                f"{provider.name} is set up in this account group already, as {other.name!r};"
                " remove that source first."
            )
        return
    theirs = registry.find(other.provider)
    both = sorted(provider.serves & theirs.serves) if theirs is not None else []
    if both:
        raise SourceRefused(
            f"{', '.join(both)} {'is' if len(both) == 1 else 'are'} served in this account group"
            f" by {other.name!r} ({other.provider}) already; remove that source first."
        )


async def set_token(ctx: Context, found: StoredSource, token: str) -> bool:
    """Keep another token for a source; False where the source is gone."""
    sealed = tokens.seal(ctx.installation, token, found.place)
    return (
        await ctx.tx.run(
            "UPDATE sources SET token = $3, updated_at = $4"
            " WHERE account_group_id = $1 AND id = $2",
            ctx.group,
            found.id,
            sealed,
            ctx.now,
        )
        > 0
    )


async def remove(ctx: Context, source_id: bytes) -> bool:
    """Forget a source with its token; False where there is none."""
    return (
        await ctx.tx.run(
            "DELETE FROM sources WHERE account_group_id = $1 AND id = $2", ctx.group, source_id
        )
        > 0
    )


async def serving(ctx: Context, kind: str) -> list[StoredSource]:
    """The sources that serve a kind of job, all of one provider, oldest first."""
    found: list[StoredSource] = []
    for source in await list_all(ctx):
        provider = registry.find(source.provider)
        if provider is None or kind not in provider.serves:
            continue
        if not found or found[0].provider == source.provider:
            found.append(source)
    return found


async def set_ups(ctx: Context, kind: str) -> list[SetUp]:
    """As `serving`, as the provider gets them, with tokens. Raises TokenUnreadable."""
    return [source.opened(ctx.installation) for source in await serving(ctx, kind)]


async def are_there(ctx: Context, source_ids: Sequence[bytes]) -> bool:
    """True while none of these sources has been removed."""
    if not source_ids:
        return True
    known = {source.id for source in await list_all(ctx)}
    return known.issuperset(source_ids)
