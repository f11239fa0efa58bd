"""Tokens of providers as they are kept: encrypted, and bound to the place they are kept in.

AES-256-GCM under a key derived from the installation's secret, with a fresh nonce for each token.
What the token belongs to goes in as associated data: a row copied to another account group, or
given other settings by hand (an address that would be sent the token), cannot be opened any more.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from longlist.context import Installation

_FORM: Final = b"\x01"
"""The first byte of what is kept: how the rest is made."""
_NONCE_BYTES: Final = 12
_LEAST_BYTES: Final = len(_FORM) + _NONCE_BYTES + 16


MOST_CHARACTERS: Final = 4096
FORM: Final = f"A token is one line of visible ASCII characters, at most {MOST_CHARACTERS} of them."


def is_usable(token: str) -> bool:
    """Whether a token has the FORM of one: it goes into a header of HTTP."""
    return 0 < len(token) <= MOST_CHARACTERS and all("!" <= char <= "~" for char in token)


class TokenUnreadable(Exception):
    """A kept token cannot be decrypted; the text names the source and is for the operator."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The token of the source {name!r} cannot be decrypted: the secret or the source's row"
            " is not the one that it was kept with. Remove the source and add it again."
        )


def _cipher(installation: Installation) -> AESGCM:
    # Imported where a token is at hand: an installation without providers does not pay for it.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(installation.derive(b"source tokens"))


def seal(installation: Installation, token: str, place: bytes) -> bytes:
    """The token encrypted; `place` says where it belongs."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORM + nonce + _cipher(installation).encrypt(nonce, token.encode(), place)


def unseal(installation: Installation, sealed: bytes, place: bytes, name: str) -> str:
    """The token of the source called `name`. Raises TokenUnreadable."""
    from cryptography.exceptions import InvalidTag

    if len(sealed) < _LEAST_BYTES or not sealed.startswith(_FORM):
        raise TokenUnreadable(name)
    nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return _cipher(installation).decrypt(nonce, rest, place).decode()
    except InvalidTag:
        # Without the cause: a traceback of it would hold nothing that helps.
        raise TokenUnreadable(name) from None
