"""One request and its repetitions, without any input or output of its own.

What has to happen is written once, as generators that yield steps: send this, pause so long. A
transport takes the steps, blocking or awaiting (`transports.py`).

| Verb | Repeated after a lost answer | Why that is safe |
|---|---|---|
| GET | yes | it changes nothing |
| POST | yes, with an `Idempotency-Key`, which every POST of this client has | the server answers the first again |
| PATCH, PUT | yes | the same values are set again; with `If-Match` only if nobody wrote meanwhile |
| DELETE | yes | what is gone cannot be deleted again |

A repeated PATCH with `If-Match` may be refused with 412, a repeated DELETE with 404, because the
lost attempt was carried out. The client cannot know, and says so: `after_lost_answer` of the error.
An upload from a stream that cannot be rewound is sent once only.

Statuses 408, 429, 502 and 503 of the server itself tell that nothing was changed: those are
repeated whatever the verb. So is a POST that meets its own first attempt still at work (409
`CONFLICT` with `Retry-After`).
"""  # noqa: E501  # a table has no other lines

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import msgspec

from longlist_client.errors import (
    AnswerLost,
    ApiError,
    ConfigurationError,
    Issue,
    LonglistError,
    NotSent,
    Refusal,
    TransportError,
    UnexpectedAnswer,
    api_error,
)
from longlist_client.uploads import Upload

if TYPE_CHECKING:
    from longlist_client.calls import Call

T = TypeVar("T")
_REPEATED: Final = frozenset({408, 429, 502, 503})
_REPEATED_OF_A_PROXY: Final = _REPEATED | {504}


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `template` is the path as the API document writes it, `path` the real one.

    `extra_wait_s` is how much longer than others this request may take by intent.
    """

    method: str
    template: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Upload | None = None
    extra_wait_s: float = 0.0
    streams: bool = False

    def with_query(self, **query: str) -> Request:
        """The same request with more parameters."""
        return replace(self, query={**self.query, **query})

    @property
    def can_be_sent_again(self) -> bool:
        """Whether its body can be had once more."""
        return not isinstance(self.body, Upload) or not self.body.is_spent

    @property
    def does_not_add_up(self) -> bool:
        """Whether carrying it out twice does no more than carrying it out once."""
        return self.method != "POST" or "Idempotency-Key" in self.headers


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lowercase.

    `content` is empty where a stream was asked for and is given: `stream` is that of the transport.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    stream: Any = None


@dataclass(frozen=True, slots=True)
class Send:
    """The step: send the request, give back its Answer or throw a TransportError in."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """The step: go on after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """The step: await this, for a callback that turned out to be asynchronous."""

    awaitable: Any


Step: TypeAlias = "Send | Pause | Wait | Call[Any]"
"""A Call among the steps is carried out with its own repetitions."""
Flow: TypeAlias = Generator[Step, Any, T]
"""Steps that end in a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often, and how long, a call is repeated.

    `attempts` counts the first. The pause before each further one is what the server's
    `Retry-After` asks, plus a random part of `base_s` doubled with each attempt, at most `cap_s`.
    Once the pause would end later than `total_s` seconds after the call began, the error is
    raised instead.
    """

    attempts: int = 5
    base_s: float = 0.25
    cap_s: float = 8.0
    total_s: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.base_s, self.cap_s, self.total_s) < 0:
            raise ConfigurationError("Retries take at least one attempt and no negative times.")

    def pause_s(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after the given attempt, counted from 1."""
        longest = min(self.cap_s, self.base_s * 2 ** (attempt - 1))
        return (retry_after or 0.0) + random.uniform(0, longest)  # noqa: S311  # not a secret


NO_RETRIES: Final = Retries(attempts=1)


def exchange(
    request: Request, retries: Retries, clock: Callable[[], float] = time.monotonic
) -> Flow[Answer]:
    """Send until there is an answer to give back: 2xx, or 304 where it was asked for.

    Raises the ApiError or TransportError of the last attempt.
    """
    began = clock()
    attempt = 0
    is_unsure = False
    while True:
        attempt += 1
        try:
            answer: Answer = yield Send(request)
            if answer.status == 304 or 200 <= answer.status < 300:
                return answer
            error: LonglistError = _refused(answer, is_unsure)
        except TransportError as caught:
            error = caught
        is_unsure = is_unsure or _leaves_unsure(error)
        pause_s = retries.pause_s(attempt, getattr(error, "retry_after", None))
        is_late = clock() - began + pause_s > retries.total_s
        if attempt == retries.attempts or is_late or not _is_worth_repeating(request, error):
            raise error
        yield Pause(pause_s)


def _leaves_unsure(error: LonglistError) -> bool:
    """Whether the attempt may have been carried out all the same."""
    return isinstance(error, AnswerLost | UnexpectedAnswer)


def _is_worth_repeating(request: Request, error: LonglistError) -> bool:
    if not request.can_be_sent_again:
        return False
    if isinstance(error, ApiError):
        its_own_first = error.code == "CONFLICT" and error.retry_after is not None
        return error.status in _REPEATED or (request.method == "POST" and its_own_first)
    if isinstance(error, UnexpectedAnswer) and error.status not in _REPEATED_OF_A_PROXY:
        return False
    return isinstance(error, NotSent) or (_leaves_unsure(error) and request.does_not_add_up)


class _Error(msgspec.Struct):
    code: str
    message: str
    details: str = ""
    issues: list[Issue] = []
    context: dict[str, Any] = {}


class _Envelope(msgspec.Struct, rename="camel"):
    error: _Error
    trace_id: str = ""


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def _refused(answer: Answer, is_unsure: bool) -> LonglistError:
    """The error that an answer tells of."""
    try:
        envelope = _ENVELOPE.decode(answer.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return UnexpectedAnswer(answer.status, "The answer is not one of Longlist's.")
    error = envelope.error
    return api_error(
        Refusal(
            status=answer.status,
            code=error.code,
            message=error.message,
            details=error.details,
            issues=error.issues,
            context=error.context,
            trace_id=envelope.trace_id,
            retry_after=retry_after(answer.headers),
            etag=answer.headers.get("etag"),
            after_lost_answer=is_unsure,
        )
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a `Retry-After`, which a proxy may also write as a date."""
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
