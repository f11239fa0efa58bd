"""Brings the schema up to this version, or says why not.

`longlist migrate` does it whatever the database; `serve` only where nobody else can be working on
the old schema and nothing can be lost: on an empty database, and on the embedded one, of which a
copy is kept beside it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import DBAPIError

from longlist import schema_version, startup
from longlist.console import Trouble, make_data_folder
from longlist.db import checks, dumps
from longlist.schema_version import HEAD, MigrationRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from longlist.db import Database
    from longlist.settings import Settings

_ATTEMPTS: Final = 10
_WAIT_S: Final = 0.5


def bring_up(
    settings: Settings, *, unattended: bool, tell: Callable[[str], None] | None = None
) -> str:
    """Migrate the settings' database to HEAD; a sentence about what was done.

    `tell` hears of what takes long.

    Raises Trouble, SchemaMismatch (ahead; with `unattended` also behind on PostgreSQL) and
    DatabaseAway.
    """
    make_data_folder(settings)
    db = startup.database(settings)
    check_fitness(db)
    revision = schema_version.current(db)
    if revision == HEAD:
        return f"The database schema is up to date ({HEAD})."
    kept: Path | None = None
    if revision is None:
        _check_empty(db)
    else:
        if revision not in schema_version.known_revisions():
            schema_version.check(revision)
        kept = dumps.keep_copy(db, revision)
        if unattended and kept is None:
            # Other servers may be working on the old schema: the operator picks the moment.
            schema_version.check(revision)
    _migrate(db, tell)
    return f"The database schema is now {HEAD} (before: {revision or 'empty'})." + (
        "" if kept is None else f" A copy from before is in {kept}."
    )


def check_fitness(db: Database) -> None:
    """Raise DatabaseAway where it cannot be reached, Trouble for a wrong version or encoding."""
    asyncio.run(_check_fitness(db))


async def _check_fitness(db: Database) -> None:
    await db.start()
    try:
        for finding in await checks.fitness(db):
            if not finding.good:
                raise Trouble(f"The {finding.name} cannot be used: {finding.detail}.")
    finally:
        await db.close()


def _check_empty(db: Database) -> None:
    engine = create_engine(db.url)
    try:
        found = set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()
    if found and schema_version.current(db) is None:
        raise Trouble(
            "The database has tables of something else. Give Longlist an empty database of its own."
        )


def _migrate(db: Database, tell: Callable[[str], None] | None) -> None:
    """Migrate; where another process does the same at this moment, wait for it to be done."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            schema_version.migrate(db, tell)
        except MigrationRefused as error:
            raise Trouble(str(error)) from error
        except DBAPIError as error:
            if schema_version.current(db) == HEAD:
                return
            if attempt == _ATTEMPTS:
                reason = str(error.orig).strip().splitlines()[0]
                raise Trouble(f"The migration failed: {reason}") from error
            time.sleep(_WAIT_S)
        else:
            return
