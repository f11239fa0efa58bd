"""The public surface is pinned: what is importable, and the signature of everything callable.

After a change that is meant, write the file anew: python -m client.tests.test_client_surface
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import longlist_client
import longlist_client.testing as client_testing
from longlist_client.binding import _Method
from longlist_client.testing import fixtures

KEPT = Path(__file__).parent / "surface.txt"


def _signature(found: Any) -> str:
    return re.sub(r"<(?:function|class) '?([\w.]+).*?>", r"\1", str(inspect.signature(found)))


def _members(class_: type) -> Iterator[str]:
    for name, member in sorted(vars(class_).items()):
        if name.startswith("_"):
            continue
        if isinstance(member, _Method):
            yield f"    {name}{member.signature}"
        elif inspect.isfunction(member):
            yield f"    {name}{_signature(member)}"
        elif isinstance(member, property):
            yield f"    {name}: property"
        elif hasattr(member, "func"):
            yield f"    {name}: {member.func.__annotations__['return']}"


def _shown(name: str, found: Any) -> Iterator[str]:
    if not inspect.isclass(found):
        yield f"{name} = {found!r}"
        return
    bases = ", ".join(base.__name__ for base in found.__bases__)
    own = "__init__" in vars(found) or issubclass(found, msgspec.Struct)
    yield f"class {name}({bases}){_signature(found) if own else ''}"
    yield from _members(found)


def surface() -> str:
    """Every public name with its signature, a line each."""
    lines: list[str] = []
    for module in (longlist_client, client_testing):
        lines.append(f"# {module.__name__}")
        for name in sorted(module.__all__):
            if name != "__version__":
                lines += _shown(name, getattr(module, name))
    resources = [
        type_
        for name in ("Audiences", "Folders", "Prospects", "Suppressions", "Files", "Prospecting",
                     "Monitors", "SalesNavigatorSources", "Accounts")
        for type_ in [getattr(longlist_client.client, name)]
    ]  # fmt: skip
    lines.append("# resources")
    for type_ in resources:
        lines += _shown(type_.__name__, type_)
    lines.append("# longlist_client.testing.fixtures")
    lines += sorted(name for name in vars(fixtures) if name.startswith("longlist_"))
    return "\n".join(lines) + "\n"


def test_the_surface_is_the_one_that_was_agreed() -> None:
    assert surface() == KEPT.read_text(encoding="utf-8")


def test_every_listed_name_is_there_once() -> None:
    for module in (longlist_client, client_testing):
        assert len(set(module.__all__)) == len(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)


if __name__ == "__main__":
    KEPT.write_text(surface(), encoding="utf-8")
