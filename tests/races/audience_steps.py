"""Everything that changes audiences, folders and people by hand, while jobs may hold them."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, rule

from longlist.audiences import folder_store as folders
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.errors import AudienceNotReady, Conflict, NotFound, Unprocessable
from longlist.prospects import erasure_store as erasure
from longlist.prospects import intake
from longlist.prospects import member_store as members
from longlist.prospects import store as prospects
from longlist.prospects.person import make_person
from tests.races.steps import Steps

NOBODY = bytes(12)
people = st.integers(0, 7)
profile = "https://www.linkedin.com/in/raced-{}".format


class AudienceSteps(Steps):
    """What exists and what is live, as the database has to agree with."""

    any_audience = Bundle("any_audience")
    any_watched = Bundle("any_watched")
    """Audiences that were made with a monitor."""
    any_folder = Bundle("any_folder")

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[bytes, bytes] = {}
        """The audience of each live job."""
        self.existing: set[bytes] = set()

    def expect(
        self, audience: bytes, body: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> Any:
        """A change of an audience: done where it is ready, refused where it is filling or gone."""
        try:
            found = self.write(body, audience, *args, **kwargs)
        except AudienceNotReady as refused:
            assert audience in self.live.values()
            named = bytes.fromhex(refused.context["jobId"])
            assert self.live[named] == audience
            return None
        except NotFound:
            return None
        assert audience in self.existing
        assert audience not in self.live.values(), "written while a job lives"
        return found

    # Audiences and folders

    @rule(target=any_audience)
    def create(self) -> bytes:
        return self._create("on_demand")

    def _create(self, type_: Any) -> bytes:
        found = self.write(audiences.create, name="A", type_=type_, description=None)
        self.existing.add(found.id)
        return bytes(found.id)

    @rule(target=any_folder)
    def create_folder(self) -> bytes:
        return bytes(self.write(folders.create, name="F", audience_type="on_demand").id)

    @rule(audience=st.one_of(any_audience, any_watched), number=st.integers(0, 2))
    def rename(self, audience: bytes, number: int) -> None:
        self.expect(audience, audiences.update, name=f"N{number}")

    @rule(audience=any_audience, folder=any_folder)
    def move_in(self, audience: bytes, folder: bytes) -> None:
        with contextlib.suppress(Unprocessable):  # a folder of another kind
            self.expect(audience, folders.move_in, folder)

    @rule(audience=any_audience)
    def move_out(self, audience: bytes) -> None:
        self.expect(audience, folders.move_out)

    @rule(folder=any_folder, ungroup=st.booleans())
    def delete_folder(self, folder: bytes, ungroup: bool) -> None:
        inside = {
            row[0]
            for row in self.rows(
                "SELECT id FROM audiences WHERE account_group_id = $1 AND folder_id = $2",
                self.group,
                folder,
            )
        }
        try:
            self.write(folders.delete, folder, ungroup=ungroup)
        except AudienceNotReady:
            assert ungroup
            assert inside & set(self.live.values())
        except Conflict:
            assert inside
            assert not ungroup
        except NotFound:
            assert not inside
        else:
            assert not inside & set(self.live.values()), "ungrouped while a job lives"

    @rule(audience=st.one_of(any_audience, any_watched))
    def delete(self, audience: bytes) -> None:
        try:
            self.write(audiences.delete, audience)
        except AudienceNotReady:
            assert audience in self.live.values()
        except NotFound:
            assert audience not in self.existing
        else:
            assert audience not in self.live.values(), "deleted while a job lives"
            self.existing.remove(audience)

    # People

    @rule(audience=any_audience, numbers=st.lists(people, min_size=1, max_size=4))
    def add(self, audience: bytes, numbers: list[int]) -> None:
        async def body(ctx: Context, audience_id: bytes) -> None:
            await prospects.lock_identity(ctx)
            await audiences.hold(ctx, audience_id)
            entries = [
                intake.entry(ctx.hasher, at, make_person({"linkedinUrl": profile(number)}))
                for at, number in enumerate(numbers, 1)
            ]
            await intake.take_in(ctx, audience_id, entries)

        self.expect(audience, body)

    @rule(audience=any_audience, number=st.integers(0, 30))
    def remove(self, audience: bytes, number: int) -> None:
        self.expect(audience, members.delete, self._someone(number))

    @rule(number=st.integers(0, 30))
    def erase(self, number: int) -> None:
        """Not held up by filling audiences."""
        someone = self._someone(number)
        try:
            self.write(erasure.erase, someone)
        except NotFound:
            assert someone == NOBODY

    def _someone(self, number: int) -> bytes:
        found = self.rows("SELECT id FROM prospects WHERE account_group_id = $1", self.group)
        return bytes(found[number % len(found)][0]) if found else NOBODY
