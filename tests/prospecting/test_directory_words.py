"""The words of a directory: folded and cut alike for what is indexed and what is searched."""

# ruff: noqa: RUF001 - letters that look alike are what is tested

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlist.db.full_text import FTS5, TSVECTOR
from longlist.prospecting.sources.kept import KeptFilters
from longlist.prospecting.words import Words, fold, words_of
from longlist.prospects.identity import Keys
from longlist.prospects.person import Person


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Chief  Technology-Officer", ["chief", "technology", "officer"]),
        ("O'Brien & Sons (EMEA), R&D", ["o", "brien", "sons", "emea", "r", "d"]),
        ("Søren Łukasz Đoković", ["soren", "lukasz", "dokovic"]),
        ("ÉCOLE, Straße, ﬁne, Œuvre", ["ecole", "strasse", "fine", "oeuvre"]),
        ("e\u0301cole", ["ecole"]),
        ("Ａｄａ 𝐂𝐓𝐎", ["ada", "cto"]),
        ("İstanbul Isparta ISPARTA ısparta", ["istanbul", "isparta", "isparta", "isparta"]),
        ("Σοφός ΣΟΦΟΣ", ["σοφοσ", "σοφοσ"]),
        ("Ёлка Йошкар", ["елка", "иошкар"]),
        ("soft\u00adware zero\u200bwidth a\u200db", ["software", "zero", "width", "ab"]),
        ("snake_case 3.5", ["snake", "case", "3", "5"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어 회사", ["한국어", "회사"]),
        ("❤️ 🇩🇪 👩‍💻 *** \u0301 \ufe0f", []),
        ("1️⃣", ["1"]),
        ("", []),
    ],
)
def test_words_are_folded_and_cut(text: str, words: list[str]) -> None:
    assert list(words_of(text)) == words
    assert list(words_of(text, searched=True)) == words


@pytest.mark.parametrize(
    ("text", "indexed", "searched"),
    [
        ("東京大学", ["東", "京", "大", "学", "東京", "京大", "大学"], ["東京", "京大", "大学"]),
        ("京", ["京"], ["京"]),
        ("東京CTO", ["東", "京", "東京", "cto"], ["東京", "cto"]),
        ("ガイド", ["ガ", "イ", "ド", "ガイ", "イド"], ["ガイ", "イド"]),
        ("กรุง", ["ก", "ร", "ง", "กร", "รง"], ["กร", "รง"]),
    ],
)
def test_unspaced_writing_is_found_by_neighbours(
    text: str, indexed: list[str], searched: list[str]
) -> None:
    assert list(words_of(text)) == indexed
    assert list(words_of(text, searched=True)) == searched


@given(st.text(max_size=60))
def test_whatever_is_searched_for_is_indexed_as_well(text: str) -> None:
    assert set(words_of(text, searched=True)) <= set(words_of(text))


@given(st.text(max_size=60))
def test_words_are_letters_and_digits_and_stay_what_they_are(text: str) -> None:
    for word in words_of(text):
        assert any(map(str.isalnum, word))
        assert not any(char.isspace() or char in "\"'*:^()&|!<>-+_\\" for char in word)
    assert fold(fold(text)) == fold(text)


def _person(**values: Any) -> Person:
    return Person(**values)


NOBODY = Keys(email=b"0123456789abcdef")


def test_what_reaches_an_index_cannot_be_read_or_compared_between_groups() -> None:
    ada = _person(name="Ada Sample", title="CTO", email="ada@example.com")
    ours = Words(b"a" * 32).of_person(ada, NOBODY)
    assert ours == Words(b"a" * 32).of_person(ada, NOBODY)
    assert set(ours) <= set("0123456789abcdef ")
    theirs = Words(b"b" * 32).of_person(ada, NOBODY)
    assert set(ours.split()).isdisjoint(theirs.split())


def test_a_word_in_another_field_is_another_word_for_a_filter() -> None:
    words = Words(b"a" * 32)
    in_title = set(words.of_person(_person(title="Berlin"), NOBODY).split())
    in_name = set(words.of_person(_person(name="Berlin"), NOBODY).split())
    [[[anywhere]], [[as_title]]] = words.of_search("berlin", KeptFilters(titles=["BERLIN"])) or []
    assert {anywhere, as_title} <= in_title
    assert anywhere in in_name
    assert as_title not in in_name


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("***", KeptFilters()),
        ("🙂", KeptFilters(titles=["CTO"])),
        ("cto", KeptFilters(titles=["🙂", "---"])),
    ],
)
def test_where_no_word_is_left_nobody_is_found(query: str, filters: KeptFilters) -> None:
    assert Words(b"a" * 32).of_search(query, filters) is None


def test_a_filter_text_without_words_leaves_the_others_standing() -> None:
    found = Words(b"a" * 32).of_search("cto", KeptFilters(titles=["🙂", "Head of"]))
    assert found is not None
    assert [[len(words) for words in alternatives] for alternatives in found] == [[1], [2]]


def test_expressions_of_both_engines() -> None:
    wanted = [[["a"]], [["b", "c"], ["d"]]]
    assert FTS5.expression(wanted) == "((a)) AND ((b AND c) OR (d))"
    assert TSVECTOR.expression(wanted) == "((a)) & ((b & c) | (d))"
