"""The file that results are kept in: one unit for each part and kind of database.

A run may be cut in pieces. Each unit keeps when it was measured, how long it took, by which
command, from which revision of the code and under what load average, so that figures of different
times stand side by side and are seen to be of different times.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_MACHINE = ("cpus", "processor", "kernel", "fileSystem")
_PATHS = re.compile(r"/(?:tmp|root|work|home|var|usr|Users)/[^\s'\":,)]*")

Unit = dict[str, Any]


class OtherMachine(Exception):
    """The file at hand holds figures of another machine."""


def without_paths(text: str) -> str:
    """The text without paths of this machine."""
    return _PATHS.sub("...", text)


def revision() -> str:
    """The commit that is checked out, with a plus where something measured differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "src", "bench", "uv.lock")
        results = [line for line in changed.splitlines() if "bench/results/" not in line]
        return git("rev-parse", "--short", "HEAD") + ("+" if results else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@dataclass
class Results:
    """Everything that was measured, by unit. `units` is in the order of the parts."""

    machine: dict[str, Any]
    units: dict[str, Unit] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, machine: dict[str, Any]) -> Results:
        """What the file holds, to be added to. Raises OtherMachine; a missing file is empty."""
        if not path.exists():
            return cls(machine)
        found = json.loads(path.read_text())
        differing = [name for name in _MACHINE if found["machine"].get(name) != machine[name]]
        if differing and found["units"]:
            raise OtherMachine(
                f"{path.name} holds figures of another machine ({', '.join(differing)} differ): "
                "measure everything anew, without --only and --resume"
            )
        return cls({**found["machine"], **machine}, found["units"])

    @classmethod
    def load(cls, path: Path) -> Results:
        """What the file holds, to be reported."""
        found = json.loads(path.read_text())
        return cls(found["machine"], found["units"])

    def write(self, path: Path) -> None:
        """Replace the file, one unit a line, so that versions of it can be compared."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{json.dumps(name)}: {json.dumps(unit)}" for name, unit in self.units.items()]
        text = ",\n".join(lines)
        whole = f'{{"machine": {json.dumps(self.machine)},\n"units": {{\n{text}\n}}}}\n'
        fresh = path.with_suffix(".new")
        fresh.write_text(whole)
        fresh.replace(path)

    def find(self, part: str, kind: str = "") -> dict[str, Any]:
        """The figures of a unit, empty where it was not measured."""
        found: dict[str, Any] = self.units.get(unit_name(part, kind), {}).get("figures", {})
        return found

    def why_missing(self, part: str, kind: str = "") -> str:
        """What went wrong with a unit, or nothing."""
        return str(self.units.get(unit_name(part, kind), {}).get("error", ""))

    def measured_at(self, part: str, kind: str = "") -> str:
        """When the unit was begun, or nothing."""
        return str(self.units.get(unit_name(part, kind), {}).get("startedAt", ""))

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Name of the unit and remark."""
        for name, unit in self.units.items():
            for remark in unit["remarks"]:
                yield name, remark

    def is_whole(self, name: str) -> bool:
        """Measured to its end."""
        return "figures" in self.units.get(name, {})


def unit_name(part: str, kind: str = "") -> str:
    """The key of a unit."""
    return f"{part}, {kind}" if kind else part
