"""The checks of readiness."""

from __future__ import annotations

import shutil
from typing import Final

from longlist import schema_version
from longlist.context import Installation
from longlist.db import DatabaseAway, Transaction

FREE_BYTES: Final = 64 << 20
"""Below this much free space the server says that it is not ready."""


async def _probe_everywhere(tx: Transaction) -> str | None:
    row = await tx.one("SELECT version_num FROM alembic_version")
    return None if row is None else row[0]


async def checks_everywhere(installation: Installation, *, stopping: bool) -> dict[str, str]:
    """Each check by name, `ok` or `failed`."""
    found = {"database": False, "schema": False, "disk": False, "running": not stopping}
    try:
        found["schema"] = await installation.db.read(_probe_everywhere) == schema_version.HEAD
        found["database"] = True
    except DatabaseAway:
        pass
    path = installation.settings.data_path
    found["disk"] = not path.exists() or shutil.disk_usage(path).free > FREE_BYTES
    return {name: "ok" if good else "failed" for name, good in found.items()}
