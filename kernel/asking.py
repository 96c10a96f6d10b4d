"""Several questions in one trip to the database: what must be known before anything is done costs one wait, not five.

The questions are SQLAlchemy's own statements. They go over its own connection together (libpq's pipeline mode, which
SQLAlchemy does not speak), and what comes back is its session's as if it had asked for it.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg
from sqlalchemy import Dialect, Select, TextClause, inspect
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.orm.attributes import instance_state, set_committed_value

Heard = TypeVar("Heard")
Statement = Select[*tuple[Any, ...]] | TextClause
_DIALECT: Dialect = PGDialectAsync_psycopg()  # type: ignore[no-untyped-call]


class Sent(NamedTuple):
    """A statement as it travels; ``answers`` if it gives rows."""

    text: bytes
    values: Mapping[str, Any] | None = None
    answers: bool = False


@dataclass(frozen=True, slots=True)
class Question(Generic[Heard]):
    """One of several questions asked together.

    Attributes:
        statement: a constant of its module, as it is made ready once and for good.
        values: its parameters.
        heard: takes the rows, in order, each a tuple of what was selected, and makes something of them.
    """

    statement: Statement
    values: Mapping[str, Any]
    heard: Callable[[Sequence[tuple[Any, ...]]], Heard]


class _Entity(NamedTuple):
    """Where in a row the columns of a table's row stand."""

    model: type[DeclarativeBase]
    names: tuple[str, ...]
    primary: slice
    place: slice


class Asked:
    """A statement made ready: its text, and how its rows are read.

    Raises:
        TypeError: SQLAlchemy would have to translate something it selects, or to write its text anew each time.
    """

    def __init__(self, statement: Statement) -> None:
        self._parts: list[_Entity | int] = []
        self._plain: Callable[[Iterable[Any]], tuple[Any, ...]] | None = tuple  # makes a row without rows of tables
        self._refresh = bool(statement.get_execution_options().get("populate_existing"))
        ready: Statement = statement
        if isinstance(statement, Select):
            columns: list[Any] = []
            for said in statement.column_descriptions:
                self._parts.append(_part(said, columns))
            if any(c.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None) for c in columns):
                raise TypeError("a column needs a translation that this way of asking does not make")
            names = [said["name"] for said in statement.column_descriptions]
            row: Any = namedtuple("Row", names)  # type: ignore[misc]
            self._plain = None if any(isinstance(part, _Entity) for part in self._parts) else row._make
            ready = statement.with_only_columns(*columns, maintain_column_froms=True)
        compiled = ready.compile(dialect=_DIALECT)
        self._text = str(compiled).encode()
        if b"POSTCOMPILE" in self._text:
            raise TypeError("IN makes another text each time; see kernel.db.one_of")
        self._fixed: Mapping[str, Any] = compiled.params

    def sent(self, values: Mapping[str, Any], *, answers: bool) -> Sent:
        """What goes to the database."""
        return Sent(self._text, {**self._fixed, **values}, answers)

    def read(self, session: Session, rows: Iterable[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
        """The rows as SQLAlchemy's session would give them."""
        if self._plain is not None:
            return [self._plain(row) for row in rows]
        fresh: set[Any] = set()
        return [
            tuple(row[p] if isinstance(p, int) else self._row(session, p, row, fresh) for p in self._parts)
            for row in rows
        ]

    def _row(self, session: Session, part: _Entity, row: tuple[Any, ...], fresh: set[Any]) -> DeclarativeBase | None:
        primary = row[part.primary]
        if primary[0] is None:
            return None  # of an outer join
        key = inspect(part.model).identity_key_from_primary_key(primary)
        known: DeclarativeBase | None = session.identity_map.get(key)
        if known is None:
            made: DeclarativeBase = inspect(part.model).class_manager.new_instance()
            made.__dict__.update(zip(part.names, row[part.place], strict=True))
            as_read(session, made, key)
            fresh.add(key)
            return made
        if (self._refresh and key not in fresh) or instance_state(known).expired_attributes:
            for name, value in zip(part.names, row[part.place], strict=True):
                set_committed_value(known, name, value)
            fresh.add(key)
        return known


def as_read(session: Session, row: DeclarativeBase, key: Any) -> None:
    """Have the session take a row with nothing left to write for one it has read.

    ``make_transient_to_detached`` and ``add`` do this, too, at ten times the cost: they also look for what hangs on
    the row, and no row of ours has anything.
    """
    state = instance_state(row)
    state.key, state.session_id = key, session.hash_key
    session.identity_map.add(state)


def _part(said: Mapping[str, Any], columns: list[Any]) -> _Entity | int:
    """Add the columns of one thing that is selected, the primary key first."""
    at, model = len(columns), said["entity"]
    if model is None or said["expr"] is not model:
        columns.append(said["expr"])
        return at
    mapper = inspect(model)
    ordered = [*mapper.primary_key, *(c for c in mapper.local_table.c if not c.primary_key)]
    columns += ordered
    names = tuple(mapper.get_property_by_column(c).key for c in ordered)
    return _Entity(model, names, slice(at, at + len(mapper.primary_key)), slice(at, len(columns)))


@cache
def asked(statement: Statement) -> Asked:
    """The statement made ready."""
    return Asked(statement)


class Line(NamedTuple):
    """A session's connection: SQLAlchemy's and the driver's."""

    connection: AsyncConnection
    driver: psycopg.AsyncConnection[Any]


async def line_of(session: AsyncSession) -> Line:
    """The line on which a session's open transaction talks.

    Raises:
        TypeError: it is not psycopg's.
    """
    connection = await session.connection()
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, psycopg.AsyncConnection):
        raise TypeError("jobs and several questions at once need psycopg")
    return Line(connection, driver)


async def travel(line: Line, trip: Sequence[Sent]) -> list[list[tuple[Any, ...]]]:
    """Send statements together; returns the rows of each.

    Raises:
        DBAPIError: one failed, and nothing after it was done.
    """
    driver = line.driver
    try:
        async with driver.pipeline():
            cursors = [await driver.execute(text, values) for text, values, _ in trip]
        return [await c.fetchall() if one.answers else [] for c, one in zip(cursors, trip, strict=True)]
    except psycopg.Error as wrong:
        if driver.broken:
            await line.connection.invalidate()
        told = DBAPIError.instance(None, None, wrong, psycopg.Error, connection_invalidated=driver.broken)
        raise told from wrong
