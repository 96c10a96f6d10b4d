"""How rows of any tables are written in one statement: they come as JSON, one parameter for each kind of rows."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import Table, TextClause, UniqueConstraint, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.orm import DeclarativeBase

_QUOTE = PGDialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


@cache
def unless_there(model: type[DeclarativeBase], names: tuple[str, ...]) -> TextClause:
    """INSERT of the parameter ``rows`` (see ``as_json``) that passes over what is there; returns the others' keys."""
    (key,) = _table(model).primary_key
    insert = _insert(model, names, _rows(model, "rows"))
    return text(f"{insert} ON CONFLICT DO NOTHING RETURNING {_table(model).name}.{key.name}")


@cache
def _insert(model: type[DeclarativeBase], names: tuple[str, ...], source: str) -> str:
    """INSERT of any number of rows that come as one JSON array: one parameter is faster made than an array a column."""
    table, columns = _QUOTE(_table(model).name), ", ".join(_QUOTE(name) for name in names)
    # Only names of our own tables and columns are put in.
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source}"  # noqa: S608


@cache
def _update(model: type[DeclarativeBase], names: tuple[str, ...], source: str) -> str:
    """UPDATE of these columns of any number of rows, by their primary key."""
    table, primary = _QUOTE(_table(model).name), sorted(c.name for c in _table(model).primary_key)
    values = ", ".join(f"{_QUOTE(n)} = r.{_QUOTE(n)}" for n in names if n not in primary)
    same = " AND ".join(f"{table}.{_QUOTE(n)} = r.{_QUOTE(n)}" for n in primary)
    # PostgreSQL takes what comes as JSON for a hundred rows and would read a table of thousands to find three. Of a
    # limit it does not know it expects a tenth.
    few = f"(SELECT * FROM {source} LIMIT (SELECT CAST(NULL AS bigint)))"  # noqa: S608
    return f"UPDATE {table} SET {values} FROM {few} AS r WHERE {same}"  # noqa: S608


def _rows(model: type[DeclarativeBase], parameter: str) -> str:
    return f"json_populate_recordset(NULL::{_QUOTE(_table(model).name)}, CAST(:{parameter} AS json))"


class Part(NamedTuple):
    """Rows of one table that are written alike: all new, or the same columns of all changed."""

    model: type[DeclarativeBase]
    new: bool
    names: tuple[str, ...]

    def statement(self, parameter: str) -> str:
        """Writes the rows that come as this parameter."""
        source = _rows(self.model, parameter)
        return (_insert if self.new else _update)(self.model, self.names, source)

    def order(self) -> tuple[str, bool, tuple[str, ...]]:
        """One order for everybody: the same parts make the same statement."""
        return self.model.__tablename__, self.new, self.names

    def json(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """The rows as a parameter, with the key by which they are found; of a new one, what is not said is NULL."""
        if self.new:
            return as_json([{name: row.get(name) for name in self.names} for row in rows])
        names = {*self.names, *(c.name for c in _table(self.model).primary_key)}
        return as_json([{name: row[name] for name in names} for row in rows])


@cache
def writing(parts: tuple[Part, ...]) -> TextClause:
    """One statement that inserts and updates rows of all these tables; the rows of part n are parameter ``rows_n``."""
    first, *others = (part.statement(f"rows_{n}") for n, part in enumerate(parts))
    before = ", ".join(f"w{n} AS ({other})" for n, other in enumerate(others))
    return text(f"WITH {before} {first}" if before else first)


@cache
def columns_of(model: type[DeclarativeBase]) -> tuple[str, ...]:
    """What we write of a row: all but the numbers the database gives."""
    return tuple(c.name for c in _table(model).c if c.identity is None)


@cache
def any_order(model: type[DeclarativeBase]) -> bool:
    """Whether it does not matter in which order rows of this table are written: nothing but the key is unique."""
    table = _table(model)
    unique = any(i.unique for i in table.indexes) or any(isinstance(c, UniqueConstraint) for c in table.constraints)
    return not unique and all(c.identity is None for c in table.c)


@cache
def made_there(model: type[DeclarativeBase]) -> frozenset[str]:
    """The columns in which the database puts something when we say nothing."""
    return frozenset(c.name for c in _table(model).c if c.server_default is not None)


def _table(model: type[DeclarativeBase]) -> Table:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is no table")
    return table


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as one parameter: ids, days, moments and bytes as PostgreSQL reads them from JSON.

    Raises:
        PydanticSerializationError: a value cannot be written.
    """
    plain = [{n: f"\\x{v.hex()}" if v.__class__ is bytes else v for n, v in row.items()} for row in rows]
    return to_json(plain, inf_nan_mode="constants").decode()
