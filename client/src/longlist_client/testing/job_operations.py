"""Files, prospecting jobs, quota and sources of the mock."""

from __future__ import annotations

import copy
from typing import Any, Final

from longlist_client.testing import people, rules, uploaded
from longlist_client.testing.asking import AG, PAGED, Ask, Operation
from longlist_client.testing.audience_operations import check_folder
from longlist_client.testing.prospect_operations import csv_bytes
from longlist_client.testing.refusals import (
    Refused,
    Reply,
    invalid,
    not_configured,
    not_found,
    unprocessable,
)
from longlist_client.testing.rules import Member
from longlist_client.testing.state import (
    OUTCOMES,
    Audience,
    Group,
    Job,
    Json,
    Row,
    counted,
    new_id,
    now,
)

STATUSES: Final = ("queued", "running", "completed", "failed", "cancelled")
_LINKEDIN: Final = frozenset({"linkedin_search", "sales_navigator", "post_commenters"})
_QUOTAS: Final = {
    "LINKEDIN_CLASSIC": ("linkedinClassicSearch", "linkedin_search"),
    "SALES_NAVIGATOR": ("salesNavigatorSearch", "sales_navigator"),
    "POST_COMMENTERS": ("postCommenters", "post_commenters"),
    "URL_UPLOAD": ("urlUpload", "url_upload"),
    "FILE_IMPORT": ("fileImport", "file_import"),
    "DIRECTORY": ("directorySearch", "directory_search"),
}


def upload_file(ask: Ask) -> Reply:
    file = uploaded.read_file(ask.content, ask.query.get("format"))
    ask.group.files[file.data["fileId"]] = file
    return Reply(file.data, 201)


def _over_cap(cap: int) -> Refused:
    refused = invalid(("maxResults", "out_of_range", f"At most {cap}."))
    refused.error["context"] = {"cap": cap}
    return refused


def _check_cap(group: Group, body: Json) -> None:
    is_file = body["type"] == "file_import"
    cap = group.file_rows_cap if is_file else group.max_results_cap
    wanted = body.get("maxResults")
    if wanted is not None and wanted > cap and body["type"] != "url_upload":
        raise _over_cap(cap)
    if is_file:
        if body["fileId"] not in group.files:
            raise not_found("file")
        if wanted is None and group.files[body["fileId"]].data["rowEstimate"] > cap:
            raise _over_cap(cap)


def _rows(group: Group, body: Json) -> list[Row]:
    """The people a source will give. Raises the 422s of mapping and configuration."""
    kind = body["type"]
    if kind == "url_upload":
        return [Row({"linkedinUrl": url}) for url in body["profileUrls"]]
    most = body.get("maxResults")
    if kind != "file_import":
        return [Row(dict(person)) for person in group.sources[kind]][:most]
    file = group.files[body["fileId"]]
    mapping = body.get("mapping") or file.data["suggestedMapping"]
    if issues := uploaded.mapping_issues(mapping, file.data["columns"]):
        raise unprocessable(
            "MAPPING_INVALID",
            "The mapping does not fit the file.",
            "Correct the mapping and send the request again.",
            issues=issues,
        )
    return [uploaded.mapped(row, mapping) for row in file.rows][:most]


def _audience(group: Group, body: Json) -> Audience | None:
    """The audience to fill, None for a new one; every guard from 404 to the 422s of folders."""
    found = None
    if "audienceId" in body:
        found = group.ready(group.audience(body["audienceId"]))
    folder = group.folder(body["folderId"]) if "folderId" in body else None
    if body["type"] not in ("url_upload", "file_import") and body["type"] not in group.sources:
        raise not_configured()
    if folder is not None:
        check_folder(folder, body["type"])
    if found is None:
        group.check_name(body["audienceName"])
    return found


def start(ask: Ask) -> Reply:
    group, body = ask.group, ask.body
    _check_cap(group, body)
    audience = _audience(group, body)
    rows = _rows(group, body)
    price = 2 if body.get("searchEmails") else 1
    if body.get("dryRun"):
        return _dry_run(group, body, rows, price)
    expected = len(rows)
    if group.credits is not None and price * expected > group.credits:
        raise Refused(
            402,
            "INSUFFICIENT_CREDITS",
            "There are not enough credits for this job.",
            "Ask the operator for more, or ask for fewer people.",
            context={"required": price * expected, "available": group.credits},
        )
    if audience is None:
        audience = group.new_audience(
            body["audienceName"], body["type"], body.get("audienceDescription")
        )
        audience.data["folderId"] = body.get("folderId")
    job = _queued(group, audience, body["type"], rows, price)
    return started(group, job)


def _queued(group: Group, audience: Audience, kind: str, rows: list[Row], price: int) -> Job:
    moment = now()
    data = {
        "jobId": new_id(),
        "type": "prospecting",
        "status": "queued",
        "createdAt": moment,
        "updatedAt": moment,
        "audienceId": audience.data["id"],
        "sourceType": kind,
        "counts": counted([]),
        "progress": 0.0,
        "startedAt": None,
        "finishedAt": None,
    }
    reserved = 0
    if group.credits is not None:
        reserved = price * len(rows)
        group.credits -= reserved
    job = Job(data, rows, price, reserved)
    group.jobs[data["jobId"]] = job
    audience.job_id = data["jobId"]
    return job


def started(group: Group, job: Job) -> Reply:
    """What a start is answered, at first and when it is repeated."""
    data = {name: job.data[name] for name in ("jobId", "status", "createdAt", "audienceId")}
    location = f"/v1/accounts/{group.id}/prospecting/{job.data['jobId']}"
    return Reply(data, 200 if job.is_terminal else 202, {"Location": location})


def _dry_run(group: Group, body: Json, rows: list[Row], price: int) -> Reply:
    if body["type"] in _LINKEDIN or len(rows) > 100_000:
        raise unprocessable(
            "DRY_RUN_UNAVAILABLE",
            "What this job would find can only be known by running it.",
            "Start the job without dryRun.",
        )
    rehearsal = copy.deepcopy(group)
    audience = (
        rehearsal.audiences[body["audienceId"]]
        if "audienceId" in body
        else rehearsal.new_audience(body["audienceName"], body["type"], None)
    )
    seen: set[str] = set()
    counts = counted([_handled(rehearsal, audience, row, seen) for row in rows])
    return Reply(
        {
            "dryRun": True,
            "audienceId": body.get("audienceId"),
            "counts": counts,
            "estimatedCredits": price * (counts["added"] + counts["updated"]),
        }
    )


def _handled(group: Group, audience: Audience, row: Row, seen: set[str]) -> Json:
    if row.refused is not None:
        reason, message = row.refused
        return {"outcome": "failed", "reason": reason, "message": message, "prospectId": None}
    return people.take(group, audience, row.person, seen)


def begin(job: Job) -> None:
    """The job is running from now on."""
    if job.data["status"] == "queued":
        job.data["status"] = "running"
        job.data["startedAt"] = job.data["updatedAt"] = now()


def finish(group: Group, job: Job) -> None:
    """Handle every row of a job and end it."""
    begin(job)
    audience = group.audiences[job.data["audienceId"]]
    seen: set[str] = set()
    for position, row in enumerate(job.rows, 1):
        handled = _handled(group, audience, row, seen)
        row.shown = {"position": position, "line": row.line, **handled}
    end(group, job, "completed")


def end(group: Group, job: Job, status: str, error: Json | None = None) -> None:
    """The job is over: its audience is ready, and what was reserved too much is given back."""
    counts = counted(job.handled)
    job.error = error
    job.data["counts"] = counts
    job.data["status"] = status
    job.data["finishedAt"] = job.data["updatedAt"] = now()
    if status == "completed":
        job.data["progress"] = 1.0
    audience = group.audiences.get(job.data["audienceId"])
    if audience is not None:
        audience.job_id = None
    if group.credits is not None:
        group.credits += job.reserved - job.price * (counts["added"] + counts["updated"])


def list_jobs(ask: Ask) -> Reply:
    found = [
        job.data
        for job in sorted(ask.group.jobs.values(), key=lambda j: j.data["jobId"], reverse=True)
        if ask.query.get("status") in (None, job.data["status"])
        and ask.query.get("audienceId") in (None, job.data["audienceId"])
    ]
    return Reply(ask.page(found, lambda row: str(row["jobId"])))


def get_job(ask: Ask) -> Reply:
    """A job that is looked at goes on, unless the mock was told to hold its jobs."""
    job = ask.group.job(ask.ids[0])
    if not ask.mock.hold_jobs and not job.is_terminal:
        if "wait" in ask.query or job.data["status"] == "running":
            finish(ask.group, job)
        else:
            begin(job)
    status, progress = job.data["status"], job.data["progress"]
    enrichment = {"status": "queued", "progress": 0.0}
    if job.is_terminal:
        enrichment = {"status": status, "progress": 1.0 if status == "completed" else 0.0}
    data = {
        **job.data,
        "stages": {"import": {"status": status, "progress": progress}, "enrichment": enrichment},
        "error": job.error,
    }
    return Reply(data, headers={} if job.is_terminal else {"Retry-After": "1"})


def cancel_job(ask: Ask) -> Reply:
    job = ask.group.job(ask.ids[0])
    if job.is_terminal:
        refused = invalid(status=422)
        refused.error["message"] = "The job is over already."
        refused.error["details"] = "Only a queued or running job can be cancelled."
        refused.error["context"] = {"jobStatus": job.data["status"]}
        raise refused
    end(ask.group, job, "cancelled")
    return Reply({"jobId": job.data["jobId"], "status": "cancelled"})


def list_rows(ask: Ask) -> Reply:
    job = ask.group.job(ask.ids[0])
    wanted = ask.query.get("outcome")
    rows = [row for row in job.handled if wanted in (None, row["outcome"])]
    if "text/csv" not in ask.headers.get("accept", ""):
        return Reply(ask.page(rows, lambda row: f"{row['position']:012d}"))
    if issues := [
        (f"query.{name}", "unknown_parameter", "CSV is not paged.")
        for name in PAGED
        if name in ask.query
    ]:
        raise invalid(*issues)
    columns = ("position", "line", "outcome", "reason", "message", "prospectId")
    body = csv_bytes([columns, *([row[column] for column in columns] for row in rows)])
    return Reply(headers={"Content-Type": "text/csv; charset=utf-8"}, body=body)


def get_quota(ask: Ask) -> Reply:
    """Never limited in the mock."""
    list_type = ask.query.get("listType", "LINKEDIN_CLASSIC")
    quota_type, kind = _QUOTAS[list_type]
    jobs = [job for job in ask.group.jobs.values() if job.data["sourceType"] == kind]
    used = sum(job.data["counts"]["added"] + job.data["counts"]["updated"] for job in jobs)
    data = {"listType": list_type, "quotaType": quota_type, "used": used}
    return Reply({**data, "limit": None, "remaining": None, "resetAt": None, "exhausted": False})


def _offered(ask: Ask) -> Reply:
    kind = ask.operation.template.rpartition("/")[2]
    if kind not in ask.group.navigator:
        raise not_configured()
    return Reply({"items": ask.group.navigator[kind]})


_COMMON: Final = {
    "type": Member(str, required=True),
    "audienceId": Member(rules.an_id),
    "audienceName": Member(rules.name),
    "audienceDescription": Member(rules.description),
    "folderId": Member(rules.an_id),
    "maxResults": Member(rules.integer(1, 2**31 - 1)),
    "searchEmails": Member(rules.boolean),
    "dryRun": Member(rules.boolean),
}
_TEXTS: Final = Member(rules.list_of(rules.one_line(255), 50))
_OWN: Final = {
    "linkedin_search": {"searchUrl": Member(rules.linkedin_url("/search/"), required=True)},
    "sales_navigator": {
        "savedSearchId": Member(rules.one_line(128)),
        "leadListId": Member(rules.one_line(128)),
    },
    "post_commenters": {
        "postUrl": Member(rules.linkedin_url("/posts/", "/feed/update/"), required=True)
    },
    "url_upload": {
        "profileUrls": Member(rules.list_of(rules.linkedin_url("/in/"), 1_000), required=True)
    },
    "file_import": {
        "fileId": Member(rules.an_id, required=True),
        "mapping": Member(rules.mapping),
    },
    "directory_search": {
        "query": Member(rules.one_line(500), required=True),
        "filters": Member(
            rules.object_of(
                dict.fromkeys(("titles", "companies", "locations", "industries"), _TEXTS)
            )
        ),
    },
}


def _start_members(sent: Json) -> dict[str, Member]:
    kind = sent.get("type")
    if not isinstance(kind, str) or kind not in _OWN:
        code = "required" if kind is None else "invalid_choice"
        raise invalid(("type", code, "type must name a kind of job."))
    return {**_COMMON, **_OWN[kind]}


def _check_start(body: Json) -> None:
    pairs = [("audienceId", "audienceName")]
    if body["type"] == "sales_navigator":
        pairs.append(("savedSearchId", "leadListId"))
    issues: list[Any] = [
        (first, "exactly_one", f"Send exactly one of {first} and {second}.")
        for first, second in pairs
        if (first in body) == (second in body)
    ]
    if "audienceId" in body:
        issues += [
            (name, "not_settable", f"{name} goes with audienceName only.")
            for name in ("audienceDescription", "folderId")
            if name in body
        ]
    if issues:
        raise invalid(*issues)


_ALL: Final = f"{AG}/prospecting"
_ONE: Final = f"{_ALL}/{{jobId}}"
_READ, _WRITE = "prospecting:read", "prospecting:write"

OPERATIONS: Final = (
    Operation(
        "POST", f"{AG}/files", upload_file, _WRITE, takes_file=True,
        query={
            "format": rules.one_of("csv", "ndjson", "parquet", "xlsx"),
            "filename": rules.one_line(255),
        },
    ),
    Operation("POST", _ALL, start, _WRITE, body=_start_members, check=_check_start),
    Operation(
        "GET", _ALL, list_jobs, _READ,
        query={**PAGED, "status": rules.one_of(*STATUSES), "audienceId": rules.an_id},
    ),
    Operation(
        "GET", f"{_ALL}/quota", get_quota, _READ, query={"listType": rules.one_of(*_QUOTAS)}
    ),
    Operation("GET", _ONE, get_job, _READ, query={"wait": rules.digits(1, 30)}),
    Operation("POST", f"{_ONE}/cancel", cancel_job, _WRITE),
    Operation(
        "GET", f"{_ONE}/rows", list_rows, _READ,
        query={**PAGED, "outcome": rules.one_of(*OUTCOMES)},
    ),
    Operation("GET", f"{AG}/sales-navigator/saved-searches", _offered, _READ),
    Operation("GET", f"{AG}/sales-navigator/lead-lists", _offered, _READ),
)  # fmt: skip
