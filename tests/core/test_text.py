"""The text rules of contract 1.10, checked against the Unicode database where there is one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longlist.text import (
    WHITE_SPACE,
    BadText,
    fold,
    multi_line,
    nfc,
    one_line,
    printable,
    search_text,
)

# Every kind of character that shows nothing: format and variation characters, fillers, blanks,
# tags, noncharacters, and marks without a base.
INVISIBLE = (
    "\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2064\u206a\u206f\ufeff\u00ad\u034f\u061c\u180e"
    "\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5\ufe00\ufe0f\U000e0100\U000e0001\U000e0041"
    "\U000e0fff\ufff9\ufff0\u2065\ufffe\uffff\U0010ffff\ufdd0\u0301\u20dd\U0001d173"
)
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _code(value: str, max_chars: int = 255) -> str:
    with pytest.raises(BadText) as caught:
        one_line(value, max_chars)
    assert len(value) < 4 or value not in caught.value.message
    return caught.value.code


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("Fintech CTOs", "Fintech CTOs"),
        ("  Fintech  CTOs ", "Fintech  CTOs"),
        ("\t\nFintech\r\n", "Fintech"),
        (f"{WHITE_SPACE}x{WHITE_SPACE}", "x"),
        ("e\u0301", "\u00e9"),
        ("\u1100\u1161\u11a8", "\uac01"),
        ("\u212b", "\u00c5"),
        ("a\u200bb", "a\u200bb"),
        ("\u200bx\u200b", "\u200bx\u200b"),
        ("\U0001f468\u200d\U0001f4bb", "\U0001f468\u200d\U0001f4bb"),
        ("\u2764\ufe0f", "\u2764\ufe0f"),
        ("\u05d0\u200e-\u200f\u05d1", "\u05d0\u200e-\u200f\u05d1"),
        ("0", "0"),
        ("-", "-"),
        ("\u3002", "\u3002"),
        ("\u0903", "\u0903"),
        ("\U000e0041x", "\U000e0041x"),
        ("\U0001fae9", "\U0001fae9"),
        ("\ue000", "\ue000"),
        ("<b>&amp;' OR 1=1", "<b>&amp;' OR 1=1"),
    ],
)
def test_one_line_takes(value: str, result: str) -> None:
    assert one_line(value, 255) == result


@pytest.mark.parametrize("value", ["", " ", "\t\r\n", WHITE_SPACE, "\u3000"])
def test_one_line_needs_something(value: str) -> None:
    assert _code(value) == "too_short"


@pytest.mark.parametrize("char", INVISIBLE, ids=[f"U+{ord(c):04X}" for c in INVISIBLE])
def test_one_line_needs_something_visible(char: str) -> None:
    assert _code(char) == "too_short"
    assert _code(f" {char} {char} ") == "too_short"
    assert one_line(f"x{char}", 255) == unicodedata.normalize("NFC", f"x{char}")


def test_invisible_characters_together_are_still_invisible() -> None:
    allowed = "".join(char for char in INVISIBLE)
    assert _code(allowed) == "too_short"


@pytest.mark.parametrize(
    "char",
    [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", *BIDI, "\ud800"],
    ids=lambda char: f"U+{ord(char):04X}",
)
def test_one_line_refuses_control_and_bidi_characters(char: str) -> None:
    assert _code(f"a{char}b") == "invalid_characters"
    if char not in WHITE_SPACE:
        assert _code(f"{char}a") == "invalid_characters"
        assert _code(f"a{char}") == "invalid_characters"
    else:
        assert one_line(f"{char}a{char}", 255) == "a"


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("x" * 255, True),
        ("x" * 256, False),
        (" " * 5000 + "x" * 255 + "\u2003" * 5000, True),
        ("e\u0301" * 255, True),
        ("e\u0301" * 256, False),
        ("\u1f82" * 255, True),
        ("\u03b1\u0313\u0300\u0345" * 255, True),
        ("\u03b1\u0313\u0300\u0345" * 256, False),
        ("\U0001f600" * 255, True),
        ("\U0001f600" * 256, False),
        # U+0958 is two code points in normalisation form C.
        ("\u0958" * 127, True),
        ("\u0958" * 128, False),
        ("x" * 10_000_000, False),
    ],
)
def test_limits_count_code_points_after_normalisation(value: str, fits: bool) -> None:
    if fits:
        assert len(one_line(value, 255)) <= 255
        assert len(one_line(value, 255).encode()) <= 1020
    else:
        assert _code(value) == "too_long"


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("", ""),
        (" \t\r\n\u3000", ""),
        ("a", "a"),
        ("  a \n", "  a \n"),
        ("a\r\nb\rc\nd\r\r\ne", "a\nb\nc\nd\n\ne"),
        ("a\tb", "a\tb"),
        ("e\u0301\n", "\u00e9\n"),
        ("\u200b", "\u200b"),
        ("a\u2028b\u202ec", "a\u2028b\u202ec"),
        ("\r\n" * 500 + "x" * 500, "\n" * 500 + "x" * 500),
    ],
)
def test_multi_line_takes(value: str, result: str) -> None:
    assert multi_line(value, 1000) == result


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("x" * 1001, "too_long"),
        (" " * 1001, "too_long"),
        ("x\r\n" * 501, "too_long"),
        *((f"a{chr(n)}b", "invalid_characters") for n in range(0x20) if chr(n) not in "\t\n\r"),
        *((chr(n), "invalid_characters") for n in range(0x7F, 0xA0)),
        ("\x00", "invalid_characters"),
        ("\udfff", "invalid_characters"),
    ],
)
def test_multi_line_refuses(value: str, code: str) -> None:
    with pytest.raises(BadText) as caught:
        multi_line(value, 1000)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACME", "acme"),
        ("STRASSE", "stra\u00dfe"),
        ("\u00c9", "e\u0301"),
        ("\u03a3\u03a3", "\u03c3\u03c2"),
        ("\u212a", "k"),
        ("\ufb01n", "FIN"),
    ],
)
def test_fold_makes_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_fold_keeps_apart() -> None:
    assert len({fold(name) for name in ("a", "\u00e4", "b", "a ", "\u0131", "i")}) == 6


@pytest.mark.parametrize(
    ("value", "code"),
    [("", "too_short"), ("x" * 256, "too_long"), ("a\x00", "invalid_characters")],
)
def test_search_text_refuses(value: str, code: str) -> None:
    with pytest.raises(BadText) as caught:
        search_text(value, 255)
    assert caught.value.code == code


def test_search_text_is_not_trimmed() -> None:
    assert search_text(" e\u0301", 255) == " \u00e9"


def test_printable_cuts_and_filters() -> None:
    assert printable("a\x00\u202e\ud800b\n" + "c" * 100) == "ab" + "c" * 62
    assert printable("\u200b" * 1000 + "x") == ""


_marks = "".join(c for c in map(chr, range(0x300, 0x345)) if unicodedata.combining(c))
_text = st.text(
    st.sampled_from("a\u1e0a\u03b1\uac00\u11a8\u0958\u0f73\u0f71\u0345 " + _marks), max_size=40
)


@given(_text, st.integers(1, 20))
@settings(max_examples=200, deadline=None)
def test_nfc_of_long_texts_is_the_standard_one(value: str, times: int) -> None:
    assert nfc(value * times) == unicodedata.normalize("NFC", value * times)


def test_nfc_of_a_long_run_of_unsorted_marks() -> None:
    run = "\u0301\u0323" * 20_000
    assert nfc("a" + run) == "\u1ea1" + "\u0323" * 19_999 + "\u0301" * 20_000


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_reading_twice_changes_nothing(value: str) -> None:
    for read in (one_line, multi_line):
        try:
            once = read(value, 40)
        except BadText:
            continue
        assert read(once, 40) == once
        assert unicodedata.is_normalized("NFC", once)
    assert fold(fold(value)) == fold(value)
