"""The schema this version works on: made, checked and refused here.

One Alembic tree serves both engines. A server starts only on the schema it was written for; an
older one is brought up by `longlist migrate`, a newer one needs a newer Longlist.

Alembic and SQLAlchemy are imported where they are used: a server on the right schema needs neither,
and they take half a second and 40 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longlist.db import Database, SchemaMismatch

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0008"
"""The newest revision; held equal to the tree by a test, so that a start needs not read it."""


class MigrationRefused(Exception):
    """A migration cannot start on the database as it is; the text says what to do."""


def _config(url: str) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config


def known_revisions() -> list[str]:
    """Every revision of the tree, newest first."""
    from alembic.script import ScriptDirectory

    return [r.revision for r in ScriptDirectory.from_config(_config("")).walk_revisions()]


def migrate(db: Database, tell: Callable[[str], None] | None = None) -> None:
    """Bring the schema to HEAD. The database is not to be open by this process's engine.

    `tell` hears of what takes long. Raises MigrationRefused.
    """
    from alembic import command

    config = _config(db.url)
    config.attributes["is_empty"] = current(db) is None
    config.attributes["tell"] = tell
    command.upgrade(config, "head")


def current(db: Database) -> str | None:
    """The revision of the database, None for an empty one."""
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(db.url)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    finally:
        engine.dispose()


def check(revision: str | None) -> None:
    """Raise SchemaMismatch unless the revision is HEAD; the text says what to run."""
    if revision == HEAD:
        return
    if revision is None or revision in known_revisions():
        raise SchemaMismatch(
            f"The database schema is behind ({revision or 'empty'}, this version needs {HEAD})."
            " Run: longlist migrate"
        )
    raise SchemaMismatch(
        f"The database schema is ahead of this version ({revision}, this version knows {HEAD})."
        " Install the Longlist that made it, or restore a backup."
    )
