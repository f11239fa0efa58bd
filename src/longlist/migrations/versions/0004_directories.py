"""People of the directories that operators register, with their full-text index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "directory_people",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_group_id", "number", name=op.f("pk_directory_people")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "directory_generations",
        sa.Column("account_group_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("source_id", sa.LargeBinary(length=12), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("people", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_group_id", "source_id", "number", name=op.f("pk_directory_generations")
        ),
    )
    op.create_index(
        "uq_directory_generations_live",
        "directory_generations",
        ["account_group_id", "source_id"],
        unique=True,
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TABLE directory_words (account_group_id bytea NOT NULL, rowid bigint NOT NULL,"
            " words tsvector NOT NULL,"
            " CONSTRAINT pk_directory_words PRIMARY KEY (account_group_id, rowid))"
        )
        op.execute("CREATE INDEX ix_directory_words_words ON directory_words USING gin (words)")
    else:
        # The words come cut and folded; nothing is ranked, so neither places nor lengths are kept.
        op.execute(
            "CREATE VIRTUAL TABLE directory_words USING fts5(account_group_id UNINDEXED, words,"
            " tokenize = 'ascii', detail = none, columnsize = 0)"
        )


def downgrade() -> None:
    op.drop_table("directory_words")
    op.drop_table("directory_generations")
    op.drop_table("directory_people")
