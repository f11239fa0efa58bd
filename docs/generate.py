"""Writes the pages of `docs/reference/` that the code itself can tell: run it after a change.

    .venv/bin/python docs/generate.py

A test compares the pages with what this makes (`tests/docs/test_generated.py`).
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import client_reference
import msgspec
import typer.main
from typer.testing import CliRunner

from longlist import errors, settings
from longlist.app import OPERATIONS
from longlist.cli import app as command_line
from longlist.keys.store import PERMISSIONS
from longlist.operations import Operation
from longlist.settings import PREFIX, SECRETS, Settings

REFERENCE = Path(__file__).parent / "reference"
_MADE = "<!-- Made from the code by docs/generate.py: change the code, then run that. -->"
_WIDTH = 88


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _page(title: str, *parts: Iterable[str]) -> str:
    lines = [f"# {title}", "", _MADE, ""]
    for part in parts:
        lines += [*part, ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _sentence(docstring: str | None) -> str:
    """A docstring on one line, without its pointers to sections of the API's contract."""
    text = re.sub(r"\s+", " ", docstring or "").strip()
    return re.sub(r" \(contract [^)]*\)", "", text)


def _documented() -> dict[str, str]:
    """What the string below each setting says of it."""
    tree = ast.parse(inspect.getsource(settings))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    found: dict[str, str] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = _sentence(str(after.value.value))
        if not text:
            raise ValueError(f"settings.py says nothing of {node.target.id}")
        found[node.target.id] = text
    return found


def _kind(name: str, hint: Any) -> str:
    if name in SECRETS:
        return "text, secret"
    if hint is str:
        return "text"
    if hint is int:
        return "whole number"
    if hint is float:
        return "number"
    return " or ".join(f"`{choice}`" for choice in hint.__args__)


def settings_page() -> str:
    """Every setting, with its default."""
    documented = _documented()
    hints = inspect.get_annotations(Settings, eval_str=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        default = "" if field.default == "" else f"`{field.default}`"
        rows.append(
            (
                f"`{PREFIX}{field.name.upper()}`",
                _kind(field.name, hints[field.name]),
                default,
                documented[field.name],
            )
        )
    secret = " and ".join(f"`{PREFIX}{name.upper()}_FILE`" for name in sorted(SECRETS))
    return _page(
        "Settings",
        [
            "Settings are environment variables, read once when a command starts. `make serve`"
            " passes them on.",
            f"A secret may also come from a file: {secret} take a path.",
            "A value that cannot be used stops the start with a sentence that names the variable."
            " An empty one counts as not set.",
            "`longlist doctor` prints the settings in effect, without secrets.",
        ],
        _table(("Variable", "Value", "Default", "Meaning"), rows),
    )


def _upper(match: re.Match[str]) -> str:
    return match[1].upper()


def _every_error(kind: type[errors.LonglistError]) -> Iterator[type[errors.LonglistError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _every_error(below)


def _operation(operation: Operation) -> str:
    return f"`{operation.method} {operation.path}`"


def errors_page() -> str:
    """Every status and code, with what it means and who gives it."""
    every = sorted(_every_error(errors.LonglistError), key=lambda kind: (kind.status, kind.code))
    rows = []
    for kind in every:
        if kind.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            continue
        meaning = _sentence(inspect.getdoc(kind))
        rows.append(
            (str(kind.status), f"`{kind.code}`", re.sub(r"^(?:\d{3}: )?(.)", _upper, meaning))
        )
    found: dict[str, list[str]] = {}
    for operation in OPERATIONS:
        for code in operation.errors.get(422, ()):
            found.setdefault(code, []).append(operation.summary)
    refused = [(f"`{code}`", ", ".join(names)) for code, names in sorted(found.items())]
    return _page(
        "Errors",
        [
            "Every refusal is one JSON object, with a code for programs and words for people.",
            "",
            "`error.code` is for programs. `error.message` says what went wrong, `error.details`"
            " what to do. Members at fault are listed in `error.issues`, facts a program may need"
            " in `error.context`.",
            "",
            "When several things are wrong, the first in this order answers: framing, unknown path"
            " or method, load (503), key (401), rate (429), permission and account group (403),"
            " media type and size (415, 413), the request itself (400), a stored idempotency key,"
            " 404, 412, 409, 422, 402.",
            "",
            "A request that ends in an error has changed nothing.",
        ],
        _table(("Status", "Code", "When"), rows),
        [
            "## 422: a rule or the present state refuses it",
            "",
            "The request is well-formed. Each code is given by these operations:",
            "",
        ],
        _table(("Code", "Operations"), refused),
    )


def _statuses(operation: Operation) -> tuple[str, str]:
    good = [str(status) for status in operation.statuses if status < HTTPStatus.BAD_REQUEST]
    bad = [
        f"{status} {', '.join(codes)}"
        for status, codes in operation.statuses.items()
        if status >= HTTPStatus.BAD_REQUEST
    ]
    return ", ".join(good), "; ".join(bad)


def operations_page() -> str:
    """Every operation with permission and statuses, and every permission with its operations."""
    rows = [
        (
            _operation(operation),
            operation.summary,
            "none"
            if operation.public
            else f"`{operation.permission}`"
            if operation.permission
            else "any key",
            _statuses(operation)[0],
        )
        for operation in OPERATIONS
    ]
    refusals = [
        (f"`{operation.id}`", _statuses(operation)[1].replace("_", "\\_"))
        for operation in OPERATIONS
    ]
    allowed = [
        (
            f"`{permission}`",
            ", ".join(o.summary for o in OPERATIONS if o.permission == permission) or "nothing yet",
        )
        for permission in PERMISSIONS
    ]
    return _page(
        "Operations",
        [
            "Every operation of the API, with the permission it needs and what it may answer.",
            "",
            "The running server shows the same with every member and example at `/docs`, and as an"
            " OpenAPI 3.1 document at `/openapi.json`.",
        ],
        _table(("Operation", "What it does", "Permission", "Success"), rows),
        ["## Permissions", "", "A key has a set of them. Write does not include read.", ""],
        _table(("Permission", "Allows"), allowed),
        [
            "## Refusals",
            "",
            "What each operation may answer besides success. Any request can also meet the statuses"
            " of the transport: 404 (unknown path), 405, 408, 414, 431, and 400 or 413 (framing).",
            "",
        ],
        _table(("Operation", "Errors"), refusals),
    )


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*path, name))


def commands_page() -> str:
    """The help of every command."""
    parts: list[list[str]] = []
    root = typer.main.get_command(command_line)
    for path in _commands(root, ()):
        shown = CliRunner().invoke(
            command_line, [*path, "--help"], prog_name="longlist", terminal_width=_WIDTH,
            color=False,
        )  # fmt: skip
        if shown.exit_code:
            raise RuntimeError(f"no help of {path}: {shown.output}")
        help_text = [line.rstrip() for line in shown.output.strip("\n").splitlines()]
        parts.append([f"## `{' '.join(('longlist', *path))}`", "", "```text", *help_text, "```"])
    return _page(
        "Command line",
        [
            "Every command reads the [settings](settings.md) from the environment."
            " Exit code 0 is success, 1 trouble, 2 a wrong command line.",
        ],
        *parts,
    )


def pages() -> dict[str, str]:
    """The pages by file name."""
    return {
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "operations.md": operations_page(),
        "command-line.md": commands_page(),
        "client.md": _page("Python client", *client_reference.parts()),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
