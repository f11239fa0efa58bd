"""Tables of the FastAPI peer as SQLAlchemy ORM classes: the schema of Longlist's audience work."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def new_id() -> str:
    """A 24-character, time-ordered id: 8 hex characters of seconds, 16 of chance."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def now() -> datetime:
    """The present moment, aware and in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Root of the declarative classes."""


class AccountGroup(Base):
    """One client of the installation."""

    __tablename__ = "account_groups"

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(255))
    unique_audience_names: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class ApiKey(Base):
    """A key, found by the SHA-256 of its text."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    permissions: Mapped[list[str]] = mapped_column(JSON)
    account_group_ids: Mapped[list[str]] = mapped_column(JSON)
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class Audience(Base):
    """A named list of prospects; `active_job_id` is set while a job fills it."""

    __tablename__ = "audiences"
    __table_args__ = (Index("ix_audiences_newest", "account_group_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    account_group_id: Mapped[str] = mapped_column(ForeignKey("account_groups.id"))
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(32))
    description: Mapped[str | None] = mapped_column(Text)
    folder_id: Mapped[str | None] = mapped_column(String(24))
    prospect_count: Mapped[int] = mapped_column(default=0)
    active_job_id: Mapped[str | None] = mapped_column(String(24))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class Event(Base):
    """One line of the change feed, written in the transaction of its change."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_group", "account_group_id", "sequence"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(24), default=new_id)
    account_group_id: Mapped[str] = mapped_column(ForeignKey("account_groups.id"))
    type: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str] = mapped_column(String(24))
    data: Mapped[dict[str, object]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
