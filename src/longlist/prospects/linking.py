"""Rows that are one person though they share no key: a third row has the keys of both.

Of the rows "ada@x", "in/ada" and "ada@x, in/ada" the first two are strangers until the third is
seen. Taken one after the other they would become two people, and the third an ambiguous row; in
another order one person. So before a file is taken in, the keys of rows that hang together are
put together, and each row is looked up by all of them where its own find nobody.

Rows that hang together by keys of which some contradict each other (two provider ids, two
profiles, two addresses) are left to the order in which they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from longlist.prospects.identity import Keys
from longlist.prospects.intake import Entry


class Links(msgspec.Struct):
    """For rows with fewer keys than their person has in the source: all of that person's keys."""

    unions: Mapping[Keys, Keys] = {}

    def widen(self, entry: Entry) -> Entry:
        """The entry, with the keys of its person where they are more than its own."""
        if self.unions and entry.keys is not None:
            entry.linked = self.unions.get(entry.keys)
            if entry.linked is not None:
                entry.suppressed_by = [*entry.suppressed_by, *entry.linked.values()]
        return entry


def links_among(rows: Iterable[Keys]) -> Links:
    """The links of rows with these keys.

    Rows known by name and company alone hang together with nobody.
    """
    groups = _Groups()
    for keys in rows:
        groups.add(keys)
    return Links(groups.unions())


class _Groups:
    """Distinct rows, and which of them hang together: a forest of which each tree is a group."""

    def __init__(self) -> None:
        self._rows: list[Keys] = []
        self._parents: list[int] = []
        self._by_key: dict[bytes, int] = {}

    def add(self, keys: Keys) -> None:
        at = len(self._rows)
        self._rows.append(keys)
        self._parents.append(at)
        for key in (keys.provider_id, keys.public_identifier, keys.email):
            if key is not None:
                self._join(at, self._by_key.setdefault(key, at))

    def _root(self, at: int) -> int:
        parents = self._parents
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    def _join(self, one: int, other: int) -> None:
        one, other = self._root(one), self._root(other)
        self._parents[max(one, other)] = min(one, other)

    def unions(self) -> dict[Keys, Keys]:
        whole: dict[int, Keys | None] = {}
        for at, keys in enumerate(self._rows):
            root = self._root(at)
            whole[root] = _together(whole[root], keys) if root in whole else keys
        found: dict[Keys, Keys] = {}
        for at, keys in enumerate(self._rows):
            union = whole[self._root(at)]
            if union is not None and union != keys:
                found[keys] = union
        return found


def _together(one: Keys | None, other: Keys) -> Keys | None:
    """The keys of both; None where they contradict each other, or `one` did before."""
    if one is None:
        return None
    values: list[bytes | None] = []
    for mine, theirs in (
        (one.provider_id, other.provider_id),
        (one.public_identifier, other.public_identifier),
        (one.email, other.email),
    ):
        if mine is not None and theirs is not None and mine != theirs:
            return None
        values.append(theirs if mine is None else mine)
    return Keys(*values)
