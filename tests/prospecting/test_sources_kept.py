"""Sources as they are kept: tokens encrypted and bound to their place, one provider for a kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from longlist.context import Context, Installation
from longlist.prospecting import source_store as sources
from longlist.prospecting import source_tokens as tokens
from longlist.prospecting.source_store import SourceRefused, StoredSource
from longlist.prospecting.source_tokens import TokenUnreadable
from tests.harness.client import at_once
from tests.harness.server import bytes_of
from tests.harness.tenant import Tenant
from tests.prospecting.scripted import NAME, TOKEN, registered, set_up


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    with registered():
        yield


def listed(api: Tenant) -> list[StoredSource]:
    found: list[StoredSource] = api.server.write(sources.list_all, group=api.group)
    return found


def test_a_token_comes_back_to_its_provider_alone(api: Tenant) -> None:
    made = set_up(api, settings={"total": "3"})
    (found,) = listed(api)
    assert found == made
    opened = found.opened(api.server.installation)
    assert (opened.token, opened.settings) == (TOKEN, {"total": "3"})
    assert TOKEN not in repr(opened) + repr(found)


def test_a_token_is_encrypted_at_rest(api: Tenant) -> None:
    made = set_up(api)
    sealed = api.server.value("SELECT token FROM sources WHERE id = $1", made.id)
    assert TOKEN.encode() not in bytes(sealed)
    # Neither the same token nor an empty one says by its bytes that it is the same.
    again = tokens.seal(api.server.installation, TOKEN, made.place)
    assert again != bytes(sealed)
    path = api.server.settings.sqlite_path
    if not api.server.settings.uses_postgres:
        for file in (path, Path(f"{path}-wal")):
            assert TOKEN.encode() not in bytes_of(file)
        with sqlite3.connect(path) as raw:
            assert TOKEN not in "\n".join(raw.iterdump())
        raw.close()


@pytest.mark.parametrize("change", ["group", "id", "provider", "settings_text"])
def test_a_token_belongs_to_its_place(api: Tenant, stranger: Tenant, change: str) -> None:
    made = set_up(api)
    other: Any = {
        "group": stranger.group,
        "id": bytes(12),
        "provider": "rival",
        "settings_text": '{"does":"breaks"}',
    }[change]
    moved = msgspec.structs.replace(made, **{change: other})
    with pytest.raises(TokenUnreadable, match="'LinkedIn' cannot be decrypted") as caught:
        moved.opened(api.server.installation)
    assert caught.value.__cause__ is None
    assert TOKEN not in str(caught.value)


def test_parts_of_a_place_do_not_run_into_each_other(api: Tenant) -> None:
    made = set_up(api)
    one = msgspec.structs.replace(made, provider="ab", settings_text="c")
    two = msgspec.structs.replace(made, provider="a", settings_text="bc")
    assert one.place != two.place


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(60), b"\x01" + bytes(60)])
def test_what_is_no_token_is_not_opened(api: Tenant, sealed: bytes) -> None:
    made = msgspec.structs.replace(set_up(api), sealed=sealed)
    with pytest.raises(TokenUnreadable):
        made.opened(api.server.installation)


def test_another_secret_opens_nothing(api: Tenant) -> None:
    made = set_up(api)
    ours = api.server.installation
    theirs = Installation(ours.settings, ours.db, b"another secret of 32 characters.")
    with pytest.raises(TokenUnreadable):
        made.opened(theirs)


def test_a_token_can_be_replaced(api: Tenant) -> None:
    made = set_up(api)
    assert api.server.write(sources.set_token, made, "another", group=api.group)
    (found,) = listed(api)
    assert found.opened(api.server.installation).token == "another"
    assert api.server.write(sources.remove, made.id, group=api.group)
    assert not api.server.write(sources.set_token, made, "another", group=api.group)
    assert not api.server.write(sources.remove, made.id, group=api.group)


def test_a_source_without_a_token(api: Tenant) -> None:
    set_up(api, "badges", token=None)
    (found,) = listed(api)
    assert found.sealed is None
    assert found.opened(api.server.installation).token is None


def test_each_kind_has_one_provider(api: Tenant) -> None:
    set_up(api, "rival", name="Rival")
    with pytest.raises(SourceRefused, match=r"post_commenters is served .* by 'Rival' \(rival\)"):
        set_up(api)
    with pytest.raises(SourceRefused, match=r"rival is set up .* as 'Rival'"):
        set_up(api, "rival", name="Another")
    assert [source.name for source in listed(api)] == ["Rival"]


def test_names_are_taken_once_in_a_group(api: Tenant, stranger: Tenant) -> None:
    set_up(api, name="Same")
    with pytest.raises(SourceRefused, match="a source 'Same'"):
        set_up(api, "badges", name="Same")
    set_up(stranger, name="Same")


def test_some_providers_stand_beside_themselves(api: Tenant, stranger: Tenant) -> None:
    set_up(stranger, "badges", name="Theirs")
    set_up(api, name="LinkedIn")
    for name in ("One", "Two"):
        set_up(api, "badges", name=name, token=None)

    async def names(ctx: Context, kind: str) -> list[str]:
        return [source.name for source in await sources.set_ups(ctx, kind)]

    write = api.server.write
    assert write(names, "directory_search", group=api.group) == ["One", "Two"]
    assert write(names, "sales_navigator", group=api.group) == ["LinkedIn"]
    assert write(names, "file_import", group=api.group) == []


def test_of_two_rivals_at_once_one_is_added(api: Tenant) -> None:
    def add(provider: str) -> str:
        try:
            return set_up(api, provider, name=provider).name
        except SourceRefused:
            return ""

    added = at_once([lambda p=p: add(p) for p in (NAME, "rival") * 8])  # type: ignore[misc]
    assert len([name for name in added if name]) == 1
    assert [source.name for source in listed(api)] == [name for name in added if name]


def test_a_provider_that_is_gone_serves_nothing(api: Tenant) -> None:
    made = set_up(api)
    api.server.change(("UPDATE sources SET provider = 'gone' WHERE id = $1", made.id))
    assert api.server.write(sources.serving, "linkedin_search", group=api.group) == []
    set_up(api, "rival", name="Rival")
