"""The audience work of Longlist on Django Ninja, written as its users would."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from datetime import datetime
from typing import Annotated, Any

from audiences.models import ApiKey, Audience, Event
from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from ninja import NinjaAPI, Query, Schema
from ninja.errors import HttpError
from ninja.security import HttpBearer
from pydantic import AliasGenerator, ConfigDict, Field, StringConstraints, field_validator
from pydantic.alias_generators import to_camel


class ApiSchema(Schema):
    """camelCase in answers, snake_case inside.

    The alias is for writing alone: looked for in the model as well, it would double the time of a
    list.
    """

    model_config = ConfigDict(alias_generator=AliasGenerator(serialization_alias=to_camel))


class AudienceOut(ApiSchema):
    """The audience a caller sees."""

    id: str
    name: str
    type: str
    description: str | None
    folder_id: str | None
    prospect_count: int
    created_at: datetime


class AudienceUpdate(ApiSchema):
    """Body of PATCH: a member left out keeps what is stored."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)] = (
        ""
    )
    description: Annotated[str, Field(max_length=2000)] | None = None

    @field_validator("name", "description")
    @classmethod
    def normalised(cls, value: str | None) -> str | None:
        """NFC, and no control character but newline and tab."""
        if value is None:
            return None
        value = unicodedata.normalize("NFC", value)
        if any(ord(char) < 32 and char not in "\n\t" for char in value):
            raise ValueError("control characters are not allowed")
        return value


class AudiencePage(ApiSchema):
    """One page of the list."""

    items: list[AudienceOut]
    next_cursor: str | None
    has_more: bool


class Changed(ApiSchema):
    """Envelope of one audience."""

    success: bool = True
    data: AudienceOut
    error: None = None
    trace_id: str


class Listed(ApiSchema):
    """Envelope of a page."""

    success: bool = True
    data: AudiencePage
    error: None = None
    trace_id: str


class KeyBearer(HttpBearer):
    """`Authorization: Bearer <key>`, found by its SHA-256."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        """The stored key, or None for 401."""
        key = ApiKey.objects.filter(key_hash=hashlib.sha256(token.encode()).hexdigest()).first()
        if key is None or key.revoked_at is not None:
            return None
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return None
        return key


api = NinjaAPI(title="Audiences on Django Ninja", auth=KeyBearer(), docs_url=None)


@api.exception_handler(HttpError)
def answer_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """The envelope of a refusal."""
    body = {"success": False, "data": None, "error": {"code": str(error)}}
    return api.create_response(
        request, {**body, "traceId": request.trace_id}, status=error.status_code
    )


def check(request: HttpRequest, permission: str, group_id: str) -> None:
    """Let in keys with `permission` in the group of the path. Raises HttpError."""
    key: Any = request.auth
    if permission not in key.permissions or group_id not in key.account_group_ids:
        raise HttpError(403, "FORBIDDEN")


@api.patch("/accounts/{group_id}/audiences/{audience_id}", response=Changed, by_alias=True)
def update_audience(
    request: HttpRequest,
    response: HttpResponse,
    group_id: str,
    audience_id: str,
    body: AudienceUpdate,
) -> Any:
    """Change name, description or both, unless a job is filling the audience."""
    check(request, "audiences:write", group_id)
    changes = body.model_dump(exclude_unset=True)
    if not changes:
        raise HttpError(400, "VALIDATION_ERROR")
    with transaction.atomic():
        scoped = Audience.objects.filter(pk=audience_id, account_group_id=group_id)
        changed = scoped.filter(active_job_id__isnull=True).update(
            **changes, version=F("version") + 1, updated_at=timezone.now()
        )
        audience = scoped.first()
        if audience is None:
            raise HttpError(404, "NOT_FOUND")
        if not changed:
            raise HttpError(409, "CONFLICT")
        data = AudienceOut.model_validate(audience)
        Event.objects.create(
            account_group_id=group_id,
            type="audience.updated",
            resource_id=audience_id,
            data=data.model_dump(mode="json", by_alias=True),
        )
    response["ETag"] = f'"{audience.id}-{audience.version}"'
    return {"data": data, "trace_id": request.trace_id}


def _position(cursor: str) -> Q:
    """Rows after the one that the cursor names. Raises HttpError."""
    try:
        stamp, _, last_id = base64.urlsafe_b64decode(cursor).decode().partition("_")
        created_at = datetime.fromisoformat(stamp)
    except ValueError as error:
        raise HttpError(400, "VALIDATION_ERROR") from error
    return Q(created_at__lt=created_at) | Q(created_at=created_at, id__lt=last_id)


@api.get("/accounts/{group_id}/audiences", response=Listed, by_alias=True)
def list_audiences(
    request: HttpRequest,
    group_id: str,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> Any:
    """One page, newest first, by keyset."""
    check(request, "audiences:read", group_id)
    found = Audience.objects.filter(account_group_id=group_id, active_job_id__isnull=True)
    if cursor is not None:
        found = found.filter(_position(cursor))
    rows = list(found.order_by("-created_at", "-id")[: limit + 1])
    has_more = len(rows) > limit
    rows = rows[:limit]
    last = f"{rows[-1].created_at.isoformat()}_{rows[-1].id}" if has_more else ""
    page = {
        "items": rows,
        "next_cursor": base64.urlsafe_b64encode(last.encode()).decode() if last else None,
        "has_more": has_more,
    }
    return {"data": page, "trace_id": request.trace_id}


urlpatterns = [path("v1/", api.urls)]
