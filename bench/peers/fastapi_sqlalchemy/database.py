"""Engine and session of the FastAPI peer, as SQLAlchemy's own documents set them up."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

SQLITE_PATH = os.environ.get("BENCH_SQLITE_PATH")

if SQLITE_PATH:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{SQLITE_PATH}",
        connect_args={"timeout": 30},
        pool_size=int(os.environ.get("BENCH_POOL_SIZE", "5")),
        max_overflow=0,
        pool_timeout=60,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _set_pragmas(connection: Any, _record: Any) -> None:
        """The same durability as Longlist: a write-ahead log, synced at every commit."""
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

else:
    engine = create_async_engine(
        f"postgresql+asyncpg://postgres@/{os.environ['BENCH_PG_NAME']}"
        f"?host={os.environ['BENCH_PG_HOST']}",
        pool_size=int(os.environ.get("BENCH_POOL_SIZE", "20")),
        max_overflow=0,
        pool_timeout=60,
    )

# Objects stay readable after commit, so the answer needs no further SELECT.
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """One session a request, as a FastAPI dependency."""
    async with new_session() as session:
        yield session
