"""Hash partitions by account group for what grows with people, on PostgreSQL.

Both engines get an index of the numbers that directories are loaded under.

A new database is made so at once. In one that is in use every table is copied beside itself while
servers go on: a trigger on the old table writes each change to the new one as well, the rows that
were there before come over in batches, and at the end one short transaction puts the new tables in
the place of the old ones. An attempt that was cut off is begun anew.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import context, op

from longlist.schema_version import MigrationRefused

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PARTITIONS = 16
KEYS = {
    "prospects": ("account_group_id", "id"),
    "prospect_keys": ("account_group_id", "key", "prospect_id"),
    "memberships": ("account_group_id", "audience_id", "prospect_id"),
    "job_rows": ("account_group_id", "job_id", "position"),
    "directory_people": ("account_group_id", "number"),
    "directory_words": ("account_group_id", "rowid"),
}
"""The tables, and their primary keys."""
FURTHER = {
    "memberships": (
        "CREATE INDEX ix_memberships_account_group_id_prospect_id"
        " ON {table} (account_group_id, prospect_id)",
        "ALTER TABLE {table} ADD CONSTRAINT fk_memberships_audiences"
        " FOREIGN KEY (account_group_id, audience_id) REFERENCES audiences (account_group_id, id)",
    ),
    "directory_words": ("CREATE INDEX ix_directory_words_words ON {table} USING gin (words)",),
}
ASIDE = "longlist_0007"
"""The schema in which the new tables are until they take the place of the old ones."""
MIRROR = "longlist_0007_mirror"
BATCH = 2_000
COPY_WAIT = "200ms"
"""Shorter than PostgreSQL takes to look for a deadlock: it is the copy that gives way."""
SWAP_WAIT = "1s"
"""Others queue behind a lock that is waited for."""
PAUSE_S = 1.0
ATTEMPTS = 300
IN_THE_WAY = ("40P01", "55P03")
"""The SQLSTATEs of a deadlock, and of a lock that was not to be had in time."""
T = TypeVar("T")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        if context.config.attributes.get("is_empty"):
            _begin_so()
        else:
            _convert()
    # Last: what comes before may be cut off and begun anew.
    op.create_index(op.f("ix_directory_generations_number"), "directory_generations", ["number"])


def _begin_so() -> None:
    for table in KEYS:
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_flat")
        op.execute(_create(table, like=f"{table}_flat"))
        op.execute(f"DROP TABLE {table}_flat")
        _complete(table, table)


def _convert() -> None:
    home = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    _refuse_during_a_move()
    with op.get_context().autocommit_block():
        op.execute(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")
        op.execute(f"CREATE SCHEMA {ASIDE}")
        for table in KEYS:
            op.execute(_create(f"{ASIDE}.{table}", like=table))
            _complete(table, f"{ASIDE}.{table}")
            _patiently(_mirror, table)
        before = op.get_bind().scalar(
            sa.text(
                "SELECT quote_literal(setting || 'ms') FROM pg_settings WHERE name = 'lock_timeout'"
            )
        )
        op.execute(f"SET lock_timeout = '{COPY_WAIT}'")
        for table in KEYS:
            _copy(table)
            _patiently(op.execute, f"ANALYZE {ASIDE}.{table}")
        op.execute(f"SET lock_timeout = {before}")
    _swap(home)


def _create(name: str, *, like: str) -> str:
    return (
        f"CREATE TABLE {name} (LIKE {like} INCLUDING DEFAULTS) PARTITION BY HASH (account_group_id)"
    )


def _complete(table: str, name: str) -> None:
    """Give a new table its keys, indexes and partitions."""
    op.execute(
        f"ALTER TABLE {name} ADD CONSTRAINT pk_{table} PRIMARY KEY ({', '.join(KEYS[table])})"
    )
    for statement in FURTHER.get(table, ()):
        op.execute(statement.format(table=name))
    for at in range(PARTITIONS):
        op.execute(
            f"CREATE TABLE {name}_{at:02} PARTITION OF {name}"
            f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {at})"
        )


def _refuse_during_a_move() -> None:
    """The triggers that hold a group during its move stand on the old tables and would be lost."""
    held = op.get_bind().scalar(
        sa.text(
            "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
            " AND tgname LIKE 'moving\\_%' AND tgrelid = ANY(CAST(:tables AS regclass[]))"
        ),
        {"tables": list(KEYS)},
    )
    if held:
        raise MigrationRefused(
            "An account group is being moved to another database. End that move first, or take it"
            " back with --undo."
        )


def _mirror(table: str) -> None:
    """From here on have each change of the old table made in the new one too.

    Making the trigger waits for the transactions that have written the table: what they wrote is
    seen by the copy.
    """
    keys = KEYS[table]
    names = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
    rest = [name for name in names if name not in keys]
    update = ", ".join(f"{name} = EXCLUDED.{name}" for name in rest)
    same = " AND ".join(f"{key} = OLD.{key}" for key in keys)
    op.execute(
        f"CREATE OR REPLACE FUNCTION {ASIDE}.mirror_{table}() RETURNS trigger"
        " LANGUAGE plpgsql AS $mirror$"
        f" BEGIN IF TG_OP = 'DELETE' THEN DELETE FROM {ASIDE}.{table} WHERE {same};"
        f" ELSE INSERT INTO {ASIDE}.{table} ({', '.join(names)})"
        f" VALUES ({', '.join(f'NEW.{name}' for name in names)})"
        f" ON CONFLICT ({', '.join(keys)})"
        f" DO {f'UPDATE SET {update}' if rest else 'NOTHING'};"
        " END IF; RETURN NULL; END $mirror$"
    )
    op.execute(
        f"CREATE TRIGGER {MIRROR} AFTER INSERT OR UPDATE OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {ASIDE}.mirror_{table}()"
    )


def _copy(table: str) -> None:
    """Bring over what was there before the trigger, each batch in a transaction of its own.

    The rows of a batch are locked against deletion until it is committed: or one that is erased
    meanwhile, and that the trigger does not find in the new table yet, would come back.
    """
    bind, keys = op.get_bind(), ", ".join(KEYS[table])
    columns = ", ".join(column["name"] for column in sa.inspect(bind).get_columns(table))
    began, count = time.monotonic(), 0
    after: tuple[Any, ...] = ()
    while True:
        past, values = _bound(table, ">", after)
        last = bind.execute(
            sa.text(
                f"SELECT {keys} FROM {table} WHERE {past}"
                f" ORDER BY {keys} LIMIT 1 OFFSET {BATCH - 1}"
            ),
            values,
        ).first()
        up_to, more = _bound(table, "<=", last or ())
        copy = sa.text(
            f"WITH batch AS (SELECT {columns} FROM {table} WHERE {past} AND {up_to}"
            f" ORDER BY {keys} FOR KEY SHARE)"
            f" INSERT INTO {ASIDE}.{table} ({columns}) SELECT {columns} FROM batch"
            f" ON CONFLICT ({keys}) DO NOTHING"
        )
        count += _patiently(bind.execute, copy, values | more).rowcount
        if last is None:
            break
        after = tuple(last)
    if count and (tell := context.config.attributes.get("tell")) is not None:
        tell(f"copied {table}: {count:,} in {time.monotonic() - began:.1f} s")


def _bound(table: str, sign: str, row: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """The condition of the rows on one side of a row, and its values; of all without a row."""
    if not row:
        return "true", {}
    name = {">": "after", "<=": "last"}[sign]
    values = {f"{name}{at}": value for at, value in enumerate(row)}
    marks = ", ".join(f":{mark}" for mark in values)
    return f"({', '.join(KEYS[table])}) {sign} ({marks})", values


def _patiently(call: Callable[..., T], *args: Any) -> T:
    """Do what waits for a lock, again and again for as long as somebody is in the way."""
    for _ in range(ATTEMPTS - 1):
        try:
            return call(*args)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in IN_THE_WAY:
                raise
            time.sleep(PAUSE_S)
    return call(*args)


def _lock() -> None:
    with op.get_bind().begin_nested():
        # The audiences too: dropping the foreign key to them locks them.
        op.execute(f"LOCK TABLE audiences, {', '.join(KEYS)} IN ACCESS EXCLUSIVE MODE")


def _swap(home: str) -> None:
    """Put the new tables in the place of the old, once nobody is in the way for a moment."""
    op.execute(f"SET LOCAL lock_timeout = '{SWAP_WAIT}'")
    _patiently(_lock)
    _refuse_during_a_move()
    for table in KEYS:
        op.execute(f"DROP TABLE {table}")
        for name in (table, *(f"{table}_{at:02}" for at in range(PARTITIONS))):
            op.execute(f"ALTER TABLE {ASIDE}.{name} SET SCHEMA {home}")
    op.execute(f"DROP SCHEMA {ASIDE} CASCADE")
    # People who were erased meanwhile are made unreadable in the new tables too.
    op.execute(
        "INSERT INTO installation (name, value) VALUES ('scrub', '1')"
        " ON CONFLICT (name) DO UPDATE SET value = '1'"
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_directory_generations_number"), "directory_generations")
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, keys in KEYS.items():
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_parted")
        op.execute(f"CREATE TABLE {table} (LIKE {table}_parted INCLUDING DEFAULTS)")
        op.execute(f"INSERT INTO {table} SELECT * FROM {table}_parted")
        op.execute(f"DROP TABLE {table}_parted")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({', '.join(keys)})")
        for statement in FURTHER.get(table, ()):
            op.execute(statement.format(table=table))
