"""Backup and restore: database, secret and uploaded files in one archive.

The embedded database is copied by SQLite itself while the server works; PostgreSQL is dumped by
its own pg_dump. The secret belongs to it: without it suppressions are void. What the job engine
keeps beside the data is left out, since workers bring it back from the rows.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from longlist import schema_version, startup, workers
from longlist.console import Trouble, make_data_folder, need_database, program
from longlist.db import Database, sqlite_file
from longlist.db.dumps import Dumps, dumps_of, is_missing
from longlist.ids import now_ms, rfc3339
from longlist.schema_version import HEAD
from longlist.startup import SECRET_FILE
from longlist.upgrade import check_fitness

if TYPE_CHECKING:
    from longlist.settings import Settings

_MANIFEST: Final = "manifest.json"
_FILES: Final = "files/"
_FORMAT: Final = 1


class Manifest(msgspec.Struct, rename="camel"):
    """What is in an archive."""

    format: int
    engine: str
    longlist: str
    revision: str
    created_at: str


class Saved(msgspec.Struct, rename="camel"):
    """What a backup has saved."""

    engine: str
    database_bytes: int
    files: int
    with_secret: bool


def save(settings: Settings, target: Path, *, force: bool) -> Saved:
    """Write an archive that only its owner reads. Raises Trouble; then nothing is left behind."""
    need_database(settings)
    if target.exists() and not force:
        raise Trouble(f"{target} exists already. Choose another name, or add --force.")
    folder = target.resolve().parent
    if not folder.is_dir():
        raise Trouble(f"There is no folder {folder}.")
    db = startup.database(settings)
    dumps = dumps_of(db)
    check_fitness(startup.database(settings))
    revision = schema_version.current(db)
    if revision is None or revision not in schema_version.known_revisions():
        schema_version.check(revision)  # raises
    try:
        with tempfile.TemporaryDirectory(prefix=".longlist-backup-", dir=folder) as scratch:
            database = Path(scratch) / dumps.file_name
            dumps.save(database)
            manifest = Manifest(
                _FORMAT, dumps.engine, version("longlist"), revision or "", rfc3339(now_ms())
            )
            archive = Path(scratch) / "archive"
            files, with_secret = _pack(settings, archive, target, manifest, database)
            saved = Saved(dumps.engine, database.stat().st_size, files, with_secret)
            archive.replace(target)
    except OSError as error:
        raise Trouble(f"The backup failed: {error}.") from error
    return saved


def _pack(
    settings: Settings, archive: Path, target: Path, manifest: Manifest, database: Path
) -> tuple[int, bool]:
    """Write the archive; how many uploaded files are in it, and whether the secret is."""
    compressed = target.name.endswith((".gz", ".tgz"))
    secret = settings.data_path / SECRET_FILE
    with_secret = not settings.secret and secret.exists()
    files = 0
    with open(os.open(archive, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        with (
            tarfile.open(fileobj=out, mode="w:gz" if compressed else "w", compresslevel=6)
            if (compressed)
            else tarfile.open(fileobj=out, mode="w") as tar
        ):
            described = database.with_name(_MANIFEST)
            described.write_bytes(msgspec.json.encode(manifest))
            tar.add(described, _MANIFEST)
            tar.add(database, database.name)
            if with_secret:
                tar.add(secret, SECRET_FILE)
            for path in _uploads(settings):
                # After the database was copied: a file that expires meanwhile is not missed.
                try:
                    tar.add(path, _FILES + path.name)
                except FileNotFoundError:
                    continue
                files += 1
        out.flush()
        os.fsync(out.fileno())
    return files, with_secret


def _uploads(settings: Settings) -> Iterator[Path]:
    if settings.files_path.is_dir():
        yield from (path for path in sorted(settings.files_path.iterdir()) if _is_upload(path.name))


def _is_upload(name: str) -> bool:
    """Uploads that are whole: one still under way ends in another way."""
    return name.endswith(".upload") and "/" not in name


def restore(settings: Settings, source: Path, *, force: bool) -> list[str]:
    """Put an archive back; sentences about what was done. Raises Trouble with nothing changed."""
    make_data_folder(settings)
    dumps = dumps_of(startup.database(settings))
    try:
        with _unpacked(settings, source, dumps.file_name) as scratch:
            manifest = _check(dumps, scratch)
            _refuse(settings, force=force)
            aside = _replace(settings, dumps, scratch)
    except tarfile.TarError as error:
        raise _not_an_archive(source) from error
    except (OSError, EOFError, zlib.error) as error:
        raise Trouble(f"{source} cannot be restored: {error}.") from error
    said = [f"Restored the backup of {manifest.created_at} ({manifest.engine})."]
    if aside.exists():
        said.append(f"What was there before is in {aside}.")
    if manifest.revision != HEAD:
        said.append(f"Its schema is older ({manifest.revision}). Run: {program()} migrate")
    return said


def _not_an_archive(source: Path) -> Trouble:
    return Trouble(f"{source} is not an archive of longlist backup for this kind of database.")


@contextmanager
def _unpacked(settings: Settings, source: Path, database: str) -> Iterator[Path]:
    """A folder beside the data with the archive's content: known names and plain files alone."""
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.data_path) as text:
        scratch = Path(text)
        (scratch / _FILES).mkdir()
        with tarfile.open(source) as tar:
            for member in tar:
                upload = member.name.removeprefix(_FILES)
                named = member.name in (_MANIFEST, SECRET_FILE, database) or (
                    upload != member.name and _is_upload(upload)
                )
                content = tar.extractfile(member) if named and member.isreg() else None
                if content is None:
                    raise _not_an_archive(source)
                path = scratch / member.name
                with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                    shutil.copyfileobj(content, out)
                    out.flush()
                    os.fsync(out.fileno())
        yield scratch


def _check(dumps: Dumps, scratch: Path) -> Manifest:
    """The manifest of an archive that fits this version and database. Raises Trouble."""
    try:
        manifest = msgspec.json.decode((scratch / _MANIFEST).read_bytes(), type=Manifest)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise Trouble("The archive has no manifest of longlist backup.") from error
    if manifest.format != _FORMAT or manifest.revision not in schema_version.known_revisions():
        raise Trouble(
            f"The archive was made by a newer Longlist ({manifest.longlist}). Install that one."
        )
    database = scratch / dumps.file_name
    found = dumps.problems(database) if database.exists() else ["it is not in the archive"]
    if found:
        raise Trouble(f"The saved database cannot be used: {found[0]}.")
    return manifest


def _refuse(settings: Settings, *, force: bool) -> None:
    """Raise Trouble where there is a database already, or somebody works on it."""
    db = startup.database(settings)
    if is_missing(db):
        return
    dumps = dumps_of(db)
    damaged = dumps.is_damaged()
    if not damaged:
        check_fitness(startup.database(settings))
        if schema_version.current(db) is None:
            return
    if not force:
        raise Trouble(
            "There is a database already. Add --force to replace it; SQLite's is kept beside."
        )
    if dumps.is_open_elsewhere() or (not damaged and asyncio.run(_has_workers(db))):
        raise Trouble("A server uses the database at this moment. Stop it first.")


async def _has_workers(db: Database) -> bool:
    """True where a worker has beaten within its time."""
    await db.start()
    try:
        known, silent = await db.read(workers.registered), await db.read(workers.silent)
    finally:
        await db.close()
    return bool(known - set(silent))


def _replace(settings: Settings, dumps: Dumps, scratch: Path) -> Path:
    """Put everything in its place; the folder of what was there before."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = settings.data_path / f"replaced-{stamp}"
    # First, as it may fail, and then has changed nothing.
    dumps.put_back(scratch / dumps.file_name, aside)
    # What the job engine noted of other rows.
    sqlite_file.set_aside(settings.jobs_sqlite_path, aside)
    secret = settings.data_path / SECRET_FILE
    if (scratch / SECRET_FILE).exists():
        if secret.exists():
            aside.mkdir(mode=0o700, exist_ok=True)
            secret.replace(aside / SECRET_FILE)
        (scratch / SECRET_FILE).replace(secret)
    for path in (scratch / _FILES).iterdir():
        settings.files_path.mkdir(mode=0o700, exist_ok=True)
        path.replace(settings.files_path / path.name)
    return aside
