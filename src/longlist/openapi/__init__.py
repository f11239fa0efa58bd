"""The OpenAPI 3.1 document, made from the Operation records and the types they name.

    paths.py      operations to paths: parameters, bodies, every status, headers
    answers.py    schemas of what the server sends
    samples.py    an answer and a request for each operation, built from the real types
    refusals.py   an error for each status and code, made by the real error classes
    info.py       the text at the top

Schemas of what the server takes come from `longlist.decoding.schema`. Nothing here restates a
path, a permission, a status or a limit. The parts are imported at the first call: `health` serves
the document and is itself one of the features described, and a start need not make it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec


@cache
def document() -> dict[str, Any]:
    """The document of every operation this server has; made once, not to be changed."""
    from longlist.app import OPERATIONS
    from longlist.openapi.paths import build

    return build(OPERATIONS)


@cache
def document_bytes() -> bytes:
    """The document as it is served: compact JSON."""
    return msgspec.json.encode(document())


def document_text() -> str:
    """The document as it is kept beside the code: indented, the same on every machine."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
