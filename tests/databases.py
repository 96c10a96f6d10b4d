"""Databases for tests: copies of a template, emptied and lent again, since a new copy costs more than most tests."""

import itertools
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import Connection, sql

from houfu.embedded import EmbeddedPostgres

LENT_AT_MOST = 100
"""Times; deleted rows stay in the files until then, and make them slower."""
_SHAPE = """
    SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (
        SELECT oid || relname || relkind::text AS x FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT oid || conname || convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT oid || tgname || tgenabled::text FROM pg_trigger
        UNION ALL SELECT oid || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace) AS shape
"""
_numbers = itertools.count(1)


@dataclass(slots=True)
class _Copy:
    """One database: how it looked when it was new, what makes it so again, and how often it was lent.

    Its line stays open: a new one would have to get to know eighty tables each time, which takes longer than the rest.
    """

    name: str
    line: Connection
    shape: str = ""
    renewal: bytes = b""
    lent: int = 0


class Databases:
    """All databases of this process on one server."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self._free: dict[str, list[_Copy]] = defaultdict(list)

    @contextmanager
    def lent(self, template: str) -> Iterator[str]:
        """The address of a database that looks like the template, for as long as the block."""
        copy = self._free[template].pop() if self._free[template] else self._made(template)
        yield self.server.url(copy.name)
        copy.lent += 1
        if copy.lent < LENT_AT_MOST and self._as_new(copy):
            self._free[template].append(copy)
        else:
            self._end(copy)

    def drop(self) -> None:
        """The end."""
        for copy in itertools.chain.from_iterable(self._free.values()):
            self._end(copy)
        self._free.clear()

    def _made(self, template: str) -> _Copy:
        name = new_database(self.server, template)
        copy = _Copy(name, psycopg.connect(_plain(self.server.url(name)), autocommit=True))
        copy.shape = _shape(copy.line)
        copy.renewal = _renewal(copy.line)
        return copy

    def _as_new(self, copy: _Copy) -> bool:
        """Put its rows back as they were; False when its tables, rules or triggers are no longer the same."""
        try:
            copy.line.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                              "WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
            if _shape(copy.line) != copy.shape:
                return False
            copy.line.execute(copy.renewal)
        except psycopg.OperationalError:
            return False  # somebody has hung up for us
        return True

    def _end(self, copy: _Copy) -> None:
        copy.line.close()
        self.server.drop_database(copy.name)


def new_database(server: EmbeddedPostgres, template: str | None) -> str:
    """The name of a new copy of a template; nobody may be connected to that."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    # Copying files is far cheaper than logging every page, as long as nobody waits for the disk.
    command = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    with psycopg.connect(_plain(server.url("postgres")), autocommit=True) as line:
        line.execute(command.format(sql.Identifier(name), sql.Identifier(template or "template1")))
    return name


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)


def _shape(line: Connection) -> str:
    row = line.execute(_SHAPE.encode()).fetchone()
    return str(row[0]) if row else ""


def _renewal(line: Connection) -> bytes:
    """Keep a second copy of the rows beside them, and return what empties all tables and fills them again.

    It is one text, sent once: a question and answer for each of seventy tables would cost more than all their rows.
    """
    line.execute("CREATE SCHEMA kept")
    # Neither triggers nor the order of tables matter; the counters are not part of the transaction, but come last.
    steps = ["SET session_replication_role = replica", "BEGIN"]
    tables = line.execute(
        "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    ).fetchall()
    steps += [f"DELETE FROM {name}" for (name,) in tables]
    for (name,) in tables:
        if line.execute(f"SELECT EXISTS (SELECT 1 FROM {name})".encode()).fetchone() == (True,):
            line.execute(f"CREATE TABLE kept.{name} AS TABLE {name}".encode())
            steps.append(f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM kept.{name}")
    steps.append("COMMIT")
    counters = line.execute(
        "SELECT format('setval(%L, %s, %L)', quote_ident(sequencename), coalesce(last_value, 1), "
        "last_value IS NOT NULL) FROM pg_sequences WHERE schemaname = 'public'"
    ).fetchall()
    steps += [f"SELECT {', '.join(one for (one,) in counters)}"] if counters else []
    return ";".join(steps).encode()
