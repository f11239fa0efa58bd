"""Monitors: a source that fills an audience again and again."""

from __future__ import annotations

import msgspec

from longlist_client.binding import AsyncResource, Resource, async_method, method
from longlist_client.calls import (
    AG,
    Call,
    Scope,
    answering,
    answering_if_changed,
    answering_nothing,
    given,
)
from longlist_client.exchange import Request
from longlist_client.inputs import RepeatableSource
from longlist_client.models import Monitor

_ONE = f"{AG}/audiences/{{audienceId}}/monitor"


def _get(scope: Scope, audience_id: str) -> Request:
    return scope.request("GET", _ONE, audience_id)


def get_monitor(scope: Scope, audience_id: str) -> Call[Monitor]:
    """The monitor of an audience. Raises NotFound where it has none."""
    return answering(Monitor, _get(scope, audience_id))


def get_monitor_if_changed(scope: Scope, audience_id: str, etag: str) -> Call[Monitor | None]:
    """The monitor of an audience, or None if the tag is still the present one."""
    return answering_if_changed(Monitor, _get(scope, audience_id), etag)


def put_monitor(
    scope: Scope,
    audience_id: str,
    source: RepeatableSource,
    *,
    interval_minutes: int,
    enabled: bool | None = None,
    max_results: int | None = None,
    search_emails: bool | None = None,
    if_match: str | None = None,
) -> Call[Monitor]:
    """Set the monitor of a `monitoring` audience, in place of the one it had.

    `max_results` and `search_emails` hold for each of its runs. The server enables it unless told
    otherwise.
    """
    wanted = {
        **msgspec.to_builtins(source),
        **given(maxResults=max_results, searchEmails=search_emails),
    }
    body = {"source": wanted, "intervalMinutes": interval_minutes, **given(enabled=enabled)}
    return answering(Monitor, scope.request("PUT", _ONE, audience_id, body=body, if_match=if_match))


def delete_monitor(scope: Scope, audience_id: str, *, if_match: str | None = None) -> Call[None]:
    """Stop filling an audience; who is in it stays."""
    return answering_nothing(scope.request("DELETE", _ONE, audience_id, if_match=if_match))


class Monitors(Resource):
    """The monitors of an account group, one an audience."""

    get = method(get_monitor)
    get_if_changed = method(get_monitor_if_changed)
    put = method(put_monitor)
    delete = method(delete_monitor)


class AsyncMonitors(AsyncResource):
    """The monitors of an account group, one an audience."""

    get = async_method(get_monitor)
    get_if_changed = async_method(get_monitor_if_changed)
    put = async_method(put_monitor)
    delete = async_method(delete_monitor)
