"""Quotas of prospecting jobs: limits, and the use of a day."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prospecting_quotas",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("daily_limit", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_group_id", "source_kind", name=op.f("pk_prospecting_quotas")
        ),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("prospecting_quotas")
