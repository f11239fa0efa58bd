"""The form of an API key: `llk_`, 43 characters that encode 32 random bytes, 6 of checksum.

The checksum tells a typo from a key without a look-up, and lets scanners for leaked secrets be
sure of what they found.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from typing import Final

PREFIX: Final = "llk_"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_CHARS: Final = 43
_SUM_CHARS: Final = 6
_FORM: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY_CHARS + _SUM_CHARS}}}\Z")
SHOWN_CHARS: Final = 12
"""So much of a key may be shown again, to tell keys apart."""


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _SUM_CHARS)


def new_key() -> str:
    """A fresh key. It is shown once and then known only by its hash."""
    body = _base62(int.from_bytes(secrets.token_bytes(32)), _BODY_CHARS)
    return PREFIX + body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """True if the text has the form of a key and its checksum is right."""
    if not _FORM.match(text):
        return False
    body = text[len(PREFIX) : -_SUM_CHARS]
    return text[-_SUM_CHARS:] == _checksum(body)


def hash_of(key: str) -> bytes:
    """The 32 bytes a key is stored and looked up by. A random key needs no slow hash."""
    return hashlib.sha256(key.encode()).digest()
