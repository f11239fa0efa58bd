"""What tools answer: as few members as a model needs, and never a thousand rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from longlist_client import Audience, Filling, Job, JobRow, Prospect


def _time(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _known(**members: Any) -> dict[str, Any]:
    """The members that are known: an absent one means unknown and costs nothing to read."""
    return {name: value for name, value in members.items() if value is not None}


def audience(found: Audience, filling: Filling | None = None) -> dict[str, Any]:
    """An audience, and the job that fills it, if one does."""
    return _known(
        audienceId=found.id,
        name=found.name,
        type=found.type,
        description=found.description,
        folderId=found.folder_id,
        prospectCount=found.prospect_count,
        createdAt=_time(found.created_at),
        filledBy=None
        if filling is None
        else {
            "jobId": filling.job_id,
            "status": filling.job_status,
            "progress": filling.progress,
        },
    )


def person(found: Prospect) -> dict[str, Any]:
    """A person on one line of a list."""
    return _known(
        prospectId=found.id,
        name=found.name,
        email=found.email,
        title=found.title,
        company=found.company.name,
        location=found.location,
        linkedinUrl=found.linkedin_url,
    )


def whole_person(found: Prospect) -> dict[str, Any]:
    """Everything that is known of a person."""
    return {
        **person(found),
        **_known(
            firstName=found.first_name,
            lastName=found.last_name,
            headline=found.headline,
            about=found.about,
            phone=found.phone,
            publicIdentifier=found.public_identifier,
            providerId=found.provider_id,
            companyDomain=found.company.domain,
            companyIndustry=found.company.industry,
            companySize=found.company.size,
            companyWebsite=found.company.website,
            companyLinkedinUrl=found.company.linkedin_url,
            createdAt=_time(found.created_at),
            updatedAt=_time(found.updated_at),
        ),
    }


def job(found: Job) -> dict[str, Any]:
    """A job: how far it is, and what became of its rows."""
    counts = found.counts
    return _known(
        jobId=found.job_id,
        status=found.status,
        progress=found.progress,
        audienceId=found.audience_id,
        source=found.source_type,
        counts={
            "received": counts.received,
            "added": counts.added,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "skipped": counts.skipped,
            "failed": counts.failed,
        },
        error=None
        if found.error is None
        else {"code": found.error.code, "message": found.error.message},
        startedAt=_time(found.started_at),
        finishedAt=_time(found.finished_at),
    )


def row(found: JobRow) -> dict[str, Any]:
    """What became of a row."""
    return _known(
        position=found.position, line=found.line, reason=found.reason, message=found.message
    )
