"""Every table, index and constraint.

`account_group_id` leads every key and index of what belongs to a group, so that tables can be
partitioned by it and a group can be moved. Ids are 12 bytes that sort by time, instants are
milliseconds, booleans 0 or 1, sets of words are text with spaces. No table refers to
`account_groups` by a foreign key but that of the keys: each check would lock the group's one row,
which credits and folders update, and the gate lets nobody name a group that is not there.
Statements are written as text in the stores; this module is what the migrations and the schema
check follow.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, LargeBinary(12), nullable=null)


def _int(name: str, default: int | None = None, *, null: bool = False) -> Column[Any]:
    server_default = None if default is None else text(str(default))
    return Column(name, BigInteger, nullable=null, server_default=server_default)


def _text(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=null)


def _bytes(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, LargeBinary, nullable=null)


PARTITIONED: Final = (
    "prospects",
    "prospect_keys",
    "memberships",
    "job_rows",
    "directory_people",
    "directory_words",
)
"""What has a row or more for each person. On PostgreSQL these tables are hash partitions by account
group, so that every statement on them names its group."""
PARTITIONS: Final = 16
"""Of each, named `prospects_00` to `prospects_15`; made by migration 0007."""


def _table(name: str, *parts: Any, clustered: bool = False) -> Table:
    """`clustered`: rows are kept in the order of the primary key on SQLite."""
    by = "HASH (account_group_id)" if name in PARTITIONED else None
    return Table(
        name, METADATA, *parts, sqlite_with_rowid=not clustered, postgresql_partition_by=by
    )


_COUNTS: Final = ("received", "added", "updated", "unchanged", "skipped", "failed")

installation = _table(
    "installation",
    Column("name", Text, primary_key=True),
    _text("value"),
)

account_groups = _table(
    "account_groups",
    Column("id", LargeBinary(12), primary_key=True),
    _text("name"),
    _int("unique_audience_names", 0),
    _int("max_results_cap"),
    _int("file_rows_cap"),
    _int("credits", null=True),
    _int("credits_reserved", 0),
    _int("next_folder_position", 0),
    _int("created_at"),
)

# One row in each of the two databases while a group goes from one to the other; `other` names the
# other one. `parcel` holds the rows that make a group reachable, from when the one has let go of
# them until the other has them.
account_group_moves = _table(
    "account_group_moves",
    _id("account_group_id"),
    _id("id"),
    _text("state"),
    _text("other"),
    _bytes("parcel", null=True),
    _int("event_shift", 0),
    _int("generation_shift", 0),
    _int("created_at"),
    PrimaryKeyConstraint("account_group_id"),
)

api_keys = _table(
    "api_keys",
    Column("id", LargeBinary(12), primary_key=True),
    Column("hash", LargeBinary(32), nullable=False),
    _text("prefix"),
    _text("name"),
    _text("permissions"),
    _int("rate_limit_per_minute", null=True),
    _int("rate_limit_burst", null=True),
    _int("created_at"),
    _int("expires_at", null=True),
    _int("last_used_at", null=True),
    _int("revoked_at", null=True),
    UniqueConstraint("hash"),
)

api_key_groups = _table(
    "api_key_groups",
    Column("api_key_id", LargeBinary(12), ForeignKey("api_keys.id"), nullable=False),
    Column("account_group_id", LargeBinary(12), ForeignKey("account_groups.id"), nullable=False),
    PrimaryKeyConstraint("api_key_id", "account_group_id"),
    Index(None, "account_group_id"),
    clustered=True,
)

rate_buckets = _table(
    "rate_buckets",
    Column("api_key_id", LargeBinary(12), primary_key=True),
    _int("full_at_us"),
)

folders = _table(
    "folders",
    _id("account_group_id"),
    _id("id"),
    _text("name"),
    _text("audience_type"),
    _int("is_pinned", 0),
    _int("position"),
    _int("version", 1),
    _int("created_at"),
    _int("updated_at"),
    PrimaryKeyConstraint("account_group_id", "id"),
    UniqueConstraint("account_group_id", "position"),
)

audiences = _table(
    "audiences",
    _id("account_group_id"),
    _id("id"),
    _text("name"),
    _text("name_folded"),
    _text("unique_name", null=True),
    _text("type"),
    _text("description", null=True),
    _id("folder_id", null=True),
    _int("prospect_count", 0),
    _int("version", 1),
    _id("active_job_id", null=True),
    _int("created_at"),
    PrimaryKeyConstraint("account_group_id", "id"),
    ForeignKeyConstraint(
        ["account_group_id", "folder_id"], ["folders.account_group_id", "folders.id"]
    ),
    Index(None, "account_group_id", "folder_id", "id"),
    Index("uq_audiences_unique_name", "account_group_id", "unique_name", unique=True),
)

prospects = _table(
    "prospects",
    _id("account_group_id"),
    _id("id"),
    _text("first_name", null=True),
    _text("last_name", null=True),
    _text("name", null=True),
    _text("headline", null=True),
    _text("about", null=True),
    _text("photo_url", null=True),
    _text("linkedin_url", null=True),
    _text("public_identifier", null=True),
    _text("provider_id", null=True),
    _text("title", null=True),
    _text("location", null=True),
    _text("email", null=True),
    _text("phone", null=True),
    _text("company_name", null=True),
    _text("company_linkedin_identifier", null=True),
    _text("company_linkedin_url", null=True),
    _text("company_industry", null=True),
    _text("company_website", null=True),
    _text("company_domain", null=True),
    _text("company_size", null=True),
    _int("version", 1),
    _int("created_at"),
    _int("updated_at"),
    PrimaryKeyConstraint("account_group_id", "id"),
    clustered=True,
)

prospect_keys = _table(
    "prospect_keys",
    _id("account_group_id"),
    Column("key", LargeBinary(16), nullable=False),
    _id("prospect_id"),
    PrimaryKeyConstraint("account_group_id", "key", "prospect_id"),
    clustered=True,
)

memberships = _table(
    "memberships",
    _id("account_group_id"),
    _id("audience_id"),
    _id("prospect_id"),
    _id("touched_by", null=True),
    PrimaryKeyConstraint("account_group_id", "audience_id", "prospect_id"),
    ForeignKeyConstraint(
        ["account_group_id", "audience_id"], ["audiences.account_group_id", "audiences.id"]
    ),
    Index(None, "account_group_id", "prospect_id"),
    clustered=True,
)

# How many members an audience had at the last change of each hour. A null count says that what the
# audience had until the next row is not known: it is older than this table.
audience_sizes = _table(
    "audience_sizes",
    _id("account_group_id"),
    _id("audience_id"),
    _int("hour"),
    _int("counted_at"),
    _int("prospect_count", null=True),
    PrimaryKeyConstraint("account_group_id", "audience_id", "hour"),
    ForeignKeyConstraint(
        ["account_group_id", "audience_id"], ["audiences.account_group_id", "audiences.id"]
    ),
    clustered=True,
)

suppressions = _table(
    "suppressions",
    _id("account_group_id"),
    _id("id"),
    _text("kind"),
    Column("key", LargeBinary(16), nullable=False),
    _text("reason"),
    _text("note", null=True),
    _int("created_at"),
    PrimaryKeyConstraint("account_group_id", "id"),
    UniqueConstraint("account_group_id", "key"),
)

files = _table(
    "files",
    _id("account_group_id"),
    _id("id"),
    _text("stored_as"),
    _text("inspection"),
    _text("mapping"),
    _int("created_at"),
    _int("expires_at"),
    PrimaryKeyConstraint("account_group_id", "id"),
    Index(None, "expires_at"),
)

prospecting_jobs = _table(
    "prospecting_jobs",
    _id("account_group_id"),
    _id("id"),
    _id("audience_id"),
    _text("source_kind"),
    _text("source"),
    _id("file_id", null=True),
    _text("status"),
    _text("cursor", null=True),
    *[_int(name, 0) for name in _COUNTS],
    Column("progress", Integer, nullable=False, server_default=text("0")),
    _int("expected_rows", 0),
    _int("credits_reserved", 0),
    _int("credits_charged", 0),
    _int("token", 0),
    _text("worker_id", null=True),
    _int("rescues", 0),
    _int("enqueued", 0),
    _text("error_code", null=True),
    _text("error_message", null=True),
    _int("created_at"),
    _int("updated_at"),
    _int("started_at", null=True),
    _int("finished_at", null=True),
    PrimaryKeyConstraint("account_group_id", "id"),
    Index(None, "account_group_id", "audience_id", "id"),
    Index(
        "ix_prospecting_jobs_live",
        "status",
        "id",
        sqlite_where=text("status IN ('queued', 'running')"),
        postgresql_where=text("status IN ('queued', 'running')"),
    ),
)

job_rows = _table(
    "job_rows",
    _id("account_group_id"),
    _id("job_id"),
    _int("position"),
    _int("line", null=True),
    _text("outcome"),
    _text("reason", null=True),
    _text("message", null=True),
    _id("prospect_id", null=True),
    PrimaryKeyConstraint("account_group_id", "job_id", "position"),
    clustered=True,
)

prospecting_quotas = _table(
    "prospecting_quotas",
    _id("account_group_id"),
    _text("source_kind"),
    _int("daily_limit", null=True),
    _int("day"),
    _int("used", 0),
    PrimaryKeyConstraint("account_group_id", "source_kind"),
    clustered=True,
)

sources = _table(
    "sources",
    _id("account_group_id"),
    _id("id"),
    _text("name"),
    _text("provider"),
    _text("settings"),
    _bytes("token", null=True),
    _int("created_at"),
    _int("updated_at"),
    PrimaryKeyConstraint("account_group_id", "id"),
    UniqueConstraint("account_group_id", "name"),
)

monitors = _table(
    "monitors",
    _id("account_group_id"),
    _id("audience_id"),
    _text("source"),
    _int("interval_minutes"),
    _int("enabled", 1),
    _int("next_run_at", null=True),
    _id("last_job_id", null=True),
    _int("version", 1),
    _int("created_at"),
    _int("updated_at"),
    PrimaryKeyConstraint("account_group_id", "audience_id"),
    ForeignKeyConstraint(
        ["account_group_id", "audience_id"], ["audiences.account_group_id", "audiences.id"]
    ),
    Index(None, "next_run_at"),
    clustered=True,
)

# The words of these people are in `directory_words`, an index of the engine's own kind (migration
# 0004): a virtual table of SQLite, a table with a tsvector on PostgreSQL.
directory_people = _table(
    "directory_people",
    _id("account_group_id"),
    _int("number"),
    _text("person"),
    PrimaryKeyConstraint("account_group_id", "number"),
    clustered=True,
)

directory_generations = _table(
    "directory_generations",
    _id("account_group_id"),
    _id("source_id"),
    _int("number"),
    _text("state"),
    _int("people", 0),
    _int("created_at"),
    PrimaryKeyConstraint("account_group_id", "source_id", "number"),
    Index(
        "uq_directory_generations_live",
        "account_group_id",
        "source_id",
        unique=True,
        sqlite_where=text("state = 'live'"),
        postgresql_where=text("state = 'live'"),
    ),
    Index(None, "number"),
)

admin_users = _table(
    "admin_users",
    Column("id", LargeBinary(12), primary_key=True),
    _text("name"),
    _text("name_folded"),
    _text("password"),
    _int("created_at"),
    _int("signed_in_at", null=True),
    UniqueConstraint("name_folded"),
)

admin_sessions = _table(
    "admin_sessions",
    Column("hash", LargeBinary(32), primary_key=True),
    Column("user_id", LargeBinary(12), ForeignKey("admin_users.id"), nullable=False),
    _int("created_at"),
    _int("seen_at"),
    Index(None, "user_id"),
)

admin_links = _table(
    "admin_links",
    Column("hash", LargeBinary(32), primary_key=True),
    Column("user_id", LargeBinary(12), ForeignKey("admin_users.id"), nullable=True),
    _int("created_at"),
)

admin_attempts = _table(
    "admin_attempts",
    Column("subject", LargeBinary(32), primary_key=True),
    _int("count"),
    _int("since"),
)

# What operators did to the installation as a whole, where no account group's events tell of it.
admin_acts = _table(
    "admin_acts",
    Column("id", LargeBinary(12), primary_key=True),
    _text("actor"),
    _text("act"),
    _text("about", null=True),
)

workers = _table(
    "workers",
    Column("id", Text, primary_key=True),
    _int("started_at"),
    _int("beat_at"),
)

idempotency_keys = _table(
    "idempotency_keys",
    _id("account_group_id"),
    _text("key"),
    Column("request", LargeBinary(32), nullable=False),
    _int("status"),
    _text("data"),
    _text("headers"),
    _id("resource_id", null=True),
    _int("created_at"),
    PrimaryKeyConstraint("account_group_id", "key"),
    Index(None, "created_at"),
)

events = _table(
    "events",
    Column(
        "sequence",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    _id("account_group_id"),
    _id("id"),
    _text("type"),
    _int("created_at"),
    _id("resource_id"),
    _text("data"),
    Index(None, "account_group_id", "sequence"),
    Index(None, "created_at"),
)

# Which operator an event is owed to; events without one are those of keys, jobs and the clock.
event_actors = _table(
    "event_actors",
    _id("account_group_id"),
    _id("event_id"),
    _text("actor"),
    PrimaryKeyConstraint("account_group_id", "event_id"),
    Index(None, "event_id"),
    clustered=True,
)
