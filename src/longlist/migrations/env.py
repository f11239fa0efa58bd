"""How Alembic reaches the database: the URL is handed over by `longlist.schema_version`."""

from alembic import context
from sqlalchemy import create_engine, event, pool, text

from longlist.tables import METADATA

LOCK_TIMEOUT_MS = 5000
ONE_AT_A_TIME = 7_020_563_128_450_931
"""The advisory lock of whoever migrates a database."""


def run() -> None:
    """Apply the revisions in one transaction each; to an empty database all of them in one.

    So a server that starts meanwhile finds nothing or everything, and never a schema that looks as
    if it had been left behind.
    """
    engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
    sqlite = engine.dialect.name == "sqlite"
    if sqlite:

        @event.listens_for(engine, "connect")
        def _settings(connection, _record):  # type: ignore[no-untyped-def]
            # The driver would commit before each change of the schema, so that a migration cut
            # off in the middle could be neither repeated nor undone.
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")

        @event.listens_for(engine, "begin")
        def _begin(connection):  # type: ignore[no-untyped-def]
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        if not sqlite:
            # Before the revision is read: who comes second finds the work done. The lock ends with
            # the connection.
            connection.execute(text(f"SELECT pg_advisory_lock({ONE_AT_A_TIME})"))
            # A migration waits for no one for long: old processes go on working beside it.
            connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
            connection.commit()
        context.configure(
            connection=connection,
            target_metadata=METADATA,
            render_as_batch=True,
            transaction_per_migration=not context.config.attributes.get("is_empty", False),
            transactional_ddl=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
