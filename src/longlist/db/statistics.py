"""What PostgreSQL's planner knows of tables that are in partitions.

Autovacuum gathers statistics of partitions and never of the tables they are parts of, and these
are what a join is planned by. Without them the planner takes a page of an audience for thousands of
rows, and begins to read the group's people from the first one on. They have to be there rather than
to be new: that ids are not used twice is said in proportion to the rows.
"""

from __future__ import annotations

from typing import Final

from longlist.db import Database, Transaction
from longlist.db.sqlite import SqliteDatabase

_FEWEST: Final = 1_000
"""Below so many rows every plan is a good one."""
_LOCK: Final = b"statistics"
_LOCK_WAIT: Final = "5s"
_GROWN: Final = (
    "SELECT whole.relname FROM pg_class whole JOIN pg_inherits ON inhparent = whole.oid"
    " JOIN pg_class part ON part.oid = inhrelid"
    " WHERE whole.relkind = 'p' AND whole.relnamespace = CAST(current_schema() AS regnamespace)"
    " GROUP BY whole.relname, whole.reltuples"
    " HAVING SUM(GREATEST(part.reltuples, 0)) >= GREATEST($1, 2 * whole.reltuples)"
    " ORDER BY whole.relname"
)
_ONLY_SINCE: Final = 180_000
"""The version that can leave out the partitions, of which autovacuum has looked at each."""


async def refresh(db: Database) -> list[str]:
    """Gather them for the tables that have doubled since it was done, if any; which these were.

    One process at a time does it, with a second for each table as a rule. Raises DatabaseAway.
    """
    if isinstance(db, SqliteDatabase):
        return []
    done = []
    while table := await db.write(_refresh_one):
        done.append(table)
    return done


async def _refresh_one(tx: Transaction) -> str | None:
    if not await tx.try_lock(_LOCK):
        return None
    row = await tx.one(f"{_GROWN} LIMIT 1", _FEWEST)
    if row is None:
        return None
    # Whoever vacuums a partition goes first: it is tried again in a minute.
    await tx.one("SELECT set_config('lock_timeout', $1, true)", _LOCK_WAIT)
    version = await tx.one("SELECT CAST(current_setting('server_version_num') AS integer)")
    assert version is not None
    table = str(row[0])
    await tx.run(f"ANALYZE {'ONLY ' if version[0] >= _ONLY_SINCE else ''}{table}")
    return table
