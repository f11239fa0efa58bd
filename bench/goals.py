"""The lines of the speed table, and where the results stand against each.

A line holds several goals; it is met when every one of them was measured and met. A goal that was
not measured has `reached` null and says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.access import LIST, PATCH
from bench.growth import DEEP_PAGE, FIRST_PAGE, PAGES
from bench.peer_servers import DATASETTE, DIRECTUS, DJANGO, FASTAPI
from bench.results import Results, unit_name
from bench.rounds import PGBENCH
from bench.servers import LONGLIST, NULL, POSTGRESQL, SQLITE

NOT_MEASURED = "not measured"
_ROUNDS = 5
_IMPORT_ROWS = 1_000_000
_DEPTHS = {1_000_000: "1,000,000", 10_000_000: "5,000,000"}
"""Memberships of an installation of the growth part, and members of its largest audience."""

_BOTH = (SQLITE, POSTGRESQL)

Cell = dict[str, Any]
Where = tuple[str, str, int]


@dataclass(frozen=True)
class Part:
    """One goal of a line. `at_most` says on which side of `target` the goal lies."""

    name: str
    target: float
    unit: str
    reached: float | None
    at_most: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        """Measured, and on the right side."""
        if self.reached is None:
            return False
        return self.reached <= self.target if self.at_most else self.reached >= self.target

    @property
    def share(self) -> float | None:
        """How much of the goal is reached: 1 or more where it is met."""
        if not self.reached:
            return None
        return self.target / self.reached if self.at_most else self.reached / self.target

    @property
    def text(self) -> str:
        """The figure for a reader."""
        if self.reached is None:
            return f"{self.name}: {self.note or NOT_MEASURED}"
        return f"{self.name}: {self.reached:.3g}{self.unit}"

    def as_json(self) -> dict[str, Any]:
        """The part as it stands in latest.json."""
        sign = "<=" if self.at_most else ">="
        return {
            "goal": self.name,
            "target": f"{sign} {self.target:g}{self.unit}",
            "reached": self.reached,
            "met": self.met,
            "note": self.note or ("" if self.reached is not None else NOT_MEASURED),
        }


@dataclass(frozen=True)
class Line:
    """One line of the table, with a short name; `units` are those that its figures come from."""

    short: str
    goal: str
    target: str
    units: tuple[str, ...]
    parts: list[Part] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Every goal of it is."""
        return all(part.met for part in self.parts)

    def as_json(self, results: Results) -> dict[str, Any]:
        """The entry of latest.json: `reached` is null where nothing of the line was measured."""
        measured = [part for part in self.parts if part.reached is not None]
        missing = [part for part in self.parts if part.reached is None]
        return {
            "goal": self.goal,
            "target": self.target,
            "reached": "; ".join(part.text for part in measured) or None,
            "met": self.met,
            "note": "; ".join(part.text for part in missing),
            "measuredAt": {
                name: results.units[name]["startedAt"]
                for name in self.units
                if name in results.units
            },
            "parts": [part.as_json() for part in self.parts],
        }


def cell_of(results: Results, where: Where) -> Cell:
    """The servers of one cell of the rounds: kind of database, work, connections."""
    kind, work, connections = where
    for cell in results.find("rounds", kind).get("cells", ()):
        if (cell["work"], cell["connections"]) == (work, connections):
            servers: Cell = cell["servers"]
            return servers
    return {}


def usable(summary: Cell | None, figure: str) -> dict[str, Any] | None:
    """The spread of a figure; None where it was not measured or any answer was not 200."""
    if summary is None or "error" in summary or summary.get("notOk") or figure not in summary:
        return None
    found: dict[str, Any] = summary[figure]
    return found


def median(results: Results, where: Where, server: str, figure: str) -> float | None:
    """A server's median in a cell, or None."""
    found = usable(cell_of(results, where).get(server), figure)
    return None if found is None else float(found["median"])


class Table:
    """The table over one set of results."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def _few(self, found: dict[str, Any]) -> str:
        count = len(found["values"])
        return "" if count >= _ROUNDS else f"median of {count}"

    def _spread(self, part: str, kind: str, *names: str) -> tuple[float | None, str]:
        """Median of a figure of a unit with a note on its rounds; or None and the reason."""
        found: Any = self._results.find(part, kind)
        for name in names:
            found = found.get(name, {})
            if "error" in found:
                return None, f"{NOT_MEASURED}: {found['error']}"
        if "median" not in found:
            why = self._results.why_missing(part, kind)
            return None, f"{NOT_MEASURED}: {why}" if why else ""
        return float(found["median"]), self._few(found)

    def _goal(
        self, name: str, target: float, unit: str, found: tuple[float | None, str],
        *, at_most: bool = True,
    ) -> Part:  # fmt: skip
        return Part(name, target, unit, found[0], at_most=at_most, note=found[1])

    def _median(self, where: Where, server: str, figure: str) -> tuple[float | None, str]:
        summary = cell_of(self._results, where).get(server)
        found = usable(summary, figure)
        if found is not None:
            return float(found["median"]), self._few(found)
        if summary is None:
            why = self._results.why_missing("rounds", where[0])
            return None, f"{NOT_MEASURED}: {why}" if why else ""
        return None, f"{server} failed: {summary.get('error') or 'not every answer was 200'}"

    def _ratio(self, where: Where, other: str) -> tuple[float | None, str]:
        ours, note = self._median(where, LONGLIST, "perSecond")
        theirs, other_note = self._median(where, other, "perSecond")
        if ours is None or theirs is None:
            return None, note if ours is None else other_note or f"{other} was left out"
        return ours / theirs, note or other_note

    def _least_ratio(self, other: str) -> tuple[float | None, str]:
        """The smaller of the ratios at 16 and 64 connections: the goal holds for both."""
        ratios = [self._ratio((POSTGRESQL, PATCH, number), other) for number in (16, 64)]
        known = [(value, note) for value, note in ratios if value is not None]
        if len(known) < len(ratios):
            return next(found for found in ratios if found[0] is None)
        return min(known)

    def _patch_sqlite(self) -> list[Part]:
        busy = (SQLITE, PATCH, 64)
        cpu = self._median(busy, LONGLIST, "serverCpuUs")
        return [
            self._goal(
                "share of the null ceiling", 0.33, "", self._ratio(busy, NULL), at_most=False
            ),
            self._goal(f"over {DJANGO}", 40, "x", self._ratio(busy, DJANGO), at_most=False),
            self._goal(
                f"over {DATASETTE}'s write API",
                40,
                "x",
                self._ratio(busy, DATASETTE),
                at_most=False,
            ),
            self._goal("server CPU", 90, " us", cpu),
        ]

    def _patch_postgresql(self) -> list[Part]:
        goals = ((DJANGO, 25), (DIRECTUS, 25), (FASTAPI, 10))
        parts = [
            self._goal(f"over {name}", target, "x", self._least_ratio(name), at_most=False)
            for name, target in goals
        ]
        share = self._least_ratio(PGBENCH)
        return [*parts, self._goal("share of pgbench", 0.5, "", share, at_most=False)]

    def _one_connection(self) -> list[Part]:
        return [
            self._goal(kind, target, " ms", self._median((kind, PATCH, 1), LONGLIST, "p50Ms"))
            for kind, target in ((SQLITE, 0.6), (POSTGRESQL, 0.8))
        ]

    def _lists(self) -> list[Part]:
        return [
            self._goal(
                f"{kind}, over {DJANGO}", target, "x", self._ratio((kind, LIST, 16), DJANGO),
                at_most=False,
            )
            for kind, target in ((SQLITE, 35), (POSTGRESQL, 20))
        ]  # fmt: skip

    def _depth(self, kind: str, size: int) -> tuple[float | None, str]:
        pages = self._results.find("growth", kind).get("cells", {}).get(PAGES, {})
        first = usable(pages.get(f"{size} {FIRST_PAGE}"), "p50Ms")
        deep = usable(pages.get(f"{size} {DEEP_PAGE}"), "p50Ms")
        if first is None or deep is None:
            why = self._results.why_missing("growth", kind)
            if not why and pages:
                why = "this size was left out"
            return None, f"{NOT_MEASURED}: {why}" if why else ""
        return deep["median"] / first["median"], self._few(deep)

    def _depths(self) -> list[Part]:
        return [
            self._goal(f"{kind}, {shown} rows", 1.1, "x", self._depth(kind, size))
            for size, shown in _DEPTHS.items()
            for kind in (SQLITE, POSTGRESQL)
        ]

    def _pipeline(self) -> list[Part]:
        whole, note = self._spread("pipeline", SQLITE, "pipelineUs")
        bare, _ = self._spread("pipeline", SQLITE, "bareUs")
        logged, _ = self._spread("pipeline", SQLITE, "withTelemetryUs")
        if whole is None or bare is None or logged is None:
            return [Part("overhead", 20, " us", None, at_most=True, note=note)]
        said = f"{logged - bare:.1f} us with log line and metrics"
        return [Part("overhead", 20, " us", whole - bare, at_most=True, note=said)]

    def _imports(self) -> list[Part]:
        parts = []
        for kind in (SQLITE, POSTGRESQL):
            sizes = self._results.find("imports", kind).get("sizes", {})
            largest = max(map(int, sizes), default=_IMPORT_ROWS)
            where = ("imports", kind, "sizes", str(largest))
            share, note = self._spread(*where, "shareOfBare")
            growth, other_note = self._spread(*where, "growthMiB")
            if largest != _IMPORT_ROWS and share is not None:
                few = f"{note}, " if note else ""
                note = other_note = f"{few}with {largest:,} rows only"
            parts.append(Part(f"{kind}, share of executemany", 0.25, "", share, note=note))
            parts.append(
                Part(f"{kind}, memory over idle", 200, " MB", growth, at_most=True, note=other_note)
            )
        return parts

    def _beside(self) -> list[Part]:
        p99 = self._spread("beside", SQLITE, "p99MsDuring")
        slower = self._spread("beside", SQLITE, "p99OverRest")
        share = self._spread("beside", POSTGRESQL, "throughputOverRest")
        return [
            self._goal("SQLite, p99", 50, " ms", p99),
            self._goal("SQLite, p99 over rest", 3, "x", slower),
            self._goal("PostgreSQL, throughput over rest", 0.5, "", share, at_most=False),
        ]

    def _startup(self) -> list[Part]:
        parts = []
        for kind in (SQLITE, POSTGRESQL):
            start = self._spread("startup", kind, "startSeconds")
            idle = self._spread("startup", kind, "idleMiB")
            parts.append(self._goal(f"{kind}, start", 1.5, " s", start))
            parts.append(self._goal(f"{kind}, idle memory", 200, " MB", idle))
        return parts

    def lines(self) -> list[Line]:
        """The table, in its order."""
        return [
            *self._request_lines(),
            Line(
                "deep page",
                "page of 100 prospects at 99 % depth of 1,000,000 and 5,000,000",
                "at most 1.1x the first page",
                _units("growth", *_BOTH),
                self._depths(),
            ),
            Line(
                "pipeline",
                "routing + gate + decoding + envelope over the bare ASGI app",
                "at most 20 us",
                _units("pipeline", SQLITE),
                self._pipeline(),
            ),
            Line(
                "import",
                "import of 1,000,000 CSV rows, keys in random order, identity and outcomes on, "
                "into a non-empty group",
                "at least 25 % of a bare executemany of the same rows without an index; worker "
                "memory flat in rows, at most 200 MB over idle",
                _units("imports", *_BOTH),
                self._imports(),
            ),
            Line(
                "beside an import",
                "PATCH p99 on another audience during that import",
                "at most 50 ms and 3x rest on SQLite; throughput at least half of rest on "
                "PostgreSQL",
                _units("beside", *_BOTH),
                self._beside(),
            ),
            Line(
                "serve",
                "start to first answer; idle memory of serve",
                "under 1.5 s; under 200 MB",
                _units("startup", *_BOTH),
                self._startup(),
            ),
        ]

    def _request_lines(self) -> list[Line]:
        return [
            Line(
                "PATCH, SQLite",
                "PATCH, SQLite, 64 connections",
                "at least 0.33 of the null ceiling; at least 40x Django REST framework and "
                "Datasette's write API; server CPU at most 90 us",
                _units("rounds", SQLITE),
                self._patch_sqlite(),
            ),
            Line(
                "PATCH, PostgreSQL",
                "PATCH, PostgreSQL, 16 to 64 connections",
                "at least 25x Django REST framework and Directus, 10x FastAPI + SQLAlchemy async "
                "ORM, 0.5 of pgbench running the same update",
                _units("rounds", POSTGRESQL),
                self._patch_postgresql(),
            ),
            Line(
                "PATCH at 1, p50",
                "PATCH at 1 connection, p50",
                "at most 0.6 ms SQLite, 0.8 ms PostgreSQL",
                _units("rounds", *_BOTH),
                self._one_connection(),
            ),
            Line(
                "list",
                "list of 50",
                "SQLite 35x Django REST framework at 16 connections; PostgreSQL 20x",
                _units("rounds", *_BOTH),
                self._lists(),
            ),
        ]


def _units(part: str, *kinds: str) -> tuple[str, ...]:
    return tuple(unit_name(part, kind) for kind in kinds)
