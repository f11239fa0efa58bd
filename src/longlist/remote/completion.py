"""What a shell completes the values of options with: what is known without asking a server."""

from __future__ import annotations

from collections.abc import Callable

Completion = Callable[[str], list[str]]


def one_of(*values: str) -> Completion:
    """Those of the values that begin with what was typed."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def profile_names(incomplete: str) -> list[str]:
    """The names of profiles; none from a file that cannot be used, as nothing can be said here."""
    from longlist.console import Trouble
    from longlist.remote import profiles

    try:
        return one_of(*profiles.load().profiles)(incomplete)
    except Trouble:
        return []


def fields(incomplete: str) -> list[str]:
    """The fields that a column can be mapped to, once `COLUMN=` stands there."""
    from longlist.prospecting.mapping import FIELDS

    column, equals, begun = incomplete.rpartition("=")
    return [f"{column}={field}" for field in FIELDS if equals and field.startswith(begun)]
