"""The two ways to carry out a call: blocking and awaiting. Both only take the steps of a flow."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import anyio
import httpx2

from longlist_client.calls import Call
from longlist_client.errors import (
    AnswerLost,
    ConfigurationError,
    LonglistError,
    NotSent,
    TimedOut,
    TransportError,
    UnexpectedAnswer,
)
from longlist_client.exchange import (
    Answer,
    Flow,
    Pause,
    Request,
    Retries,
    Send,
    Step,
    Wait,
    exchange,
)
from longlist_client.uploads import Upload
from longlist_client.version import __version__

T = TypeVar("T")
LIBRARY_ERRORS: Final = (httpx2.HTTPError, httpx2.InvalidURL)
_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)
_AGENT: Final = f"longlist-client/{__version__} python/{platform.python_version()}"


class Key(httpx2.Auth):
    """The API key: put on each request as it leaves, shown by nothing."""

    def __init__(self, key: str) -> None:
        if not key or not all("!" <= character <= "~" for character in key):
            raise ConfigurationError("The API key must be visible ASCII characters.")
        self._header = f"Bearer {key}"

    def __repr__(self) -> str:
        return "Key(...)"

    def auth_flow(self, request: httpx2.Request) -> Any:
        request.headers["Authorization"] = self._header
        yield request


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a client was made with."""

    base_url: str
    key: Key
    timeout: httpx2.Timeout
    retries: Retries
    traceparent: Callable[[], str | None] | None

    def arguments(self) -> dict[str, Any]:
        """What both HTTP clients are made with."""
        return {
            "base_url": self.base_url,
            "auth": self.key,
            "timeout": self.timeout,
            "headers": {"User-Agent": _AGENT, "Accept": "application/json"},
            "follow_redirects": False,
        }

    def sent(self, client: Any, request: Request) -> httpx2.Request:
        """The request as the HTTP library knows it; an upload goes out in pieces."""
        headers = dict(request.headers)
        traceparent = self.traceparent() if self.traceparent is not None else None
        if traceparent:
            headers["traceparent"] = traceparent
        content: Any = request.body
        if isinstance(content, Upload):
            if content.length is not None:
                headers["Content-Length"] = str(content.length)
            is_async = isinstance(client, httpx2.AsyncClient)
            content = content.pieces_async() if is_async else content.pieces()
        timeout = httpx2.Timeout(
            connect=self.timeout.connect,
            read=None if self.timeout.read is None else self.timeout.read + request.extra_wait_s,
            write=self.timeout.write,
            pool=self.timeout.pool,
        )
        built: httpx2.Request = client.build_request(
            request.method,
            request.path,
            params=dict(request.query) or None,
            headers=headers,
            content=content,
            timeout=timeout,
        )
        return built


def translated(error: httpx2.HTTPError | httpx2.InvalidURL) -> TransportError:
    """The error of this package for one of the HTTP library, whose text names no header."""
    name = type(error).__name__
    if isinstance(error, _NOT_SENT):
        return NotSent(f"The server could not be reached ({name}).")
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut(f"No answer came in time ({name}); the request may have been carried out.")
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return AnswerLost(
            f"The connection broke before the answer was whole ({name}); the request may have been"
            " carried out."
        )
    if isinstance(error, httpx2.DecodingError):
        return UnexpectedAnswer(0, "The coding of the answer cannot be undone.")
    return TransportError(f"The request could not be sent ({name}).")


def is_streamed(request: Request, status: int) -> bool:
    """Whether the body is left to the caller; that of a refusal never is."""
    return request.streams and 200 <= status < 300


def answer_of(response: httpx2.Response, content: bytes) -> Answer:
    """What a response says; it is kept itself, for those who read it as a stream."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, content, response)


class SyncTransport:
    """Carries out calls, blocking. May be used by several threads at once."""

    def __init__(self, options: Options, transport: httpx2.BaseTransport | None) -> None:
        self.options = options
        self.base_url = options.base_url
        self._client = httpx2.Client(transport=transport, **options.arguments())

    def run(self, what: Call[T] | Flow[T]) -> T:
        """The result of a call or flow."""
        if isinstance(what, Call):
            return what.decode(self.answer(what.request))
        return self._take_steps(what)

    def answer(self, request: Request) -> Answer:
        """What a request is answered in the end."""
        return self._take_steps(exchange(request, self.options.retries))

    def _take_steps(self, flow: Flow[T]) -> T:
        try:
            step = next(flow)
            while True:
                try:
                    result = self._take(step)
                except LonglistError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as end:
            ended: T = end.value
            return ended

    def _take(self, step: Step) -> Any:
        if isinstance(step, Send):
            return self._send(step.request)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        if isinstance(step, Wait):
            raise TypeError("A blocking client cannot await what its callback returns.")
        return self.run(step)

    def _send(self, request: Request) -> Answer:
        sent = self.options.sent(self._client, request)
        try:
            response = self._client.send(sent, stream=True)
            if is_streamed(request, response.status_code):
                return answer_of(response, b"")
            with contextlib.closing(response):
                return answer_of(response, response.read())
        except LIBRARY_ERRORS as error:
            raise translated(error) from error

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


class AsyncTransport:
    """Carries out calls, awaiting."""

    def __init__(self, options: Options, transport: httpx2.AsyncBaseTransport | None) -> None:
        self.options = options
        self.base_url = options.base_url
        self._client = httpx2.AsyncClient(transport=transport, **options.arguments())

    async def run(self, what: Call[T] | Flow[T]) -> T:
        """The result of a call or flow."""
        if isinstance(what, Call):
            return what.decode(await self.answer(what.request))
        return await self._take_steps(what)

    async def answer(self, request: Request) -> Answer:
        """What a request is answered in the end."""
        return await self._take_steps(exchange(request, self.options.retries))

    async def _take_steps(self, flow: Flow[T]) -> T:
        try:
            step = next(flow)
            while True:
                try:
                    result = await self._take(step)
                except LonglistError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as end:
            ended: T = end.value
            return ended

    async def _take(self, step: Step) -> Any:
        if isinstance(step, Send):
            return await self._send(step.request)
        if isinstance(step, Pause):
            return await anyio.sleep(step.seconds)
        if isinstance(step, Wait):
            return await step.awaitable
        return await self.run(step)

    async def _send(self, request: Request) -> Answer:
        sent = self.options.sent(self._client, request)
        try:
            response = await self._client.send(sent, stream=True)
            if is_streamed(request, response.status_code):
                return answer_of(response, b"")
            async with contextlib.aclosing(response):
                return answer_of(response, await response.aread())
        except LIBRARY_ERRORS as error:
            raise translated(error) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()
