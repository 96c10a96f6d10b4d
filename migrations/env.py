"""Runs when alembic changes the tables: connects, waits for its turn, and applies the steps in one transaction."""

from alembic import context
from sqlalchemy import NullPool, create_engine, text

from houfu.migrate import is_ours, metadata

# Two processes that start together take turns; the number only has to be ours.
TURN = text("SELECT pg_advisory_xact_lock(hashtext('houfu.migrations'))")
# A change that has to wait for a lock makes everybody behind it wait too: better to give up and be tried again.
PATIENCE = text("SET LOCAL lock_timeout = '5s'")


def run() -> None:
    """Apply the wanted steps to the database named by the caller."""
    engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata(),
            include_name=is_ours,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            connection.execute(TURN)
            connection.execute(PATIENCE)
            context.run_migrations()


run()
