"""A connection that is cut anywhere between request and answer doubles nothing.

`longlist mcp` tries again by itself: the cuts are between it and the server. At `/mcp` the cuts are
between the agent and the server: the agent makes the same call again, with the same `requestId`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.agents.connected import PATIENCE_S, Agency, Agent
from tests.agents.cutting import Cut, relay

PARTS = [at / 16 for at in range(16)]
CUTS = [
    *(Cut("request", part) for part in PARTS),
    *(Cut("answer", part) for part in PARTS),
    *(Cut("unheard") for _ in range(16)),
]
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def work(at: int) -> list[tuple[str, dict[str, Any]]]:
    """The calls of one round: an audience is made, and another is filled."""
    people = [{"email": f"ada{at}@example.com"}]
    filled = {"newAudience": f"Filled {at}", "people": people, "requestId": f"go {at}"}
    return [
        ("create_audience", {"name": f"Made {at}", "requestId": f"make {at}"}),
        ("start_import", filled),
    ]


def assert_once(agency: Agency, rounds: int, answers: list[dict[str, Any]]) -> None:
    """Every audience of the rounds is there once, with one job where it is filled by one."""
    tenant = agency.tenant
    audiences = tenant.get("AG/audiences?include=filling&limit=200").data["items"]
    assert sorted(audience["name"] for audience in audiences) == sorted(
        f"{kind} {at}" for kind in ("Made", "Filled") for at in range(rounds)
    )
    jobs = tenant.get("AG/prospecting?limit=200").data["items"]
    assert len(jobs) == rounds
    # What the agent was told in the end is what is there.
    assert {job["jobId"] for job in jobs} == {a["jobId"] for a in answers if "jobId" in a}
    assert {found["id"] for found in audiences} == {answer["audienceId"] for answer in answers}
    assert tenant.server.value(
        "SELECT count(*) FROM files WHERE account_group_id = $1", tenant.group
    ) == rounds  # fmt: skip


def test_between_longlist_mcp_and_the_server(stdio: Agency) -> None:
    rounds = 4
    # Each POST is cut once and then let through: an audience, an upload, a start.
    some = [cut for at in range(3 * rounds) for cut in (CUTS[at * 4 % len(CUTS)], None)]
    answers = []

    async def script(agent: Agent) -> None:
        for at in range(rounds):
            for tool, arguments in work(at):
                answers.append(await agent.call(tool, **arguments))

    with relay(stdio.server.port, b"POST ", some) as cutting:
        stdio.run(script, url=f"http://127.0.0.1:{cutting.port}")
        assert {cut.where for cut in cutting.made} == {"request", "answer", "unheard"}
        assert len(cutting.made) == 3 * rounds
    assert_once(stdio, rounds, answers)


def test_between_the_agent_and_the_server(web: Agency, caplog: pytest.LogCaptureFixture) -> None:
    answers = []
    plan = [step for cut in CUTS for step in (cut, None) * 2]
    with relay(web.server.port, b"POST /mcp", plan) as cutting:
        for at in range(len(CUTS)):
            for tool, arguments in work(at):
                message = {
                    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                    "params": {"name": tool, "arguments": arguments},
                }  # fmt: skip
                assert post(cutting.port, web.key, message) is None
                answer = post(cutting.port, web.key, message)
                assert answer is not None
                assert not answer["result"]["isError"], answer
                answers.append(answer["result"]["structuredContent"])
        assert len(cutting.made) == 2 * len(CUTS)
    assert_once(web, len(CUTS), answers)
    # Who hangs up is no fault of the server's.
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def post(port: int, key: str, message: Any) -> Any:
    """The answer to a message, or None where none came whole."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        sent = {**HEADERS, "Authorization": f"Bearer {key}"}
        connection.request("POST", "/mcp", json.dumps(message), sent)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content)
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        return None  # a head that was cut looks like one without a body
    finally:
        connection.close()


@pytest.mark.parametrize("cut", [Cut("unheard"), Cut("answer", 0.9)])
def test_an_agent_of_the_official_client_calls_again(web: Agency, cut: Cut) -> None:
    answers: list[dict[str, Any]] = []
    losses: list[BaseExceptionGroup[Exception]] = []

    async def attempt(url: str, tool: str, arguments: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {web.key}"}
        try:
            async with (
                httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S) as http_client,
                Client(streamable_http_client(url, http_client=http_client)) as client,
            ):
                answers.append(await Agent(client).call(tool, **arguments))
        except* (httpx2.TransportError, MCPError) as lost:
            losses.append(lost)

    with relay(web.server.port, b"tools/call", [cut, None] * 2) as cutting:
        url = f"http://127.0.0.1:{cutting.port}/mcp"
        for tool, arguments in work(0):
            for _again in range(2):
                asyncio.run(attempt(url, tool, arguments))
    assert len(losses) == len(answers) == 2
    assert_once(web, 1, answers)
