"""Ids and times: 12-byte ids that sort by time, and instants as milliseconds.

An id is 6 bytes of milliseconds since 1970 followed by 6 bytes that are random, or one more than
the last id of the same millisecond. The creation time of a row is the time in its id, so that the
order of ids is the contract's order by (`createdAt`, `id`) and one index serves both.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

ID_BYTES: Final = 12
_TAIL_BITS: Final = 48
_ID_TEXT: Final = re.compile(r"[0-9a-f]{24}\Z")

# Ids are not secrets: a generator of this process, seeded by the system, is quicker than a call
# into the system for each.
_random: Final = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_random.seed)
_lock = threading.Lock()
_last = [0]


def now_ms() -> int:
    """This process's clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_id() -> bytes:
    """A fresh id, greater than every id made before by this process."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[bytes]:
    """`count` fresh ids in rising order."""
    with _lock:
        first = (now_ms() << _TAIL_BITS) | _random.getrandbits(_TAIL_BITS - 1)
        # A second id in one millisecond, or after the clock was set back, counts on from the
        # last: ids never fall within a process. Half of the tail's range is left for counting.
        if first <= _last[0]:
            first = _last[0] + 1
        _last[0] = first + count - 1
    return [number.to_bytes(ID_BYTES) for number in range(first, first + count)]


def time_of(id_: bytes) -> int:
    """The milliseconds since 1970 at which the id was made."""
    return int.from_bytes(id_[:6])


def first_id(ms: int) -> bytes:
    """What no id that was made from this instant on is below."""
    return ms.to_bytes(6) + bytes(ID_BYTES - 6)


def parse_id(text: str) -> bytes | None:
    """The id that 24 lowercase hex characters stand for, or None."""
    return bytes.fromhex(text) if _ID_TEXT.match(text) else None


@lru_cache(maxsize=16_384)
def rfc3339(ms: int) -> str:
    """An instant as the contract writes it: `2026-03-04T05:06:07.089Z`."""
    seconds, rest = divmod(ms, 1000)
    whole = datetime.fromtimestamp(seconds, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def rfc3339_or_none(ms: int | None) -> str | None:
    """`rfc3339`, or None for an instant that has not come."""
    return None if ms is None else rfc3339(ms)
