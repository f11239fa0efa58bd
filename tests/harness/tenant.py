"""An account group of a test's own: tests share servers and never meet each other's data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from longlist.accounts import store as accounts
from longlist.context import Context
from longlist.ids import new_id, now_ms
from longlist.keys import store as keys
from longlist.limits import Rate
from tests.harness.answer import Answer
from tests.harness.client import Client
from tests.harness.server import Longlist

UNKNOWN = "0123456789abcdef01234567"
"""A well-formed id that was never issued."""


class Tenant(Client):
    """A client of one account group, with a key that may do everything in it.

    Targets that start with `AG` are below the group's path, as in the contract.
    """

    def __init__(self, server: Longlist, name: str = "Under test") -> None:
        self.group: bytes = server.write(accounts.create_everywhere, name).id
        super().__init__(server)
        self.key_id, self.key = self.make_key()

    def make_key(
        self,
        permissions: Sequence[str] = keys.PERMISSIONS,
        *,
        groups: Sequence[bytes] | None = None,
        expires_at: int | None = None,
        rate: Rate | None = None,
    ) -> tuple[bytes, str]:
        """Issue a key of this group, or of other groups: its id and the key."""
        make = partial(
            keys.create_everywhere,
            name="A key",
            permissions=permissions,
            groups=[self.group] if groups is None else groups,
            expires_at=expires_at,
            rate=rate,
        )
        made: tuple[bytes, str] = self.server.write(make)
        return made

    def path(self, target: str) -> str:
        """The target with `AG` written out."""
        return target.replace("AG", f"/v1/accounts/{self.group.hex()}", 1)

    def send(self, method: str, target: str, **more: Any) -> Answer:
        return super().send(method, self.path(target), **more)

    def set(self, **values: Any) -> None:
        """Set what the operator may set, by the names of contract 2.2."""

        async def body(ctx: Context) -> None:
            await accounts.set_values(ctx, values)

        self.server.write(body, group=self.group)

    def audience(self, name: str = "Fintech CTOs", type_: str = "on_demand", **more: Any) -> Any:
        """Create an audience; its `data`."""
        return self.post("AG/audiences", {"name": name, "type": type_, **more}).expect(201).data

    def folder(self, name: str = "Spring", audience_type: str = "on_demand") -> Any:
        """Create a folder; its `data`."""
        body = {"name": name, "audienceType": audience_type}
        return self.post("AG/audiences/folders", body).expect(201).data

    def add(self, audience_id: str, *prospects: Any) -> Any:
        """Add prospects; the `data` of the answer."""
        target = f"AG/audiences/{audience_id}/prospects"
        return self.post(target, {"prospects": prospects}).expect(200).data

    def prospect(self, audience_id: str, **values: Any) -> str:
        """Add one prospect; the id."""
        (item,) = self.add(audience_id, values)["items"]
        assert item["outcome"] == "added", item
        return str(item["prospectId"])

    def events(self, type_: str | None = None) -> list[tuple[str, str, str]]:
        """Type, resource id and data of each event of the group, oldest first."""
        rows = self.server.rows(
            "SELECT type, resource_id, data FROM events WHERE account_group_id = $1"
            " ORDER BY sequence",
            self.group,
        )
        return [(r[0], r[1].hex(), r[2]) for r in rows if type_ is None or r[0] == type_]

    @contextlib.contextmanager
    def filling(self, audience_id: str, status: str = "queued", progress: int = 0) -> Iterator[str]:
        """While inside, a job fills the audience: its row and the lock are there; the job's id."""
        job_id = new_id()
        self.server.change(
            (
                "INSERT INTO prospecting_jobs (account_group_id, id, audience_id, source_kind,"
                " source, status, progress, enqueued, created_at, updated_at)"
                " VALUES ($1, $2, $3, 'file_import', '{}', $4, $5, 1, $6, $7)",
                self.group, job_id, bytes.fromhex(audience_id), status, progress,
                1_772_600_000_089, now_ms(),
            ),
            (
                "UPDATE audiences SET active_job_id = $3 WHERE account_group_id = $1 AND id = $2",
                self.group, bytes.fromhex(audience_id), job_id,
            ),
        )  # fmt: skip
        try:
            yield job_id.hex()
        finally:
            self.server.change(
                (
                    "UPDATE audiences SET active_job_id = NULL WHERE account_group_id = $1"
                    " AND id = $2",
                    self.group,
                    bytes.fromhex(audience_id),
                ),
                (
                    "UPDATE prospecting_jobs SET status = 'completed' WHERE account_group_id = $1"
                    " AND id = $2",
                    self.group,
                    job_id,
                ),
            )
