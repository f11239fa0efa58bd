"""Make the audience table for Datasette; print what the load needs as JSON.

Datasette writes rows of any table through one general API, so it has no event row, no envelope and
no check of the text: the rest of the schema would stay unused.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta

_TABLE = """
CREATE TABLE audiences (
  id TEXT PRIMARY KEY, account_group_id TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
  description TEXT, folder_id TEXT, prospect_count INTEGER NOT NULL DEFAULT 0, active_job_id TEXT,
  version INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL);
CREATE INDEX audiences_newest ON audiences (account_group_id, created_at, id);
"""


def seed(path: str, count: int) -> dict[str, object]:
    """A write-ahead-logged file with `count` audiences, oldest first; their ids and their group."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(_TABLE)
    group = secrets.token_hex(12)
    start = datetime.now(UTC) - timedelta(seconds=count)
    ids = [f"{int(time.time()):08x}{secrets.token_hex(8)}" for _ in range(count)]
    connection.executemany(
        "INSERT INTO audiences (id, account_group_id, name, type, description, created_at)"
        " VALUES (?, ?, ?, 'on_demand', 'Invented for the benchmark', ?)",
        [
            (
                id_,
                group,
                f"Audience {position:04d}",
                (start + timedelta(seconds=position)).isoformat(),
            )
            for position, id_ in enumerate(ids)
        ],
    )
    connection.commit()
    connection.close()
    return {"group": group, "audiences": ids}


if __name__ == "__main__":
    print(json.dumps(seed(os.environ["BENCH_SQLITE_PATH"], int(sys.argv[1]))))
