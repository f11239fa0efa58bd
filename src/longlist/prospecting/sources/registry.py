"""Which providers there are: those that come with Longlist, and those that other packages add.

Another package names its provider by an entry point of the group `longlist.sources`. A package
that cannot be used takes nothing else down: it is left out, told of in the log once, and named by
`longlist doctor` and `longlist sources list`.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longlist.telemetry import place_of

if TYPE_CHECKING:
    from longlist.prospecting.sources.providers import Provider

GROUP: Final = "longlist.sources"
BUILT_IN: Final = {
    "unipile": "longlist.prospecting.sources.unipile.provider:PROVIDER",
    "directory": "longlist.prospecting.sources.directory:PROVIDER",
}
"""The providers that come with Longlist, written as entry points are."""
KINDS: Final = frozenset(
    {"linkedin_search", "sales_navigator", "post_commenters", "url_upload", "directory_search"}
)
"""The kinds of job that a provider may serve."""
_log = logging.getLogger("longlist.sources")
_CALLED: Final = ("check", "load", "test", "open")


class Broken(msgspec.Struct, frozen=True):
    """A provider that cannot be used, and why."""

    name: str
    reason: str


class _Unusable(Exception):
    """The text says what is missing of a provider."""


@lru_cache(maxsize=1)
def _known() -> dict[str, EntryPoint]:
    """Every provider by name, not yet imported. Built-in names cannot be taken."""
    others = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    own = [EntryPoint(name, value, GROUP) for name, value in BUILT_IN.items()]
    return {point.name: point for point in (*others, *own)}


@lru_cache(maxsize=64)
def _loaded(name: str) -> Provider | Broken | None:
    point = _known().get(name)
    if point is None:
        return None
    try:
        return _checked(name, point.load())
    except (Exception, SystemExit) as error:  # whatever another package's code may raise
        found = Broken(name, str(error) if isinstance(error, _Unusable) else place_of(error))
        _log.error("The provider %r cannot be used: %s.", name, found.reason)
        return found


def _checked(name: str, found: Any) -> Provider:
    """An entry point may name a provider, or a class to make it of."""
    provider: Any = found() if isinstance(found, type) else found
    if getattr(provider, "name", None) != name:
        raise _Unusable("its name is not that of its entry point")
    serves = getattr(provider, "serves", None)
    if not isinstance(serves, frozenset) or not serves or not serves <= KINDS:
        raise _Unusable(f"serves is not a frozenset of some of {', '.join(sorted(KINDS))}")
    for flag in ("needs_token", "several"):
        if not isinstance(getattr(provider, flag, None), bool):
            raise _Unusable(f"{flag} is neither True nor False")
    for method in _CALLED:
        if not callable(getattr(provider, method, None)):
            raise _Unusable(f"it has no method {method}")
    usable: Provider = provider
    return usable


def find(name: str) -> Provider | None:
    """The provider of this name; None where there is none, or it cannot be used."""
    found = _loaded(name)
    return None if isinstance(found, Broken) else found


def names() -> list[str]:
    """The names of all providers that can be used."""
    return [name for name in sorted(_known()) if find(name) is not None]


def broken() -> list[Broken]:
    """The providers that cannot be used."""
    return [found for name in sorted(_known()) if isinstance(found := _loaded(name), Broken)]


def forget() -> None:
    """Look at what is installed anew, in place of what was seen the first time."""
    _known.cache_clear()
    _loaded.cache_clear()
