"""Somebody who has signed in."""

from __future__ import annotations

import pytest

from tests.admin.visitor import Visitor, signed_in
from tests.harness.server import Longlist


@pytest.fixture
def visitor(server: Longlist) -> Visitor:
    """A signed-in user."""
    return signed_in(server)
