"""The tools one by one: errors that lead on, plans, files, account groups."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from longlist.agents import plans
from longlist.limits import Rate
from tests.agents.connected import Agency, Agent
from tests.harness.tenant import UNKNOWN, Tenant

SECRET = b"s" * 32


def test_errors_lead_on(web: Agency) -> None:
    twins = [web.tenant.audience("Twin")["id"] for _ in range(2)]

    async def script(agent: Agent) -> None:
        error = await agent.refused("export_audience", audience="Twins")
        assert error["nextCall"] == {
            "tool": "list_audiences",
            "arguments": {"nameContains": "Twins"},
        }
        error = await agent.refused("export_audience", audience="Twin")
        assert sorted(error["audienceIds"]) == sorted(twins)
        error = await agent.refused("export_audience", audience=UNKNOWN)
        assert error["code"] == "NOT_FOUND"
        assert "list_audiences" in error["whatToDo"]
        error = await agent.refused("get_job", jobId="../../v1/me")
        assert error["code"] == "VALIDATION_ERROR"
        error = await agent.refused("get_job", jobId="..")
        assert error["code"] == "ARGUMENTS_NOT_VALID"
        error = await agent.refused("create_audience", name="New")
        assert "requestId" in error["message"]
        error = await agent.refused("list_audiences", page=2)
        assert "page" in error["message"]
        error = await agent.refused("list_audiences", accountGroupId="0" * 24)
        assert error["nextCall"]["tool"] == "find_account"
        both = {"people": [{"email": "a@example.com"}], "profileUrls": ["x"], "requestId": "2"}
        assert (await agent.refused("start_import", **both))["code"] == "ONE_SOURCE_NEEDED"
        one = {"people": [{"email": "a@example.com"}], "requestId": "2"}
        assert (await agent.refused("start_import", **one))["code"] == "ONE_AUDIENCE_NEEDED"
        assert (await agent.refused("find_prospects", text="a"))["code"] == "AUDIENCE_NEEDED"
        assert (await agent.refused("find_prospects"))["code"] == "ONE_WAY_NEEDED"
        assert (await agent.refused("plan_deletion"))["code"] == "ONE_THING_NEEDED"
        with pytest.raises(Exception, match="There are: find_account"):
            await agent.call("delete_everything")

    web.run(script)


def test_a_name_in_use_is_told_whose_it_is(web: Agency) -> None:
    web.tenant.set(uniqueAudienceNames=True)
    taken = web.tenant.audience("Taken")["id"]

    async def script(agent: Agent) -> None:
        error = await agent.refused("create_audience", name="TAKEN", requestId="1")
        assert (error["code"], error["existingAudienceId"]) == ("AUDIENCE_NAME_TAKEN", taken)

    web.run(script)


def test_a_call_that_is_repeated_is_done_once(agency: Agency) -> None:
    people = [{"email": "ada@example.com"}]

    async def script(agent: Agent) -> None:
        make = {"name": "Once", "requestId": "make"}
        assert await agent.call("create_audience", **make) == await agent.call(
            "create_audience", **make
        )
        start = {"newAudience": "Filled", "people": people, "requestId": "go"}
        first = await agent.call("start_import", **start)
        assert await agent.call("start_import", **start) == first
        error = await agent.refused("start_import", **{**start, "newAudience": "Other"})
        assert error["code"] == "IDEMPOTENCY_CONFLICT"
        assert "another requestId" in error["whatToDo"]

    agency.run(script)
    # Somebody else may make up the same id.
    _, other = agency.tenant.make_key()

    async def again(agent: Agent) -> None:
        await agent.call("start_import", newAudience="Filled", people=people, requestId="go")

    agency.run(again, key=other)
    assert len(agency.tenant.get("AG/prospecting").data["items"]) == 2
    assert len(agency.tenant.get("AG/audiences?include=filling").data["items"]) == 3


def test_a_plan_is_of_what_was_seen(web: Agency) -> None:
    id_ = web.tenant.audience("Seen")["id"]
    ada = web.tenant.prospect(id_, name="Ada", email="ada@example.com")
    _, other = web.tenant.make_key()
    planned: list[str] = []

    async def script(agent: Agent) -> None:
        audience = (await agent.call("plan_deletion", audience="Seen"))["planId"]
        person = await agent.call("plan_deletion", prospectId=ada)
        assert person["deletes"]["email"] == "ada@example.com"
        planned.extend((audience, person["planId"]))
        web.tenant.patch(f"AG/audiences/{id_}", {"name": "Changed"}).expect(200)
        error = await agent.refused("confirm_deletion", planId=audience)
        assert error["code"] == "PRECONDITION_FAILED"
        assert error["nextCall"]["tool"] == "plan_deletion"
        for bad in ("", "x", audience[:-4] + "AAAA", id_):
            error = await agent.refused("confirm_deletion", planId=bad)
            assert error["code"] == "PLAN_NOT_VALID"

    async def stranger(agent: Agent) -> None:
        error = await agent.refused("confirm_deletion", planId=planned[1])
        assert "another key" in error["message"]

    async def erase(agent: Agent) -> None:
        await agent.call("confirm_deletion", planId=planned[1])

    web.run(script)
    web.run(stranger, key=other)
    assert web.tenant.get(f"AG/prospects/{ada}").status == 200
    web.run(erase)
    assert web.tenant.get(f"AG/prospects/{ada}").status == 404
    assert web.tenant.get(f"AG/audiences/{id_}").data["prospectCount"] == 0


def test_a_plan_ends() -> None:
    plan = plans.Plan("audience", "g", "a", "e", "k", int(time.time()) + 5)
    sealed = plans.sealed(plan, SECRET)
    assert plans.unsealed(sealed, SECRET, "k") == plan
    with pytest.raises(plans.BadPlan, match="too old"):
        plans.unsealed(sealed, SECRET, "k", now=time.time() + 10)
    with pytest.raises(plans.BadPlan, match="of this server"):
        plans.unsealed(sealed, b"t" * 32, "k")


def test_the_account_group_is_named_where_there_are_several(agency: Agency) -> None:
    other = Tenant(agency.server, "Other")
    _, key = agency.tenant.make_key(groups=[agency.tenant.group, other.group])
    made = other.audience("Theirs")["id"]

    async def script(agent: Agent) -> None:
        error = await agent.refused("list_audiences")
        groups = {group["id"] for group in error["accountGroups"]}
        assert groups == {agency.tenant.group.hex(), other.group.hex()}
        found = await agent.call("list_audiences", accountGroupId=other.group.hex())
        assert [audience["audienceId"] for audience in found["audiences"]] == [made]

    agency.run(script, key=key)


def test_files_are_those_of_one_folder(stdio: Agency, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "people.csv").write_text("Email\nada@example.com\n")
    (tmp_path / "secret.csv").write_text("Email\nben@example.com\n")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")

    async def with_folder(agent: Agent) -> None:
        start = {"newAudience": "Filed", "requestId": "1"}
        for outside in ("../secret.csv", "link.csv", str(tmp_path / "secret.csv"), "."):
            error = await agent.refused("start_import", file=outside, **start)
            assert error["code"] == "OUTSIDE_FOLDER"
        assert (await agent.refused("start_import", file="no.csv", **start))["code"] == (
            "FILE_NOT_READ"
        )
        job = (await agent.call("start_import", file="people.csv", **start))["jobId"]
        assert stdio.worker.run(job)
        export = {"audience": "Filed", "toFile": "out.ndjson"}
        assert (await agent.call("export_audience", **export))["rows"] == 1
        assert (await agent.refused("export_audience", **export))["code"] == "FILE_EXISTS"
        error = await agent.refused("export_audience", audience="Filed", toFile="../out.csv")
        assert error["code"] == "OUTSIDE_FOLDER"

    async def without(agent: Agent) -> None:
        error = await agent.refused(
            "start_import", newAudience="Filed", requestId="2", file=str(folder / "people.csv")
        )
        assert error["code"] == "NO_FOLDER"

    stdio.run(with_folder, "--files", str(folder))
    assert "ada@example.com" in (folder / "out.ndjson").read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["secret.csv"]
    stdio.run(without)


def test_too_many_calls_are_told_when_to_come_back(stdio: Agency) -> None:
    _, key = stdio.tenant.make_key(rate=Rate(1, 3))

    async def script(agent: Agent) -> None:
        for _ in range(2):
            await agent.call("list_audiences")
        error = await agent.refused("list_audiences")
        assert error["code"] == "RATE_LIMITED"
        assert error["retryAfterSeconds"] > 1

    stdio.run(script, key=key)


def test_nobody_answers(stdio: Agency) -> None:
    async def script(agent: Agent) -> None:
        assert len(await agent.tools()) == 10
        error = await agent.refused("find_account")
        assert error["code"] == "NO_ANSWER"
        assert "Nothing was changed" in error["whatToDo"]

    stdio.run(script, url="http://127.0.0.1:9")
