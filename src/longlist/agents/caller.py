"""Whom a tool works for: a client with its key, the account group, and a folder for files."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from longlist_client import AsyncAccountGroup, AsyncLonglist, Me

from longlist.agents.refusals import Refused
from longlist.text import BadText, one_line

_ID: Final = re.compile(r"[0-9a-f]{24}\Z")
_ME_KEPT_S: Final = 30.0


@dataclass
class Caller:
    """One key, as the tools see it.

    `secret` seals plans. `account_group` is the one to take where a call names none, and `folder`
    the only place where files are read and written; None: nowhere.
    """

    client: AsyncLonglist
    secret: bytes
    account_group: str | None = None
    folder: Path | None = None
    _me: Me | None = field(default=None, repr=False)
    _me_until: float = 0.0

    async def me(self) -> Me:
        """What the key may do, as of the last half minute."""
        if self._me is None or time.monotonic() > self._me_until:
            self._me = await self.client.me()
            self._me_until = time.monotonic() + _ME_KEPT_S
        return self._me

    async def account(self, wanted: str | None) -> AsyncAccountGroup:
        """The account group of a call. Raises Refused where it has to be named."""
        if wanted is not None:
            return self.client.account(wanted)
        if self.account_group is not None:
            return self.client.account(self.account_group)
        groups = (await self.me()).account_groups
        if len(groups) == 1:
            return self.client.account(groups[0].id)
        raise Refused(
            "ACCOUNT_GROUP_NEEDED",
            "This key reaches several account groups, or none.",
            "Choose one and name it as accountGroupId in every call.",
            "find_account",
            accountGroups=[{"id": group.id, "name": group.name} for group in groups],
        )

    @staticmethod
    async def audience_id(account: AsyncAccountGroup, text: str) -> str:
        """The id of the audience with an id or exact name. Raises Refused."""
        if _ID.match(text):
            return text
        try:
            wanted = one_line(text, 255)
        except BadText as error:
            raise Refused(
                "NOT_FOUND", "That cannot be the name of an audience.", error.message,
                "list_audiences",
            ) from error  # fmt: skip
        found: list[str] = []
        near: list[str] = []
        async for audience in account.audiences.list(q=wanted, include="filling", limit=200):
            (found if audience.name == wanted else near).append(audience.id)
        if len(found) == 1:
            return found[0]
        if found:
            raise Refused(
                "AMBIGUOUS_NAME", f"{len(found)} audiences have exactly this name.",
                "Name the one you mean by its id.", audienceIds=found[:10],
            )  # fmt: skip
        raise Refused(
            "NOT_FOUND",
            f"There is no audience with exactly this name; {len(near)} contain it.",
            "Look for it with list_audiences and use its id.",
            "list_audiences",
            {"nameContains": wanted},
        )

    async def idempotency_key(self, tool: str, step: str, request_id: str) -> str:
        """The key under which the server knows one step of a request.

        The same for every repetition of a call, and another's for each API key: agents of two
        people may well make up the same requestId.
        """
        me = await self.me()
        text = "\0".join((me.key_id, tool, step, request_id))
        return "mcp-" + hashlib.sha256(text.encode()).hexdigest()

    def path(self, name: str) -> Path:
        """A path in the folder for files. Raises Refused for any other."""
        if self.folder is None:
            raise Refused(
                "NO_FOLDER", "No folder for files was allowed here.",
                "Pass people or profileUrls instead of a file; for a whole export or a large"
                " import tell the person you work for to run `longlist audiences export` or"
                " `longlist import`.",
            )  # fmt: skip
        folder = self.folder.resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder) or path == folder:
            raise Refused(
                "OUTSIDE_FOLDER", "The file is outside of the folder for files.",
                "Name a file inside that folder, by a relative path.",
            )  # fmt: skip
        return path

    def new_path(self, name: str) -> Path:
        """As `path`, for a file that is not there yet."""
        path = self.path(name)
        if path.exists():
            raise Refused("FILE_EXISTS", "There is a file of that name.", "Choose another name.")
        return path
