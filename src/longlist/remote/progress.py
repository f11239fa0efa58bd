"""Progress bars on a terminal's standard error, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer


class Progress:
    """Bars on a terminal, nothing elsewhere. Notes are said once."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._noted: set[str] = set()

    def bar(self, text: str, total: int) -> Callable[[int], None]:
        """A bar to be told how far it is."""
        if self._bars is None:
            return lambda _done: None
        task = self._bars.add_task(text, total=max(total, 1))
        # An estimate of rows may be too low; a bar does not go beyond its end.
        return lambda done: self._bars.update(task, completed=done, total=max(total, done, 1))

    def share(self, text: str) -> Callable[[int, float], None]:
        """A bar to be told what is done, and which part of the whole (0 to 1) that is."""
        if self._bars is None:
            return lambda _done, _part: None
        task = self._bars.add_task(text, total=None)

        def moved(done: int, part: float) -> None:
            total = max(done, round(done / part)) if part > 0 and done else None
            self._bars.update(task, completed=done, total=total)

        return moved

    def note(self, text: str) -> None:
        """Say something once, on standard error."""
        if text not in self._noted:
            self._noted.add(text)
            typer.echo(text, err=True)

    def may_go_on(self) -> bool:
        """Ask whether the job shall go on; it shall not where nobody can answer."""
        if self._bars is None or not sys.stdin.isatty():
            return False
        self._bars.stop()
        try:
            going_on = not typer.confirm("\nCancel the job? What is imported stays.", err=True)
        except (KeyboardInterrupt, typer.Abort):
            typer.echo("", err=True)
            return False
        if going_on:
            self._bars.start()
        return going_on


@contextmanager
def progress() -> Iterator[Progress]:
    """Bars for as long as the block lasts."""
    if not sys.stderr.isatty():
        yield Progress(None)
        return
    from rich import progress as rich
    from rich.console import Console

    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TextColumn("{task.completed:,.0f}"),
        rich.TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        yield Progress(bars)
