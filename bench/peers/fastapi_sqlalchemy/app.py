"""The audience work of Longlist on FastAPI and SQLAlchemy's async ORM, written as its users would.

One session a request, dependencies for key and permission, pydantic models in and out, an ORM
UPDATE ... RETURNING as the guarded write and an event row in the same transaction.
"""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from database import get_session
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from models import ApiKey, Audience, Event, now
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic.alias_generators import to_camel
from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")
Session = Annotated[AsyncSession, Depends(get_session)]
bearer = HTTPBearer(auto_error=False)
app = FastAPI(title="Audiences on FastAPI")


class ApiModel(BaseModel):
    """Base of every body: camelCase outside, snake_case inside, no unknown member."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, extra="forbid"
    )


class AudienceOut(ApiModel):
    """The audience a caller sees."""

    id: str
    name: str
    type: str
    description: str | None
    folder_id: str | None
    prospect_count: int
    created_at: datetime


class AudienceUpdate(ApiModel):
    """Body of PATCH: a member left out keeps what is stored."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)] = (
        ""
    )
    description: Annotated[str, Field(max_length=2000)] | None = None

    @field_validator("name", "description", mode="after")
    @classmethod
    def normalised(cls, value: str | None) -> str | None:
        """NFC, and no control character but newline and tab."""
        if value is None:
            return None
        value = unicodedata.normalize("NFC", value)
        if any(ord(char) < 32 and char not in "\n\t" for char in value):
            raise ValueError("control characters are not allowed")
        return value


class Page(ApiModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None
    has_more: bool


class Envelope(ApiModel, Generic[T]):
    """What every success answers."""

    success: bool = True
    data: T
    error: None = None
    trace_id: str


async def new_trace_id(request: Request, response: Response) -> str:
    """A fresh id that ties the answer to its log line, sent as a header too."""
    request.state.trace_id = trace_id = uuid.uuid4().hex
    response.headers["X-Trace-Id"] = trace_id
    return trace_id


TraceId = Annotated[str, Depends(new_trace_id)]


@app.exception_handler(HTTPException)
async def answer_error(request: Request, error: HTTPException) -> JSONResponse:
    """The envelope of a refusal."""
    body = {
        "success": False,
        "data": None,
        "error": {"code": error.detail},
        "traceId": getattr(request.state, "trace_id", uuid.uuid4().hex),
    }
    return JSONResponse(body, status_code=error.status_code)


def require(permission: str) -> Callable[..., Awaitable[ApiKey]]:
    """A dependency that lets in keys with `permission` in the group of the path."""

    async def check(
        account_group_id: str,
        session: Session,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> ApiKey:
        if credentials is None:
            raise HTTPException(401, "UNAUTHORIZED")
        key_hash = hashlib.sha256(credentials.credentials.encode()).hexdigest()
        key = await session.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash))
        if key is None or key.revoked_at is not None:
            raise HTTPException(401, "UNAUTHORIZED")
        if key.expires_at is not None and key.expires_at <= now():
            raise HTTPException(401, "UNAUTHORIZED")
        if permission not in key.permissions or account_group_id not in key.account_group_ids:
            raise HTTPException(403, "FORBIDDEN")
        return key

    return check


@app.patch("/v1/accounts/{account_group_id}/audiences/{audience_id}")
async def update_audience(
    account_group_id: str,
    audience_id: Annotated[str, Path(pattern="^[0-9a-f]{24}$")],
    body: AudienceUpdate,
    response: Response,
    trace_id: TraceId,
    session: Session,
    _key: Annotated[ApiKey, Depends(require("audiences:write"))],
) -> Envelope[AudienceOut]:
    """Change name, description or both, unless a job is filling the audience."""
    changes: dict[str, Any] = body.model_dump(exclude_unset=True)
    if not changes:
        raise HTTPException(400, "VALIDATION_ERROR")
    audience = await session.scalar(
        update(Audience)
        .where(
            Audience.id == audience_id,
            Audience.account_group_id == account_group_id,
            Audience.active_job_id.is_(None),
        )
        .values(**changes, version=Audience.version + 1, updated_at=now())
        .returning(Audience)
    )
    if audience is None:
        known = await session.scalar(
            select(Audience.id).where(
                Audience.id == audience_id, Audience.account_group_id == account_group_id
            )
        )
        raise HTTPException(404 if known is None else 409)
    data = AudienceOut.model_validate(audience)
    session.add(
        Event(
            account_group_id=account_group_id,
            type="audience.updated",
            resource_id=audience_id,
            data=data.model_dump(mode="json", by_alias=True),
        )
    )
    await session.commit()
    response.headers["ETag"] = f'"{audience.id}-{audience.version}"'
    return Envelope[AudienceOut](data=data, trace_id=trace_id)


@app.get("/v1/accounts/{account_group_id}/audiences")
async def list_audiences(
    account_group_id: str,
    trace_id: TraceId,
    session: Session,
    _key: Annotated[ApiKey, Depends(require("audiences:read"))],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> Envelope[Page[AudienceOut]]:
    """One page, newest first, by keyset."""
    statement = (
        select(Audience)
        .where(Audience.account_group_id == account_group_id, Audience.active_job_id.is_(None))
        .order_by(Audience.created_at.desc(), Audience.id.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        stamp, _, last_id = cursor.partition("_")
        created_at = datetime.fromtimestamp(float(stamp), UTC)
        statement = statement.where(
            tuple_(Audience.created_at, Audience.id) < tuple_(created_at, last_id)
        )
    rows = list(await session.scalars(statement))
    has_more = len(rows) > limit
    rows = rows[:limit]
    page = Page[AudienceOut](
        items=[AudienceOut.model_validate(row) for row in rows],
        next_cursor=f"{rows[-1].created_at.timestamp()}_{rows[-1].id}" if has_more else None,
        has_more=has_more,
    )
    return Envelope[Page[AudienceOut]](data=page, trace_id=trace_id)
