"""The null ceiling: a bare ASGI app that answers Longlist's bytes without doing its work.

It reads the body, as every server of a PATCH has to, and answers the header lines and the body
that were recorded from a real answer. `BENCH_ANSWERS` names a JSON file with one entry per method:
`{"PATCH": {"headers": [[name, value], ...], "body": text}, "GET": ...}`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]


def _answers() -> dict[str, tuple[Message, Message]]:
    recorded = json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text())
    return {
        method: (
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(name.encode(), value.encode()) for name, value in answer["headers"]],
            },
            {"type": "http.response.body", "body": answer["body"].encode()},
        )
        for method, answer in recorded.items()
    }


ANSWERS = _answers()


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer by method alone."""
    while (await receive()).get("more_body"):
        pass
    start, body = ANSWERS[scope["method"]]
    await send(start)
    await send(body)
