"""Somebody who has signed in."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from longlist.admin import passwords
from tests.admin.visitor import Visitor, signed_in
from tests.harness.server import Longlist

CHEAP = PasswordHasher(time_cost=1, memory_cost=128, parallelism=1)


@pytest.fixture
def visitor(server: Longlist) -> Visitor:
    """A signed-in user."""
    return signed_in(server)


@pytest.fixture
def dear_passwords() -> None:
    """Keeps the parameters of hashes as they are outside of tests."""


@pytest.fixture(autouse=True)
def _cheap_passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes take no time, where a test does not ask for real ones."""
    if "dear_passwords" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_hasher", CHEAP)
        passwords._of_nobody.cache_clear()
