"""The log of the servers under test, kept in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableMapping
from typing import Any, NoReturn

import structlog

LINES: deque[dict[str, Any]] = deque(maxlen=20_000)


def _keep(_logger: Any, level: str, event: MutableMapping[str, Any]) -> NoReturn:
    LINES.append({"level": level, **event})
    raise structlog.DropEvent


def keep_in_memory() -> None:
    """Send every line of the log to LINES, and none to the terminal."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, _keep],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )


def of(trace_id: str) -> list[dict[str, Any]]:
    """The lines of one request."""
    return [line for line in LINES if line.get("trace_id") == trace_id]
