"""Uploaded files: what they are, where they lie and how long (contract 6.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from longlist.context import AT_HOME, Context, Installation
from longlist.errors import Forbidden, NotFound
from longlist.ids import new_id, time_of
from longlist.prospecting.rows import Inspection


class StoredFile(msgspec.Struct):
    """An uploaded file. Times are milliseconds since 1970."""

    id: bytes
    path: Path
    inspection: Inspection
    """Without its preview: rows of a file are kept in the file alone, so that they end with it."""
    mapping: dict[str, str | None]
    """The suggested mapping."""
    created_at: int
    expires_at: int


def _keep_ms(ctx: Context) -> int:
    return ctx.settings.file_keep_hours * 3_600_000


async def create(
    ctx: Context, path: Path, inspection: Inspection, mapping: dict[str, str | None]
) -> StoredFile:
    """Register a file that lies, whole, in the files folder.

    Raises Forbidden where the group has left for another database since the upload began: it may
    take longer than its way there.
    """
    group = await ctx.tx.one("SELECT 1 FROM account_groups WHERE id = $1", ctx.group)
    if group is None:
        raise Forbidden.account_group()
    inspection = msgspec.structs.replace(inspection, preview=[])
    id_ = new_id()
    created_at, expires_at = time_of(id_), time_of(id_) + _keep_ms(ctx)
    await ctx.tx.run(
        "INSERT INTO files (account_group_id, id, stored_as, inspection, mapping, created_at,"
        " expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        ctx.group, id_, path.name, msgspec.json.encode(inspection).decode(),
        msgspec.json.encode(mapping).decode(), created_at, expires_at,
    )  # fmt: skip
    return StoredFile(id_, path, inspection, mapping, created_at, expires_at)


async def find(ctx: Context, file_id: bytes) -> StoredFile | None:
    """The file, unless it never was or has expired and feeds no job."""
    row = await ctx.tx.one(
        "SELECT stored_as, inspection, mapping, created_at, expires_at FROM files"
        " WHERE account_group_id = $1 AND id = $2",
        ctx.group,
        file_id,
    )
    if row is None:
        return None
    inspection = msgspec.json.decode(row[1], type=Inspection)
    mapping = msgspec.json.decode(row[2], type=dict[str, str | None])
    return StoredFile(
        file_id, ctx.settings.files_path / row[0], inspection, mapping, row[3], row[4]
    )


async def get(ctx: Context, file_id: bytes) -> StoredFile:
    """A file that has not expired. Raises NotFound."""
    file = await find(ctx, file_id)
    if file is None or file.expires_at <= ctx.now:
        raise NotFound.resource("file")
    return file


async def keep_on(ctx: Context, file_id: bytes) -> None:
    """Count the time to keep a file from now: its last job has ended."""
    await ctx.tx.run(
        "UPDATE files SET expires_at = $3 WHERE account_group_id = $1 AND id = $2"
        " AND expires_at < $3",
        ctx.group,
        file_id,
        ctx.now + _keep_ms(ctx),
    )


_SWEEP_AT_ONCE: Final = 100
_ORPHAN_S: Final = 3600.0


async def _forget_expired_everywhere(ctx: Context) -> list[str]:
    # A job that waits longer than the file is kept still finds it.
    rows = await ctx.tx.all(
        "DELETE FROM files WHERE (account_group_id, id) IN"
        f" (SELECT account_group_id, id FROM files WHERE expires_at <= $1 AND {AT_HOME}"
        " AND NOT EXISTS (SELECT 1 FROM prospecting_jobs j WHERE j.file_id = files.id"
        " AND j.status IN ('queued', 'running')) LIMIT $2) RETURNING stored_as",
        ctx.now,
        _SWEEP_AT_ONCE,
    )
    return [row[0] for row in rows]


async def _names_everywhere(ctx: Context) -> set[str]:
    return {row[0] for row in await ctx.tx.all("SELECT stored_as FROM files")}


async def sweep_everywhere(installation: Installation) -> int:
    """Delete expired files, and files on disk that no row names any more; how many.

    A file without a row is one whose upload was cut off between writing and registering: it is
    left for an hour, since its upload may still be going on.
    """
    ctx = Context(installation, b"")
    folder = installation.settings.files_path
    gone: list[str] = await ctx.write(_forget_expired_everywhere)
    if folder.is_dir():
        known: set[str] = await ctx.read(_names_everywhere)
        for path in folder.iterdir():
            try:
                age_s = ctx.now / 1000 - path.stat().st_mtime
            except FileNotFoundError:
                continue
            if path.name not in known and age_s > _ORPHAN_S:
                gone.append(path.name)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    return len(gone)
