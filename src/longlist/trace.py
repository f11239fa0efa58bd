"""The trace id of a request: the caller's own where it sent a valid one, else a fresh one.

It is the `traceId` of the envelope, the `X-Trace-Id` header and a member of every log line of the
request (contract 1.3). The format is that of W3C Trace Context, section 3.2.
"""

from __future__ import annotations

import os
import re
from typing import Final

# Version ff is forbidden, ids of zeros alone are invalid, and version 00 ends after the flags; a
# later version may go on after another dash, and is read as far as version 00 goes.
_TRACEPARENT: Final = re.compile(
    rb"(?:00|(?!00|ff)[0-9a-f]{2}(?=.{53}(?:-|\Z)))"
    rb"-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_VERSION_00_BYTES: Final = 55
# The standard sets no upper bound for later versions; a longer value is not worth reading.
_MAX_BYTES: Final = 512


def trace_id_from(traceparent: bytes | None) -> str:
    """Return the trace id of a valid `traceparent`, else 32 fresh random lowercase hex digits.

    Give `None` where the header is absent or repeated: two of them name no one trace.
    """
    if traceparent is not None and len(traceparent) <= _MAX_BYTES:
        match = _TRACEPARENT.match(traceparent)
        if match and (len(traceparent) == _VERSION_00_BYTES or traceparent[:2] != b"00"):
            return match[1].decode()
    return os.urandom(16).hex()
