"""What a run leaves: latest.json for machines, a page with pictures for people.

`python -m bench.report` writes both anew from the raw results.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench import charts
from bench.access import LIST, PATCH
from bench.goals import Line, Table, cell_of, median
from bench.growth import DEEP_PAGE, FIRST_PAGE, HALF_PAGE, PAGES
from bench.results import Results, without_paths
from bench.servers import NULL, POSTGRESQL, SQLITE

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
REPORT = ROOT / "docs" / "bench"
_WORK_NAMES = {PATCH: "PATCH", LIST: "list of 50"}
_BOTH = (SQLITE, POSTGRESQL)
_CONNECTIONS = (1, 16, 64)
_LOAD_BUSY = 0.9
_SERVER_IDLE = 0.9


def write(results: Results, folder: Path, report: Path) -> None:
    """latest.json into `folder`, the page and its pictures into `report`; print the table."""
    table = Table(results).lines()
    folder.mkdir(parents=True, exist_ok=True)
    entries = [line.as_json(results) for line in table]
    (folder / "latest.json").write_text(json.dumps(entries, indent=2) + "\n")
    report.mkdir(parents=True, exist_ok=True)
    for old in report.glob("*.svg"):
        old.unlink()
    found = charts.charts(results, table)
    undrawn = charts.draw(found, report)
    pictures = {} if undrawn else {chart["file"]: chart["title"] for chart in found}
    page = _page(results, table, pictures)
    if undrawn:
        page += ["", f"There are no pictures: {without_paths(undrawn)}."]
    (report / "README.md").write_text("\n".join(page) + "\n")
    for line in table:
        print(f"[{'met' if line.met else 'not met'}] {line.goal}")
        for part in line.parts:
            print(f"    {part.text}{f' ({part.note})' if part.note and part.reached else ''}")


def _page(results: Results, table: list[Line], pictures: dict[str, str]) -> list[str]:
    def picture(file: str) -> list[str]:
        return ["", f"![{pictures[file]}]({file})"] if file in pictures else []

    text = ["# Measured speed and memory", ""]
    text += [
        "This page is written by `python -m bench.run`, and by `python -m bench.report` from the "
        "results of the last run. Who takes part, what is fair about it and what each figure means "
        "stands in [the bench's own page](../../bench/README.md). Ratios within a run tell more "
        "than figures: the same machine is not equally quick at all times."
    ]
    text += ["", "## Where it stands", "", *_goals(table), *picture("goals.svg")]
    text += ["", "## Machine", "", "| Fact | Value |", "|---|---|"]
    text += [f"| {name} | {value} |" for name, value in results.machine.items()]
    text += ["", "## When it was measured", "", *_units(results)]
    text += ["", "## Beside other servers"]
    text += [*picture("patch.svg"), *picture("list.svg")]
    for kind in _BOTH:
        text += _rounds(results, kind)
    text += ["", "## As data grows", *picture("growth.svg"), *_growth(results)]
    text += ["", "## API processes", *picture("processes.svg"), *_processes(results)]
    text += ["", "## Imports", *picture("imports.svg"), *_imports(results)]
    text += ["", "## PATCH beside an import", *_beside(results)]
    text += ["", "## Start, memory at rest, pipeline", *_rest(results)]
    remarks = [*(f"{name}: {remark}" for name, remark in results.remarks()), *load_bound(results)]
    text += ["", "## Remarks", ""]
    text += [f"- {remark}" for remark in remarks] or ["None."]
    return text


def _goals(table: list[Line]) -> list[str]:
    text = ["| Goal | Target | Reached | Met |", "|---|---|---|---|"]
    for line in table:
        reached = "<br>".join(
            f"{part.text}{f' ({part.note})' if part.note and part.reached is not None else ''}"
            f"{'' if part.met or part.reached is None else ' (missed)'}"
            for part in line.parts
        )
        text.append(f"| {line.goal} | {line.target} | {reached} | {'yes' if line.met else 'no'} |")
    return text


def _units(results: Results) -> list[str]:
    text = ["Parts may be measured at different times. The load average is that of one minute, "]
    text[-1] += "before and after; a plus says that something measured differed from the commit."
    if any("--quick" in unit["command"] for unit in results.units.values()):
        text[-1] += " **A quick run**, with fewer and shorter rounds and less data, shows that the "
        text[-1] += "bench works and little more."
    text += ["", "| Part | Begun | Minutes | Load average | Commit | Command |"]
    text.append("|---|---|---|---|---|---|")
    for name, unit in results.units.items():
        load = f"{unit['loadBefore']:.2f}, {unit['loadAfter']:.2f}"
        text.append(
            f"| {name} | {unit['startedAt']} | {unit['minutes']:.1f} | {load} |"
            f" {unit['revision']} | `{unit['command']}` |"
        )
    return text


def _show(spread: dict[str, Any] | None, form: str = "{:,.2f}") -> str:
    """Median, and in brackets the least and the most."""
    if spread is None:
        return ""
    middle, least, most = (form.format(spread[name]) for name in ("median", "min", "max"))
    return middle if least == most else f"{middle} ({least} - {most})"


def _rounds(results: Results, kind: str) -> list[str]:
    cells = results.find("rounds", kind).get("cells", ())
    if not cells:
        return ["", f"{kind}: not measured. {results.why_missing('rounds', kind)}".rstrip()]
    text = ["", f"### {kind}", ""]
    text.append("Medians over the rounds; in brackets the least and the most.")
    text += ["", "| Work | Connections | Server | Requests/s | of null | p50 ms | p99 ms |"]
    text[-1] += " server CPU us | database CPU us | load CPU | load average |"
    text.append("|---|---|---|---|---|---|---|---|---|---|---|")
    for cell in cells:
        where = (kind, cell["work"], cell["connections"])
        ceiling = median(results, where, NULL, "perSecond")
        for name, summary in cell["servers"].items():
            start = f"| {_WORK_NAMES[cell['work']]} | {cell['connections']} | {name} |"
            text.append(f"{start} {_row(summary, ceiling)} |")
    return text


def _row(summary: dict[str, Any], ceiling: float | None) -> str:
    if "error" in summary:
        return f"failed: {without_paths(summary['error'])} | | | | | | |"
    share = f"{summary['perSecond']['median'] / ceiling:.3f}" if ceiling else ""
    columns = [_show(summary["perSecond"], "{:,.0f}"), share]
    for name, form in (
        ("p50Ms", "{:.2f}"),
        ("p99Ms", "{:.2f}"),
        ("serverCpuUs", "{:.0f}"),
        ("databaseCpuUs", "{:.0f}"),
        ("loadCpuShare", "{:.0%}"),
        ("loadAverage", "{:.1f}"),
    ):
        columns.append(form.format(summary[name]["median"]) if name in summary else "")
    if summary["notOk"]:
        columns[0] += f", **{summary['notOk']} answers were not 200**"
    return " | ".join(columns)


def load_bound(results: Results) -> list[str]:
    """Cells where the load generator, and not the server, may have set the pace."""
    found = []
    for kind in _BOTH:
        for work in (PATCH, LIST):
            for connections in _CONNECTIONS:
                servers = cell_of(results, (kind, work, connections))
                for name, summary in servers.items():
                    if "loadCpuShare" not in summary:
                        continue
                    busy = summary["loadCpuShare"]["median"] > _LOAD_BUSY
                    if busy and summary["serverCpuShare"]["median"] < _SERVER_IDLE:
                        found.append(
                            f"{name}, {kind}, {_WORK_NAMES[work]} at {connections} connections: "
                            "the load generator was busier than the server, so the figure is a "
                            "lower bound."
                        )
    return found


def _table(head: str, rows: list[str], said: str = "") -> list[str]:
    """A table under `said`, or the word that there is nothing to show."""
    if not rows:
        return ["", "Not measured."]
    line = "|" + "---|" * (head.count("|") - 1)
    return [*(["", said] if said else []), "", head, line, *rows]


def _growth(results: Results) -> list[str]:
    rows = []
    for kind in _BOTH:
        figures = results.find("growth", kind)
        for size in figures.get("sizes", ()):
            cells = figures["cells"]
            patch, listed = cells[PATCH].get(str(size), {}), cells[LIST].get(str(size), {})
            first = cells[PAGES].get(f"{size} {FIRST_PAGE}", {}).get("p50Ms")
            half = cells[PAGES].get(f"{size} {HALF_PAGE}", {}).get("p50Ms")
            deep = cells[PAGES].get(f"{size} {DEEP_PAGE}", {}).get("p50Ms")
            spreads = (patch.get("p50Ms"), listed.get("p50Ms"), first, half, deep)
            columns = [_show(spread) for spread in spreads]
            columns.append(f"{deep['median'] / first['median']:.2f}" if first and deep else "")
            columns.append(_show(patch.get("p99Ms")))
            columns.append(f"{figures['fillSeconds'][str(size)]:.0f}")
            rows.append(f"| {kind} | {size:,} | {' | '.join(columns)} |")
    return _table(
        f"| Database | Memberships | PATCH | list of 50 | {FIRST_PAGE} | {HALF_PAGE} |"
        f" {DEEP_PAGE} | 99 % over first | p99 of PATCH | written in s |",
        rows,
        "Time of one request at a time, in milliseconds: median of p50 over the rounds, in brackets"
        " the least and the most. Up to 5,000,000 people are in one audience, whose pages of 100"
        " these are; memberships beyond are spread over 1,000 others.",
    )


def _processes(results: Results) -> list[str]:
    figures = results.find("processes", POSTGRESQL)
    rows = []
    for work, cell in figures.get("cells", {}).items():
        for count, summary in cell.items():
            start = f"| {_WORK_NAMES[work]} | {count} |"
            if "error" in summary:
                rows.append(f"{start} failed: {without_paths(summary['error'])} | | | | |")
                continue
            columns = [_show(summary["perSecond"], "{:,.0f}")]
            columns += [f"{summary[name]['median']:.2f}" for name in ("p50Ms", "p99Ms")]
            columns += [
                f"{summary[name]['median']:.0f}" for name in ("serverCpuUs", "databaseCpuUs")
            ]
            rows.append(f"{start} {' | '.join(columns)} |")
    return _table(
        "| Work | Processes | Requests/s | p50 ms | p99 ms | server CPU us | database CPU us |",
        rows,
        f"`longlist serve --api-only` over one PostgreSQL, {figures.get('connections')} connections"
        " spread evenly. The API processes, PostgreSQL and the load share"
        f" {results.machine['cpus']} CPUs here: beyond what these can do, more processes bring"
        " nothing.",
    )


def _imports(results: Results) -> list[str]:
    rows = []
    for kind in _BOTH:
        for count, found in results.find("imports", kind).get("sizes", {}).items():
            start = f"| {kind} | {int(count):,} |"
            if "error" in found:
                rows.append(f"{start} failed: {without_paths(found['error'])} | | | | | |")
                continue
            columns = [_show(found["rowsPerSecond"], "{:,.0f}")]
            columns += [_show(found[name]) for name in ("seconds", "bareSeconds")]
            columns.append(_show(found["shareOfBare"], "{:.3f}"))
            columns.append(_show(found["growthMiB"], "{:.0f}"))
            columns.append(str(len(found["seconds"]["values"])))
            rows.append(f"{start} {' | '.join(columns)} |")
    return _table(
        "| Database | Rows | Rows/s | Seconds | bare executemany s | share of it | MiB over idle |"
        " rounds |",
        rows,
        "Each import meets a group that holds the people of the smaller ones before it.",
    )


def _beside(results: Results) -> list[str]:
    rows = []
    for kind in _BOTH:
        found = results.find("beside", kind)
        if found:
            columns = [f"{found['rows']:,}", str(found["covered"])]
            columns += [_show(found[f"perSecond{name}"], "{:,.0f}") for name in ("Rest", "During")]
            columns += [
                _show(found[name])
                for name in ("throughputOverRest", "p99MsRest", "p99MsDuring", "p99OverRest")
            ]
            rows.append(f"| {kind} | {' | '.join(columns)} |")
    return _table(
        "| Database | Rows | Windows | Requests/s at rest | during | share | p99 ms at rest |"
        " during | times |",
        rows,
    )


def _rest(results: Results) -> list[str]:
    rows = []
    for kind in _BOTH:
        found = results.find("startup", kind)
        if found:
            rows.append(f"| start to first answer, {kind} | {_show(found['startSeconds'])} s |")
            shown = _show(found["idleMiB"], "{:.0f}")
            rows.append(f"| memory at rest, {kind}, {found['processes']} processes | {shown} MiB |")
    pipeline = results.find("pipeline", SQLITE)
    for name, figure in (
        ("bare application", "bareUs"),
        ("routing, gate, decoding, envelope", "pipelineUs"),
        ("the same with log line and metrics", "withTelemetryUs"),
    ):
        if pipeline:
            rows.append(f"| {name} | {_show(pipeline[figure])} us |")
    return _table("| What | Figure |", rows)


def main() -> None:
    """Write the report of the whole runs anew."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("--raw", type=Path, default=RESULTS / "raw.json", help="the results")
    parser.add_argument("--report", type=Path, default=REPORT, help="folder of page and pictures")
    given = parser.parse_args()
    write(Results.load(given.raw), given.raw.parent, given.report)


if __name__ == "__main__":
    main()
