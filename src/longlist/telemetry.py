"""Logs and counts. No key, e-mail, name or body is ever logged; a trace id is in every line."""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, cast

import msgspec
import structlog

from longlist.ids import now_ms, rfc3339
from longlist.tally import SECONDS, Tally

if TYPE_CHECKING:
    from longlist.operations import Operation
    from longlist.request import Request
    from longlist.settings import Settings

_encode: Final = msgspec.json.Encoder(enc_hook=str).encode
log: Any = structlog.get_logger()
UNKNOWN: Final = "unknown"


def place_of(error: BaseException) -> str:
    """The error's type and where it arose. Its text may quote a row and is kept out of logs."""
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    return " ".join(
        [type(error).__name__, *(f"at {Path(at.filename).name}:{at.lineno}" for at in frames)]
    )


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
    # What libraries log is seen from warnings on, or from errors on where no more is wanted.
    handler = logging.StreamHandler(sys.stderr)
    # On the handler, since some of them have levels of their own.
    handler.setLevel(max(level, logging.WARNING))
    logging.basicConfig(
        level=logging.WARNING, handlers=[handler], format="%(levelname)s %(message)s"
    )


class Counted:
    """Requests of one operation that had one status; the time is the operation's."""

    __slots__ = ("count", "seconds")

    def __init__(self, seconds: Tally) -> None:
        self.count = 0
        self.seconds = seconds


class Requests:
    """Requests by name and status in `counted`; `seconds` has the time to their last byte by name.

    The names are few: of operations, or of pages.
    """

    __slots__ = ("counted", "seconds")

    def __init__(self) -> None:
        self.counted: dict[tuple[str, int], Counted] = {}
        self.seconds: dict[str, Tally] = {}

    def add(self, name: str, status: int, seconds: float) -> None:
        """Count a request that is over."""
        counted = self.counted.get((name, status))
        if counted is None:
            timer = self.seconds.setdefault(name, Tally(SECONDS))
            counted = self.counted[name, status] = Counted(timer)
        counted.count += 1
        counted.seconds.add(seconds)


class Telemetry:
    """Counts and times requests, and writes one log line for each.

    `operations` has those of the API, `pages` those of the admin pages. `unknown` stands for every
    path that is none of either.
    """

    def __init__(self) -> None:
        self.operations = Requests()
        self.pages = Requests()
        # Bound once: the module's logger finds its configuration anew at every call.
        self._info = log.bind().info

    def request(
        self, request: Request, operation: Operation | None, status: int, seconds: float
    ) -> None:
        """Tell of a request that is over. Unknown paths count together, whatever they were."""
        self.operations.add(UNKNOWN if operation is None else operation.id, status, seconds)
        self._info(
            "request",
            trace_id=request.trace_id,
            method=request.method if operation is not None else "-",
            route=UNKNOWN if operation is None else operation.path,
            status=status,
            ms=round(seconds * 1000, 2),
            key_id=None if request.key is None else request.key.id.hex(),
        )

    def page(
        self, request: Request, route: str | None, status: int, seconds: float, user: bytes | None
    ) -> None:
        """Tell of a visit to an admin page that is over. `route` is a template, None if unknown."""
        method = "-" if route is None else request.method
        self.pages.add(UNKNOWN if route is None else f"{method} {route}", status, seconds)
        self._info(
            "admin request",
            trace_id=request.trace_id,
            method=method,
            route=UNKNOWN if route is None else route,
            status=status,
            ms=round(seconds * 1000, 2),
            user_id=None if user is None else user.hex(),
        )
