"""Traces: one span for each request and each page, in the trace that the answer names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from longlist import tracing
from longlist.app import App
from longlist.limits import MemoryLimiter
from longlist.tracing import Traces
from tests.harness.server import Longlist
from tests.harness.tenant import UNKNOWN as UNKNOWN_ID
from tests.harness.tenant import Tenant

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Iterator[Traces]:
    made = Traces("api", SimpleSpanProcessor(exporter))
    yield made
    asyncio.run(made.stop())


class Traced:
    """Requests to the application itself, with traces around it."""

    def __init__(self, server: Longlist, traces: Traces, exporter: InMemorySpanExporter) -> None:
        self._server = server
        self._app = traces.of_requests(App(server.installation, MemoryLimiter()))
        self._exporter = exporter

    def send(self, method: str, path: str, **headers: str) -> tuple[int, str, ReadableSpan]:
        """Status, the trace id in the answer's header, and the one span."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        raw, _, query = path.encode().partition(b"?")
        scope = {
            "type": "http", "method": method, "path": raw.decode(), "raw_path": raw,
            "query_string": query, "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
        }  # fmt: skip
        self._exporter.clear()
        self._server.call(self._app, scope, receive, send)
        [span] = self._exporter.get_finished_spans()
        return sent[0]["status"], dict(sent[0]["headers"])[b"x-trace-id"].decode(), span


@pytest.fixture
def traced(server: Longlist, traces: Traces, exporter: InMemorySpanExporter) -> Traced:
    return Traced(server, traces, exporter)


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def test_a_request_without_a_trace_begins_the_one_that_its_answer_names(
    traced: Traced, api: Tenant
) -> None:
    status, trace_id, span = traced.send(
        "GET", f"{api.path('AG/audiences')}?q=Grace", authorization=f"Bearer {api.key}"
    )
    assert status == 200
    assert trace_of(span) == trace_id
    assert span.parent is None
    assert span.name == "GET /v1/accounts/{accountGroupId}/audiences"
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/accounts/{accountGroupId}/audiences",
        "longlist.operation": "listAudiences",
        "http.response.status_code": 200,
    }
    # The next one has a trace of its own.
    _, another, span = traced.send("GET", "/healthz")
    assert trace_of(span) == another != trace_id


def test_a_callers_trace_goes_on(traced: Traced) -> None:
    status, trace_id, span = traced.send("GET", "/v1/me", traceparent=CALLER)
    assert (status, trace_id, trace_of(span)) == (401, CALLER[3:35], CALLER[3:35])
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == CALLER[36:52]
    assert span.parent.is_remote


def test_a_broken_traceparent_is_none(traced: Traced) -> None:
    _, trace_id, span = traced.send("GET", "/healthz", traceparent=CALLER.replace("00-", "ff-", 1))
    assert trace_of(span) == trace_id != CALLER[3:35]
    assert span.parent is None


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/nobody@example.com", "HTTP unknown"),
        ("PUT", f"/v1/accounts/{UNKNOWN_ID}/audiences", "HTTP unknown"),
        ("GET", "/docs/x", "HTTP /docs"),
    ],
)
def test_no_path_as_it_was_sent_is_told(traced: Traced, method: str, path: str, name: str) -> None:
    status, _, span = traced.send(method, path)
    assert status >= 400
    assert span.name == name
    assert "example.com" not in span.to_json()
    assert UNKNOWN_ID not in span.to_json()


class Pages:
    """A runner of two pages, the second of which breaks where it is told to."""

    def __init__(self, breaks: bool) -> None:
        self.breaks = breaks
        self.waiting = "the runner's own"

    async def pages(self, claim: str) -> AsyncGenerator[int, None]:
        yield 1
        if self.breaks:
            raise ValueError("row of jane.doe@example.com")
        yield 2


def _work(runner: Any) -> list[int]:
    async def work() -> list[int]:
        return [page async for page in runner.pages("claimed")]

    return asyncio.run(work())


def test_a_job_is_a_trace_with_a_span_for_each_page(
    traces: Traces, exporter: InMemorySpanExporter
) -> None:
    runner: Any = traces.of_pages("toy", Pages(False), lambda claim: {"longlist.job_id": claim})  # type: ignore[arg-type]
    assert runner.waiting == "the runner's own"
    assert _work(runner) == [1, 2]
    first, second, job = exporter.get_finished_spans()
    assert [each.name for each in (first, second, job)] == ["toy page", "toy page", "toy job"]
    assert job.attributes == {"longlist.job_id": "claimed"}
    assert job.context is not None
    for page in (first, second):
        assert page.parent is not None
        assert page.parent.span_id == job.context.span_id
        assert trace_of(page) == trace_of(job)


def test_a_page_that_fails_says_so_without_its_text(
    traces: Traces, exporter: InMemorySpanExporter
) -> None:
    runner = traces.of_pages("toy", Pages(True), lambda claim: {})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="row of"):
        _work(runner)
    _, broken, job = exporter.get_finished_spans()
    for span in (broken, job):
        assert not span.status.is_ok
        assert span.attributes is not None
        assert span.attributes["error.type"] == "ValueError"
        assert "jane" not in span.to_json()


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_on_where_a_collector_is_named(environ: dict[str, str], wanted: bool) -> None:
    assert tracing.are_wanted(environ) is wanted


def test_off_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)

    async def made() -> Traces | None:
        async with tracing.of_process("api") as traces:
            return traces

    assert asyncio.run(made()) is None
