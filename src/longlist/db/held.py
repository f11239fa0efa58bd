"""How an engine says that a trigger kept a writer out: see `holding`."""

from __future__ import annotations

from typing import Final

HELD: Final = "The account group is being moved to another database."
HELD_STATE: Final = "LL001"
"""The SQLSTATE of it; class LL is none of PostgreSQL's own."""
