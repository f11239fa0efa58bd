"""Opens an installation: database, schema check, secret; and makes a first one ready to use."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from longlist.accounts import store as accounts
from longlist.context import Context, Installation
from longlist.db import Database, Transaction, open_database
from longlist.keys import store as keys
from longlist.schema_version import HEAD, check
from longlist.settings import SettingError, Settings

SECRET_FILE: Final = "secret"  # noqa: S105
FIRST_GROUP: Final = "Default"


class SecretMismatch(SettingError):
    """The secret is not the one this database was made with."""


def database(settings: Settings, session: str = "") -> Database:
    """The settings' database, not yet connected; the data folder is made where it is missing.

    `session`: the name by which others may cut this process off (`Transaction.cut_off`).
    """
    settings.data_path.mkdir(parents=True, exist_ok=True)
    return open_database(
        sqlite_path=settings.sqlite_path,
        database_url=settings.database_url,
        read_url=settings.database_read_url,
        pool=settings.database_pool,
        session=session,
    )


def read_secret(settings: Settings) -> bytes:
    """The installation's secret; made and kept in the data folder where the settings have none."""
    if settings.secret:
        return settings.secret.encode()
    path = settings.data_path / SECRET_FILE
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    made = secrets.token_urlsafe(48).encode()
    write_private(path, made)
    return path.read_bytes().strip()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, unless another process was quicker."""
    # By chance: in containers that share the folder every process may have the same number.
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()


def digest_of(secret: bytes) -> str:
    """By what a database knows the secret it was made with."""
    return hashlib.blake2b(b"check", key=secret[:64], digest_size=16).hexdigest()


def derived(secret: bytes) -> bytes:
    """What an Installation is given of the secret."""
    return hashlib.sha256(secret).digest()


async def kept_digest(tx: Transaction) -> str | None:
    """The digest of the secret that this database was made with; None before its first start."""
    row = await tx.one("SELECT value FROM installation WHERE name = 'secret'")
    return None if row is None else row[0]


async def check_secret(tx: Transaction, digest: str) -> None:
    """Keys of suppressed people are void under another secret: refuse it rather than lose them."""
    await tx.run(
        "INSERT INTO installation (name, value) VALUES ('secret', $1) ON CONFLICT DO NOTHING",
        digest,
    )
    if await kept_digest(tx) != digest:
        raise SecretMismatch(
            "The secret is not the one this database was made with. Set LONGLIST_SECRET, or the"
            " secret file in the data folder, to the value it had."
        )


async def _revision(tx: Transaction) -> str | None:
    row = await tx.one("SELECT version_num FROM alembic_version")
    return None if row is None else row[0]


@asynccontextmanager
async def installation(settings: Settings, session: str = "") -> AsyncIterator[Installation]:
    """The open installation, closed at the end; `session` as in `database`.

    Raises DatabaseAway, SchemaMismatch (its text says what to run) and SettingError.
    """
    db = database(settings, session)
    await db.start()
    try:
        try:
            revision = await db.read(_revision)
        except Exception:
            # No table of revisions: an empty database, or one that is not ours.
            revision = None
        if revision != HEAD:
            check(revision)
        settings.files_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = read_secret(settings)
        await db.write(check_secret, digest_of(secret))
        yield Installation(settings, db, derived(secret))
    finally:
        await db.close()


async def first_group(ctx: Context) -> tuple[bytes, str] | None:
    """On an empty installation: the account group "Default" and a key with every permission.

    None where there is a group already.
    """
    if await accounts.list_all_everywhere(ctx):
        return None
    group = await accounts.create_everywhere(ctx, FIRST_GROUP)
    _, key = await keys.create_everywhere(
        ctx, name="First key", permissions=keys.PERMISSIONS, groups=[group.id]
    )
    return group.id, key
