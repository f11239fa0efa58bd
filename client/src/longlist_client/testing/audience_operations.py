"""Audiences, folders and monitors of the mock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from longlist_client.testing import rules
from longlist_client.testing.asking import AG, PAGED, Ask, Operation
from longlist_client.testing.refusals import (
    Reply,
    conflict,
    not_configured,
    not_found,
    unprocessable,
)
from longlist_client.testing.rules import Member
from longlist_client.testing.state import Audience, Group, Json, Thing, check_tag, new_id, now

KINDS: Final = (
    "linkedin_search", "sales_navigator", "post_commenters", "url_upload", "file_import",
    "directory_search", "on_demand", "monitoring",
)  # fmt: skip
_FIXED: Final = frozenset({"id", "type", "folderId", "prospectCount", "createdAt"})
_DELETED: Final = {"deleted": True}
_MONITORED: Final = ("linkedin_search", "sales_navigator", "post_commenters", "directory_search")


def _folder_filter(raw: Any) -> Any:
    return raw if raw == "none" else rules.an_id(raw)


def _newest_first(group: Group) -> list[Audience]:
    return sorted(group.audiences.values(), key=lambda found: found.data["id"], reverse=True)


def list_audiences(ask: Ask) -> Reply:
    wanted = ask.query
    folder = wanted.get("folderId")
    found = [
        audience
        for audience in _newest_first(ask.group)
        if (audience.job_id is None or wanted.get("include") == "filling")
        and wanted.get("q", "").casefold() in audience.data["name"].casefold()
        and wanted.get("type") in (None, audience.data["type"])
        and (folder is None or audience.data["folderId"] == (None if folder == "none" else folder))
    ]
    page = ask.page([audience.data for audience in found], lambda row: str(row["id"]))
    if wanted.get("include") == "filling":
        shown = {row["id"] for row in page["items"]}
        jobs = [ask.group.jobs[a.job_id].data for a in found if a.job_id and a.data["id"] in shown]
        page["filling"] = [
            {
                "audienceId": job["audienceId"],
                "jobId": job["jobId"],
                "jobStatus": job["status"],
                "progress": job["progress"],
                "since": job["createdAt"],
            }
            for job in jobs
        ]
    return Reply(page)


def navigation(ask: Ask) -> Reply:
    ready = [a.data for a in _newest_first(ask.group) if a.job_id is None]
    folders = sorted(
        (folder.data for folder in ask.group.folders.values()),
        key=lambda data: (not data["isPinned"], data["position"], data["id"]),
    )
    shown = [
        {**data, "audiences": [row for row in ready if row["folderId"] == data["id"]]}
        for data in folders
    ]
    ungrouped = [row for row in ready if row["folderId"] is None]
    return Reply({"folders": shown, "ungroupedAudiences": ungrouped})


def create_audience(ask: Ask) -> Reply:
    ask.group.check_name(ask.body["name"])
    made = ask.group.new_audience(ask.body["name"], ask.body["type"], ask.body.get("description"))
    location = f"/v1/accounts/{ask.group.id}/audiences/{made.data['id']}"
    return ask.tagged(made, 201, Location=location)


def get_audience(ask: Ask) -> Reply:
    return ask.tagged(ask.group.ready(ask.group.audience(ask.ids[0])))


def _held(ask: Ask) -> Audience:
    """The audience to be changed, after the guards in their order."""
    found = ask.group.audience(ask.ids[0])
    check_tag(found, ask.if_match)
    return ask.group.ready(found)


def update_audience(ask: Ask) -> Reply:
    found = _held(ask)
    if "name" in ask.body:
        ask.group.check_name(ask.body["name"], own_id=found.data["id"])
    found.change(ask.body)
    return ask.tagged(found)


def delete_audience(ask: Ask) -> Reply:
    del ask.group.audiences[_held(ask).data["id"]]
    return Reply(_DELETED)


def _folder_kind(kind: str) -> str:
    return "monitoring" if kind == "monitoring" else "on_demand"


def check_folder(folder: Thing, kind: str) -> None:
    """Raise the 422 for a folder of the other kind."""
    if folder.data["audienceType"] != _folder_kind(kind):
        raise unprocessable(
            "FOLDER_TYPE_MISMATCH",
            "The folder is for audiences of the other kind.",
            "Choose a folder of the audience's kind.",
            context={"audienceType": kind, "folderType": folder.data["audienceType"]},
        )


def move_to_folder(ask: Ask) -> Reply:
    found = ask.group.audience(ask.ids[0])
    folder = ask.group.folder(ask.body["folderId"])
    check_tag(found, ask.if_match)
    ask.group.ready(found)
    check_folder(folder, found.data["type"])
    found.change({"folderId": folder.data["id"]})
    return ask.tagged(found)


def remove_from_folder(ask: Ask) -> Reply:
    found = _held(ask)
    found.change({"folderId": None})
    return ask.tagged(found)


def create_folder(ask: Ask) -> Reply:
    moment = now()
    positions = [folder.data["position"] for folder in ask.group.folders.values()]
    made = Thing(
        {
            "id": new_id(),
            "name": ask.body["name"],
            "audienceType": ask.body["audienceType"],
            "isPinned": False,
            "position": max(positions, default=-1) + 1,
            "createdAt": moment,
            "updatedAt": moment,
        }
    )
    ask.group.folders[made.data["id"]] = made
    return Reply(made.data, 201)


def update_folder(ask: Ask) -> Reply:
    found = ask.group.folder(ask.ids[0])
    check_tag(found, ask.if_match)
    found.change(ask.body)
    return ask.tagged(found)


def delete_folder(ask: Ask) -> Reply:
    found = ask.group.folder(ask.ids[0])
    check_tag(found, ask.if_match)
    inside = [a for a in ask.group.audiences.values() if a.data["folderId"] == found.data["id"]]
    if inside and not ask.query.get("ungroup", False):
        raise conflict(
            "The folder is not empty.",
            "Move its audiences, or send ungroup=true.",
            audienceCount=len(inside),
        )
    for audience in inside:
        ask.group.ready(audience)
    for audience in inside:
        audience.change({"folderId": None})
    del ask.group.folders[found.data["id"]]
    return Reply(_DELETED)


def _monitor(ask: Ask) -> tuple[Audience, Thing]:
    audience = ask.group.audience(ask.ids[0])
    if audience.monitor is None:
        raise not_found("monitor")
    check_tag(audience.monitor, ask.if_match)
    return audience, audience.monitor


def get_monitor(ask: Ask) -> Reply:
    return ask.tagged(_monitor(ask)[1])


def put_monitor(ask: Ask) -> Reply:
    """A monitor of the mock never runs by itself."""
    audience = ask.group.audience(ask.ids[0])
    if audience.monitor is not None:
        check_tag(audience.monitor, ask.if_match)
    elif ask.if_match is not None:
        raise not_found("monitor")
    if ask.body["source"]["type"] not in ask.group.sources:
        raise not_configured()
    if audience.data["type"] != "monitoring":
        raise unprocessable(
            "AUDIENCE_TYPE_MISMATCH",
            "Only an audience of type monitoring has a monitor.",
            "Create one of that type.",
        )
    enabled = ask.body.get("enabled", True)
    moment = datetime.now(UTC) + timedelta(minutes=ask.body["intervalMinutes"])
    due = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    wanted = {
        "source": ask.body["source"],
        "intervalMinutes": ask.body["intervalMinutes"],
        "enabled": enabled,
    }
    if audience.monitor is None:
        audience.monitor = Thing(
            {
                "audienceId": audience.data["id"],
                **wanted,
                "nextRunAt": due if enabled else None,
                "lastJobId": None,
                "createdAt": now(),
                "updatedAt": now(),
            }
        )
    elif audience.monitor.change(wanted):
        audience.monitor.data["nextRunAt"] = due if enabled else None
    return ask.tagged(audience.monitor)


def delete_monitor(ask: Ask) -> Reply:
    audience, _ = _monitor(ask)
    audience.monitor = None
    return Reply(_DELETED)


def _monitored_source(raw: Any) -> Json:
    if not isinstance(raw, dict):
        raise rules.Bad("wrong_type", "The value must be an object.")
    if raw.get("type") not in _MONITORED:
        raise rules.Bad("invalid_choice", "This kind cannot be monitored.", ".type")
    return {name: value for name, value in raw.items() if value is not None}


_NAMES: Final = {"name": Member(rules.name, required=True)}
_ONE: Final = f"{AG}/audiences/{{audienceId}}"
_FOLDER: Final = f"{AG}/audiences/folders/{{folderId}}"
_MONITOR: Final = f"{_ONE}/monitor"
_READ, _WRITE = "audiences:read", "audiences:write"

OPERATIONS: Final = (
    Operation(
        "GET", f"{AG}/audiences", list_audiences, _READ,
        query={
            **PAGED,
            "q": rules.one_line(255),
            "type": rules.one_of(*KINDS),
            "folderId": _folder_filter,
            "include": rules.one_of("filling"),
        },
    ),
    Operation("GET", f"{AG}/audiences/navigation", navigation, _READ),
    Operation(
        "POST", f"{AG}/audiences", create_audience, _WRITE,
        body={
            **_NAMES,
            "type": Member(rules.one_of("on_demand", "monitoring"), required=True),
            "description": Member(rules.description),
        },
        not_settable=_FIXED - {"type"},
    ),
    Operation("GET", _ONE, get_audience, _READ),
    Operation(
        "PATCH", _ONE, update_audience, _WRITE,
        body={
            "name": Member(rules.name),
            "description": Member(rules.description, nullable=True),
        },
        not_settable=_FIXED,
    ),
    Operation("DELETE", _ONE, delete_audience, _WRITE),
    Operation(
        "POST", f"{_ONE}/move-to-folder", move_to_folder, _WRITE,
        body={"folderId": Member(rules.an_id, required=True)},
    ),
    Operation("POST", f"{_ONE}/remove-from-folder", remove_from_folder, _WRITE),
    Operation(
        "POST", f"{AG}/audiences/folders", create_folder, _WRITE,
        body={
            **_NAMES,
            "audienceType": Member(rules.one_of("on_demand", "monitoring"), required=True),
        },
    ),
    Operation(
        "PATCH", _FOLDER, update_folder, _WRITE, body=_NAMES,
        not_settable=frozenset(
            {"id", "audienceType", "isPinned", "position", "createdAt", "updatedAt"}
        ),
    ),
    Operation("DELETE", _FOLDER, delete_folder, _WRITE, query={"ungroup": rules.flag}),
    Operation("GET", _MONITOR, get_monitor, "prospecting:read"),
    Operation(
        "PUT", _MONITOR, put_monitor, "prospecting:write",
        body={
            "source": Member(_monitored_source, required=True),
            "intervalMinutes": Member(rules.integer(15, 43_200), required=True),
            "enabled": Member(rules.boolean),
        },
    ),
    Operation("DELETE", _MONITOR, delete_monitor, "prospecting:write"),
)  # fmt: skip
