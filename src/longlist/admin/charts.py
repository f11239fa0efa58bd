"""Charts as numbers for inline SVG: the templates draw what is counted out here."""

from __future__ import annotations

from typing import Final, NamedTuple

from longlist.prospects.intake import Counts

WIDTH: Final = 600.0
OUTCOMES: Final = ("added", "updated", "unchanged", "skipped", "failed")


class Part(NamedTuple):
    """A piece of a stacked bar, in units of WIDTH."""

    name: str
    rows: int
    x: float
    width: float


def outcome_bar(counts: Counts, total: int | None = None) -> list[Part]:
    """The outcomes side by side; `total` rows, where more are expected, fill the whole width."""
    whole = max(1, counts.received, total or 0)
    parts, x = [], 0.0
    for name in OUTCOMES:
        count = getattr(counts, name)
        if count:
            width = WIDTH * count / whole
            parts.append(Part(name, count, round(x, 2), round(width, 2)))
            x += width
    return parts
