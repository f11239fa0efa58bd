"""Logs and metrics. No key, e-mail, name or body is ever logged; a trace id is in every line."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, cast

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from longlist.ids import now_ms, rfc3339

if TYPE_CHECKING:
    from longlist.operations import Operation
    from longlist.request import Request
    from longlist.settings import Settings

_encode: Final = msgspec.json.Encoder(enc_hook=str).encode
log: Any = structlog.get_logger()


def _stamp(_logger: Any, level: str, event: dict[str, Any]) -> dict[str, Any]:
    return {"time": rfc3339(now_ms()), "level": level, **event}


def _json(_logger: Any, _level: str, event: dict[str, Any]) -> bytes:
    return _encode(event)


class _Unfailing:
    """A stream that drops what it cannot write.

    The log often lies on the disk that is full: a line that is lost there must not turn an answer
    into a 500, and there is no other place to tell of it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, line: Any) -> None:
        with suppress(OSError):
            self._stream.write(line)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure_logs(settings: Settings) -> None:
    """Set up this process's log on standard error: JSON lines, or text on a terminal."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    processors: list[Any] = [_stamp]
    if text:
        processors += [structlog.dev.ConsoleRenderer(timestamp_key="time")]
        factory: Any = structlog.PrintLoggerFactory(cast(TextIO, _Unfailing(sys.stderr)))
    else:
        processors += [structlog.processors.format_exc_info, _json]
        factory = structlog.BytesLoggerFactory(cast(BinaryIO, _Unfailing(sys.stderr.buffer)))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    # What libraries log is seen from warnings on.
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s"
    )


class Telemetry:
    """Counts and times requests, and writes one log line for each."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "longlist_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "longlist_request_seconds",
            "Time to the last byte of the answer.",
            ("route",),
            registry=self.registry,
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )
        self._counters: dict[tuple[str, str, int], Any] = {}
        self._timers: dict[str, Any] = {}
        # Bound once: the module's logger finds its configuration anew at every call.
        self._info = log.bind().info

    def request(
        self, request: Request, operation: Operation | None, status: int, seconds: float
    ) -> None:
        """Tell of a request that is over. Unknown paths count together, whatever they were."""
        route = "unknown" if operation is None else operation.path
        method = request.method if operation is not None else "-"
        at = (route, method, status)
        counter = self._counters.get(at)
        if counter is None:
            counter = self._counters[at] = self._requests.labels(route, method, status)
            self._timers.setdefault(route, self._seconds.labels(route))
        counter.inc()
        self._timers[route].observe(seconds)
        self._info(
            "request",
            trace_id=request.trace_id,
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            key_id=None if request.key is None else request.key.id.hex(),
        )
