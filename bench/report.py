"""The two files a run leaves: latest.json for machines, latest.md for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.goals import Line, Results, lines, median
from bench.rounds import LIST, PATCH
from bench.servers import LONGLIST, NULL

RESULTS = Path(__file__).resolve().parent / "results"
_WORK_NAMES = {PATCH: "PATCH", LIST: "list of 50"}
_LOAD_BUSY = 0.9
_SERVER_IDLE = 0.9


def write(results: Results, folder: Path = RESULTS) -> list[Line]:
    """Write both files, and the raw figures beside them; give back the lines of the table."""
    table = lines(results)
    folder.mkdir(parents=True, exist_ok=True)
    entries = [line.as_json() for line in table]
    (folder / "latest.json").write_text(json.dumps(entries, indent=2) + "\n")
    (folder / "raw.json").write_text(json.dumps(results, indent=2) + "\n")
    (folder / "latest.md").write_text("\n".join(_markdown(results, table)) + "\n")
    return table


def _markdown(results: Results, table: list[Line]) -> list[str]:
    text = ["# Longlist: measured speed and memory", "", f"Run of {results['startedAt']}, "]
    text[-1] += f"{results['minutes']:.1f} minutes, `{results['command']}`. What each figure means "
    text[-1] += "is said in `bench/README.md`."
    text += ["", "## Where it stands", ""]
    text += ["| Goal | Target | Reached | Met |", "|---|---|---|---|"]
    for line in table:
        reached = "<br>".join(
            f"{part.text}{f' ({part.note})' if part.note and part.reached is not None else ''}"
            f"{'' if part.met or part.reached is None else ' (missed)'}"
            for part in line.parts
        )
        text.append(f"| {line.goal} | {line.target} | {reached} | {'yes' if line.met else 'no'} |")
    text += ["", "## Machine", "", "| Fact | Value |", "|---|---|"]
    text += [f"| {name} | {value} |" for name, value in results["machine"].items()]
    for kind in results["kinds"]:
        text += _rounds_table(results, kind)
    text += _other_sections(results)
    if results["remarks"]:
        text += ["", "## Remarks", "", *(f"- {remark}" for remark in results["remarks"])]
    return text


def _rounds_table(results: Results, kind: str) -> list[str]:
    cells = [cell for cell in results["cells"] if cell["kind"] == kind]
    if not cells:
        return []
    text = ["", f"## {kind}", ""]
    text.append("Medians over the rounds; in brackets the least and the most.")
    text += ["", "| Work | Connections | Server | Requests/s | of null | p50 ms | p99 ms |"]
    text[-1] += " server CPU us | database CPU us | load CPU |"
    text.append("|---|---|---|---|---|---|---|---|---|---|")
    for cell in cells:
        where = (kind, cell["work"], cell["connections"])
        ceiling = median(results, where, NULL, "perSecond")
        for name, summary in cell["servers"].items():
            start = f"| {_WORK_NAMES[cell['work']]} | {cell['connections']} | {name} |"
            text.append(f"{start} {_row(summary, ceiling)} |")
    return text


def _row(summary: dict[str, Any], ceiling: float | None) -> str:
    if "error" in summary:
        return f"failed: {summary['error']} | | | | | |"
    rate = summary["perSecond"]
    share = f"{rate['median'] / ceiling:.3f}" if ceiling else ""
    columns = [f"{rate['median']:,.0f} ({rate['min']:,.0f} - {rate['max']:,.0f})", share]
    for name, form in (
        ("p50Ms", "{:.2f}"),
        ("p99Ms", "{:.2f}"),
        ("serverCpuUs", "{:.0f}"),
        ("databaseCpuUs", "{:.0f}"),
        ("loadCpuShare", "{:.0%}"),
    ):
        columns.append(form.format(summary[name]["median"]) if name in summary else "")
    if summary["notOk"]:
        columns[0] += f", **{summary['notOk']} answers were not 200**"
    return " | ".join(columns)


def load_bound(results: Results) -> list[str]:
    """Cells where the load generator, and not the server, may have set the pace."""
    found = []
    for cell in results["cells"]:
        for name, summary in cell["servers"].items():
            if "loadCpuShare" not in summary:
                continue
            busy = summary["loadCpuShare"]["median"] > _LOAD_BUSY
            if busy and summary["serverCpuShare"]["median"] < _SERVER_IDLE:
                work = _WORK_NAMES[cell["work"]]
                found.append(
                    f"{name}, {cell['kind']}, {work} at {cell['connections']} connections: the "
                    "load generator was busier than the server, so the figure is a lower bound."
                )
    return found


def _other_sections(results: Results) -> list[str]:
    text: list[str] = []
    for title, section in (
        ("Start and memory at rest", "startup"),
        ("Import", "imports"),
        ("PATCH beside an import", "beside"),
        ("In-process pipeline", "pipeline"),
    ):
        if results.get(section):
            text += ["", f"## {title} ({LONGLIST})", "", "```json"]
            text += [json.dumps(_rounded(results[section]), indent=1), "```"]
    return text


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(member) for name, member in value.items()}
    return round(value, 4) if isinstance(value, float) else value
