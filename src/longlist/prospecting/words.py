"""The words by which the people of a directory are found: the same on every database.

A text is folded (case, accents, ligatures, full-width forms) and cut at everything that is
neither letter nor digit. What is written without blanks between words (Chinese, Japanese, Thai
and their like) is cut into pairs of neighbouring characters. There are no operators and no wild
cards, so no text is wrong.

What reaches the index is a keyed hash of each word, with the kind of place it stands in: an index
keeps words long after the rows that had them are gone, and an erased person must not be read in
it. The hashes of two account groups have nothing in common.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.db.full_text import Wanted
    from longlist.prospecting.sources.kept import KeptFilters
    from longlist.prospects.identity import Keys
    from longlist.prospects.person import Person

TOKEN_BYTES: Final = 6
"""Of a million different words, one in three hundred million is taken for another."""
_CACHED: Final = 1 << 16

ANYWHERE: Final = "a"
TITLE: Final = "t"
COMPANY: Final = "c"
LOCATION: Final = "l"
INDUSTRY: Final = "i"
_KEY: Final = "k"

# Attributes of Person by the kind of place they are; of each the words are found anywhere as well.
_OF_KIND: Final = (
    (TITLE, ("title",)),
    (COMPANY, ("company_name",)),
    (LOCATION, ("location",)),
    (INDUSTRY, ("company_industry",)),
    (ANYWHERE, ("first_name", "last_name", "name", "headline", "about", "company_domain")),
)

_ASCII_WORD: Final = re.compile("[a-z0-9]+")
# Letters that people write without their stroke, and that no normal form takes apart.
_PLAIN: Final = {
    ord(letter): plain
    for letter, plain in zip(
        "øłđðıæœþŋħŧ", ("o", "l", "d", "d", "i", "ae", "oe", "th", "n", "h", "t"), strict=True
    )
}
_UNSPACED: Final = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)"
)
_ZERO_WIDTH_SPACE: Final = 0x200B
_PLANE: Final = 0xFFFF
_SCRIPT_MARKS: Final = 9
"""Marks up to this combining class make another letter (the virama, Japanese voicing); those above
are accents and vowel points, which people leave out."""


class _Separators(dict[int, int | None]):
    """For `str.translate`: letters, digits and their marks stay, what is invisible goes, and all
    else becomes a blank."""

    def __missing__(self, code: int) -> int | None:
        kind = unicodedata.category(chr(code))
        kept: int | None = ord(" ")
        if kind[0] in "LN" or (kind in ("Mn", "Mc") and not _is_selector(code)):
            kept = code
        elif (kind in ("Cf", "Me") or _is_selector(code)) and code != _ZERO_WIDTH_SPACE:
            kept = None
        if code <= _PLANE:  # bounds what is remembered
            self[code] = kept
        return kept


def _is_selector(code: int) -> bool:
    """Variation selectors: they choose between two pictures of one character."""
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF


_SEPARATORS: Final = _Separators()


def fold(text: str) -> str:
    """The text in lower case, without accents, in the letters people type for it."""
    if text.isascii():
        return text.lower()
    taken_apart = unicodedata.normalize("NFKD", text.casefold()).casefold().translate(_PLAIN)
    bare = (c for c in taken_apart if unicodedata.combining(c) <= _SCRIPT_MARKS)
    return unicodedata.normalize("NFKC", "".join(bare))


def words_of(text: str, *, searched: bool = False) -> Iterator[str]:
    """The words of a text, in its order, some of them more than once.

    Of unspaced writing an indexed text gives every character and every pair, a `searched` one only
    the pairs, or its one character: who searches for two characters means them side by side.
    """
    folded = fold(text)
    if folded.isascii():
        yield from _ASCII_WORD.findall(folded)
        return
    for word in folded.translate(_SEPARATORS).split():
        for part in _UNSPACED.split(word):
            if _UNSPACED.match(part):
                yield from _pairs(part, searched)
            elif any(map(str.isalnum, part)):
                yield part


def _pairs(run: str, searched: bool) -> Iterator[str]:
    if not searched or len(run) == 1:
        yield from run
    yield from (run[at : at + 2] for at in range(len(run) - 1))


class Words:
    """Makes the words of one account group's index."""

    def __init__(self, secret: bytes) -> None:
        self._started = hashlib.blake2b(key=secret, digest_size=TOKEN_BYTES)
        self._token = lru_cache(maxsize=_CACHED)(self._hashed)

    def _hashed(self, kind: str, word: str) -> str:
        made = self._started.copy()
        made.update(f"{kind} {word}".encode())
        return made.hexdigest()

    def of_person(self, person: Person, keys: Keys) -> str:
        """All that a person is found by, as the index takes it."""
        found: set[str] = set()
        for kind, attributes in _OF_KIND:
            for attribute in attributes:
                text = getattr(person, attribute)
                if text is None:
                    continue
                for word in words_of(text):
                    found.add(self._token(ANYWHERE, word))
                    if kind != ANYWHERE:
                        found.add(self._token(kind, word))
        found.update(self._hashed(_KEY, key.hex()) for _, key in keys.all())
        return " ".join(sorted(found))

    def of_keys(self, keys: Iterable[bytes]) -> Wanted:
        """Finds the people with any of these identity keys."""
        return [[[self._hashed(_KEY, key.hex())] for key in keys]]

    def of_search(self, query: str, filters: KeptFilters) -> Wanted | None:
        """Finds those who have every word of the query, and of each filter all of one text.

        None where nobody can be found: the query, or every text of a filter, has no word in it.
        """
        wanted = [[[word]] for word in self._tokens(ANYWHERE, query)]
        if not wanted:
            return None
        for kind, texts in (
            (TITLE, filters.titles),
            (COMPANY, filters.companies),
            (LOCATION, filters.locations),
            (INDUSTRY, filters.industries),
        ):
            if texts:
                alternatives = [found for text in texts if (found := self._tokens(kind, text))]
                if not alternatives:
                    return None
                wanted.append(alternatives)
        return wanted

    def _tokens(self, kind: str, text: str) -> list[str]:
        return list(dict.fromkeys(self._token(kind, w) for w in words_of(text, searched=True)))


@lru_cache(maxsize=64)
def _words(secret: bytes) -> Words:
    return Words(secret)


def words_for(installation: Installation, group: bytes) -> Words:
    """The words of an account group."""
    return _words(installation.derive(b"directory words:" + group))
