"""Writes the first migration anew from the models: ``python tools/remake_migration.py``.

Only until the first release; from then on migrations are added, never remade. It compares the models with an empty
database of the server the tests use, adds the triggers of tables that are there, and takes the schema of the job queue
from the installed procrastinate.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from alembic.autogenerate import produce_migrations, render_python_code  # noqa: E402
from alembic.migration import MigrationContext  # noqa: E402
from procrastinate.schema import SchemaManager  # noqa: E402
from sqlalchemy import NullPool, create_engine  # noqa: E402

from houfu import migrate  # noqa: E402
from houfu.embedded import EmbeddedPostgres  # noqa: E402

VERSIONS = ROOT / "migrations" / "versions"
FIRST = VERSIONS / "0001_first_tables.py"
QUEUE = ROOT / "migrations" / "queue.py"
APPEND_ONLY = (
    "ledger_transaction", "ledger_entry", "feed_row", "till_movement", "choice", "map_version", "exam_rules_version",
)  # fmt: skip

HEAD = '''"""The first tables, the rules the database itself keeps, and the job queue.

Made by tools/remake_migration.py from the models.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import queue

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TRIGGERS = """
{triggers}
"""
FUNCTIONS = """
DROP FUNCTION IF EXISTS houfu_keep();
DROP FUNCTION IF EXISTS houfu_balanced();
DROP FUNCTION IF EXISTS houfu_shares();
DROP FUNCTION IF EXISTS houfu_open_shift();
"""


def _run(statements: str) -> None:
    # The driver's own connection: several statements at once, none with parameters.
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


def upgrade() -> None:
    """Make everything."""
    {up}
    _run(TRIGGERS)
    _run(queue.SCHEMA)


def downgrade() -> None:
    """Take everything away."""
    _run(queue.REMOVE)
    {down}
    _run(FUNCTIONS)
'''

KEEP = """CREATE FUNCTION houfu_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;"""
BALANCED = """CREATE FUNCTION houfu_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(amount_fen) FROM ledger_entry WHERE transaction_id = NEW.transaction_id) <> 0 THEN
        RAISE EXCEPTION 'ledger transaction % does not add up to zero', NEW.transaction_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION houfu_balanced();"""

SHARES = """CREATE FUNCTION houfu_shares() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    about uuid := CASE TG_TABLE_NAME WHEN 'round' THEN to_jsonb(NEW) ->> 'id' ELSE to_jsonb(NEW) ->> 'round_id' END;
    cash bigint := (SELECT cash_fen FROM round WHERE id = about);
    parts bigint := (
        SELECT coalesce(sum(amount_fen), 0) FROM allocation WHERE round_id = about AND replaced_at IS NULL);
BEGIN
    IF cash IS DISTINCT FROM parts THEN
        RAISE EXCEPTION 'round % asks for % fen, its shares are %', about, cash, parts
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER shares_are_whole AFTER INSERT OR UPDATE ON allocation
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION houfu_shares();
CREATE CONSTRAINT TRIGGER shares_are_whole AFTER INSERT OR UPDATE OF cash_fen ON round
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION houfu_shares();"""

OPEN_SHIFT = """CREATE FUNCTION houfu_open_shift() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The lock lets a closing of the same shift wait for this row, or this row for the closing.
    PERFORM 1 FROM shift WHERE id = NEW.shift_id AND state = 'open' FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'shift % is not open', NEW.shift_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER open_shift BEFORE INSERT ON till_movement FOR EACH ROW EXECUTE FUNCTION houfu_open_shift();"""

QUEUE_TEXT = '''"""The job queue's own tables and functions, as procrastinate {version} brings them."""
# ruff: noqa: E501, W291, W293

SCHEMA = r"""
{schema}
"""

REMOVE = """
DROP TABLE IF EXISTS procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs,
    procrastinate_workers CASCADE;
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT oid::regprocedure AS name FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = current_schema()::regnamespace
    LOOP
        EXECUTE 'DROP FUNCTION ' || made.name || ' CASCADE';
    END LOOP;
END $$;
DROP TYPE IF EXISTS procrastinate_job_to_defer_v1, procrastinate_job_status, procrastinate_job_event_type CASCADE;
"""
'''


def triggers(tables: set[str]) -> str:
    """The rules the database keeps for the tables that are there."""
    parts = [KEEP]
    for table in APPEND_ONLY:
        if table in tables:
            parts.append(
                f"CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON {table}\n"
                "    FOR EACH ROW EXECUTE FUNCTION houfu_keep();\n"
                f"CREATE TRIGGER keep_all BEFORE TRUNCATE ON {table}\n"
                "    FOR EACH STATEMENT EXECUTE FUNCTION houfu_keep();"
            )
    if "ledger_entry" in tables:
        parts.append(BALANCED)
    if "allocation" in tables:
        parts.append(SHARES)
    if "till_movement" in tables:
        parts.append(OPEN_SHIFT)
    return "\n".join(parts)


def steps(url: str) -> tuple[str, str]:
    """Bodies of upgrade and downgrade, as Python."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": migrate.is_ours})
        script = produce_migrations(context, migrate.metadata())
    engine.dispose()
    if script.upgrade_ops is None or script.downgrade_ops is None:
        raise RuntimeError("nothing to write: are the models imported?")
    up, down = (render_python_code(ops) for ops in (script.upgrade_ops, script.downgrade_ops))
    return up.replace("=Text()", "=sa.Text()"), down.replace("=Text()", "=sa.Text()")


def main() -> None:
    """Write both files and format them."""
    from importlib.metadata import version

    name = f"test_{os.getpid()}_remake"
    quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
    with EmbeddedPostgres(ROOT / ".cache" / "test-pg", settings=quick) as server:
        up, down = steps(server.ensure_database(name))
        server.drop_database(name)
    tables = set(migrate.metadata().tables)
    for old in VERSIONS.glob("0001_*.py"):
        old.unlink()
    FIRST.write_text(HEAD.format(up=up, down=down, triggers=triggers(tables)))
    schema = SchemaManager.get_schema().strip()
    QUEUE.write_text(QUEUE_TEXT.format(version=version("procrastinate"), schema=schema))
    ruff = [str(Path(sys.executable).parent / "ruff")]
    subprocess.run([*ruff, "format", "--quiet", str(FIRST), str(QUEUE)], check=True)
    subprocess.run([*ruff, "check", "--fix", str(FIRST), str(QUEUE)], check=True)
    print(f"{FIRST.relative_to(ROOT)}: {len(tables)} tables")


if __name__ == "__main__":
    main()
