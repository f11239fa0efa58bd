"""Members of audiences over time, and which operator did what in the admin pages."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_HOUR_MS = 3_600_000


def upgrade() -> None:
    op.create_table(
        "audience_sizes",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("audience_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.BigInteger(), nullable=False),
        sa.Column("prospect_count", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint(
            "account_group_id", "audience_id", "hour", name=op.f("pk_audience_sizes")
        ),
        sa.ForeignKeyConstraint(
            ["account_group_id", "audience_id"],
            ["audiences.account_group_id", "audiences.id"],
            name=op.f("fk_audience_sizes_audiences"),
        ),
        sqlite_with_rowid=False,
    )
    # What was before is not known: said from when the audience was made, until now.
    now = int(time.time() * 1000)
    op.execute(
        "INSERT INTO audience_sizes (account_group_id, audience_id, hour, counted_at,"
        " prospect_count) SELECT account_group_id, id, created_at / 3600000, created_at, NULL"
        f" FROM audiences WHERE created_at / 3600000 < {now // _HOUR_MS}"
    )
    op.execute(
        "INSERT INTO audience_sizes (account_group_id, audience_id, hour, counted_at,"
        f" prospect_count) SELECT account_group_id, id, {now // _HOUR_MS}, {now}, prospect_count"
        " FROM audiences"
    )
    op.create_table(
        "admin_acts",
        sa.Column("id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_acts")),
    )
    op.create_table(
        "event_actors",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "event_id", name=op.f("pk_event_actors")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_event_actors_event_id"), "event_actors", ["event_id"])


def downgrade() -> None:
    for table in ("event_actors", "admin_acts", "audience_sizes"):
        op.drop_table(table)
