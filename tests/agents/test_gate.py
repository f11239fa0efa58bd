"""`/mcp` is behind the gate of the API, and not there at all unless it is switched on."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from longlist.app import App
from longlist.limits import MemoryLimiter, Rate
from longlist.settings import SettingError
from tests.agents.connected import PATIENCE_S, Agency
from tests.harness import logs
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "find_account"}}
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def post(tenant: Tenant, message: Any = CALL, **headers: str | None) -> Any:
    """One POST to /mcp, as any HTTP client sends it."""
    connection = tenant.server.take_connection()
    sent = {**HEADERS, "Authorization": f"Bearer {tenant.key}", **headers}
    body = json.dumps(message)
    present = {name: value for name, value in sent.items() if value is not None}
    connection.request("POST", "/mcp", body, present)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), json.loads(content) if content else None


def test_a_request_needs_no_session(web: Agency) -> None:
    status, headers, answer = post(web.tenant)
    assert status == 200
    assert headers["content-type"].startswith("application/json")
    assert answer["result"]["structuredContent"]["mayWrite"] is True
    until = time.monotonic() + PATIENCE_S
    while len(lines := logs.of(headers["x-trace-id"])) < 2:  # the second follows the answer
        assert time.monotonic() < until
        time.sleep(0.01)
    assert [line["route"] for line in lines] == ["/v1/me", "/mcp"]


def test_the_gate_comes_first(web: Agency) -> None:
    for bad in (None, "Bearer llk_" + "a" * 49, "Basic x"):
        status, headers, answer = post(web.tenant, Authorization=bad)
        assert (status, answer["error"]["code"]) == (401, "UNAUTHORIZED")
        assert "www-authenticate" in headers
    status, headers, answer = post(web.tenant, {"not": "a message"})
    assert status == 400
    for method in ("GET", "DELETE", "PUT"):
        connection = web.server.take_connection()
        connection.request(method, "/mcp", headers={"Authorization": f"Bearer {web.key}"})
        refused = connection.getresponse()
        assert json.loads(refused.read())["error"]["code"] == "METHOD_NOT_ALLOWED"
        assert refused.status == 405
        assert refused.getheader("allow") == "POST"
        connection.close()
    status, _, answer = post(web.tenant, {**CALL, "params": {"name": "x" * (1 << 20)}})
    assert (status, answer["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_call_takes_tokens_like_any_request(web: Agency) -> None:
    slow = Tenant(web.server)
    _, slow.key = slow.make_key(rate=Rate(1, 3))
    assert post(slow)[0] == 200  # one for the message, one for what the tool asks
    status, _, answer = post(slow)
    assert status == 200
    assert answer["result"]["isError"] is True
    assert answer["result"]["structuredContent"]["error"]["code"] == "RATE_LIMITED"
    status, headers, answer = post(slow)
    assert (status, answer["error"]["code"]) == (429, "RATE_LIMITED")
    assert int(headers["retry-after"]) > 1


def test_it_is_off_unless_switched_on(api: Tenant) -> None:
    status, _, answer = post(api)
    assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")


def test_the_extra_has_to_be_there(open_server: Longlist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "longlist.agents.web")
    monkeypatch.setitem(sys.modules, "mcp.server.streamable_http_manager", None)
    with pytest.raises(SettingError, match=r"longlist\[mcp\]"):
        App(open_server.installation, MemoryLimiter())
