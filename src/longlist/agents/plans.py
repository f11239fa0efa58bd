"""Plans: what a dry run showed and may be carried out, for ten minutes.

A plan id is the plan itself, sealed: no process has to remember it, and nobody can make one up or
change one. It holds only for the key it was made with, and names the state that was seen: what
somebody has changed since is not deleted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import Final, Literal

import msgspec

KEPT_S: Final = 600
_SEAL_BYTES: Final = 16


class Plan(msgspec.Struct, frozen=True, array_like=True):
    """What is to be deleted, as it was when the plan was made."""

    kind: Literal["audience", "prospect"]
    group: str
    id: str
    etag: str
    key_id: str
    until: int


class BadPlan(Exception):
    """A plan id that is none, is too old, or belongs to another key."""


def sealed(plan: Plan, secret: bytes) -> str:
    """The id of a plan."""
    body = msgspec.json.encode(plan)
    return base64.urlsafe_b64encode(_seal(body, secret) + body).decode().rstrip("=")


def unsealed(text: str, secret: bytes, key_id: str, now: float | None = None) -> Plan:
    """The plan of an id. Raises BadPlan."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadPlan("That is no planId.") from error
    seal, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
    if not hmac.compare_digest(seal, _seal(body, secret)):
        raise BadPlan("That is no planId of this server.")
    plan = msgspec.json.decode(body, type=Plan)
    if plan.key_id != key_id:
        raise BadPlan("The plan was made with another key.")
    if plan.until < (time.time() if now is None else now):
        raise BadPlan("The plan is too old.")
    return plan


def _seal(body: bytes, secret: bytes) -> bytes:
    return hashlib.blake2b(body, key=secret, digest_size=_SEAL_BYTES).digest()
