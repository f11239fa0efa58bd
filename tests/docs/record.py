"""Writes into pages what their commands print now: `python -m tests.docs.record PAGE ...`.

Output that still matches stays as it is, with its `...` and its ids. Read the difference before
you keep it: a page that is recorded shows whatever the server does, right or wrong.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.docs.pages import Step, needs_server, script
from tests.docs.reader import Reader


def record(page: Path, database_url: str = "") -> int:
    """Run a page and rewrite the outputs that differ; how many did."""
    lines = page.read_text(encoding="utf-8").splitlines()
    changes: list[tuple[Step, list[str]]] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "longlist"
        home.mkdir()
        with Reader(home, database_url) as reader:
            if needs_server(page):
                reader.start_server()
            for step in script(page, home):
                printed, _ = reader.run(step)
                if not reader.names.matches(step.output, printed):
                    changes.append((step, printed))
                    reader.names.matches(printed, printed)
    for step, printed in reversed(changes):
        first = step.line + step.command.count("\n")
        if step.command == "python3 sample.py":
            first = lines.index("```text", step.line) + 1
        lines[first : first + len(step.output)] = printed
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(changes)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(f"{name}: {record(Path(name))} outputs rewritten\n")
