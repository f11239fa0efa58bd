"""Pages of the documentation and the fenced blocks in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = tuple(
    sorted(
        [
            *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
            ROOT / "CHANGELOG.md",
            ROOT / "examples" / "README.md",
            *(ROOT / "docs").rglob("*.md"),
        ]
    )
)

RUN: Final = frozenset({"console", "python"})
SHOWN: Final = frozenset({"text", "json", "nginx", "pyi"})
"""Languages of blocks that hold nothing to run: layouts, excerpts, signatures, configuration of
others."""

_FENCE: Final = re.compile(r"( *)(`{3,})([^`\n]*)\Z")
_HEREDOC: Final = re.compile(r"<<'?([A-Z]+)'?")
INTERRUPT: Final = "^C"


@dataclass
class Block:
    """A fenced block. `not_run` is the reason in its info string, `line` that of its fence."""

    language: str
    not_run: str | None
    line: int
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Step:
    """A command of a console block with the output the page shows for it."""

    command: str
    line: int
    output: list[str] = field(default_factory=list)

    @property
    def is_interrupt(self) -> bool:
        return self.command == INTERRUPT

    @property
    def is_server(self) -> bool:
        """A command that goes on running while the reader works in another terminal."""
        words = [word for word in self.command.split() if "=" not in word]
        return words[:2] in (["make", "serve"], ["longlist", "serve"])


def blocks(text: str) -> Iterator[Block]:
    """Every fenced block of a page. Raises ValueError for one that is not closed."""
    block: Block | None = None
    fence = indent = ""
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if block is None:
            if match:
                indent, fence, info = match.groups()
                language, *options = shlex.split(info) or [""]
                given = dict(option.partition("=")[::2] for option in options)
                block = Block(language, given.pop("not-run", None), number)
                if given:
                    raise ValueError(f"line {number}: unknown option {', '.join(given)}")
        elif match and match[2] == fence and not match[3].strip():
            yield block
            block = None
        else:
            block.lines.append(line.removeprefix(indent))
    if block is not None:
        raise ValueError(f"line {block.line}: the block is not closed")


def steps(block: Block) -> list[Step]:
    """The commands of a console block: `$ ` starts one, a backslash or here-document goes on."""
    found: list[Step] = []
    until = ""
    for number, line in enumerate(block.lines, block.line + 1):
        last = found[-1] if found else None
        if last is not None and (until or last.command.endswith("\\")):
            last.command += "\n" + line
            until = "" if line == until else until
        elif line.startswith("$ "):
            found.append(Step(line[2:], number))
            opened = _HEREDOC.search(line)
            until = opened[1] if opened else ""
        elif line == INTERRUPT:
            found.append(Step(INTERRUPT, number))
        elif last is None:
            raise ValueError(f"line {number}: output before the first command")
        else:
            last.output.append(line)
    return found


def script(page: Path, folder: Path) -> Iterator[Step]:
    """The steps of a page in order. Python samples are put into the folder when their turn comes;
    what they print is the `text` block after them."""
    found = list(blocks(page.read_text(encoding="utf-8")))
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language not in RUN or block.not_run is not None:
            continue
        if block.language == "console":
            yield from steps(block)
            continue
        (folder / "sample.py").write_text(block.text, encoding="utf-8")
        shown = after.lines if after is not None and after.language == "text" else []
        yield Step("python3 sample.py", block.line, shown)


def needs_server(page: Path) -> bool:
    """True for a page that goes on from where the tutorial began, with a server running."""
    found = blocks(page.read_text(encoding="utf-8"))
    consoles = [block for block in found if block.language == "console" and block.not_run is None]
    typed = (step for block in consoles for step in steps(block))
    first = next((step for step in typed if step.is_server or step.is_interrupt), None)
    return first is None or first.is_interrupt
