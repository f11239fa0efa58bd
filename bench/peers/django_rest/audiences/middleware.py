"""The trace id of a request, in its answer's body and header."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def trace_id(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Give each request a trace id and each answer its header."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.trace_id = uuid.uuid4().hex
        response = get_response(request)
        response["X-Trace-Id"] = request.trace_id
        return response

    return middleware
