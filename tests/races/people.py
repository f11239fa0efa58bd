"""Invented people as CSV: repeats, broken rows, accents, four-byte characters, random keys."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Sequence
from typing import NamedTuple

_FIRST = ("Zoë", "Łukasz", "Nguyễn", "Ørjan", "Çelik", "𠮷野", "Mårten", "Ana", "Björk", "Ioana")
_LAST = ("Ångström", "Peña", "Đặng", "Müller-Ünal", "𐐀rdent", "O'Neill", "Šimůnek", "Strauß")
_COMPANIES = ("Café Ωmega", "Näher & Söhne", "株式会社𠀋", "Plain Ltd", "Rocket 🚀 Labs")
_TITLES = ("CTO", "Directrice générale", "Head of 🦉 Data", "Einkäufer")
COLUMNS = ("First Name", "Last Name", "Email", "Company", "Title")


class Made(NamedTuple):
    """A file, how many of its rows are of which kind, and the people in it."""

    content: bytes
    rows: int
    repeats: int
    broken: int
    people: list[list[str]]


def _person(chance: random.Random) -> list[str]:
    # The key is random, never a sequence: indexes are written all over.
    return [
        chance.choice(_FIRST),
        chance.choice(_LAST),
        f"{chance.randbytes(8).hex()}@example.com",
        chance.choice(_COMPANIES),
        chance.choice(_TITLES),
    ]


def _again(row: list[str]) -> list[str]:
    """The same person, whose address is written otherwise."""
    return [*row[:2], row[2].upper().replace("EXAMPLE.COM", "Example.com"), *row[3:]]


def _broken(chance: random.Random, row: list[str]) -> list[str]:
    kind = chance.randrange(3)
    if kind == 0:
        return [*row[:2], "not an address", *row[3:]]
    if kind == 1:
        return ["", "", "", row[3], row[4]]  # nobody: neither key nor name
    return [*row[:4], row[4] * 200]  # a title far too long


def make(
    rows: int,
    *,
    seed: int = 1,
    repeats: float = 0.05,
    broken: float = 0.01,
    others: Sequence[list[str]] = (),
) -> Made:
    """A CSV of `rows` people; with `others`, about every second one is one of them."""
    chance = random.Random(seed)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    pool = list(others)
    chance.shuffle(pool)
    people: list[list[str]] = []
    repeated = wrong = 0
    for _ in range(rows):
        draw = chance.random()
        row = pool.pop() if pool and chance.random() < 0.5 else _person(chance)
        if people and draw < repeats:
            repeated += 1
            row = chance.choice(people)
            row = row if chance.random() < 0.5 else _again(row)
        elif draw < repeats + broken:
            wrong += 1
            row = _broken(chance, row)
        else:
            people.append(row)
        writer.writerow(row)
    return Made(text.getvalue().encode(), rows, repeated, wrong, people)
