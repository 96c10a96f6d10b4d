"""Brings the database's tables to the shape this version of Houfu needs.

Alembic without an alembic.ini: the scripts are the installed package ``migrations``, the address comes from the caller.
"""

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, NullPool, create_engine, text

import kernel
import migrations

DOMAIN: Final = (
    "people", "notices", "consent", "visits", "billing", "guide", "payments", "family_pay", "intake",
)  # fmt: skip


def metadata() -> MetaData:
    """All tables of the house: every ``X.models`` is imported first, and all of ``kernel``."""
    for module in pkgutil.iter_modules(kernel.__path__, "kernel."):
        import_module(module.name)
    for package in DOMAIN:
        if find_spec(f"{package}.models") is not None:
            import_module(f"{package}.models")
    from kernel.db import Base

    return Base.metadata


def is_ours(name: str | None, kind: str, _parents: object = None) -> bool:
    """Whether a table in the database is ours to compare; procrastinate keeps its own."""
    return kind != "table" or name is None or not name.startswith("procrastinate_")


def upgrade(url: str, revision: str = "head") -> None:
    """Apply what is missing up to ``revision``, all in one transaction.

    Raises:
        sqlalchemy.exc.OperationalError: no connection, or a table stayed locked for five seconds; nothing changed.
    """
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Go back to ``revision`` (``base``: to the empty database), all in one transaction."""
    command.downgrade(_config(url), revision)


@cache
def head() -> str | None:
    """The newest revision this version of Houfu brings."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def current(url: str) -> str | None:
    """The revision the database is at; None when it is empty."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def holds_sealed(url: str) -> bool:
    """Whether anything lies in the database that only its key file opens: a hospital's key, or a person."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if connection.scalar(text("SELECT to_regclass('his_key') IS NULL OR to_regclass('person') IS NULL")):
            return False
        return bool(connection.scalar(text("SELECT EXISTS (SELECT FROM his_key) OR EXISTS (SELECT FROM person)")))


def drift(url: str) -> Sequence[object]:
    """What the models say and the database does not have, or the other way round; empty when they agree."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        options = {"include_name": is_ours, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata()))


def _config(url: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url  # not a main option: an address may hold a per cent sign
    return config
