"""Write json-server's file of audiences; print what the load needs: `python seed.py FILE COUNT`."""

from __future__ import annotations

import json
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


def seed(path: Path, count: int) -> dict[str, object]:
    """`count` audiences of one group, oldest first."""
    group = secrets.token_hex(12)
    start = datetime.now(UTC) - timedelta(seconds=count)
    rows = [
        {
            "id": f"{int(time.time()):08x}{secrets.token_hex(8)}",
            "account_group_id": group,
            "name": f"Audience {position:04d}",
            "type": "on_demand",
            "description": "Invented for the benchmark",
            "folder_id": None,
            "prospect_count": 0,
            "active_job_id": None,
            "version": 1,
            "created_at": (start + timedelta(seconds=position)).isoformat(),
        }
        for position in range(count)
    ]
    path.write_text(json.dumps({"audiences": rows}))
    return {"group": group, "audiences": [row["id"] for row in rows]}


if __name__ == "__main__":
    print(json.dumps(seed(Path(sys.argv[1]), int(sys.argv[2]))))
