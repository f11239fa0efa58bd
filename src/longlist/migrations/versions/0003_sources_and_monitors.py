"""Sources that operators set up for a group, and the monitors of audiences."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "id", name=op.f("pk_sources")),
        sa.UniqueConstraint(
            "account_group_id", "name", name=op.f("uq_sources_account_group_id_name")
        ),
    )
    op.create_table(
        "monitors",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("audience_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("interval_minutes", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("next_run_at", sa.BigInteger(), nullable=True),
        sa.Column("last_job_id", sa.LargeBinary(length=12), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "audience_id", name=op.f("pk_monitors")),
        sa.ForeignKeyConstraint(
            ["account_group_id", "audience_id"],
            ["audiences.account_group_id", "audiences.id"],
            name=op.f("fk_monitors_audiences"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_monitors_next_run_at"), "monitors", ["next_run_at"])


def downgrade() -> None:
    op.drop_table("monitors")
    op.drop_table("sources")
