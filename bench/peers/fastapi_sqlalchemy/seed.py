"""Make the tables and rows of the FastAPI peer; print what the load needs as JSON."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sys
from datetime import timedelta

from database import engine, new_session
from models import AccountGroup, ApiKey, Audience, Base, new_id, now


async def seed(count: int) -> dict[str, object]:
    """One group, one key with both permissions and `count` audiences, oldest first."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    key = f"llk_{secrets.token_hex(24)}"
    group = AccountGroup(id=new_id(), name="Bench")
    start = now() - timedelta(seconds=count)
    ids = [new_id() for _ in range(count)]
    async with new_session() as session:
        session.add(group)
        await session.flush()
        session.add(
            ApiKey(
                key_hash=hashlib.sha256(key.encode()).hexdigest(),
                name="bench",
                permissions=["audiences:read", "audiences:write"],
                account_group_ids=[group.id],
            )
        )
        session.add_all(
            Audience(
                id=id_,
                account_group_id=group.id,
                name=f"Audience {position:04d}",
                type="on_demand",
                description="Invented for the benchmark",
                created_at=start + timedelta(seconds=position),
            )
            for position, id_ in enumerate(ids)
        )
        await session.commit()
    await engine.dispose()
    return {"key": key, "group": group.id, "audiences": ids}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(seed(int(sys.argv[1])))))
