"""The lines of the speed table, and where a run stands against each.

A line holds several goals; it is met when every one of them was measured and met. A goal that was
not measured has `reached` null and says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.rounds import LIST, PATCH, PGBENCH
from bench.servers import DATASETTE, DJANGO, FASTAPI, LONGLIST, NULL, POSTGRESQL, SQLITE

Results = dict[str, Any]

_NOT_MEASURED = "not measured in this run"
_NO_DIRECTUS = "not measured: Directus is not a Python package, and the bench installs from PyPI"
_FULL_ROWS = 1_000_000


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
    def text(self) -> str:
        """The figure for a reader."""
        if self.reached is None:
            return f"{self.name}: {self.note or _NOT_MEASURED}"
        return f"{self.name}: {self.reached:.3g}{self.unit}"

    def as_json(self) -> dict[str, Any]:
        """The part as it stands in latest.json."""
        sign = "<=" if self.at_most else ">="
        return {
            "goal": self.name,
            "target": f"{sign} {self.target:g}{self.unit}",
            "reached": self.reached,
            "met": self.met,
            "note": self.note or ("" if self.reached is not None else _NOT_MEASURED),
        }


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    goal: str
    target: str
    parts: list[Part] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Every goal of it is."""
        return all(part.met for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """The entry of latest.json: `reached` is null where nothing of the line was measured."""
        measured = [part for part in self.parts if part.reached is not None]
        missing = [part for part in self.parts if part.reached is None]
        return {
            "goal": self.goal,
            "target": self.target,
            "reached": "; ".join(part.text for part in measured) or None,
            "met": self.met,
            "note": "; ".join(part.text for part in missing),
            "parts": [part.as_json() for part in self.parts],
        }


def _cell(results: Results, kind: str, work: str, connections: int) -> dict[str, Any]:
    for cell in results["cells"]:
        if (cell["kind"], cell["work"], cell["connections"]) == (kind, work, connections):
            servers: dict[str, Any] = cell["servers"]
            return servers
    return {}


def median(results: Results, cell: tuple[str, str, int], server: str, figure: str) -> float | None:
    """A server's median in a cell; None where it was not measured or gave answers but 200."""
    summary = _cell(results, *cell).get(server)
    if summary is None or "error" in summary or summary["notOk"] or figure not in summary:
        return None
    value: float = summary[figure]["median"]
    return value


def _ratio(results: Results, cell: tuple[str, str, int], other: str) -> float | None:
    ours = median(results, cell, LONGLIST, "perSecond")
    theirs = median(results, cell, other, "perSecond")
    return ours / theirs if ours and theirs else None


def _least_ratio(results: Results, other: str) -> float | None:
    """The smaller of the ratios at 16 and 64 connections: the goal holds for both."""
    ratios = [_ratio(results, (POSTGRESQL, PATCH, number), other) for number in (16, 64)]
    known = [ratio for ratio in ratios if ratio is not None]
    return min(known) if len(known) == len(ratios) else None


def _figure(results: Results, section: str, kind: str, *names: str) -> float | None:
    """A figure of one of the sections that are not rounds, or None where it is missing."""
    found: Any = results.get(section, {}).get(kind, {})
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if found is None else float(found)


def _why_missing(results: Results, section: str, kind: str) -> str:
    """What went wrong in a section, or nothing."""
    return str(results.get(section, {}).get(kind, {}).get("error", ""))


def _rows_note(results: Results, kind: str) -> str:
    """Says where an import was smaller than the goal's, or what went wrong with it."""
    rows = _figure(results, "imports", kind, "rows")
    if rows is None:
        return _why_missing(results, "imports", kind)
    return "" if rows == _FULL_ROWS else f"with {rows:,.0f} rows only"


def _import_parts(results: Results) -> list[Part]:
    parts = []
    for kind in (SQLITE, POSTGRESQL):
        note = _rows_note(results, kind)
        share = _figure(results, "imports", kind, "shareOfBare")
        growth = _figure(results, "imports", kind, "growthMiB")
        parts.append(Part(f"{kind}, share of executemany", 0.25, "", share, note=note))
        parts.append(Part(f"{kind}, memory over idle", 200, " MB", growth, at_most=True, note=note))
    return parts


def _depth_parts(results: Results) -> list[Part]:
    parts = []
    for kind in (SQLITE, POSTGRESQL):
        deep = _figure(results, "imports", kind, "deepOverFirst")
        note = _rows_note(results, kind)
        parts.append(Part(f"{kind}, 1,000,000 rows", 1.1, "x", deep, at_most=True, note=note))
    note = "not measured: an import of 5,000,000 rows does not fit the time of a run"
    parts.append(Part("5,000,000 rows", 1.1, "x", None, at_most=True, note=note))
    return parts


def _beside(results: Results, kind: str, *names: str) -> tuple[float | None, str]:
    """A figure taken beside an import and, where there is none, the reason."""
    found = results.get("beside", {}).get(kind, {})
    if found and not found.get("covered"):
        return None, found.get("error") or "the import ended before the window"
    return _figure(results, "beside", kind, *names), ""


def _beside_parts(results: Results) -> list[Part]:
    p99, why = _beside(results, SQLITE, "during", "p99Ms")
    slower, _ = _beside(results, SQLITE, "p99OverRest")
    share, share_why = _beside(results, POSTGRESQL, "throughputOverRest")
    return [
        Part("SQLite, p99", 50, " ms", p99, at_most=True, note=why),
        Part("SQLite, p99 over rest", 3, "x", slower, at_most=True, note=why),
        Part("PostgreSQL, throughput over rest", 0.5, "", share, note=share_why),
    ]


def _pipeline_part(results: Results) -> Part:
    found = results.get("pipeline", {})
    if "pipelineUs" not in found:
        why = found.get("error", "")
        return Part("overhead", 20, " us", None, at_most=True, note=why)
    overhead = found["pipelineUs"] - found["bareUs"]
    whole = found["withTelemetryUs"] - found["bareUs"]
    note = f"{whole:.1f} us with log line and metrics"
    return Part("overhead", 20, " us", overhead, at_most=True, note=note)


def _startup_parts(results: Results) -> list[Part]:
    parts = []
    for kind in (SQLITE, POSTGRESQL):
        start = _figure(results, "startup", kind, "startSeconds", "median")
        idle = _figure(results, "startup", kind, "idleMiB")
        parts.append(Part(f"{kind}, start", 1.5, " s", start, at_most=True))
        parts.append(Part(f"{kind}, idle memory", 200, " MB", idle, at_most=True))
    return parts


def _one_connection_parts(results: Results) -> list[Part]:
    parts = []
    for kind, target in ((SQLITE, 0.6), (POSTGRESQL, 0.8)):
        reached = median(results, (kind, PATCH, 1), LONGLIST, "p50Ms")
        parts.append(Part(kind, target, " ms", reached, at_most=True))
    return parts


def _list_parts(results: Results) -> list[Part]:
    return [
        Part(f"{kind}, over {DJANGO}", target, "x", _ratio(results, (kind, LIST, 16), DJANGO))
        for kind, target in ((SQLITE, 35), (POSTGRESQL, 20))
    ]


def lines(results: Results) -> list[Line]:
    """The table, in its order."""
    busy = (SQLITE, PATCH, 64)
    cpu = median(results, busy, LONGLIST, "serverCpuUs")
    return [
        Line(
            "PATCH, SQLite, 64 connections",
            "at least 0.33 of the null ceiling; at least 40x Django REST framework and Datasette's "
            "write API; server CPU at most 90 us",
            [
                Part("share of the null ceiling", 0.33, "", _ratio(results, busy, NULL)),
                Part(f"over {DJANGO}", 40, "x", _ratio(results, busy, DJANGO)),
                Part(f"over {DATASETTE}", 40, "x", _ratio(results, busy, DATASETTE)),
                Part("server CPU", 90, " us", cpu, at_most=True),
            ],
        ),
        Line(
            "PATCH, PostgreSQL, 16 to 64 connections",
            "at least 25x Django REST framework and Directus, 10x FastAPI + SQLAlchemy async ORM, "
            "0.5 of pgbench running the same update",
            [
                Part(f"over {DJANGO}", 25, "x", _least_ratio(results, DJANGO)),
                Part("over Directus", 25, "x", None, note=_NO_DIRECTUS),
                Part(f"over {FASTAPI}", 10, "x", _least_ratio(results, FASTAPI)),
                Part("share of pgbench", 0.5, "", _least_ratio(results, PGBENCH)),
            ],
        ),
        Line(
            "PATCH at 1 connection, p50",
            "at most 0.6 ms SQLite, 0.8 ms PostgreSQL",
            _one_connection_parts(results),
        ),
        Line(
            "list of 50",
            "SQLite 35x Django REST framework at 16 connections; PostgreSQL 20x",
            _list_parts(results),
        ),
        Line(
            "page of 100 prospects at 99 % depth of 1,000,000 and 5,000,000",
            "at most 1.1x the first page",
            _depth_parts(results),
        ),
        Line(
            "routing + gate + decoding + envelope over the bare ASGI app",
            "at most 20 us",
            [_pipeline_part(results)],
        ),
        Line(
            "import of 1,000,000 CSV rows, keys in random order, identity and outcomes on, "
            "into a non-empty group",
            "at least 25 % of a bare executemany of the same rows without an index; worker memory "
            "flat in rows, at most 200 MB over idle",
            _import_parts(results),
        ),
        Line(
            "PATCH p99 on another audience during that import",
            "at most 50 ms and 3x rest on SQLite; throughput at least half of rest on PostgreSQL",
            _beside_parts(results),
        ),
        Line(
            "start to first answer; idle memory of serve",
            "under 1.5 s; under 200 MB",
            _startup_parts(results),
        ),
    ]
