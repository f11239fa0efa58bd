"""Cursors of lists that are put together: how far the walk is, in all clusters at once.

Signed with the directory's secret, so that every front of it takes them. A cluster's own cursor is
in it as the cluster made it: the front has no secret of an installation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec

from longlist.errors import Issue, ValidationFailed

_MAC_BYTES: Final = 16


class State(msgspec.Struct, array_like=True):
    """The id of the last item that was shown, and each cluster's cursor of the page it is in."""

    before: str = ""
    cursors: dict[str, str] = {}


def _mac(secret: bytes, raw: bytes) -> bytes:
    return hashlib.blake2b(b"accounts:" + raw, key=secret, digest_size=_MAC_BYTES).digest()


def write(secret: bytes, state: State) -> str:
    """The cursor that stands for a state."""
    raw = msgspec.msgpack.encode(state)
    return base64.urlsafe_b64encode(raw + _mac(secret, raw)).rstrip(b"=").decode()


def read(secret: bytes, cursor: str) -> State:
    """The state that a cursor stands for. Raises ValidationFailed for one that is not ours."""
    try:
        found = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        raw, mac = found[:-_MAC_BYTES], found[-_MAC_BYTES:]
        # Its spare bits let one text be written in several ways.
        if hmac.compare_digest(mac, _mac(secret, raw)):
            state = msgspec.msgpack.decode(raw, type=State)
            if write(secret, state) == cursor:
                return state
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        pass  # refused below, like one with a wrong signature
    raise ValidationFailed(
        "The cursor is not valid here.",
        "Send nextCursor of the page before, unchanged, or leave it out to start again.",
        issues=[Issue("query.cursor", "invalid_cursor", "Not a cursor of this list.")],
    )
