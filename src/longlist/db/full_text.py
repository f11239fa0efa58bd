"""Full-text search by the engine's own means: FTS5 on SQLite, tsvector with GIN on PostgreSQL.

The words that reach an engine are made by the caller: lower-case ASCII letters and digits, parted
by blanks. So neither engine cuts, folds or stems anything, an expression cannot be malformed, and
both find the same rows. The table of a full-text index has the column `words` and a `rowid`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

Wanted = Sequence[Sequence[Sequence[str]]]
"""Conditions that must all hold; of each, one alternative; of an alternative, every word."""


class FullText(msgspec.Struct, frozen=True):
    """How one engine writes it. `{}` stands for the parameter, `{table}` for the table."""

    stored: str
    read: str
    match: str
    row: str
    every: str
    any: str

    def value(self, parameter: str) -> str:
        """SQL of the `words` column to be stored from a text parameter."""
        return self.stored.format(parameter)

    def text(self, table: str) -> str:
        """SQL of the text that was stored, its words sorted."""
        return self.read.format(table=table)

    def condition(self, table: str, parameter: str) -> str:
        """SQL that holds for the rows of the table that an expression finds."""
        return self.match.format(parameter, table=table)

    def row_id(self, table: str) -> str:
        """SQL of the `rowid`, for a search that is bounded and ordered by it."""
        return self.row.format(table=table)

    def expression(self, wanted: Wanted) -> str:
        """The engine's own text of what is wanted: the value of `condition`'s parameter."""
        return self.every.join(
            f"({self.any.join(f'({self.every.join(words)})' for words in alternatives)})"
            for alternatives in wanted
        )


FTS5 = FullText("{}", "{table}.words", "{table} MATCH {}", "{table}.rowid", " AND ", " OR ")
TSVECTOR = FullText(
    "CAST(CAST({} AS text) AS tsvector)",
    "array_to_string(tsvector_to_array({table}.words), ' ')",
    "{table}.words @@ CAST(CAST({} AS text) AS tsquery)",
    # The planner knows nothing of a group's rows lying together: it would think a range of them
    # short, and read all of it for one word. So the range is kept from the primary key.
    "({table}.rowid + 0)",
    " & ",
    " | ",
)
