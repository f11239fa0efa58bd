"""The few rows that make an account group reachable, taken from one database and put into another.

They are the group itself, its keys with what they reach, and its monitors, which the clock starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from longlist.accounts.move_tables import GROUP, PARCEL, columns_of
from longlist.context import Context

_LINKED: Final = "id IN (SELECT api_key_id FROM api_key_groups WHERE account_group_id = $1)"
_OF_PARCEL: Final = {
    "account_groups": "id = $1",
    "api_keys": _LINKED,
    "api_key_groups": f"{GROUP} = $1",
    "monitors": f"{GROUP} = $1",
}


class Parcel(msgspec.Struct, frozen=True):
    """The rows that make a group reachable, by their tables."""

    rows: dict[str, list[tuple[Any, ...]]]

    def pack(self) -> bytes:
        """As it is kept in a marker."""
        return msgspec.msgpack.encode(self)


unpack: Final = msgspec.msgpack.Decoder(Parcel).decode


async def read(ctx: Context) -> Parcel:
    """The rows that make the group reachable."""
    rows = {}
    for table in PARCEL:
        columns = ", ".join(columns_of(table))
        found = await ctx.tx.all(
            f"SELECT {columns} FROM {table} WHERE {_OF_PARCEL[table]}", ctx.group
        )
        rows[table] = sorted((tuple(row) for row in found), key=repr)
    return Parcel(rows)


async def take(ctx: Context) -> Parcel:
    """Take the group out of reach: delete the parcel's rows and give them back.

    A key that reaches further groups stays for these.
    """
    parcel = await read(ctx)
    ids = [row[0] for row in parcel.rows["api_keys"]]
    for table in ("monitors", "api_key_groups", "account_groups"):
        await ctx.tx.run(f"DELETE FROM {table} WHERE {_OF_PARCEL[table]}", ctx.group)
    for id_ in ids:
        await ctx.tx.run(
            "DELETE FROM api_keys WHERE id = $1"
            " AND NOT EXISTS (SELECT 1 FROM api_key_groups WHERE api_key_id = $1)",
            id_,
        )
    return parcel


async def put(ctx: Context, parcel: Parcel) -> None:
    """Make the group reachable.

    A key that is here already, for other groups, stays as it is, but that a revocation on either
    side holds on both.
    """
    for table in PARCEL:
        columns = columns_of(table)
        marks = ", ".join(f"${at}" for at in range(1, len(columns) + 1))
        again = (
            " ON CONFLICT (id) DO UPDATE SET revoked_at ="
            " COALESCE(api_keys.revoked_at, excluded.revoked_at)"
            if table == "api_keys"
            else ""
        )
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}){again}"
        for row in parcel.rows[table]:
            await ctx.tx.run(sql, *row)


class SharedKey(msgspec.Struct, frozen=True):
    """A key that reaches further groups."""

    id: bytes
    prefix: str
    name: str


async def shared_keys(ctx: Context) -> list[SharedKey]:
    """Keys of the group that reach others too, and are not revoked."""
    rows = await ctx.tx.all(
        f"SELECT id, prefix, name FROM api_keys WHERE {_LINKED} AND revoked_at IS NULL"
        " AND EXISTS (SELECT 1 FROM api_key_groups g WHERE g.api_key_id = api_keys.id"
        " AND g.account_group_id <> $1) ORDER BY id",
        ctx.group,
    )
    return [SharedKey(*row) for row in rows]


async def hashes_everywhere(ctx: Context, ids: Sequence[bytes]) -> dict[bytes, bytes]:
    """The hashes of those of the keys that this database knows."""
    rows = await ctx.tx.all_in("SELECT id, hash FROM api_keys WHERE id IN_VALUES", ids)
    return {row[0]: row[1] for row in rows}
