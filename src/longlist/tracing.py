"""OpenTelemetry traces, for those who have a collector: a span for each request and each job page.

They are on where `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) is set and
the extra `longlist[otel]` is installed; every other `OTEL_*` variable means what OpenTelemetry says
it does. Off, nothing of it is imported and the application is not wrapped: requests pay nothing.

The trace id of a request's span is the `traceId` of its answer, whether the caller sent a
`traceparent` or not. Spans have the operation and the status, never a path or query as they were
sent: those may hold what people searched for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, MutableMapping
from contextlib import aclosing, asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol

from longlist.errors import LonglistError
from longlist.telemetry import UNKNOWN, log
from longlist.trace import trace_id_from

if TYPE_CHECKING:
    from opentelemetry.context import Context as SpanContextOf
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Tracer

    from longlist.jobs import Runner
    from longlist.operations import Router
    from longlist.request import Receive, Scope, Send

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_OTHER_PAGES: Final = frozenset({"docs", "admin"})
_FLUSH_MS: Final = 5_000


def are_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a collector, and does not switch traces off."""
    off = (
        environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    )
    return not off and any(environ.get(name) for name in ENDPOINTS)


@asynccontextmanager
async def of_process(role: str) -> AsyncIterator[Traces | None]:
    """The traces of an API or worker process, sent until the end of the block; None if off."""
    if not are_wanted(os.environ):
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("no traces: a collector is set, but longlist[otel] is not installed")
        yield None
        return
    traces = Traces(role, BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield traces
    finally:
        await traces.stop()


class _App(Protocol):
    router: Router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Traces:
    """Makes the spans of one process and gives them to a processor."""

    def __init__(self, role: str, processor: SpanProcessor) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            """Gives the trace id that was set for the next span, where one was."""

            next_trace_id: int | None = None

            def generate_trace_id(self) -> int:
                given, self.next_trace_id = self.next_trace_id, None
                return super().generate_trace_id() if given is None else given

        own = {"service.version": version("longlist"), "longlist.role": role}
        if "OTEL_SERVICE_NAME" not in os.environ:
            own["service.name"] = "longlist"
        self._ids = Ids()
        self._provider: TracerProvider = TracerProvider(
            resource=Resource.create(own), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer: Tracer = self._provider.get_tracer("longlist", version("longlist"))

    async def stop(self) -> None:
        """Send what is left, for a few seconds at most."""

        def end() -> None:
            self._provider.force_flush(_FLUSH_MS)
            self._provider.shutdown()

        await asyncio.to_thread(end)

    def of_requests(self, app: _App) -> TracedApp:
        """The application with a span around each request."""
        return TracedApp(self, app)

    def of_pages(
        self, kind: str, runner: Runner[Any], describe: Callable[[Any], dict[str, str]]
    ) -> Runner[Any]:
        """The runner with a span for each run of a job, and one in it for each page."""
        return TracedRunner(self._tracer, kind, runner, describe)

    def request_span(self, name: str, trace_id: str, traceparent: bytes | None) -> Span:
        """A server's span in the trace `trace_id`, below the caller's span where there is one."""
        from opentelemetry import trace

        parent: SpanContextOf | None = None
        if traceparent is not None and trace_id_from(traceparent) == trace_id:
            # Valid, as the id was taken from it.
            _, _, span_id, flags = traceparent[:55].split(b"-")
            caller = trace.SpanContext(
                int(trace_id, 16),
                int(span_id, 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(int(flags, 16)),
            )
            parent = trace.set_span_in_context(trace.NonRecordingSpan(caller))
        else:
            from opentelemetry.context import Context

            parent = Context()
            self._ids.next_trace_id = int(trace_id, 16)
        return self._tracer.start_span(name, context=parent, kind=trace.SpanKind.SERVER)


class TracedApp:
    """The ASGI application, with a span around each request from its head to its last byte."""

    def __init__(self, traces: Traces, app: _App) -> None:
        self._traces = traces
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry import trace

        from longlist.server import TRACE_ID

        method, route, operation = self._named(scope)
        sent = [value for name, value in scope["headers"] if name == b"traceparent"]
        traceparent = sent[0] if len(sent) == 1 else None
        trace_id = scope.get(TRACE_ID) or trace_id_from(traceparent)
        span = self._traces.request_span(f"{method} {route}", trace_id, traceparent)
        span.set_attribute("http.request.method", method)
        span.set_attribute("http.route", route)
        span.set_attribute("longlist.operation", operation)

        async def watched(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(trace.StatusCode.ERROR)
            await send(message)

        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                await self._app({**scope, TRACE_ID: trace_id}, receive, watched)
        except BaseException as error:
            span.set_status(trace.StatusCode.ERROR)
            span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            span.end()

    def _named(self, scope: Scope) -> tuple[str, str, str]:
        """Method, route and operation: a closed set of words."""
        first = scope["path"].split("/")[1]
        if first in _OTHER_PAGES:
            return "HTTP", f"/{first}", first
        path = scope["raw_path"].partition(b"?")[0]
        try:
            operation, _, _ = self._app.router.find(path, scope["method"])
        except LonglistError:
            return "HTTP", UNKNOWN, UNKNOWN
        if operation is None:
            return "OPTIONS", UNKNOWN, UNKNOWN
        return operation.method, operation.path, operation.id


class TracedRunner:
    """A runner whose jobs have a span for each page, from its fetch until it is saved."""

    def __init__(
        self,
        tracer: Tracer,
        kind: str,
        runner: Runner[Any],
        describe: Callable[[Any], dict[str, str]],
    ) -> None:
        self._tracer = tracer
        self._kind = kind
        self._runner = runner
        self._describe = describe

    def __getattr__(self, name: str) -> Any:
        # All but `pages` is the runner's own.
        return getattr(self._runner, name)

    async def pages(self, claim: Any) -> AsyncGenerator[Any, None]:
        from opentelemetry import trace
        from opentelemetry.context import Context

        job = self._tracer.start_span(
            f"{self._kind} job", context=Context(), attributes=self._describe(claim)
        )
        inside = trace.set_span_in_context(job)
        try:
            async with aclosing(self._runner.pages(claim)) as pages:
                while True:
                    span = self._tracer.start_span(f"{self._kind} page", context=inside)
                    try:
                        page = await anext(pages)
                        # Given back when the page is saved: then the next one is asked for.
                        yield page
                    except StopAsyncIteration:
                        return  # what found the end was no page: its span is never sent
                    except BaseException as error:
                        if not isinstance(error, GeneratorExit):
                            _fail(span, error)
                            _fail(job, error)
                        span.end()
                        raise
                    span.end()
        finally:
            job.end()


def _fail(span: Any, error: BaseException) -> None:
    from opentelemetry import trace

    # The type alone: the text may quote a row.
    span.set_status(trace.StatusCode.ERROR)
    span.set_attribute("error.type", type(error).__name__)
