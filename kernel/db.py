"""The database: one transaction per fact, opened and committed here and nowhere else.

``Database.begin()`` opens a ``Tx``. Everything a use case does goes through it: rows, ``tx.now`` (read once), events to
the packages above (``emit``), jobs that exist only if the transaction commits (``enqueue``), and feed rows to announce
after the commit (``ring``). A ``Tx`` that leaves its block by an exception leaves nothing behind.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache, partial
from operator import attrgetter
from typing import Any, Protocol, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    Select,
    any_,
    bindparam,
    event,
    inspect,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, make_transient, make_transient_to_detached, mapped_column
from sqlalchemy.orm.attributes import instance_state, set_committed_value
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import BigInteger

from kernel.asking import Line, Question, Sent, asked, line_of, travel
from kernel.clock import Clock, ServerClock, since_boot
from kernel.crypto import Vault
from kernel.events import Event
from kernel.writing import Part, any_order, as_json, columns_of, made_there, unless_there, writing

Row = TypeVar("Row", bound="Base")
Handler = Callable[["Tx", Any], Awaitable[None]]
Subscribers = Mapping[type[Event], Sequence[Handler]]

_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables. Every column names its privacy level (1 public … 5 most sensitive) in ``info``."""

    metadata = MetaData(naming_convention=_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration style
        datetime: DateTime(timezone=True),
        bytes: LargeBinary,
        int: BigInteger,
        dict[str, Any]: JSONB,
        list[str]: JSONB,
    }


@event.listens_for(ForeignKeyConstraint, "after_parent_attach")
def _checked_at_commit(constraint: ForeignKeyConstraint, table: object) -> None:
    # The order in which a flush inserts rows of different tables is SQLAlchemy's; what counts is the whole at commit.
    constraint.deferrable, constraint.initially = True, "DEFERRED"


def one_of(column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
    """``column IN values`` as one array: the statement stays the same text for any number, and is prepared once."""
    made: ColumnElement[bool] = column == any_(literal(list(values), ARRAY(column.type)))
    return made


def inserted(model: type["Base"], rows: Sequence[Mapping[str, Any]]) -> Question[set[Any]]:
    """Insert rows with the same columns unless they are there; what is heard are the primary keys of the new ones."""
    statement = unless_there(model, tuple(rows[0]))
    return Question(statement, {"rows": as_json(rows)}, lambda keys: {key for (key,) in keys})


@cache
def _select_of(model: type["Base"], lock: bool) -> Select[Any]:
    primary = inspect(model).primary_key[0]
    query = select(model).where(primary == any_(bindparam("keys", type_=ARRAY(primary.type)))).order_by(primary)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return query


def column(level: int, *args: Any, **options: Any) -> Mapped[Any]:
    """``mapped_column`` that cannot forget the privacy level (``docs/privacy.md``)."""
    return mapped_column(*args, info={"level": level}, **options)


class Jobs(Protocol):
    """Puts a job into the caller's own transaction."""

    async def enqueue(self, connection: psycopg.AsyncConnection[Any], name: str, arguments: Mapping[str, Any]) -> None:
        """Write the job row on this open connection; nothing is committed."""
        ...


class Tx:
    """One open transaction.

    Attributes:
        now: the moment this transaction began, aware UTC.
        vault: seals and opens sensitive fields.
        session: SQLAlchemy's session, for queries.
        rung: what is announced after the commit, in order.
        memo: what use cases of this transaction have already looked up, by keys of their own.
    """

    def __init__(self, session: AsyncSession, now: datetime, database: "Database") -> None:
        self.session = session
        self.now = now
        self.vault = database.vault
        self.rung: list[object] = []
        self.memo: dict[Any, Any] = {}
        self._database = database
        self._fresh: dict[type[Base], list[Mapping[str, object]]] = {}
        self._written: dict[tuple[type[Base], Any], Mapping[str, object]] = {}
        self._counted: dict[tuple[type[Base], Any], Base] = {}
        self._held: dict[tuple[type[Base], Any], Base | None] = {}
        self._locked: set[tuple[type[Base], Any]] = set()
        self._line: Line | None = None
        self._given: list[Base] = []  # rows the session has from us and takes for rows it has read

    async def get(self, model: type[Row], key: Any, *, lock: bool = False) -> Row | None:
        """The row with this primary key or ``None``; asked once per transaction, and once more to ``lock`` it."""
        place = (model, key)
        if place in self._written:
            self.hold([model(**self._written.pop(place))], locked=True)  # nobody else can see it yet
        if place in self._held and (not lock or place in self._locked):
            return self._held[place]  # type: ignore[return-value]
        if lock:
            # No key ever changes, so whoever only refers to the row (a foreign key's check) need not wait: key share.
            row = await self.session.get(model, key, with_for_update={"key_share": True}, populate_existing=True)
        else:
            # What was added here is held, so nothing unwritten can be what is asked for: inserts stay together.
            with self.session.no_autoflush:
                row = await self.session.get(model, key)
        self._held[place] = row
        if lock and row is not None:
            self._locked.add(place)
        return row

    async def preload(self, model: type[Row], keys: Iterable[Any], *, lock: bool = False) -> list[Row]:
        """Fetch many rows by their single-column key in one query, locked in key order if asked; remembers absence."""
        had = self._locked if lock else self._held
        wanted = sorted({k for k in keys if (model, k) not in had})
        if not wanted:
            return []
        rows = list((await self.session.scalars(_select_of(model, lock), {"keys": wanted})).all())
        for key in wanted:
            self._held[model, key] = None
        for row in rows:
            self._held[model, _key(row)] = row
            if lock:
                self._locked.add((model, _key(row)))
        return rows

    def held(self, model: type[Row], key: Any) -> Row | None:
        """The row if this transaction has it already; nothing is asked."""
        return self._held.get((model, key))  # type: ignore[return-value]

    def hold(self, rows: Iterable[Base], *, locked: bool = False) -> None:
        """Remember rows that came by another query, so that ``get`` finds them without asking."""
        for row in rows:
            self._held[type(row), _key(row)] = row
            if locked:
                self._locked.add((type(row), _key(row)))

    def know(self, rows: Mapping[tuple[type[Base], Any], Base]) -> None:
        """As ``hold``, of rows whose model and key have been looked up once for many transactions."""
        self._held.update(rows)

    def lacks(self, model: type[Base], keys: Iterable[Any]) -> None:
        """Remember that another query did not find these, so that ``get`` does not ask again."""
        for key in keys:
            self._held.setdefault((model, key), None)

    def add(self, row: Row) -> Row:
        """Store a new row (its primary key is set by us, never by the database)."""
        self.session.add(row)
        self._held[type(row), _key(row)] = row
        self._locked.add((type(row), _key(row)))  # nobody else can see it yet
        return row

    def write(self, model: type[Base], **values: object) -> None:
        """Store a new row that this transaction will not change any more: a row of a feed, of the ledger, a call.

        It costs a tenth of ``add``: such rows of all tables are written together, in one statement, by ``flush``, and
        only who gets one makes an object of it.
        """
        self._fresh.setdefault(model, []).append(values)
        self._written[model, _key_in(model, values)] = values

    def count(self, row: Base, **values: object) -> None:
        """Change counters of a row whose turn we have; written together with the rows of ``write``."""
        for name, value in values.items():
            set_committed_value(row, name, value)  # the session is not to write it as well
        self._counted[type(row), _key(row)] = row

    async def ask(self, *questions: Question[Any]) -> tuple[Any, ...]:
        """Ask several questions in one trip, one after the other; returns what each of them heard."""
        if not questions:
            return ()
        await self.flush()
        sent = [asked(q.statement).sent(q.values, answers=True) for q in questions]
        told = zip(questions, await self.travel(sent), strict=True)
        return tuple(q.heard(asked(q.statement).read(self.session.sync_session, rows)) for q, rows in told)

    async def travel(self, trip: Sequence[Sent]) -> list[list[tuple[Any, ...]]]:
        """Send statements together; see ``kernel.asking.travel``."""
        return await travel(await self._on_line(), trip)

    async def _on_line(self) -> Line:
        if self._line is None:
            self._line = await line_of(self.session)
        return self._line

    async def flush(self) -> None:
        """Write what is not written yet; whoever asks for rows of ``write`` by a query does this first."""
        await self._write([])

    async def finish(self) -> None:
        """Write what is not written yet and commit, in one trip; the session's own commit has nothing to do then."""
        await self._write([Sent(b"COMMIT")])

    async def _write(self, then: Sequence[Sent]) -> None:
        rows: dict[Part, list[Mapping[str, object]]] = {}
        for model, made in self._fresh.items():
            rows[Part(model, True, columns_of(model))] = made
        for (model, _), row in self._counted.items():
            rows.setdefault(Part(model, False, columns_of(model)), []).append(row.__dict__)
        taken = self._take_over(rows)
        if self.session.new or self.session.dirty or self.session.deleted:
            await self.session.flush()
        self._fresh, self._counted = {}, {}
        if not rows:
            return
        parts = tuple(sorted(rows, key=Part.order))
        values = {f"rows_{n}": part.json(rows[part]) for n, part in enumerate(parts)}
        await self.travel([asked(writing(parts)).sent(values, answers=False), *then])
        for row in taken if not then else ():
            # It was written without the session, which sees it from here on as if it had read it.
            make_transient_to_detached(row)
            self.session.add(row)
        self._given += taken

    def _take_over(self, rows: dict[Part, list[Mapping[str, object]]]) -> list[Base]:
        """Add to ``rows`` what the session would write and may be written with the rest; returns what it took out."""
        taken: list[Base] = []
        session: Iterable[Base] = (*self.session.new, *self.session.dirty)
        for row in session:
            model, state, missing = type(row), instance_state(row), instance_state(row).unloaded
            new = state.key is None
            if not any_order(model) or state.expired_attributes or (new and missing & made_there(model)):
                continue
            changed = tuple(sorted(n for n, was in state.committed_state.items() if was != state.dict[n]))
            if new:
                rows.setdefault(Part(model, True, columns_of(model)), []).append(row.__dict__)
            elif changed and (model, _key(row)) not in self._counted:
                rows.setdefault(Part(model, False, changed), []).append(row.__dict__)
            for name in missing:
                set_committed_value(row, name, None)  # what nobody has set is NULL there
            make_transient(row)
            taken.append(row)
        return taken

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What happens in this block happens whole or not at all, and the transaction goes on either way.

        An exception leaves it and takes back all the block did, also what it rang; rows are to be asked for anew.
        """
        await self.flush()
        rung = len(self.rung)
        try:
            async with self.session.begin_nested():
                await self.session.connection()  # SQLAlchemy sets the savepoint only now, and ``travel`` goes past it
                yield
                await self.flush()
        except BaseException:
            self._fresh, self._counted, self._written = {}, {}, {}
            del self.rung[rung:]
            self._forget()
            raise

    def _forget(self) -> None:
        self._held.clear()
        self._locked.clear()
        self.memo.clear()
        for row in self._given:
            if row in self.session:  # it may not be there any more
                self.session.expunge(row)
        self._given = []
        self.session.expire_all()

    async def let_go(self) -> None:
        """Commit now and give the connection back, before something slow or another transaction; ask nothing more.

        A request that keeps its own transaction while it waits for a second one can use up the pool with its like.
        """
        await self.flush()
        await self.session.commit()
        self._line = None

    async def emit(self, fact: Event) -> None:
        """Tell the packages above, in the order of the SUBSCRIBERS table, inside this transaction."""
        for handler in self._database.subscribers.get(type(fact), ()):
            await handler(self, fact)

    async def enqueue(self, job: str, **arguments: Any) -> None:
        """Have a job of the JOBS table run soon after the commit; it vanishes with a rollback.

        Arguments are JSON values; UUIDs are written as text.
        """
        plain = {k: str(v) if isinstance(v, UUID) else v for k, v in arguments.items()}
        await self._database.jobs.enqueue((await self._on_line()).driver, job, plain)

    def ring(self, item: object) -> None:
        """Announce ``item`` (a feed row, a closed grant) once the transaction has committed."""
        self.rung.append(item)


def _key(row: Base) -> Any:
    return _key_of(type(row))(row)


@cache
def _key_of(model: type[Base]) -> Callable[[Base], Any]:
    return attrgetter(*_key_names(model))


def _key_in(model: type[Base], values: Mapping[str, Any]) -> Any:
    names = _key_names(model)
    return values[names[0]] if len(names) == 1 else tuple(values[name] for name in names)


@cache
def _key_names(model: type[Base]) -> tuple[str, ...]:
    mapper = inspect(model)
    return tuple(mapper.get_property_by_column(c).key for c in mapper.primary_key)


class NoJobs:
    """For tools that never enqueue; refuses loudly if one tries."""

    async def enqueue(self, connection: psycopg.AsyncConnection[Any], name: str, arguments: Mapping[str, Any]) -> None:
        """Always an error here."""
        raise RuntimeError(f"no job queue here, but {name} was enqueued")


class Database:
    """Opens transactions.

    Args:
        engine: async SQLAlchemy engine on psycopg.
        vault: the keys.
        clock: where ``tx.now`` comes from.
        subscribers: event → handlers, in order.
        jobs: the queue.
        announce: called after each commit with what was rung; must not raise or block.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        vault: Vault,
        clock: Clock | None = None,
        subscribers: Subscribers | None = None,
        jobs: Jobs | None = None,
        announce: Callable[[Sequence[object]], None] | None = None,
    ) -> None:
        self.engine = engine
        self.vault = vault
        self.clock: Clock = clock or ServerClock()
        self.subscribers: Subscribers = subscribers or {}
        self.jobs: Jobs = jobs or NoJobs()
        self.announce = announce

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """One transaction: commits when the block ends, rolls back when it raises; announces after the commit."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            async with session.begin():
                tx = Tx(session, await self.clock.now(session), self)
                yield tx
                await tx.finish()
            if tx.rung and self.announce is not None:
                self.announce(tx.rung)

    async def close(self) -> None:
        """Give the connections back."""
        await self.engine.dispose()


IDLE_SECONDS = 1.0  # a connection unused for longer is tried before it is trusted


def connect(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine for ``postgresql+psycopg://…``: a lost server is noticed before use, a full pool answers in 5 s."""
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_use_lifo=True,  # the one used last is warm: its plans, and what it has looked up of the tables
        pool_timeout=5,
        hide_parameters=True,  # an error's text goes to the log, and what was being written does not
        connect_args={"connect_timeout": 5},
    )
    # SQLAlchemy's pool_pre_ping asks before every use, which under load costs more than it finds.
    event.listen(engine.sync_engine, "checkin", _rests)
    event.listen(engine.sync_engine, "checkout", partial(_try, engine.sync_engine))
    return engine


def _rests(connection: object, record: ConnectionPoolEntry) -> None:
    record.info["rests_since"] = since_boot()


def _try(engine: Engine, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
    if since_boot() - record.info.get("rests_since", float("inf")) < IDLE_SECONDS:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as lost:
        raise DisconnectionError from lost  # the pool lays a new one
