"""What is done from time to time: erased people leave the disk, keys get their last use."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from longlist.context import Context, Installation
from longlist.db import Transaction
from longlist.maintenance import Maintenance, scrub_everywhere
from tests.harness.server import Longlist, bytes_of
from tests.harness.tenant import Tenant

ASKED = "SELECT COUNT(*) FROM installation WHERE name = 'scrub'"
PATIENCE_S = 60.0


async def scrub_until_done(installation: Installation) -> None:
    """Scrub as maintenance does: again and again while somebody reads."""
    until = time.monotonic() + PATIENCE_S
    while not await scrub_everywhere(installation):
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


def erase_one(api: Tenant) -> None:
    audience = api.audience()["id"]
    prospect = api.prospect(audience, firstName="Zebedee", email="zebedee.unheard@example.com")
    api.delete(f"AG/prospects/{prospect}").expect(200)


def test_an_erasure_is_scrubbed(server: Longlist, api: Tenant) -> None:
    erase_one(api)
    assert server.value(ASKED) == 1
    server.call(scrub_until_done, server.installation)
    assert server.value(ASKED) == 0
    if not server.settings.uses_postgres:
        for file in server.settings.data_path.glob("longlist.sqlite3*"):
            assert b"unheard" not in bytes_of(file)


def test_an_erasure_during_a_scrub_is_not_forgotten(server: Longlist, api: Tenant) -> None:
    erase_one(api)
    db = server.installation.db

    class Interrupted:
        """The database, with an erasure that commits while it is scrubbed."""

        write = db.write

        async def scrub(self) -> bool:
            async def ask_again(tx: Transaction) -> None:
                await tx.run("UPDATE installation SET value = '1' WHERE name = 'scrub'")

            await db.write(ask_again)
            return True

    installation: Any = type("Installation", (), {"db": Interrupted()})
    assert server.call(scrub_everywhere, installation)
    assert server.value(ASKED) == 1
    server.call(scrub_until_done, server.installation)
    assert server.value(ASKED) == 0


def test_a_scrub_waits_for_who_still_reads(server: Longlist, api: Tenant) -> None:
    if server.settings.uses_postgres:
        return  # it waits up to 30 s inside, too long for a test
    erase_one(api)

    async def beside_a_reader() -> bool:
        async with server.installation.db.snapshot() as snapshot:
            await snapshot.one("SELECT COUNT(*) FROM events")
            await Context(server.installation, api.group).write(touch)
            return await scrub_everywhere(server.installation)

    async def touch(ctx: Context) -> None:
        await ctx.tx.run("UPDATE account_groups SET name = name WHERE id = $1", ctx.group)

    assert server.call(beside_a_reader) is False
    assert server.value(ASKED) == 1
    server.call(scrub_until_done, server.installation)


def test_every_task_runs(server: Longlist, api: Tenant) -> None:
    api.get("/v1/me").expect(200)
    last_used = "SELECT last_used_at FROM api_keys WHERE id = $1"
    maintenance = Maintenance(server.installation, server.app.gate.keys)
    for task in (maintenance.often, maintenance.seldom, maintenance.stop):
        server.call(task)
    assert server.value(last_used, api.key_id) is not None
