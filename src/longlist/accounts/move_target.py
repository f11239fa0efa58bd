"""The installation that an account group is moved to: opened beside the one of the settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from longlist import schema_version, startup
from longlist.console import Trouble
from longlist.context import Installation
from longlist.db import SchemaMismatch
from longlist.db.dumps import is_missing

if TYPE_CHECKING:
    from longlist.db import Database
    from longlist.settings import Settings

_POOL: Final = 4
_NOT_THE_SAME: Final = (
    "The target has another secret. Under it the keys of suppressed and erased people, the tokens"
    " of sources and the words of directories would be void, so nothing is moved. A target has to"
    " have this installation's secret from its first start on: the same LONGLIST_SECRET, or a copy"
    " of the file `secret` in its data folder."
)


def settings_of_target(settings: Settings, database_url: str, data: Path | None) -> Settings:
    """The settings of the target: its database, and its data folder where it has its own.

    Raises Trouble where that is the database of the settings themselves.
    """
    if database_url and not database_url.startswith(("postgresql://", "postgres://")):
        raise Trouble("--to takes a URL that starts with postgresql://.")
    if not database_url and data is None:
        raise Trouble("Name the target: --to postgresql://..., --to-data DIR, or both.")
    target = msgspec.structs.replace(
        settings,
        database_url=database_url,
        data=str(data or settings.data),
        database_pool=_POOL,
    )
    if name_of(startup.database(settings)) == name_of(startup.database(target)):
        raise Trouble("The target is the database that the account group is in.")
    return target


def name_of(db: Database) -> str:
    """Which database it is, without user and password."""
    from sqlalchemy.engine import make_url

    url = make_url(db.url)
    host = url.host or url.query.get("host", "")
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{host}{port}/{url.database or ''}"


@asynccontextmanager
async def opened(settings: Settings, secret: bytes) -> AsyncIterator[Installation]:
    """The open target. One that has never been started takes over the secret.

    Raises Trouble, DatabaseAway and SchemaMismatch.
    """
    db = startup.database(settings)
    if is_missing(db):
        raise Trouble(
            f"There is no database in {settings.data_path}. Make one with longlist migrate, with"
            " LONGLIST_DATA set to this folder."
        )
    await db.start()
    try:
        await _check_schema(db)
        await _share_secret(settings, db, secret)
        settings.files_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Installation(settings, db, startup.derived(secret))
    finally:
        await db.close()


async def _check_schema(db: Database) -> None:
    try:
        schema_version.check(await asyncio.to_thread(schema_version.current, db))
    except SchemaMismatch as error:
        raise Trouble(f"The target is not ready. {error}") from error


async def _share_secret(settings: Settings, db: Database, secret: bytes) -> None:
    file = settings.data_path / startup.SECRET_FILE
    from_file = not settings.secret
    if from_file and file.exists() and file.read_bytes().strip() != secret:
        raise Trouble(_NOT_THE_SAME)
    try:
        await db.write(startup.check_secret, startup.digest_of(secret))
    except startup.SecretMismatch as error:
        raise Trouble(_NOT_THE_SAME) from error
    if from_file:
        startup.write_private(file, secret)
