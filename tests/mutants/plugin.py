"""Plants one seeded bug (``HOUFU_MUTANT``) into the running product; the work tree is never touched.

A function keeps its identity and gets other code, so whoever imported it before runs the bug as well.
"""

import importlib
import inspect
import os
import textwrap
from types import FunctionType
from typing import Any

import psycopg
import pytest

from tests.mutants.seeded import BUGS, Bug, Change


class NotApplicable(Exception):
    """The code has moved: the bug has to be planted anew, else it proves nothing."""


def spoil(change: Change) -> tuple[FunctionType, str]:
    """The function to be changed, and what it becomes.

    Raises:
        NotApplicable: what is to be changed is not there, or not once.
    """
    module_name, _, path = change.where.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as gone:
        raise NotApplicable(f"{change.where} is not there") from gone
    if not isinstance(found, FunctionType) or found.__closure__:
        raise NotApplicable(f"{change.where} is no plain function")
    source = textwrap.dedent(inspect.getsource(found))
    if source.count(change.was) != 1:
        raise NotApplicable(f"{change.where} has {change.was!r} {source.count(change.was)} times")
    return found, source.replace(change.was, change.now)


def plant(change: Change) -> None:
    """Change a function in place.

    Raises:
        NotApplicable: as ``spoil`` does.
    """
    found, source = spoil(change)
    made: dict[str, Any] = dict(found.__globals__)
    exec(compile(source, f"<mutant of {change.where}>", "exec"), made)  # noqa: S102
    found.__code__ = made[found.__name__].__code__


def apply(bug: Bug) -> None:
    """Plant all of a bug that is code."""
    for change in bug.changes:
        plant(change)
    if bug.python:
        exec(bug.python, {})  # noqa: S102


def lacking(sql: str) -> None:
    """From now on every database made from the template of all lacks a defence; so do its copies."""
    databases = importlib.import_module("tests.databases")
    original = FunctionType(databases.new_database.__code__, vars(databases))

    def made(server: Any, template: str | None) -> str:
        name: str = original(server, template)
        if template is not None and template.startswith("template_"):
            with psycopg.connect(server.url(name).replace("+psycopg", "", 1), autocommit=True) as connection:
                for one in sql.split(";"):
                    connection.execute(one.encode())
        return name

    def new_database(server: Any, template: str | None) -> str:
        return _lacking(server, template)  # type: ignore[name-defined,no-any-return]  # noqa: F821 - in its own module

    vars(databases)["_lacking"] = made
    databases.new_database.__code__ = new_database.__code__


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is collected."""
    wanted = os.environ.get("HOUFU_MUTANT")
    if wanted:
        bug = next(b for b in BUGS if b.name == wanted)
        try:
            apply(bug)
        except NotApplicable as moved:
            pytest.exit(f"cannot be planted: {moved}", returncode=9)
        if bug.sql:
            lacking(bug.sql)
