"""A scripted agent works through the official client, on both transports."""

from __future__ import annotations

import asyncio

import pytest

from tests.agents.connected import WEB, Agency, Agent

PEOPLE = [
    {"name": "Ada Sample", "email": "ada@example.com", "company": "Acme"},
    {"firstName": "Ben", "lastName": "Sample", "email": "ben@example.com", "title": "CTO"},
    {"name": "Cleo Sample", "email": "not-an-address"},
]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_agent_at_work(agency: Agency, mode: str) -> None:
    worker = agency.worker

    async def script(agent: Agent) -> None:
        assert (agent.client.server_info or pytest.fail("no name")).name == "longlist"
        assert len(await agent.tools()) == 10
        account = await agent.call("find_account")
        assert account["accountGroups"][0]["isDefault"] is True
        assert await agent.call("list_audiences") == {"audiences": []}
        empty = await agent.call("create_audience", name="Empty", requestId="make-1")
        assert empty["prospectCount"] == 0

        fair = {"newAudience": "Fair", "people": PEOPLE, "requestId": "import-1"}
        rehearsed = await agent.call("start_import", dryRun=True, **fair)
        assert rehearsed["counts"]["added"] == 2
        started = await agent.call("start_import", **fair)

        # The audience is locked: the error names the call that comes next.
        rename = {"audience": "Fair", "newName": "Fair 2026"}
        error = await agent.refused("rename_audience", **rename)
        assert error["code"] == "AUDIENCE_NOT_READY"
        assert error["nextCall"]["tool"] == "get_job"
        assert error["nextCall"]["arguments"]["jobId"] == started["jobId"]
        (listed, _) = (await agent.call("list_audiences"))["audiences"]
        assert listed["filledBy"]["jobId"] == started["jobId"]

        waiting = asyncio.create_task(agent.call("get_job", **error["nextCall"]["arguments"]))
        assert await asyncio.to_thread(worker.run, started["jobId"])
        job = await waiting
        assert job["status"] == "completed"
        assert (job["counts"]["added"], job["counts"]["failed"]) == (2, 1)
        assert [row["reason"] for row in job["firstFailedRows"]] == ["INVALID_EMAIL"]

        renamed = await agent.call("rename_audience", description="Visitors", **rename)
        assert (renamed["name"], renamed["description"]) == ("Fair 2026", "Visitors")
        page = await agent.call("export_audience", audience="Fair 2026", limit=1)
        assert page["total"] == 2
        assert "longlist audiences export" in page["note"]
        rest = await agent.call("export_audience", audience="Fair 2026", cursor=page["nextCursor"])
        assert {p["email"] for p in page["people"] + rest["people"]} == {
            "ada@example.com", "ben@example.com",
        }  # fmt: skip
        found = await agent.call("find_prospects", audience="Fair 2026", text="acme")
        assert [person["name"] for person in found["people"]] == ["Ada Sample"]

        planned = await agent.call("plan_deletion", audience="Empty")
        assert planned["deletes"]["name"] == "Empty"
        plan = {"planId": planned["planId"]}
        assert (await agent.call("confirm_deletion", **plan))["deleted"] is True
        again = await agent.refused("confirm_deletion", **plan)
        assert again["code"] == "NOT_FOUND"

    agency.run(script, mode=mode)
    (left,) = agency.tenant.get("AG/audiences").data["items"]
    assert left["name"] == "Fair 2026"


def test_a_large_audience_never_fills_the_conversation(agency: Agency) -> None:
    id_ = agency.tenant.audience("Large")["id"]
    people = [{"name": f"Person {at}", "email": f"p{at}@example.com"} for at in range(300)]
    agency.tenant.add(id_, *people)
    for at in range(120):
        agency.tenant.audience(f"List {at}")

    async def script(agent: Agent) -> None:
        too_many = await agent.refused("export_audience", audience=id_, limit=51)
        assert too_many["code"] == "ARGUMENTS_NOT_VALID"
        page = await agent.call("export_audience", audience=id_, limit=50)
        assert (len(page["people"]), page["total"]) == (50, 300)
        found = await agent.call("find_prospects", audience=id_, text="example.com", limit=50)
        assert len(found["people"]) == found["searched"] == 50
        assert "Only the newest 50 of 300" in found["note"]
        lists = await agent.call("list_audiences", limit=100)
        assert len(lists["audiences"]) == 100
        rest = await agent.call("list_audiences", limit=100, cursor=lists["nextCursor"])
        assert len(rest["audiences"]) == 21

    agency.run(script)


@pytest.mark.parametrize("permissions", [["audiences:read", "prospects:read"], []])
def test_a_key_is_offered_what_it_may_use(agency: Agency, permissions: list[str]) -> None:
    id_ = agency.tenant.audience("Kept")["id"]
    _, key = agency.tenant.make_key(permissions)

    async def script(agent: Agent) -> None:
        tools = await agent.tools()
        reading = {"list_audiences", "find_prospects", "export_audience"} if permissions else set()
        assert set(tools) == {"find_account", *reading}
        assert all(tool.annotations.read_only_hint for tool in tools.values())
        # What is not offered is refused all the same.
        error = await agent.refused("rename_audience", audience=id_, newName="Other")
        assert error["missingPermission"] == "audiences:write"
        assert "Do not try again" in error["whatToDo"]

    agency.run(script, key=key)
    assert agency.tenant.get(f"AG/audiences/{id_}").data["name"] == "Kept"


def test_each_tool_says_what_it_does(web: Agency) -> None:
    async def script(agent: Agent) -> None:
        tools = await agent.tools()
        destroying = [n for n, tool in tools.items() if tool.annotations.destructive_hint]
        assert destroying == ["confirm_deletion"]
        for tool in tools.values():
            assert tool.input_schema["type"] == "object"
            assert tool.input_schema["additionalProperties"] is False
            assert "$ref" not in str(tool.input_schema)
            assert len(tool.description) > 40
        assert tools["start_import"].input_schema["required"] == ["requestId"]

    web.run(script)
    assert web.transport == WEB
