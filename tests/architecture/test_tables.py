"""Tables: each column says how private it is, and the migrations build exactly what the models say."""

from sqlalchemy import Column, create_engine, inspect

from houfu import migrate


def columns() -> list[tuple[str, Column[object]]]:
    """Every column of every table of the house."""
    return [(str(column), column) for table in migrate.metadata().tables.values() for column in table.columns]


def test_every_column_has_its_level_of_privacy() -> None:
    """Each column carries info={"level": 1..5} (1 public … 5 most sensitive)."""
    found = columns()
    assert found, "no column at all: are the models imported?"
    assert [name for name, column in found if column.info.get("level") not in {1, 2, 3, 4, 5}] == []


def test_every_moment_is_aware() -> None:
    """Points in time are stored with their zone."""
    kinds = {name: column.type for name, column in columns()}
    assert [name for name, kind in kinds.items() if getattr(kind, "timezone", True) is False] == []


def test_the_database_reads_no_clock() -> None:
    """No column takes its value from the server's clock; the time of a fact is the transaction's."""
    defaults = {name: str(getattr(column.server_default, "arg", "")) for name, column in columns()}
    assert [name for name, text in defaults.items() if "now" in text.lower() or "current_" in text.lower()] == []


def test_migrations_build_what_the_models_say(database_url: str) -> None:
    """A database brought to the newest revision differs in nothing from the models."""
    assert migrate.current(database_url) == migrate.head() is not None
    assert migrate.drift(database_url) == []


def test_migrations_can_be_taken_back(empty_database_url: str) -> None:
    """Down to the empty database and up again, no table left behind on the way."""
    migrate.upgrade(empty_database_url)
    migrate.downgrade(empty_database_url, "base")
    engine = create_engine(empty_database_url)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == migrate.head()
