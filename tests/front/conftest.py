"""Two clusters of two engines with one secret, and a front of both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from longlist.front import directory_store as store
from tests.accounts.moving import settings_of
from tests.front.fronts import RunningFront, change, running_front, through
from tests.harness.server import Longlist, running_longlist, settings_for
from tests.harness.tenant import Tenant

TRUSTED = "127.0.0.0/8"


@pytest.fixture(scope="session")
def cluster_a(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Longlist]:
    """A cluster on SQLite."""
    settings = settings_of(tmp_path_factory.mktemp("cluster-a"), trusted_proxies=TRUSTED)
    with running_longlist(settings) as server:
        yield server


@pytest.fixture(scope="session")
def cluster_b(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Longlist]:
    """A cluster on PostgreSQL."""
    url = request.getfixturevalue("postgres").new_database()
    settings = settings_of(tmp_path_factory.mktemp("cluster-b"), url, trusted_proxies=TRUSTED)
    with running_longlist(settings) as server:
        yield server


@pytest.fixture(scope="session")
def front(
    cluster_a: Longlist, cluster_b: Longlist, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFront]:
    """One front for the session; tests that change its clusters make one of their own."""
    at = tmp_path_factory.mktemp("directory") / "front.sqlite3"
    settings = settings_for("/nonexistent", front_directory=str(at))
    for name, server in (("a", cluster_a), ("b", cluster_b)):
        change(settings, store.add_cluster_everywhere, name, f"http://127.0.0.1:{server.port}")
    with running_front(at) as running:
        yield running


@pytest.fixture(params=["a", "b"])
def direct(
    request: pytest.FixtureRequest, front: RunningFront, cluster_a: Longlist, cluster_b: Longlist
) -> Tenant:
    """A fresh group on one of the clusters, asked without the front."""
    tenant = Tenant(cluster_a if request.param == "a" else cluster_b)
    front.change(store.place_everywhere, tenant.group.hex(), request.param)
    return tenant


@pytest.fixture
def api(front: RunningFront, direct: Tenant) -> Tenant:
    """The same group through the front."""
    return through(front, direct)
