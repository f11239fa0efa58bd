"""Make the collection, a caller and the rows in a running Directus; print what the load needs.

`python seed.py PORT COUNT`, with ADMIN_TOKEN in the environment. Everything goes through the API,
which is how collections are made; the index that the list walks is the collection's own setting of
its two columns.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

_BATCH = 500


class Api:
    """Directus as its administrator sees it."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def post(self, path: str, body: object) -> Any:
        """`data` of the answer. Raises HTTPError."""
        request = urllib.request.Request(
            self._base + path,
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {os.environ['ADMIN_TOKEN']}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["data"]


def _field(name: str, kind: str, *, null: bool = False, **schema: object) -> dict[str, object]:
    return {
        "field": name,
        "type": kind,
        "meta": {},
        "schema": {"is_nullable": null, **schema},
    }


_FIELDS = [
    _field("id", "string", is_primary_key=True, max_length=24),
    _field("account_group_id", "string", max_length=24, is_indexed=True),
    _field("name", "string", max_length=255),
    _field("type", "string", max_length=32),
    _field("description", "text", null=True),
    _field("folder_id", "string", null=True, max_length=24),
    _field("prospect_count", "integer", default_value=0),
    _field("active_job_id", "string", null=True, max_length=24),
    _field("version", "integer", default_value=1),
    _field("created_at", "timestamp", is_indexed=True),
]


def _caller(api: Api) -> str:
    """The token of a user who may read and update audiences and nothing else."""
    role = api.post("/roles", {"name": "Callers"})
    attached = {"create": [{"role": role["id"]}], "update": [], "delete": []}
    policy = api.post("/policies", {"name": "Audiences", "app_access": False, "roles": attached})
    for action in ("read", "update"):
        rule = {"policy": policy["id"], "collection": "audiences", "action": action}
        api.post("/permissions", {**rule, "fields": ["*"]})
    token = secrets.token_hex(24)
    api.post("/users", {"role": role["id"], "token": token, "status": "active"})
    return token


def seed(port: int, count: int) -> dict[str, object]:
    """One collection, one caller and `count` audiences, oldest first."""
    api = Api(port)
    collection = {"collection": "audiences", "schema": {}, "meta": {"accountability": "all"}}
    api.post("/collections", {**collection, "fields": _FIELDS})
    token = _caller(api)
    group = secrets.token_hex(12)
    start = datetime.now(UTC) - timedelta(seconds=count)
    ids = [f"{int(time.time()):08x}{secrets.token_hex(8)}" for _ in range(count)]
    rows = [
        {
            "id": id_,
            "account_group_id": group,
            "name": f"Audience {position:04d}",
            "type": "on_demand",
            "description": "Invented for the benchmark",
            "created_at": (start + timedelta(seconds=position)).isoformat(),
        }
        for position, id_ in enumerate(ids)
    ]
    for at in range(0, count, _BATCH):
        api.post("/items/audiences", rows[at : at + _BATCH])
    return {"key": token, "group": group, "audiences": ids}


if __name__ == "__main__":
    print(json.dumps(seed(int(sys.argv[1]), int(sys.argv[2]))))
