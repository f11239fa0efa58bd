"""Account groups that are on their way from one database to another."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_group_moves",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.Column("parcel", sa.LargeBinary(), nullable=True),
        sa.Column("event_shift", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("generation_shift", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", name=op.f("pk_account_group_moves")),
    )


def downgrade() -> None:
    op.drop_table("account_group_moves")
