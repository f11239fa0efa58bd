"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_groups",
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "unique_audience_names", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("max_results_cap", sa.BigInteger(), nullable=False),
        sa.Column("file_rows_cap", sa.BigInteger(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=True),
        sa.Column("credits_reserved", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_folder_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_groups")),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("rate_limit_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("rate_limit_burst", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_keys_hash")),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "events",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("resource_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_events")),
        sqlite_with_rowid=True,
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_events_account_group_id_sequence"),
            ["account_group_id", "sequence"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_events_created_at"), ["created_at"], unique=False)

    op.create_table(
        "idempotency_keys",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.LargeBinary(length=12), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "key", name=op.f("pk_idempotency_keys")),
        sqlite_with_rowid=True,
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_idempotency_keys_created_at"), ["created_at"], unique=False
        )

    op.create_table(
        "installation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_installation")),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "job_rows",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("job_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("prospect_id", sa.LargeBinary(length=12), nullable=True),
        sa.PrimaryKeyConstraint("account_group_id", "job_id", "position", name=op.f("pk_job_rows")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "prospect_keys",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("prospect_id", sa.LargeBinary(length=12), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_group_id", "key", "prospect_id", name=op.f("pk_prospect_keys")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rate_buckets",
        sa.Column("api_key_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("full_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("api_key_id", name=op.f("pk_rate_buckets")),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "api_key_groups",
        sa.Column("api_key_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_group_id"],
            ["account_groups.id"],
            name=op.f("fk_api_key_groups_account_groups"),
        ),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_keys.id"], name=op.f("fk_api_key_groups_api_keys")
        ),
        sa.PrimaryKeyConstraint("api_key_id", "account_group_id", name=op.f("pk_api_key_groups")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("api_key_groups", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_api_key_groups_account_group_id"), ["account_group_id"], unique=False
        )

    op.create_table(
        "files",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("stored_as", sa.Text(), nullable=False),
        sa.Column("inspection", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "id", name=op.f("pk_files")),
        sqlite_with_rowid=True,
    )
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_files_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "folders",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("audience_type", sa.Text(), nullable=False),
        sa.Column("is_pinned", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "id", name=op.f("pk_folders")),
        sa.UniqueConstraint(
            "account_group_id", "position", name=op.f("uq_folders_account_group_id_position")
        ),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "prospecting_jobs",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("audience_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("file_id", sa.LargeBinary(length=12), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("received", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("added", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("progress", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("expected_rows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_reserved", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_charged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("token", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("rescues", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("enqueued", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account_group_id", "id", name=op.f("pk_prospecting_jobs")),
        sqlite_with_rowid=True,
    )
    with op.batch_alter_table("prospecting_jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_prospecting_jobs_account_group_id_audience_id_id"),
            ["account_group_id", "audience_id", "id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_prospecting_jobs_live",
            ["status", "id"],
            unique=False,
            sqlite_where=sa.text("status IN ('queued', 'running')"),
            postgresql_where=sa.text("status IN ('queued', 'running')"),
        )

    op.create_table(
        "prospects",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("headline", sa.Text(), nullable=True),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("photo_url", sa.Text(), nullable=True),
        sa.Column("linkedin_url", sa.Text(), nullable=True),
        sa.Column("public_identifier", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("company_name", sa.Text(), nullable=True),
        sa.Column("company_linkedin_identifier", sa.Text(), nullable=True),
        sa.Column("company_linkedin_url", sa.Text(), nullable=True),
        sa.Column("company_industry", sa.Text(), nullable=True),
        sa.Column("company_website", sa.Text(), nullable=True),
        sa.Column("company_domain", sa.Text(), nullable=True),
        sa.Column("company_size", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "id", name=op.f("pk_prospects")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "suppressions",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "id", name=op.f("pk_suppressions")),
        sa.UniqueConstraint(
            "account_group_id", "key", name=op.f("uq_suppressions_account_group_id_key")
        ),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "audiences",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.Column("unique_name", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("folder_id", sa.LargeBinary(length=12), nullable=True),
        sa.Column("prospect_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("active_job_id", sa.LargeBinary(length=12), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_group_id", "folder_id"],
            ["folders.account_group_id", "folders.id"],
            name=op.f("fk_audiences_folders"),
        ),
        sa.PrimaryKeyConstraint("account_group_id", "id", name=op.f("pk_audiences")),
        sqlite_with_rowid=True,
    )
    with op.batch_alter_table("audiences", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_audiences_account_group_id_folder_id_id"),
            ["account_group_id", "folder_id", "id"],
            unique=False,
        )
        batch_op.create_index(
            "uq_audiences_unique_name", ["account_group_id", "unique_name"], unique=True
        )

    op.create_table(
        "memberships",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("audience_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("prospect_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("touched_by", sa.LargeBinary(length=12), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_group_id", "audience_id"],
            ["audiences.account_group_id", "audiences.id"],
            name=op.f("fk_memberships_audiences"),
        ),
        sa.PrimaryKeyConstraint(
            "account_group_id", "audience_id", "prospect_id", name=op.f("pk_memberships")
        ),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_memberships_account_group_id_prospect_id"),
            ["account_group_id", "prospect_id"],
            unique=False,
        )

    _postgres_only()


def _postgres_only() -> None:
    """Readers of the feed stop before the oldest transaction that still runs."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE events ADD COLUMN xact xid8 NOT NULL DEFAULT pg_current_xact_id()")
        op.execute("ALTER TABLE rate_buckets SET UNLOGGED")


def downgrade() -> None:
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_memberships_account_group_id_prospect_id"))

    op.drop_table("memberships")
    with op.batch_alter_table("audiences", schema=None) as batch_op:
        batch_op.drop_index("uq_audiences_unique_name")
        batch_op.drop_index(batch_op.f("ix_audiences_account_group_id_folder_id_id"))

    op.drop_table("audiences")
    op.drop_table("suppressions")
    op.drop_table("prospects")
    with op.batch_alter_table("prospecting_jobs", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_prospecting_jobs_live",
            sqlite_where=sa.text("status IN ('queued', 'running')"),
            postgresql_where=sa.text("status IN ('queued', 'running')"),
        )
        batch_op.drop_index(batch_op.f("ix_prospecting_jobs_account_group_id_audience_id_id"))

    op.drop_table("prospecting_jobs")
    op.drop_table("folders")
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_files_expires_at"))

    op.drop_table("files")
    with op.batch_alter_table("api_key_groups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_key_groups_account_group_id"))

    op.drop_table("api_key_groups")
    op.drop_table("workers")
    op.drop_table("rate_buckets")
    op.drop_table("prospect_keys")
    op.drop_table("job_rows")
    op.drop_table("installation")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_keys_created_at"))

    op.drop_table("idempotency_keys")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_created_at"))
        batch_op.drop_index(batch_op.f("ix_events_account_group_id_sequence"))

    op.drop_table("events")
    op.drop_table("api_keys")
    op.drop_table("account_groups")
