"""The directory: seen within a second, believed no longer, done without for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longlist.console import Trouble
from longlist.db import DatabaseAway
from longlist.front import directory, upstream
from longlist.front import directory_store as store
from longlist.settings import Settings
from tests.front.fronts import RunningFront, change, running_front, through
from tests.harness.server import Longlist, settings_for
from tests.harness.tenant import Tenant


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An empty directory on either engine."""
    at = str(tmp_path / "front.sqlite3")
    if request.param == "postgres":
        at = request.getfixturevalue("postgres").new_database()
    return settings_for("/nonexistent", front_directory=at)


def read(settings: Settings, body: Any, *args: Any) -> Any:
    return change(settings, body, *args)


def refused(settings: Settings, body: Any, *args: Any) -> str:
    with pytest.raises(Trouble) as error:
        change(settings, body, *args)
    return str(error.value)


def test_what_it_keeps(settings: Settings) -> None:
    group, other = "a" * 24, "b" * 24
    change(settings, store.add_cluster_everywhere, "east", "http://east.example:8080")
    assert "already" in refused(settings, store.add_cluster_everywhere, "east", "http://x")
    change(settings, store.add_cluster_everywhere, "west", "http://west.example:8080")
    assert "no cluster" in refused(settings, store.place_everywhere, group, "north")
    change(settings, store.place_everywhere, group, "east")
    assert change(settings, store.place_new_everywhere, [group, other], "west") == 1
    assert read(settings, store.list_clusters_everywhere) == [
        store.Cluster("east", "http://east.example:8080", 1),
        store.Cluster("west", "http://west.example:8080", 1),
    ]
    assert "Move them first" in refused(settings, store.remove_cluster_everywhere, "west")
    assert "on east already" in refused(settings, store.close_everywhere, group, "east")
    change(settings, store.close_everywhere, group, "west")
    assert read(settings, store.find_everywhere, group) == store.Entry(group, "east", "west")
    change(settings, store.reopen_everywhere, group)
    assert read(settings, store.list_groups_everywhere, "east") == [
        store.Entry(group, "east", None)
    ]
    change(settings, store.close_everywhere, group, "west")
    change(settings, store.place_everywhere, group, "west")
    assert read(settings, store.find_everywhere, group) == store.Entry(group, "west", None)
    change(settings, store.remove_cluster_everywhere, "east")
    change(settings, store.change_cluster_everywhere, "west", "https://west.example")
    assert read(settings, store.urls_everywhere) == {"west": "https://west.example"}
    change(settings, store.forget_everywhere, group)
    assert "no entry" in refused(settings, store.forget_everywhere, group)
    secrets = {read(settings, store.secret_everywhere) for _ in range(2)}
    assert len(secrets) == 1
    assert len(secrets.pop()) == 32


def test_made_by_several_at_once(settings: Settings) -> None:
    """Fronts that start together on an empty directory."""

    async def go() -> set[bytes]:
        async def one() -> bytes:
            async with directory.opened(settings) as db:
                return await directory.Directory(db).secret()

        return set(await asyncio.gather(*(one() for _ in range(4))))

    assert len(asyncio.run(go())) == 1


def test_a_newer_directory_is_refused(settings: Settings) -> None:
    async def newer(tx: Any) -> None:
        await tx.run("UPDATE front_directory SET value = '2' WHERE name = 'version'")

    change(settings, newer)
    assert "newer version" in refused(settings, store.urls_everywhere)


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://a", "http://", "http://a/b", "http://u@a", "http://a?b", "http://a:0x",
     "http://a#b", "http://a:70000", "http://a b", "http://\u00e9"],
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        upstream.address_of(url)


def test_addresses() -> None:
    found = {
        url: upstream.address_of(url).authority.decode()
        for url in ("http://a:8080", "https://a", "http://a:80/", "http://[::1]:8080", "http://A")
    }
    assert list(found.values()) == ["a:8080", "a", "a", "[::1]:8080", "a"]


@pytest.fixture
def pair(
    cluster_a: Longlist, cluster_b: Longlist, tmp_path: Path
) -> Iterator[tuple[RunningFront, Tenant]]:
    """A front of its own with a group on a."""
    settings = settings_for("/nonexistent", front_directory=str(tmp_path / "front.sqlite3"))
    for name, server in (("a", cluster_a), ("b", cluster_b)):
        change(settings, store.add_cluster_everywhere, name, f"http://127.0.0.1:{server.port}")
    tenant = Tenant(cluster_a)
    change(settings, store.place_everywhere, tenant.group.hex(), "a")
    with running_front(settings.front_directory) as front:
        yield front, tenant


def test_a_change_is_seen_within_a_second(pair: tuple[RunningFront, Tenant]) -> None:
    front, tenant = pair
    api, group = through(front, tenant), tenant.group.hex()
    api.get("AG/audiences").expect(200)
    change(front.settings, store.close_everywhere, group, "b")
    time.sleep(directory.SEEN_S)
    api.get("AG/audiences").expect(503, "OVERLOADED")
    change(front.settings, store.forget_everywhere, group)
    time.sleep(directory.SEEN_S)
    api.get("AG/audiences").expect(403, "FORBIDDEN")
    change(front.settings, store.place_everywhere, group, "b")
    time.sleep(directory.SEEN_S)
    # The other cluster does not know the key.
    api.get("AG/audiences").expect(401)


def test_without_the_directory(
    pair: tuple[RunningFront, Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known serves on, but no refusal is believed; what was not known is not guessed."""
    front, tenant = pair
    api = through(front, tenant)
    known = front.front._directory
    api.get("AG/audiences").expect(200)
    api.get("/v1/me").expect(200)
    api.get("/readyz").expect(200)

    async def away(*_: Any) -> Any:
        raise DatabaseAway("The directory is away in this test.")

    monkeypatch.setattr(known._db, "read", away)
    known._groups = {name: (0.0, entry) for name, (_, entry) in known._groups.items()}
    known._clusters = (0.0, known._clusters[1]) if known._clusters else None
    front.front._looked = 0.0
    api.get("AG/audiences").expect(200)
    api.audience("Made meanwhile")
    api.with_key("llk_no").get(api.path("AG/audiences")).expect(503, "OVERLOADED")
    api.get("/v1/me").expect(200)
    api.get(f"/v1/accounts/{'c' * 24}/audiences").expect(503, "OVERLOADED")
    ready = api.get("/readyz").expect(503, "OVERLOADED")
    assert ready.error["context"]["checks"]["directory"] == "failed"
    monkeypatch.undo()
    time.sleep(directory._PAUSE_S)
    api.with_key("llk_no").get(api.path("AG/audiences")).expect(401)
    front.front._looked = 0.0
    api.get("/readyz").expect(200)


def test_a_front_of_nothing(settings: Settings) -> None:
    with running_front(settings.front_directory) as front:
        api = Tenant.__new__(Tenant)
        api.server, api.key, api.group = front, "llk_x", b"\0" * 12  # type: ignore[assignment]
        checks = api.get("/readyz").expect(503).error["context"]["checks"]
        assert checks == {"directory": "ok", "running": "ok"}
        for target in ("AG/audiences", "/v1/me", "/v1/accounts"):
            api.get(target).expect(503, "OVERLOADED")
            api.with_key(None).get(api.path(target)).expect(401, "UNAUTHORIZED")
        assert api.get("/openapi.json").expect(200).json["openapi"].startswith("3.1")
