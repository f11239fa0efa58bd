"""Taking people into an audience: who is new, who is known, and what became of each row.

A batch is decided in memory against the stored people that share a key with it, in the order of
its rows, each row seeing what the ones before it did; then it is written in bulk. Every row gets
one outcome, and the outcomes add up to the rows (contract 5.0).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Literal, get_args

import msgspec

from longlist.context import Context
from longlist.ids import new_ids
from longlist.prospects import member_store as members
from longlist.prospects import store
from longlist.prospects import suppression_store as suppressions
from longlist.prospects.identity import (
    Candidate,
    KeyHasher,
    Keys,
    Match,
    decide,
    keys_of,
    merge,
    suppression_keys,
)
from longlist.prospects.person import Person, RowRefused

OutcomeName = Literal["added", "updated", "unchanged", "skipped", "failed"]
Reason = Literal[
    "SUPPRESSED", "DUPLICATE_IN_SOURCE", "NO_IDENTITY", "AMBIGUOUS_MATCH", "INVALID_EMAIL",
    "INVALID_URL", "INVALID_TEXT", "FIELD_TOO_LONG", "MALFORMED_ROW", "NOT_FOUND", "SOURCE_ERROR",
]  # fmt: skip


class Counts(msgspec.Struct):
    """Rows by outcome; the five add up to `received`."""

    received: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0

    def plus(self, other: Counts) -> Counts:
        """The sum of both."""
        return Counts(
            *(
                mine + theirs
                for mine, theirs in zip(
                    msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True
                )
            )
        )


class Entry(msgspec.Struct, gc=False, array_like=True):
    """One row to take in: a person with keys, an existing prospect, or a refusal.

    `linked`: the keys that other rows of the source have for the same person (`linking`).
    """

    position: int
    line: int | None = None
    person: Person | None = None
    keys: Keys | None = None
    suppressed_by: Sequence[bytes] = ()
    prospect_id: bytes | None = None
    reason: str | None = None
    message: str | None = None
    linked: Keys | None = None


class Outcome(msgspec.Struct, gc=False):
    """What became of one row."""

    position: int
    outcome: OutcomeName
    reason: str | None = None
    message: str | None = None
    prospect_id: bytes | None = None
    line: int | None = None


def entry(hasher: KeyHasher, position: int, person: Person, line: int | None = None) -> Entry:
    """The entry of a person; one without identity becomes a refusal."""
    try:
        keys = keys_of(person, hasher)
    except RowRefused as refused:
        return refusal(position, refused.reason, refused.message, line)
    return Entry(position, line, person, keys, suppression_keys(person, keys, hasher))


def refusal(position: int, reason: str, message: str | None, line: int | None = None) -> Entry:
    """The entry of a row that cannot be taken."""
    return Entry(position, line, reason=reason, message=message)


class _Known(msgspec.Struct, gc=False):
    """A person the batch has to do with, as they are now."""

    id: bytes
    person: Person
    candidate: Candidate
    stored_keys: frozenset[bytes] = frozenset()
    is_new: bool = False
    changed: bool = False
    member: bool = False
    joined: bool = False
    seen: bool = False


_OUTCOMES: Final[tuple[OutcomeName, ...]] = get_args(OutcomeName)
_NAMED_IDS: Final = 10
_NOBODY: Final = Match()
_SEEN_MESSAGE: Final = "This person was in an earlier row of the same source."
_SUPPRESSED_MESSAGE: Final = "This person is on the suppression list."
_STRANGER_MESSAGE: Final = "There is no such prospect in this account group."


class _Batch:
    """The people of one batch in memory, and the decisions made so far."""

    def __init__(self, hasher: KeyHasher) -> None:
        self.hasher = hasher
        self.known: dict[bytes, _Known] = {}
        self.by_key: dict[bytes, tuple[bytes, ...]] = {}
        self.suppressed: set[bytes] = set()
        self._new: Iterator[bytes] = iter(())

    def expect(self, rows: int) -> None:
        """Have ids ready for as many new people."""
        self._new = iter(new_ids(max(1, rows)))

    def learn(self, known: _Known) -> None:
        """Make a person findable by their keys."""
        id_, by_key = known.id, self.by_key
        self.known[id_] = known
        for key in known.candidate.values():
            by_key[key] = (id_,) if key not in by_key else (*by_key[key], id_)

    def decide_up_to(self, entries: Sequence[Entry], most: int | None) -> list[Outcome]:
        """What becomes of the rows, up to the one that is the `most`th to be added or updated."""
        room = len(entries) if most is None else most
        outcomes: list[Outcome] = []
        for entry in entries:
            if room <= 0:
                break
            outcomes.append(self.decide(entry))
            room -= outcomes[-1].outcome in ("added", "updated")
        return outcomes

    def decide(self, entry: Entry) -> Outcome:
        """What becomes of one row."""
        if entry.reason is not None:
            return Outcome(entry.position, "failed", entry.reason, entry.message)
        if entry.prospect_id is not None:
            known = self.known.get(entry.prospect_id)
            if known is None:
                return Outcome(entry.position, "failed", "NOT_FOUND", _STRANGER_MESSAGE)
            if self._is_suppressed(_listed(known, self.hasher)):
                return Outcome(entry.position, "skipped", "SUPPRESSED", _SUPPRESSED_MESSAGE)
            return self._join(entry, known, changed=False)
        if self._is_suppressed(entry.suppressed_by):
            return Outcome(entry.position, "skipped", "SUPPRESSED", _SUPPRESSED_MESSAGE)
        return self._decide_person(entry)

    def _is_suppressed(self, keys: Iterable[bytes]) -> bool:
        return bool(self.suppressed) and not self.suppressed.isdisjoint(keys)

    def _decide_person(self, entry: Entry) -> Outcome:
        keys, person = entry.keys, entry.person
        assert keys is not None
        assert person is not None
        match = self._match(keys)
        if match.is_new and entry.linked is not None:
            linked = self._match(entry.linked)
            # Several are told apart by the rows that have their keys, not by this one.
            match = match if linked.is_ambiguous else linked
        if match.is_ambiguous:
            named = " and ".join(id_.hex() for id_ in match.ids[:_NAMED_IDS])
            message = f"The row matches several stored prospects: {named}."
            return Outcome(entry.position, "failed", "AMBIGUOUS_MATCH", message)
        if match.id is None:
            id_ = next(self._new)
            known = _Known(id_, person, _candidate(id_, keys), is_new=True)
            self.learn(known)
            return self._join(entry, known, changed=False)
        known = self.known[match.id]
        return self._join(entry, known, changed=self._merge(known, person))

    def _match(self, keys: Keys) -> Match:
        found = [self.by_key[key] for key in keys.values() if key in self.by_key]
        if not found:
            return _NOBODY
        return decide(keys, [self.known[id_].candidate for id_ in {*chain.from_iterable(found)}])

    def _merge(self, known: _Known, person: Person) -> bool:
        merged, changed = merge(known.person, person)
        if changed:
            known.person = merged
            known.changed = True
            known.candidate = _candidate(known.id, keys_of(merged, self.hasher))
            self.learn(known)
        return changed

    @staticmethod
    def _join(entry: Entry, known: _Known, *, changed: bool) -> Outcome:
        seen, known.seen = known.seen, True
        if not known.member:
            known.member = known.joined = True
            return Outcome(entry.position, "added", prospect_id=known.id)
        if changed:
            return Outcome(entry.position, "updated", prospect_id=known.id)
        if seen:
            return Outcome(
                entry.position, "skipped", "DUPLICATE_IN_SOURCE", _SEEN_MESSAGE, known.id
            )
        return Outcome(entry.position, "unchanged", prospect_id=known.id)


def _candidate(id_: bytes, keys: Keys) -> Candidate:
    return Candidate(id_, keys.provider_id, keys.public_identifier, keys.email, keys.name_company)


def _listed(known: _Known, hasher: KeyHasher) -> list[bytes]:
    """The keys under which a stored person may be suppressed."""
    return suppression_keys(known.person, keys_of(known.person, hasher), hasher)


async def take_in(
    ctx: Context,
    audience_id: bytes,
    entries: Sequence[Entry],
    *,
    job_id: bytes | None = None,
    most: int | None = None,
) -> tuple[list[Outcome], Counts, int]:
    """Put people into an audience that the caller holds.

    `job_id` names the source that the rows belong to, so that a person seen in an earlier batch of
    it is known for a repeat. Once `most` rows are added or updated the rows after them are left
    alone, and have no outcome. Returns the outcomes in the order of the entries, their counts, and
    the audience's `prospectCount` after.
    """
    await store.lock_identity(ctx)
    batch = _Batch(ctx.hasher)
    await _load(ctx, batch, audience_id, entries, job_id)
    outcomes = batch.decide_up_to(entries, most)
    for outcome, row in zip(outcomes, entries, strict=False):
        outcome.line = row.line
    counts = count(outcomes)
    await _write(ctx, audience_id, list(batch.known.values()), job_id)
    changed = counts.added + counts.updated > 0
    total = await members.count(ctx, audience_id, counts.added, counts if changed else None)
    return outcomes, counts, total


def count(outcomes: Sequence[Outcome]) -> Counts:
    """Rows by outcome."""
    by_name = Counter([outcome.outcome for outcome in outcomes])
    return Counts(len(outcomes), *(by_name[name] for name in _OUTCOMES))


class Rehearsal:
    """What `take_in` would make of a source, page after page, without writing anything.

    Every person of the source is kept in memory, about 2 kB each: for sources of bounded size.
    """

    def __init__(self, ctx: Context, audience_id: bytes | None) -> None:
        self._ctx = ctx
        self._audience_id = audience_id
        self._batch = _Batch(ctx.hasher)
        self.counts = Counts()

    async def take(self, entries: Sequence[Entry]) -> None:
        """Decide the next page and add its outcomes to `counts`."""
        await _load(self._ctx, self._batch, self._audience_id, entries, None)
        self.counts = self.counts.plus(count([self._batch.decide(entry) for entry in entries]))


async def _load(
    ctx: Context,
    batch: _Batch,
    audience_id: bytes | None,
    entries: Sequence[Entry],
    job_id: bytes | None,
) -> None:
    """Teach a batch the stored people that share a key with the entries, and who is suppressed."""
    batch.expect(len(entries))
    keys: set[bytes] = set()
    listed: set[bytes] = set()
    for entry in entries:
        listed.update(entry.suppressed_by)
        for found_by in (entry.keys, entry.linked):
            if found_by is not None:
                keys.update(found_by.values())
    if listed:
        batch.suppressed |= await suppressions.suppressed(ctx, list(listed))
    named = {e.prospect_id for e in entries if e.prospect_id is not None}
    ids = set(named)
    if keys:
        ids |= await members.ids_of_keys(ctx, list(keys))
    ids -= batch.known.keys()
    if not ids:
        return
    for found in (await store.get_many(ctx, list(ids))).values():
        candidate = _candidate(found.id, keys_of(found.person, ctx.hasher))
        stored_keys = frozenset(candidate.values())
        batch.learn(_Known(found.id, found.person, candidate, stored_keys))
    listed = {
        key for id_ in named & batch.known.keys() for key in _listed(batch.known[id_], ctx.hasher)
    }
    if listed:
        batch.suppressed |= await suppressions.suppressed(ctx, list(listed))
    if audience_id is None:
        return
    touched = await members.touched_among(ctx, audience_id, list(ids))
    for prospect_id, touched_by in touched.items():
        batch.known[prospect_id].member = True
        batch.known[prospect_id].seen = job_id is not None and touched_by == job_id


async def _write(
    ctx: Context, audience_id: bytes, people: Sequence[_Known], job_id: bytes | None
) -> None:
    new = [known for known in people if known.is_new]
    changed = [known for known in people if known.changed and not known.is_new]
    await members.insert_people(ctx, [(known.id, known.person) for known in new])
    await members.update_people(ctx, [(known.id, known.person) for known in changed])
    keys = [(key, known.id) for known in new for key in known.candidate.values()]
    gone: list[tuple[bytes, bytes]] = []
    for known in changed:
        now_has = frozenset(known.candidate.values())
        keys += ((key, known.id) for key in now_has - known.stored_keys)
        gone += ((key, known.id) for key in known.stored_keys - now_has)
    await members.insert_keys(ctx, keys)
    await members.delete_keys(ctx, gone)
    joined = [known.id for known in people if known.joined]
    await members.insert(ctx, audience_id, joined, job_id)
    if job_id is not None:
        seen = [known.id for known in people if known.seen and known.member and not known.joined]
        await members.touch(ctx, audience_id, seen, job_id)
