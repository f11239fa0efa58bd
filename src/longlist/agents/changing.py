"""The tools that change something. What makes or deletes a thing can be called again safely."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from longlist_client import (
    KEEP,
    AsyncAccountGroup,
    FileImport,
    Keep,
    ProspectingSource,
    UploadedFile,
    UrlUpload,
)

from longlist.agents import plans, shapes
from longlist.agents.arguments import (
    ConfirmDeletion,
    CreateAudience,
    Person,
    PlanDeletion,
    RenameAudience,
    StartImport,
)
from longlist.agents.caller import Caller
from longlist.agents.refusals import Refused

_FIELDS: Final = {"company": "company.name"}
"""The members of a person that have another name where people are kept."""


async def create_audience(caller: Caller, arguments: CreateAudience) -> dict[str, Any]:
    """A new, empty audience."""
    account = await caller.account(arguments.account_group_id)
    made = await account.audiences.create(
        name=arguments.name,
        type=arguments.type,
        description=arguments.description,
        idempotency_key=await caller.idempotency_key(
            "create_audience", "create", arguments.request_id
        ),
    )
    return shapes.audience(made)


async def rename_audience(caller: Caller, arguments: RenameAudience) -> dict[str, Any]:
    """Another name, and perhaps another description."""
    account = await caller.account(arguments.account_group_id)
    id_ = await caller.audience_id(account, arguments.audience)
    description: str | Keep | None = KEEP
    if not isinstance(arguments.description, msgspec.UnsetType):
        description = arguments.description or None
    changed = await account.audiences.update(id_, name=arguments.new_name, description=description)
    return shapes.audience(changed)


async def start_import(caller: Caller, arguments: StartImport) -> dict[str, Any]:
    """A job that fills an audience, or what it would do."""
    ways = (arguments.people, arguments.profile_urls, arguments.file)
    if sum(way is not None for way in ways) != 1:
        raise Refused(
            "ONE_SOURCE_NEEDED", "Import from exactly one of people, profileUrls and file.",
            "Call again with one of them.",
        )  # fmt: skip
    if (arguments.audience is None) == (arguments.new_audience is None):
        raise Refused(
            "ONE_AUDIENCE_NEEDED", "Give exactly one of audience and newAudience.",
            "Call again with one of them.",
        )  # fmt: skip
    account = await caller.account(arguments.account_group_id)
    id_ = None
    if arguments.audience is not None:
        id_ = await caller.audience_id(account, arguments.audience)
    source = await _source(caller, account, arguments)
    if arguments.dry_run:
        would = await account.prospecting.dry_run(
            source,
            audience_id=id_,
            audience_name=arguments.new_audience,
            max_results=arguments.max_results,
        )
        return {
            "dryRun": True,
            "counts": msgspec.to_builtins(would.counts),
            "estimatedCredits": would.estimated_credits,
            "whatToDo": "Nothing was changed. Call again without dryRun to import.",
        }
    started = await account.prospecting.start(
        source,
        audience_id=id_,
        audience_name=arguments.new_audience,
        max_results=arguments.max_results,
        idempotency_key=await caller.idempotency_key("start_import", "start", arguments.request_id),
    )
    return {
        "jobId": started.job_id,
        "audienceId": started.audience_id,
        "status": started.status,
        "whatToDo": "The audience is locked until the job ends. Wait for it with get_job.",
    }


async def _source(
    caller: Caller, account: AsyncAccountGroup, arguments: StartImport
) -> ProspectingSource:
    """What to import from; people and files are uploaded first, once for each requestId."""
    if arguments.profile_urls is not None:
        return UrlUpload(profile_urls=arguments.profile_urls)
    key = await caller.idempotency_key("start_import", "upload", arguments.request_id)
    if arguments.people is not None:
        uploaded = await _upload_people(account, arguments.people, key)
        mapping = {name: _FIELDS.get(name, name) for name in uploaded.columns}
        return FileImport(file_id=uploaded.file_id, mapping=mapping)
    path = caller.path(arguments.file or "")
    try:
        uploaded = await account.files.upload(path, idempotency_key=key)
    except OSError as error:
        raise Refused(
            "FILE_NOT_READ", f"The file cannot be read: {error.strerror}.",
            "Name a file that is in the folder for files.",
        ) from error  # fmt: skip
    return FileImport(file_id=uploaded.file_id)


async def _upload_people(
    account: AsyncAccountGroup, people: list[Person], key: str
) -> UploadedFile:
    rows: list[dict[str, str]] = [msgspec.to_builtins(person) for person in people]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    # Every line has every column: the server takes the columns from the first lines.
    lines = [msgspec.json.encode({name: row.get(name) for name in columns}) for row in rows]
    return await account.files.upload(
        b"\n".join(lines) + b"\n", filename="people.ndjson", format="ndjson", idempotency_key=key
    )


async def plan_deletion(caller: Caller, arguments: PlanDeletion) -> dict[str, Any]:
    """What a deletion would do, and the id it can be done with."""
    if (arguments.audience is None) == (arguments.prospect_id is None):
        raise Refused(
            "ONE_THING_NEEDED", "Name exactly one of audience and prospectId.",
            "Call again with one of them.",
        )  # fmt: skip
    account = await caller.account(arguments.account_group_id)
    found: dict[str, Any]
    if arguments.audience is not None:
        id_ = await caller.audience_id(account, arguments.audience)
        audience = await account.audiences.get(id_)
        kind: Any = "audience"
        etag = audience.etag
        found = {
            "deletes": shapes.audience(audience),
            "keeps": f"The {audience.prospect_count} people stay, in no audience or in others.",
        }
    else:
        id_ = arguments.prospect_id or ""
        prospect = await account.prospects.get(id_)
        kind, etag = "prospect", prospect.etag
        found = {
            "deletes": shapes.person(prospect),
            "means": "The person is erased from every audience and list of the account group for"
            " good, and no import brings them back.",
        }
    assert etag is not None
    plan = plans.Plan(
        kind=kind,
        group=account.scope.account_group_id,
        id=id_,
        etag=etag,
        key_id=(await caller.me()).key_id,
        until=int(time.time()) + plans.KEPT_S,
    )
    return {
        "planId": plans.sealed(plan, caller.secret),
        **found,
        "expiresInSeconds": plans.KEPT_S,
        "whatToDo": "Nothing is deleted yet. If the person you work for agrees, call"
        " confirm_deletion with this planId.",
    }


async def confirm_deletion(caller: Caller, arguments: ConfirmDeletion) -> dict[str, Any]:
    """Carry out a plan."""
    try:
        me = await caller.me()
        plan = plans.unsealed(arguments.plan_id, caller.secret, me.key_id)
    except plans.BadPlan as error:
        raise Refused(
            "PLAN_NOT_VALID", str(error), "Make a plan first.", "plan_deletion"
        ) from error
    account = caller.client.account(plan.group)
    if plan.kind == "audience":
        await account.audiences.delete(plan.id, if_match=plan.etag)
    else:
        await account.prospects.erase(plan.id, if_match=plan.etag)
    return {"deleted": True, "kind": plan.kind, "id": plan.id}
