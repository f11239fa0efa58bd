"""Passwords of operators: argon2id, in threads, a bounded number at a time.

One hash takes 64 MiB and some tens of milliseconds, so no more than two are made at once: a flood
of sign-ins cannot take the server's memory.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST: Final = 12
LONGEST: Final = 1024
_AT_ONCE: Final = 2
_hasher: Final = PasswordHasher()


class Passwords:
    """Makes and checks hashes for one process."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def hash_of(self, password: str) -> str:
        """The hash that a password is kept as."""
        async with self._turns:
            return await asyncio.to_thread(_hasher.hash, password)

    async def is_right(self, password: str, kept: str | None) -> bool:
        """Whether this is the password kept; None, of an unknown user, takes as long to refuse."""
        async with self._turns:
            return await asyncio.to_thread(_verify, password, kept)


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with parameters that are no longer the ones to use."""
    return _hasher.check_needs_rehash(kept)


def _verify(password: str, kept: str | None) -> bool:
    try:
        return _hasher.verify(kept or _of_nobody(), password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _of_nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))


def refusal_of(password: str, name: str) -> str | None:
    """Why a new password cannot be taken, as a sentence; None where it can."""
    if len(password) < SHORTEST:
        return f"The password must have at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"The password must have at most {LONGEST} characters."
    if name and name.casefold() in password.casefold() and len(password) < 2 * len(name) + SHORTEST:
        return "The password must not be made of the user name."
    if len(set(password)) < SHORTEST // 3:
        return "The password repeats too few characters."
    return None
