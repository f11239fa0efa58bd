"""What the report's pictures show: plain data that `plots/draw.py` draws in its own environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench.access import LIST, PATCH
from bench.environments import PLOTS, NotInstalled, environment_of
from bench.goals import Line, cell_of, usable
from bench.growth import DEEP_PAGE, FIRST_PAGE, HALF_PAGE, PAGES
from bench.peer_servers import DATASETTE, DIRECTUS, DJANGO, FASTAPI, JSON_SERVER, NINJA
from bench.results import Results
from bench.rounds import PGBENCH
from bench.servers import LONGLIST, NULL, POSTGRESQL, SQLITE

Chart = dict[str, Any]
Point = list[Any]

_CONNECTIONS = (1, 16, 64)
_DRAW_TIMEOUT_SECONDS = 120
BOTH = (SQLITE, POSTGRESQL)


def _point(at: float | str, spread: dict[str, Any]) -> Point:
    return [at, spread["median"], spread["min"], spread["max"]]


_COLOURS = (FASTAPI, DJANGO, NINJA, DATASETTE, DIRECTUS, JSON_SERVER, NULL, PGBENCH)
"""Servers by the number of their colour, which is the same in every picture."""


def _series(
    name: str, points: list[Point], *, colour: int | None = None, dashed: bool = False
) -> dict[str, Any]:
    if colour is None:
        colour = -1 if name == LONGLIST else _COLOURS.index(name)
    return {"name": name, "points": points, "colour": colour, "dashed": dashed}


def _rate_panel(results: Results, kind: str, work: str) -> dict[str, Any] | None:
    """Requests a second over the number of connections, one line for each server."""
    names = dict.fromkeys(
        name for number in _CONNECTIONS for name in cell_of(results, (kind, work, number))
    )
    series: list[dict[str, Any]] = []
    for name in names:
        points = []
        for number in _CONNECTIONS:
            rate = usable(cell_of(results, (kind, work, number)).get(name), "perSecond")
            if rate is not None:
                points.append(_point(number, rate))
        if points:
            series.append(_series(name, points, dashed=name in (NULL, PGBENCH)))
    if not series:
        return None
    return {
        "title": kind, "form": "lines", "x": "connections", "y": "requests/s",
        "logX": True, "logY": True, "series": series,
    }  # fmt: skip


def _rates(results: Results, work: str, file: str, title: str) -> Chart | None:
    panels = [panel for kind in BOTH if (panel := _rate_panel(results, kind, work))]
    if not panels:
        return None
    return {"file": file, "title": f"{title}: requests a second, by connections", "panels": panels}


def _growth(results: Results) -> Chart | None:
    panels = []
    for kind in BOTH:
        figures = results.find("growth", kind)
        series: list[dict[str, Any]] = []
        for name, work, suffix in (
            ("PATCH", PATCH, ""),
            ("list of 50", LIST, ""),
            (FIRST_PAGE, PAGES, f" {FIRST_PAGE}"),
            (HALF_PAGE, PAGES, f" {HALF_PAGE}"),
            (DEEP_PAGE, PAGES, f" {DEEP_PAGE}"),
        ):
            cell = figures.get("cells", {}).get(work, {})
            points = [
                _point(size, spread)
                for size in figures.get("sizes", ())
                if (spread := usable(cell.get(f"{size}{suffix}"), "p50Ms"))
            ]
            if points:
                dashed = name == DEEP_PAGE
                series.append(_series(name, points, colour=len(series), dashed=dashed))
        if series:
            panels.append(
                {"title": kind, "form": "lines", "x": "memberships", "y": "p50 ms", "logX": True,
                 "logY": False, "series": series}
            )  # fmt: skip
    if not panels:
        return None
    return {"file": "growth.svg", "title": "Time of a request, by memberships", "panels": panels}


def _processes(results: Results) -> Chart | None:
    cells = results.find("processes", POSTGRESQL).get("cells", {})
    series: list[dict[str, Any]] = []
    for name, work in (("PATCH", PATCH), ("list of 50", LIST)):
        points = [
            _point(int(count), rate)
            for count, summary in cells.get(work, {}).items()
            if (rate := usable(summary, "perSecond"))
        ]
        if points:
            series.append(_series(name, points, colour=len(series)))
    if not series:
        return None
    panel = {
        "title": f"{POSTGRESQL}, 64 connections", "form": "lines", "x": "API processes",
        "y": "requests/s", "logX": False, "logY": False, "series": series,
    }  # fmt: skip
    return {"file": "processes.svg", "title": "One to four API processes", "panels": [panel]}


def _imports(results: Results) -> Chart | None:
    panels = []
    for title, figure, scale in (
        ("rows/s", "rowsPerSecond", True),
        ("MiB over idle", "growthMiB", False),
    ):
        series: list[dict[str, Any]] = []
        for kind in BOTH:
            sizes = results.find("imports", kind).get("sizes", {})
            points = [
                _point(int(rows), found[figure]) for rows, found in sizes.items() if figure in found
            ]
            if points:
                series.append(_series(kind, points, colour=len(series)))
        if series:
            panels.append(
                {"title": title, "form": "lines", "x": "rows of the file", "y": title,
                 "logX": True, "logY": scale, "series": series}
            )  # fmt: skip
    if not panels:
        return None
    return {"file": "imports.svg", "title": "Imports, by rows of the file", "panels": panels}


def _goals(table: list[Line]) -> Chart:
    """Every goal as the share of it that is reached: 1 or more where it is met."""
    points = [
        [f"{line.short}: {part.name}", part.share, part.met]
        for line in table
        for part in line.parts
        if part.share is not None
    ]
    panel = {"title": "", "form": "goals", "x": "share of the goal reached (1: met)", "y": "",
             "points": points}  # fmt: skip
    return {"file": "goals.svg", "title": "Where it stands", "panels": [panel]}


def charts(results: Results, table: list[Line]) -> list[Chart]:
    """Those that there are figures for, in the order of the report."""
    made = (
        _goals(table) if any(part.share for line in table for part in line.parts) else None,
        _rates(results, PATCH, "patch.svg", "PATCH"),
        _rates(results, LIST, "list.svg", "List of 50"),
        _growth(results),
        _processes(results),
        _imports(results),
    )
    return [chart for chart in made if chart is not None]


def draw(found: list[Chart], folder: Path) -> str:
    """Draw the pictures as SVG into `folder`; the reason where they could not be drawn."""
    try:
        python = environment_of(PLOTS) / "python"
        subprocess.run(
            [str(python), str(PLOTS / "draw.py"), str(folder)],
            input=json.dumps(found),
            text=True,
            check=True,
            capture_output=True,
            timeout=_DRAW_TIMEOUT_SECONDS,
        )
    except NotInstalled as error:
        return f"the drawing library could not be installed ({error})"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["no output"]
        return f"drawing failed: {lines[-1]}"
    except subprocess.TimeoutExpired:
        return "drawing took too long"
    return ""
