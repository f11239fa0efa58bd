"""The directory: which clusters there are, and which of them has each account group.

It is a small database of its own, beside those of the clusters. It knows no client and nothing of
what is in a group; its tables are made where they are missing, and it has no migrations yet.
"""

from __future__ import annotations

import secrets
from typing import Final

import msgspec

from longlist.db import Transaction

_VERSION: Final = "1"
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS front_directory (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS front_clusters"
    " (name TEXT PRIMARY KEY, url TEXT NOT NULL, created_at BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS front_groups (account_group TEXT PRIMARY KEY,"
    " cluster TEXT NOT NULL REFERENCES front_clusters (name),"
    " going_to TEXT REFERENCES front_clusters (name), changed_at BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS front_groups_cluster ON front_groups (cluster)",
)


class Refused(Exception):
    """The directory does not allow the change; the text says why."""


class Cluster(msgspec.Struct, frozen=True):
    """A cluster, and how many groups are placed on it."""

    name: str
    url: str
    groups: int = 0


class Entry(msgspec.Struct, frozen=True):
    """Where a group is. `going_to` is set while it is closed for its way to another cluster."""

    group: str
    cluster: str
    going_to: str | None


async def prepare_everywhere(tx: Transaction) -> None:
    """Make the tables where they are missing. Raises Refused for those of another version."""
    await tx.lock(b"front directory")
    for statement in _TABLES:
        await tx.run(statement)
    for name, value in (("version", _VERSION), ("secret", secrets.token_hex(32))):
        await tx.run(
            "INSERT INTO front_directory (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            name,
            value,
        )
    found = await tx.one("SELECT value FROM front_directory WHERE name = 'version'")
    if found is None or found[0] != _VERSION:
        raise Refused("The directory was made by a newer version. Install that one.")


async def secret_everywhere(tx: Transaction) -> bytes:
    """What signs the cursors of every front of this directory."""
    row = await tx.one("SELECT value FROM front_directory WHERE name = 'secret'")
    assert row is not None
    return bytes.fromhex(row[0])


async def list_clusters_everywhere(tx: Transaction) -> list[Cluster]:
    """Every cluster by name, with its number of groups."""
    rows = await tx.all(
        "SELECT name, url, (SELECT COUNT(*) FROM front_groups WHERE cluster = name)"
        " FROM front_clusters ORDER BY name"
    )
    return [Cluster(*row) for row in rows]


async def urls_everywhere(tx: Transaction) -> dict[str, str]:
    """Address of each cluster by name."""
    rows = await tx.all("SELECT name, url FROM front_clusters ORDER BY name")
    return {row[0]: row[1] for row in rows}


async def add_cluster_everywhere(tx: Transaction, name: str, url: str) -> None:
    """Add a cluster. Raises Refused for a name that is taken."""
    if not await tx.run(
        "INSERT INTO front_clusters (name, url, created_at) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING",
        name,
        url,
        await tx.now(),
    ):
        raise Refused(f"There is a cluster {name} already; change its address with --replace.")


async def change_cluster_everywhere(tx: Transaction, name: str, url: str) -> None:
    """Set a cluster's address. Raises Refused for a name that is not known."""
    if not await tx.run("UPDATE front_clusters SET url = $2 WHERE name = $1", name, url):
        raise _unknown(name)


async def remove_cluster_everywhere(tx: Transaction, name: str) -> None:
    """Remove a cluster. Raises Refused where it is not known, or has groups."""
    # Locks the row on PostgreSQL, and with it who would place a group there.
    if not await tx.run("UPDATE front_clusters SET url = url WHERE name = $1", name):
        raise _unknown(name)
    used = await tx.one(
        "SELECT COUNT(*) FROM front_groups WHERE cluster = $1 OR going_to = $1", name
    )
    if used is not None and used[0]:
        raise Refused(f"{used[0]} account groups are placed on {name}. Move them first.")
    await tx.run("DELETE FROM front_clusters WHERE name = $1", name)


async def find_everywhere(tx: Transaction, group: str) -> Entry | None:
    """The entry of a group; None where it has none."""
    row = await tx.one(
        "SELECT account_group, cluster, going_to FROM front_groups WHERE account_group = $1", group
    )
    return None if row is None else Entry(*row)


async def list_groups_everywhere(tx: Transaction, cluster: str | None) -> list[Entry]:
    """Every entry by group, or those of one cluster."""
    sql = "SELECT account_group, cluster, going_to FROM front_groups"
    if cluster is None:
        rows = await tx.all(sql + " ORDER BY account_group")
    else:
        rows = await tx.all(sql + " WHERE cluster = $1 ORDER BY account_group", cluster)
    return [Entry(*row) for row in rows]


async def place_everywhere(tx: Transaction, group: str, cluster: str) -> None:
    """Name the cluster of a group, and open it. Raises Refused for an unknown cluster."""
    await _check_cluster(tx, cluster)
    await tx.run(
        "INSERT INTO front_groups (account_group, cluster, changed_at) VALUES ($1, $2, $3)"
        " ON CONFLICT (account_group) DO UPDATE SET cluster = $2, going_to = NULL, changed_at = $3",
        group,
        cluster,
        await tx.now(),
    )


async def place_new_everywhere(tx: Transaction, groups: list[str], cluster: str) -> int:
    """Place the groups that have no entry yet; how many. Raises Refused."""
    await _check_cluster(tx, cluster)
    now = await tx.now()
    return sum(
        [
            await tx.run(
                "INSERT INTO front_groups (account_group, cluster, changed_at)"
                " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                group,
                cluster,
                now,
            )
            for group in groups
        ]
    )


async def forget_everywhere(tx: Transaction, group: str) -> None:
    """Delete the entry of a group. Raises Refused where it has none."""
    if not await tx.run("DELETE FROM front_groups WHERE account_group = $1", group):
        raise Refused(f"The account group {group} has no entry.")


async def close_everywhere(tx: Transaction, group: str, going_to: str) -> None:
    """Close a group that leaves its cluster. Raises Refused where it is on the other one."""
    await _check_cluster(tx, going_to)
    if not await tx.run(
        "UPDATE front_groups SET going_to = $2, changed_at = $3"
        " WHERE account_group = $1 AND cluster <> $2",
        group,
        going_to,
        await tx.now(),
    ):
        raise Refused(f"The directory has {group} on {going_to} already, or not at all.")


async def reopen_everywhere(tx: Transaction, group: str) -> None:
    """Open a group on the cluster that it has not left, if it is closed."""
    await tx.run(
        "UPDATE front_groups SET going_to = NULL, changed_at = $2"
        " WHERE account_group = $1 AND going_to IS NOT NULL",
        group,
        await tx.now(),
    )


async def _check_cluster(tx: Transaction, name: str) -> None:
    if await tx.one("SELECT 1 FROM front_clusters WHERE name = $1", name) is None:
        raise _unknown(name)


def _unknown(name: str) -> Refused:
    return Refused(f"There is no cluster {name}. See: longlist front clusters list")
