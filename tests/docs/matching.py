"""Compares what a command printed with what the page shows.

Ids, keys and times differ from run to run: each matches any other of its form. An id or key on the
page stands for one of the run: the same text on the page is the same text in the run, and when a
later command of the page names it, the run's own is put in its place, as a reader would paste it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_ID: Final = r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])"
_KEY: Final = r"llk_[0-9A-Za-z]{49}"
_FORMS: Final = {
    "key": _KEY,
    "prefix": r"llk_[0-9A-Za-z]{8}(?![0-9A-Za-z])",
    "trace": r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])",
    "id": _ID,
    "time": r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z",
    "minute": r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}(?!:)",
    "stamp": r"\d{8}T\d{6}Z",
    "date": r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT",
    "rest": r"\.\.\.",
}
_TOKEN: Final = re.compile("|".join(f"(?P<{name}>{form})" for name, form in _FORMS.items()))
_NAMED: Final = frozenset({"key", "id"})
REST: Final = "..."


class Names:
    """What the page's ids and keys are called in this run."""

    def __init__(self) -> None:
        self._in_run: dict[str, str] = {}

    def put_in(self, command: str) -> str:
        """The command with the run's ids and keys in place of the page's."""

        def own(match: re.Match[str]) -> str:
            return self._in_run.get(match[0], match[0])

        return re.sub(f"{_KEY}|{_ID}", own, command)

    def matches(self, shown: Sequence[str], printed: Sequence[str]) -> bool:
        """Whether the output is the one the page shows; learns the names in it."""
        pattern, named = _pattern(shown)
        match = re.fullmatch(pattern, "".join(line + "\n" for line in printed))
        if match is None:
            return False
        learnt = dict(self._in_run)
        for on_page, in_run in zip(named, match.groups(), strict=True):
            if learnt.setdefault(on_page, in_run) != in_run:
                return False
        if len(set(learnt.values())) < len(learnt):
            return False
        self._in_run = learnt
        return True


def _pattern(shown: Sequence[str]) -> tuple[str, list[str]]:
    """The pattern of the output, and the texts on the page that its groups stand for."""
    parts: list[str] = []
    named: list[str] = []
    for line in shown:
        if line == REST:
            parts.append(r"(?:[^\n]*\n)*?")
            continue
        at = 0
        for token in _TOKEN.finditer(line):
            kind = token.lastgroup
            assert kind is not None
            parts.append(re.escape(line[at : token.start()]))
            at = token.end()
            if kind == "rest":
                parts.append(r"[^\n]*?")
            elif kind in _NAMED:
                parts.append(f"({_FORMS[kind]})")
                named.append(token[0])
            else:
                parts.append(_FORMS[kind])
        parts.append(re.escape(line[at:]) + r"\n")
    return "".join(parts), named
