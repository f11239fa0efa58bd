"""A mock server for the tests of programs that use Longlist.

    from longlist_client.testing import MockLonglist

    mock = MockLonglist()
    client = mock.client()

`longlist_client.testing.fixtures` has it as pytest fixtures.
"""

from longlist_client.testing.mock import MockLonglist
from longlist_client.testing.network import Served

__all__ = ["MockLonglist", "Served"]
