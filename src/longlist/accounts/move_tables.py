"""What belongs to an account group: derived from the tables, so that a new one cannot be forgotten.

Every table with the column `account_group_id` is moved. Most are copied row by row while the group
is still in its old place; the few rows that make a group reachable (itself, its keys, its
monitors, which the clock starts) go as one parcel at the switch.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Table, Text

from longlist.db.holding import Held
from longlist.tables import METADATA

GROUP: Final = "account_group_id"
MARKERS: Final = "account_group_moves"
PARCEL: Final = ("account_groups", "api_keys", "api_key_groups", "monitors")
"""In the order in which they can be inserted."""
WORDS: Final = "directory_words"
"""The full-text index, which each engine has in its own form; it goes with `directory_people`."""
EVENTS: Final = "events"
GENERATIONS: Final = "directory_generations"
PEOPLE: Final = "directory_people"
GENERATION_BITS: Final = 32
"""A row of a directory is numbered `generation << 32 | place`."""


class Shifts(msgspec.Struct, frozen=True):
    """What is added to the numbers that one database counts for all groups together."""

    events: int = 0
    generations: int = 0


class Moved(msgspec.Struct, frozen=True):
    """A table whose rows are copied one by one."""

    name: str
    columns: tuple[str, ...]
    """All of them; the first is the group."""
    keys: tuple[str, ...]
    """Name a row within the group, and give its place in the order."""
    text_keys: frozenset[str]
    backwards: bool = False
    """From the last row to the first."""

    def shift(self, column: str, shifts: Shifts) -> int:
        """What is added to a column on the way."""
        match self.name, column:
            case "events", "sequence":
                return shifts.events
            case "directory_generations", "number":
                return shifts.generations
            case "directory_people", "number":
                return shifts.generations << GENERATION_BITS
            case _:
                return 0


def _plain(name: str) -> str:
    """SQLAlchemy's names are strings of its own kind."""
    return "".join(name)


def columns_of(table: str) -> tuple[str, ...]:
    """The columns of a table, that of the group first."""
    names = [_plain(column.name) for column in METADATA.tables[table].columns]
    return tuple(sorted(names, key=lambda name: name != GROUP))


def _moved(table: Table) -> Moved:
    keys = [column for column in table.primary_key.columns if column.name != GROUP]
    columns = columns_of(table.name)
    return Moved(
        _plain(table.name),
        (*columns, "words") if table.name == PEOPLE else columns,
        tuple(_plain(column.name) for column in keys),
        frozenset(_plain(column.name) for column in keys if isinstance(column.type, Text)),
        # The last first: from then on the numbers below it are not given to anybody else.
        backwards=table.name == EVENTS,
    )


TABLES: Final = tuple(
    _moved(table)
    for table in METADATA.sorted_tables
    if GROUP in table.columns and table.name not in (*PARCEL, MARKERS)
)
"""In an order in which foreign keys are met; to be deleted in the reverse."""

HELD: Final[tuple[Held, ...]] = (
    ("account_groups", "id"),
    ("api_key_groups", GROUP),
    ("monitors", GROUP),
    *((table.name, GROUP) for table in TABLES),
)
"""What nobody writes while the group is on its way. Whoever writes the full-text index writes
`directory_people` in the same transaction."""
