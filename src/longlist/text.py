"""The text rules of contract 1.10: one line, several lines, and the folded form for comparing.

Every text a caller sends passes through here once, whether it came in a body, a query or a file,
so that equal texts are stored as equal bytes. Limits count code points after normalisation.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import Final

# The Unicode property White_Space. `str.strip()` alone would also take U+001C-U+001F, which are
# control characters and have to be refused.
WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

# Surrogates are not characters; the JSON loader refuses them, other inputs may still hold some.
_BAD_IN_ONE_LINE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BAD_IN_MULTI_LINE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# A mark without a base and a format character show nothing of their own.
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"})
# Blank all the same: Hangul fillers, the Braille blank, reserved default-ignorable code points and
# the noncharacters. Unassigned code points count as visible, because which ones are assigned
# differs between Python versions and a new emoji is a fair name.
_ANY_LETTER_OR_DIGIT: Final = re.compile("[A-Za-z0-9\u00c0-\u00ff\u0400-\u04ff\u4e00-\u9fff]")
_BLANK: Final = re.compile(
    "[\u115f\u1160\u3164\uffa0\u2800\u2065\ufdd0-\ufdef\ufff0-\ufff8\ufffe\uffff"
    "\U000e0000-\U000e0fff]"
)

_PLANE: Final = 0xFFFF

# At most this many code points compose into one (U+1F82 and its like), so a longer text is too
# long whatever normalisation makes of it.
_MAX_COMPOSED: Final = 4
# Up to this length the normaliser's sorting of combining marks is quick whatever the text.
_SHORT: Final = 256


class BadText(ValueError):
    """A text that breaks a rule; `code` is an issue code, `message` one sentence about it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code: Final = code
        self.message: Final = message


def one_line(value: str, max_chars: int) -> str:
    """The normalised, trimmed text with at least one visible character.

    Raises BadText: `too_short` when nothing visible is left, `too_long`, `invalid_characters` for
    control characters, line and paragraph separators, bidi embeddings and isolates.
    """
    if value.isascii() and value.isprintable():
        value = value.strip(" ")
        if not value:
            raise _nothing_visible()
        if len(value) > max_chars:
            raise _too_long(max_chars)
        return value
    # White space neither composes nor comes out of a composition, so trimming first is the same
    # and keeps a long margin from counting.
    value = value.strip(WHITE_SPACE)
    if not value:
        raise _nothing_visible()
    if _BAD_IN_ONE_LINE.search(value):
        raise BadText(
            "invalid_characters",
            "The text must be one line without control or bidirectional formatting characters.",
        )
    value = _normalise(value, max_chars)
    if not _has_visible(value):
        raise _nothing_visible()
    return value


def multi_line(value: str, max_chars: int) -> str:
    """The normalised text with LF line ends; `""` when it holds white space only.

    Nothing is trimmed. Raises BadText: `too_long`, or `invalid_characters` for control characters
    other than tab and LF.
    """
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    if not (value.isascii() and value.isprintable()) and _BAD_IN_MULTI_LINE.search(value):
        raise BadText(
            "invalid_characters",
            "The text must not hold control characters other than tab and line feed.",
        )
    value = _normalise(value, max_chars)
    return value if value.strip(WHITE_SPACE) else ""


def search_text(value: str, max_chars: int) -> str:
    """A text to look for: normalised and not trimmed, since a blank is part of a substring.

    Raises BadText: `too_short` when empty, `too_long`, `invalid_characters`.
    """
    if not value:
        raise BadText("too_short", "The text must have at least one character.")
    if _BAD_IN_ONE_LINE.search(value):
        raise BadText("invalid_characters", "The text must not hold control characters.")
    return _normalise(value, max_chars)


def printable(value: str, max_chars: int = 64) -> str:
    """What an error may repeat of a member's name: its first printable characters."""
    return "".join(filter(str.isprintable, value[: 4 * max_chars]))[:max_chars]


def fold(value: str) -> str:
    """The form in which names and searches are compared: equal folds are the same name."""
    if value.isascii():
        return value.lower()
    return nfc(nfc(value).casefold())


def nfc(value: str) -> str:
    """Normalisation form C in time linear in the text.

    The standard normaliser sorts a run of combining marks by insertion, which on a run of 40,000
    takes most of a second; a longer text therefore has its runs sorted before.
    """
    if value.isascii():
        return value
    if len(value) > _SHORT:
        value = _sort_marks(value)
    return unicodedata.normalize("NFC", value)


def _sort_marks(value: str) -> str:
    parts: list[str] = []
    for marks, run in groupby(value, lambda char: unicodedata.combining(char) != 0):
        if marks:
            decomposed = [c for char in run for c in unicodedata.normalize("NFD", char)]
            parts.extend(sorted(decomposed, key=unicodedata.combining))
        else:
            parts.extend(run)
    return "".join(parts)


def _normalise(value: str, max_chars: int) -> str:
    if len(value) > max_chars * _MAX_COMPOSED:
        raise _too_long(max_chars)
    value = nfc(value)
    if len(value) > max_chars:
        raise _too_long(max_chars)
    return value


def _has_visible(value: str) -> bool:
    if _ANY_LETTER_OR_DIGIT.search(value):
        return True
    return any(
        unicodedata.category(char) not in _INVISIBLE_CATEGORIES and not _is_blank(char)
        for char in value
    )


def _is_blank(char: str) -> bool:
    # The last two code points of each plane are noncharacters.
    return _BLANK.match(char) is not None or (ord(char) | 1) & _PLANE == _PLANE


def _nothing_visible() -> BadText:
    return BadText("too_short", "The text must have at least one visible character.")


def _too_long(max_chars: int) -> BadText:
    return BadText("too_long", f"The text must have at most {max_chars} characters.")
