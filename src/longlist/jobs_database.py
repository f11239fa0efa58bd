"""Where DBOS keeps its own tables, and the engine of ours that it is handed.

SQLAlchemy is imported where it is used, as in `jobs`.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa


def embedded_target(path: Path) -> sa.Engine:
    """DBOS's own SQLite file, beside the data file so that neither waits for the other's writer.

    `synchronous = NORMAL` is enough: what a power cut takes from this file the sweep brings back.
    From Python 3.12 on DBOS asks for `unixepoch('subsec')`, which SQLite knows from 3.42 on.
    """
    import sqlalchemy as sa
    from sqlalchemy import event

    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=4)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA foreign_keys = ON")
        if sqlite3.sqlite_version_info < (3, 42):
            connection.create_function("unixepoch", -1, lambda *_: time.time())

    return engine


def postgres_target(url: str, worker_id: str) -> sa.Engine:
    """DBOS's tables on PostgreSQL, in the schema `dbos` of our own database.

    Its connections go by the worker's name, as the worker's own do: both are cut when it is buried.
    """
    import sqlalchemy as sa

    from longlist.db.postgres import application_name

    named = {"application_name": application_name(worker_id)}
    return sa.create_engine(
        url, pool_size=4, max_overflow=4, pool_pre_ping=True, connect_args=named
    )
