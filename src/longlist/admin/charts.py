"""Charts as numbers for inline SVG: the templates draw what is counted out here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from longlist.audiences.size_store import Size
from longlist.prospects.intake import Counts

WIDTH: Final = 600.0
HEIGHT: Final = 120.0
OUTCOMES: Final = ("added", "updated", "unchanged", "skipped", "failed")
DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
MOST_POINTS: Final = 240
_LEAST_SPAN_MS: Final = 60_000
_ROUND: Final = (1, 2, 3, 4, 5, 6, 8)
_DAY_GAP: Final = 0.18


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


class Growth(NamedTuple):
    """Members over time as a line of steps, WIDTH by HEIGHT; times are milliseconds.

    `last_week` is what came in the last seven days, less what left; None where that is not known.
    """

    line: str
    area: str
    begin: int
    end: int
    first: int
    members: int
    top: int
    last_week: int | None


def growth(sizes: Sequence[Size], created_at: int, now: int, count: int) -> Growth | None:
    """The chart of an audience with `count` members now; None where nothing has ever changed.

    `sizes` is oldest first. A first size without a count says that what was before is not known;
    otherwise the audience began empty when it was made.
    """
    known = [(size.at, size.count) for size in sizes if size.count is not None]
    if not known:
        return None
    if sizes[0].count is not None and created_at < known[0][0]:
        known.insert(0, (created_at, 0))
    known = [*_thinned(known), (max(now, known[-1][0]), count)]
    begin, end = known[0][0], known[-1][0]
    span = max(_LEAST_SPAN_MS, end - begin)
    top = round_up(max(value for _, value in known))

    def place(at: int, value: int) -> tuple[float, float]:
        return round(WIDTH * (at - begin) / span, 1), round(HEIGHT * (1 - value / top), 1)

    x, y = place(*known[0])
    line = f"M{x} {y}"
    for at, value in known[1:]:
        x, y = place(at, value)
        line += f"H{x}V{y}"
    line += f"H{WIDTH}"
    area = f"{line}V{HEIGHT}H0Z"
    return Growth(line, area, begin, end, known[0][1], count, top, _since(known, now - WEEK_MS))


def _thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most MOST_POINTS of them: the last of each of so many equal stretches of time."""
    if len(points) <= MOST_POINTS:
        return points
    begin, span = points[0][0], points[-1][0] - points[0][0] + 1
    last_of = {(at - begin) * (MOST_POINTS - 1) // span: (at, value) for at, value in points[1:]}
    return [points[0], *last_of.values()]


def _since(points: list[tuple[int, int]], moment: int) -> int | None:
    """How many more there are now than at a moment; before the first point nothing is known."""
    before = [value for at, value in points if at <= moment]
    if before:
        return points[-1][1] - before[-1]
    return points[-1][1] if points[0][1] == 0 else None


def round_up(value: int) -> int:
    """The least round number that is not below the value: where axes end."""
    step = 1
    while True:
        for factor in _ROUND:
            if factor * step >= value:
                return factor * step
        step *= 10


class Day(NamedTuple):
    """A day's column: what it stands for, where it is, and its pieces from the bottom up."""

    day: int
    counts: Counts | None
    x: float
    width: float
    pieces: list[tuple[str, float, float]]
    """Outcome, y and height, in units of HEIGHT."""


class Days(NamedTuple):
    """What became of rows day by day; `top` is the number at the upper end of the axis."""

    columns: list[Day]
    top: int
    total: int


def days(by_day: Mapping[int, Counts], today: int, number: int) -> Days | None:
    """The outcomes of the last `number` UTC days; None where no row came in any of them."""
    wanted = range(today - number + 1, today + 1)
    most = max((by_day[day].received for day in wanted if day in by_day), default=0)
    if most == 0:
        return None
    top, step = round_up(most), WIDTH / number
    columns = []
    for at, day in enumerate(wanted):
        counts, y, pieces = by_day.get(day), HEIGHT, []
        for name in OUTCOMES:
            height = HEIGHT * (getattr(counts, name) if counts else 0) / top
            if height:
                y -= height
                pieces.append((name, round(y, 2), round(height, 2)))
        x = round(step * (at + _DAY_GAP / 2), 2)
        columns.append(Day(day, counts, x, round(step * (1 - _DAY_GAP), 2), pieces))
    total = sum(by_day[day].received for day in wanted if day in by_day)
    return Days(columns, top, total)
