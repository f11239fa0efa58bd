"""Draw charts as SVG: `python draw.py FOLDER`, with a list of charts as JSON on standard input.

Runs in an environment of its own that has matplotlib. Ink, paper and grid are variables in the SVG
that follow the reader's light or dark theme; the colours of the lines are seen well on both. The
same figures give the same file, byte for byte.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

# Stand-ins that matplotlib writes and the theme replaces.
_INK, _PAPER, _GRID = "#010203", "#fdfcfb", "#0a0b0c"
_THEME = """<style>
:root { --ink: #1f2328; --paper: #ffffff; --grid: #d8dee4 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --grid: #30363d }
}
</style>
"""
_OWN = "#e8590c"
_OTHERS = ("#1c7ed6", "#2f9e44", "#ae3ec9", "#c08b00", "#e03169", "#0ca678", "#7a8594", "#4c6ef5")
_MET, _MISSED = "#2f9e44", "#e8590c"
_PANEL_INCHES = (5.2, 4.0)
_ROW_INCHES = 0.24

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.facecolor": _PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "figure.facecolor": _PAPER,
    "savefig.facecolor": _PAPER,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
}


def _short(value: float, _position: int = 0) -> str:
    """A tick's label: 12k, 3M, 0.5."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _lines(axes: Any, panel: dict[str, Any]) -> None:
    """One line for each series, with bars from the least to the most of the rounds."""
    ticks = sorted({point[0] for series in panel["series"] for point in series["points"]})
    for series in panel["series"]:
        at, middle, low, high = zip(*series["points"], strict=True)
        below = [value - least for value, least in zip(middle, low, strict=True)]
        own = series["colour"] < 0
        above = [most - value for value, most in zip(middle, high, strict=True)]
        axes.errorbar(
            at,
            middle,
            yerr=[below, above],
            label=series["name"],
            color=_OWN if own else _OTHERS[series["colour"] % len(_OTHERS)],
            linewidth=2.4 if own else 1.5,
            linestyle="--" if series["dashed"] else "-",
            marker="o",
            markersize=4,
            capsize=2,
            elinewidth=1,
        )
    if panel["logX"]:
        axes.set_xscale("log")
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(_short))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.margins(y=0.1)
    if panel["logY"]:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(_short))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(panel["y"])
    axes.grid(axis="y")
    columns = 2 if len(panel["series"]) > 1 else 1
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns, fontsize=9)


def _goals(axes: Any, panel: dict[str, Any]) -> None:
    """A bar for each goal, from 1, which is the goal itself, to what is reached."""
    points = panel["points"][::-1]
    for position, (_, share, met) in enumerate(points):
        left, width = min(1.0, share), abs(share - 1.0)
        axes.barh(position, width, left=left, color=_MET if met else _MISSED, height=0.62)
        axes.plot(share, position, "o", color=_MET if met else _MISSED, markersize=5)
    axes.axvline(1.0, color=_INK, linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(_short))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(points)), [label for label, _, _ in points], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.7, len(points) - 0.3)
    axes.grid(axis="x")


def _themed(svg: str, title: str) -> str:
    """The SVG with the theme's variables in place of the stand-ins, and a title to read aloud."""
    for colour, name in ((_INK, "ink"), (_PAPER, "paper"), (_GRID, "grid")):
        svg = svg.replace(colour, f"var(--{name})")
    head = svg.index("<svg")
    start = svg.index(">", head) + 1
    lines = [line.rstrip() for line in svg[start:].splitlines()]
    return f"{svg[head:start]}\n<title>{title}</title>\n{_THEME}" + "\n".join(lines).strip() + "\n"


def draw(chart: dict[str, Any], folder: Path) -> None:
    """One file."""
    panels = chart["panels"]
    width, height = _PANEL_INCHES
    size = (width * max(len(panels), 1), height)
    if panels[0]["form"] == "goals":
        size = (9.2, 0.9 + _ROW_INCHES * len(panels[0]["points"]))
    figure, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")
    for panel, part in zip(panels, axes[0], strict=True):
        (_goals if panel["form"] == "goals" else _lines)(part, panel)
        part.set_xlabel(panel["x"])
        if panel["title"]:
            part.set_title(panel["title"], fontsize=10)
    figure.suptitle(chart["title"], fontsize=12)
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    (folder / chart["file"]).write_text(_themed(written.getvalue(), chart["title"]))


def main() -> None:
    """Draw everything on standard input."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        for chart in json.load(sys.stdin):
            draw(chart, folder)


if __name__ == "__main__":
    main()
