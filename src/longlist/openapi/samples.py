"""A realistic request and answer for each operation, built from the types it declares.

The people and companies are invented. An operation without a sample here has none in the document,
and a test names it.
"""

from __future__ import annotations

import http
from typing import Any, Final

import msgspec

from longlist.accounts.routes import (
    Account,
    AccountSettings,
    Credits,
    Me,
    MyAccountGroup,
    MyRate,
)
from longlist.audiences.folder_store import AudienceFolder
from longlist.audiences.routes import AudiencePage, Deleted, Navigation, NavigationFolder
from longlist.audiences.store import Audience, Filling
from longlist.health.routes import Health
from longlist.openapi.refusals import AUDIENCE_ID, JOB_ID
from longlist.pages import Page
from longlist.prospecting import mapping
from longlist.prospecting.dry_run import DryRun
from longlist.prospecting.file_routes import FileUpload
from longlist.prospecting.monitor_routes import Monitor
from longlist.prospecting.monitors import MonitoredLinkedinSearch
from longlist.prospecting.quota_store import Quota
from longlist.prospecting.routes import CancelledJob, JobDetails, Stage, Stages, StartedJob
from longlist.prospecting.source_routes import SalesNavigatorList, SalesNavigatorSource
from longlist.prospecting.store import ShownJob, ShownRow
from longlist.prospects import export
from longlist.prospects.intake import Counts
from longlist.prospects.lookup_routes import ProviderIdLookup, ProviderIdMatch
from longlist.prospects.routes import Added, AddedItem
from longlist.prospects.store import Company, Prospect
from longlist.prospects.suppression_store import Suppression

GROUP_ID: Final = "66a1f0c2d4e5f60718293a4b"
_FOLDER_ID: Final = "66a1f2a0d4e5f60718293a48"
_PROSPECT_ID: Final = "66a1f5c1d4e5f60718293a70"
_PROVIDER_ID: Final = "ACwAAAExample7Qk2uY"
_FILE_ID: Final = "66a1f6d0d4e5f60718293a80"
_SUPPRESSION_ID: Final = "66a1f7b4d4e5f60718293a90"
_SEARCH_URL: Final = "https://www.linkedin.com/search/results/people/?keywords=fintech%20cto"
_KEY_ID: Final = "66a1f0d3d4e5f60718293a4c"

PARAMETERS: Final = {
    "accountGroupId": GROUP_ID,
    "audienceId": AUDIENCE_ID,
    "folderId": _FOLDER_ID,
    "prospectId": _PROSPECT_ID,
    "providerId": _PROVIDER_ID,
    "jobId": JOB_ID,
    "suppressionId": _SUPPRESSION_ID,
}
"""Values of path parameters."""

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "createAudience": {"name": "Fintech CTOs", "type": "on_demand"},
    "updateAudience": {
        "name": "Fintech CTOs, Benelux",
        "description": "Series A and later",
    },
    "moveAudienceToFolder": {"folderId": _FOLDER_ID},
    "createFolder": {"name": "Trade fairs", "audienceType": "on_demand"},
    "updateFolder": {"name": "Trade fairs 2026"},
    "addProspects": {
        "prospects": [
            {
                "firstName": "Imke",
                "lastName": "Vandersteen",
                "email": "imke.vandersteen@orbitpay.example",
                "title": "Chief Technology Officer",
                "company": {"name": "Orbitpay", "domain": "orbitpay.example"},
            },
            {"prospectId": "66a1f5c1d4e5f60718293a71"},
        ]
    },
    "createSuppression": {
        "kind": "domain",
        "value": "orbitpay.example",
        "reason": "manual",
        "note": "Customer since 2024",
    },
    "startProspectingJob": {
        "type": "file_import",
        "fileId": _FILE_ID,
        "mapping": {"Email": "email", "Company": "company.name"},
        "audienceName": "Trade fair 2026",
        "maxResults": 20000,
    },
    "putMonitor": {
        "source": {"type": "linkedin_search", "searchUrl": _SEARCH_URL, "maxResults": 200},
        "intervalMinutes": 1440,
    },
}

_CSV: Final = "Email,Company\r\nimke.vandersteen@orbitpay.example,Orbitpay\r\n"
UPLOADS: Final = {
    "text/csv": _CSV,
    "application/x-ndjson": '{"Email":"imke.vandersteen@orbitpay.example","Company":"Orbitpay"}\n',
}
"""Files that can be shown as text."""

_COMPANY: Final = Company(
    name="Orbitpay",
    linkedin_identifier="orbitpay",
    linkedin_url="https://www.linkedin.com/company/orbitpay",
    industry="Financial services",
    website="https://orbitpay.example",
    domain="orbitpay.example",
    size="51-200",
)
_PROSPECT: Final = Prospect(
    id=_PROSPECT_ID,
    first_name="Imke",
    last_name="Vandersteen",
    name="Imke Vandersteen",
    headline="CTO at Orbitpay",
    about=None,
    photo_url=None,
    linkedin_url="https://www.linkedin.com/in/imke-vandersteen-example",
    public_identifier="imke-vandersteen-example",
    provider_id=None,
    title="Chief Technology Officer",
    location="Ghent, Belgium",
    email="imke.vandersteen@orbitpay.example",
    phone=None,
    company=_COMPANY,
    created_at="2026-03-04T05:14:25.120Z",
    updated_at="2026-03-04T05:14:25.120Z",
)
_MATCH: Final = ProviderIdMatch(
    prospect_id=_PROSPECT_ID,
    person_id=None,
    public_identifier=_PROSPECT.public_identifier,
    linkedin_url=_PROSPECT.linkedin_url,
    name=_PROSPECT.name,
    company_name=_COMPANY.name,
    title=_PROSPECT.title,
)
_CREATED: Final = Audience(
    id=AUDIENCE_ID,
    name="Fintech CTOs",
    type="on_demand",
    description=None,
    folder_id=None,
    prospect_count=0,
    created_at="2026-03-04T05:06:07.089Z",
)
_UPDATED: Final = msgspec.structs.replace(
    _CREATED,
    name="Fintech CTOs, Benelux",
    type="linkedin_search",
    description="Series A and later",
    prospect_count=25,
)
_IN_FOLDER: Final = msgspec.structs.replace(_UPDATED, folder_id=_FOLDER_ID)
_FOLDER: Final = AudienceFolder(
    id=_FOLDER_ID,
    name="Trade fairs",
    audience_type="on_demand",
    is_pinned=False,
    position=0,
    created_at="2026-03-04T05:01:20.512Z",
    updated_at="2026-03-04T05:01:20.512Z",
)
_SUPPRESSION: Final = Suppression(
    id=_SUPPRESSION_ID,
    kind="domain",
    reason="manual",
    note="Customer since 2024",
    created_at="2026-03-04T05:22:44.004Z",
)
_JOB: Final = ShownJob(
    job_id=JOB_ID,
    type="prospecting",
    status="running",
    created_at="2026-03-04T05:20:00.000Z",
    updated_at="2026-03-04T05:20:09.120Z",
    audience_id="66a1f6e1d4e5f60718293a82",
    source_type="file_import",
    counts=Counts(received=5000, added=4900, skipped=60, failed=40),
    progress=0.25,
    started_at="2026-03-04T05:20:00.300Z",
    finished_at=None,
)
_MONITOR: Final = Monitor(
    audience_id=AUDIENCE_ID,
    source=MonitoredLinkedinSearch(search_url=_SEARCH_URL, max_results=200),
    interval_minutes=1440,
    enabled=True,
    next_run_at="2026-03-05T05:20:00.000Z",
    last_job_id=JOB_ID,
    created_at="2026-03-04T05:19:58.310Z",
    updated_at="2026-03-04T05:19:58.310Z",
)
_FILE_COLUMNS: Final = ["Email", "Company"]
_FILE_ROWS: Final[list[dict[str, str | None]]] = [
    {"Email": "imke.vandersteen@orbitpay.example", "Company": "Orbitpay"}
]


def _accounts() -> dict[str, Any]:
    account = Account(GROUP_ID, "Default", "2026-03-04T05:00:00.000Z")
    group = MyAccountGroup(
        GROUP_ID,
        "Default",
        AccountSettings(unique_audience_names=False, max_results_cap=2000, file_rows_cap=5_000_000),
        Credits(unlimited=False, available=350, reserved=2000),
    )
    me = Me(
        key_id=_KEY_ID,
        name="CRM sync",
        key_prefix="llk_4Tq9vBx2",
        permissions=["audiences:read", "audiences:write", "prospects:read"],
        rate_limit=MyRate(per_minute=600, burst=100),
        created_at="2026-03-04T05:00:00.000Z",
        expires_at=None,
        last_used_at="2026-03-04T05:06:01.000Z",
        account_groups=[group],
    )
    return {"listAccounts": Page([account]), "getMe": me}


def _audiences() -> dict[str, Any]:
    filling = Filling(
        audience_id=AUDIENCE_ID,
        job_id=JOB_ID,
        job_status="running",
        progress=0.42,
        since="2026-03-04T05:10:00.000Z",
    )
    folder = NavigationFolder(**msgspec.structs.asdict(_FOLDER), audiences=[_IN_FOLDER])
    return {
        "listAudiences": AudiencePage([_UPDATED], filling=[filling]),
        "getAudienceNavigation": Navigation([folder], [_CREATED]),
        "createAudience": _CREATED,
        "updateAudience": _UPDATED,
        "getAudience": _UPDATED,
        "deleteAudience": Deleted(),
        "moveAudienceToFolder": _IN_FOLDER,
        "removeAudienceFromFolder": _UPDATED,
        "createFolder": _FOLDER,
        "updateFolder": msgspec.structs.replace(
            _FOLDER, name="Trade fairs 2026", updated_at="2026-03-04T05:31:08.250Z"
        ),
        "deleteFolder": Deleted(),
    }


def _prospects() -> dict[str, Any]:
    added = Added(
        audience_id=AUDIENCE_ID,
        prospect_count=26,
        counts=Counts(received=2, added=1, skipped=1),
        items=[
            AddedItem(1, "added", None, None, _PROSPECT_ID),
            AddedItem(2, "skipped", "SUPPRESSED", "This person is on the suppression list.", None),
        ],
    )
    return {
        "listAudienceProspects": Page([_PROSPECT]),
        "addProspects": added,
        "removeProspect": Deleted(),
        "getProspect": _PROSPECT,
        "eraseProspect": Deleted(),
        "findProspectsByProviderId": ProviderIdLookup(_PROVIDER_ID, "single", [_MATCH]),
        "listSuppressions": Page([_SUPPRESSION]),
        "createSuppression": _SUPPRESSION,
        "deleteSuppression": Deleted(),
    }


def _prospecting() -> dict[str, Any]:
    upload = FileUpload(
        file_id=_FILE_ID,
        format="csv",
        encoding="utf-8",
        delimiter=",",
        skipped_lines=0,
        size_bytes=len(_CSV),
        preview=_FILE_ROWS,
        columns=_FILE_COLUMNS,
        row_estimate=len(_FILE_ROWS),
        suggested_mapping=mapping.suggest(_FILE_COLUMNS, _FILE_ROWS),
        created_at="2026-03-04T05:19:12.640Z",
        expires_at="2026-03-05T05:19:12.640Z",
    )
    job = {name: getattr(_JOB, name) for name in _JOB.__struct_fields__}
    rows = [
        ShownRow(1, 2, "added", None, None, _PROSPECT_ID),
        ShownRow(2, 3, "failed", "INVALID_EMAIL", "email is not one valid e-mail address.", None),
    ]
    return {
        "uploadFile": upload,
        "startProspectingJob": StartedJob(
            JOB_ID, "queued", "2026-03-04T05:20:00.000Z", "66a1f6e1d4e5f60718293a82"
        ),
        "listProspectingJobs": Page([_JOB]),
        "getProspectingJob": JobDetails(
            **job, stages=Stages(Stage("running", 0.25), Stage("queued", 0.0)), error=None
        ),
        "cancelProspectingJob": CancelledJob(JOB_ID),
        "listProspectingJobRows": Page(rows),
        "getMonitor": _MONITOR,
        "putMonitor": msgspec.structs.replace(_MONITOR, last_job_id=None),
        "deleteMonitor": Deleted(),
        "getProspectingQuota": Quota(
            "LINKEDIN_CLASSIC",
            "linkedinClassicSearch",
            used=320,
            limit=1000,
            remaining=680,
            reset_at="2026-03-05T00:00:00.000Z",
            exhausted=False,
        ),
        "listSavedSearches": SalesNavigatorList(
            [SalesNavigatorSource("1963248801", "CTOs at payment companies, Benelux")]
        ),
        "listLeadLists": SalesNavigatorList(
            [SalesNavigatorSource("7046215568316014592", "Trade fair 2026")]
        ),
    }


ANSWERS: Final[dict[str, Any]] = {
    **_accounts(),
    **_audiences(),
    **_prospects(),
    **_prospecting(),
    "getHealth": Health(),
    "getReadiness": Health(),
}
"""The `data` of each operation that has any."""

ALSO_ANSWERS: Final[dict[str, Any]] = {
    "ProspectingDryRun": DryRun(
        dry_run=True,
        audience_id=None,
        counts=Counts(received=5000, added=4900, skipped=60, failed=40),
        estimated_credits=4900,
    )
}
"""The `data` of further answers, by the names of their schemas."""


def answer(operation_id: str, answer_name: str, status: int) -> Any:
    """What the operation answers, as JSON has it; None for one without a sample.

    `answer_name` picks among the answers of an operation that has several.
    """
    found = ALSO_ANSWERS.get(answer_name) or ANSWERS.get(operation_id)
    if isinstance(found, StartedJob) and status == http.HTTPStatus.OK:
        found = msgspec.structs.replace(found, status="completed")
    return None if found is None else msgspec.to_builtins(found)


def stream(operation_id: str, media_type: str) -> str | None:
    """The beginning of what the operation streams in a media type; None without a sample."""
    if operation_id == "listProspectingJobRows":
        row = ("position", "line", "outcome", "reason", "message", "prospectId")
        return export.csv_lines([row, (1, 2, "added", None, None, _PROSPECT_ID)]).decode()
    if operation_id != "exportAudience":
        return None
    if media_type == "application/x-ndjson":
        return msgspec.json.encode(_PROSPECT).decode() + "\n"
    person = msgspec.structs.astuple(_PROSPECT)
    company = msgspec.structs.astuple(_COMPANY)
    return export.csv_lines([export.COLUMNS, (*person[:14], *company, *person[15:])]).decode()
