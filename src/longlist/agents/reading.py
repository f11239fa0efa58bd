"""The tools that look: they change nothing and answer a bounded number of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from longlist_client import AsyncAccountGroup

from longlist.agents import shapes
from longlist.agents.arguments import (
    ExportAudience,
    FindAccount,
    FindProspects,
    GetJob,
    ListAudiences,
)
from longlist.agents.caller import Caller
from longlist.agents.refusals import Refused
from longlist.remote.matching import matches
from longlist.text import fold

MOST_SEARCHED: Final = 20_000
_FAILED_SHOWN: Final = 5
_SUFFIXES: Final = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


async def find_account(caller: Caller, _arguments: FindAccount) -> dict[str, Any]:
    """The key: what it may do, and the account groups it reaches."""
    me = await caller.me()
    return {
        "permissions": me.permissions,
        "mayWrite": any(name.endswith(":write") for name in me.permissions),
        "requestsPerMinute": me.rate_limit.per_minute,
        "accountGroups": [
            {
                "accountGroupId": group.id,
                "name": group.name,
                "isDefault": group.id == caller.account_group or len(me.account_groups) == 1,
                "uniqueAudienceNames": group.settings.unique_audience_names,
                "credits": "unlimited" if group.credits.unlimited else group.credits.available,
            }
            for group in me.account_groups
        ],
    }


async def list_audiences(caller: Caller, arguments: ListAudiences) -> dict[str, Any]:
    """One page of audiences, also those that are being filled."""
    account = await caller.account(arguments.account_group_id)
    page = await account.audiences.list_page(
        q=arguments.name_contains,
        type=arguments.type,
        include="filling",
        limit=arguments.limit,
        cursor=arguments.cursor,
    )
    filling = {held.audience_id: held for held in page.filling or []}
    found: dict[str, Any] = {
        "audiences": [shapes.audience(one, filling.get(one.id)) for one in page.items]
    }
    if page.next_cursor is not None:
        found["nextCursor"] = page.next_cursor
    return found


async def get_job(caller: Caller, arguments: GetJob) -> dict[str, Any]:
    """A job, after a wait for its end, with the first rows that failed."""
    account = await caller.account(arguments.account_group_id)
    job = await account.prospecting.get(arguments.job_id, wait=arguments.wait_seconds or None)
    found = shapes.job(job)
    if not job.is_terminal:
        found["whatToDo"] = "It still works: call get_job again with waitSeconds."
    if job.counts.failed and job.is_terminal:
        rows = await account.prospecting.rows_page(
            job.job_id, outcome="failed", limit=_FAILED_SHOWN
        )
        found["firstFailedRows"] = [shapes.row(row) for row in rows.items]
        found["allFailedRows"] = f"longlist jobs rows {job.job_id} --outcome failed"
    return found


async def find_prospects(caller: Caller, arguments: FindProspects) -> dict[str, Any]:
    """People by text in an audience, by id, or by provider id."""
    asked = (arguments.text, arguments.prospect_id, arguments.provider_id)
    if sum(way is not None for way in asked) != 1:
        raise Refused(
            "ONE_WAY_NEEDED", "Look by exactly one of text, prospectId and providerId.",
            "Give text together with audience, or one of the ids alone.",
        )  # fmt: skip
    account = await caller.account(arguments.account_group_id)
    if arguments.prospect_id is not None:
        return {"person": shapes.whole_person(await account.prospects.get(arguments.prospect_id))}
    if arguments.provider_id is not None:
        lookup = await account.prospects.find_by_provider_id(arguments.provider_id)
        people = [{"prospectId": m.prospect_id, "name": m.name} for m in lookup.matches]
        return {"resolution": lookup.resolution, "people": people[: arguments.limit]}
    if arguments.audience is None:
        raise Refused(
            "AUDIENCE_NEEDED", "A text is looked for in one audience.",
            "Name the audience to look in.", "list_audiences",
        )  # fmt: skip
    id_ = await caller.audience_id(account, arguments.audience)
    return await _search(account, id_, arguments.text or "", arguments.limit)


async def _search(
    account: AsyncAccountGroup, audience_id: str, text: str, limit: int
) -> dict[str, Any]:
    folded = fold(text)
    people: list[dict[str, Any]] = []
    searched = 0
    async with account.audiences.export(audience_id, format="ndjson") as download:
        total = download.row_count or 0
        async for prospect in download.prospects():
            searched += 1
            if matches(prospect, folded):
                people.append(shapes.person(prospect))
            if len(people) == limit or searched == MOST_SEARCHED:
                break
    found: dict[str, Any] = {"people": people, "searched": searched, "of": total}
    if searched < total:
        found["note"] = (
            f"Only the newest {searched} of {total} people were searched. For all of them: longlist"
            f" prospects find TEXT --audience {audience_id}"
        )
    return found


async def export_audience(caller: Caller, arguments: ExportAudience) -> dict[str, Any]:
    """A page of an audience's people, or all of them in a file."""
    account = await caller.account(arguments.account_group_id)
    id_ = await caller.audience_id(account, arguments.audience)
    if arguments.to_file is not None:
        return await _to_file(account, id_, caller.new_path(arguments.to_file))
    audience = await account.audiences.get(id_)
    page = await account.prospects.list_page(id_, limit=arguments.limit, cursor=arguments.cursor)
    found: dict[str, Any] = {
        "audienceId": id_,
        "name": audience.name,
        "total": audience.prospect_count,
        "people": [shapes.person(one) for one in page.items],
    }
    if page.next_cursor is not None:
        found["nextCursor"] = page.next_cursor
        found["note"] = (
            f"These are {len(page.items)} of {audience.prospect_count}. Do not page through a large"
            " audience: the whole of it is for a file, which the person you work for gets with:"
            f" longlist audiences export {id_} people.csv"
        )
    return found


async def _to_file(account: AsyncAccountGroup, audience_id: str, path: Path) -> dict[str, Any]:
    kind: Any = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise Refused("FILE_TYPE", "The file must end in .csv or .ndjson.", "Name it so.")
    try:
        async with account.audiences.export(audience_id, format=kind) as download:
            rows = download.row_count
            await download.save(path)
    except OSError as error:
        raise Refused(
            "FILE_NOT_WRITTEN", f"The file cannot be written: {error.strerror}.",
            "Choose another place in the folder for files.",
        ) from error  # fmt: skip
    return {"audienceId": audience_id, "file": path.name, "rows": rows}
