"""Plants one seeded bug (``HOUFU_MUTANT``) into the running product; the work tree is never touched.

A function keeps its identity and gets other code, so whoever imported it before runs the bug as well.
"""

import importlib
import inspect
import os
import re
import textwrap
from collections.abc import Callable
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


def spoilt(execute: Callable[[Any, str], Any], sql: str) -> Callable[[Any, str], Any]:
    """Every database made from the template of all lacks a defence; so do its copies."""

    def run(server: Any, statement: str) -> Any:
        done = execute(server, statement)
        made = re.match(r'CREATE DATABASE "(\w+)" TEMPLATE "template_[0-9a-f]', statement)
        if made:
            address = server.url(made[1]).replace("+psycopg", "", 1)
            with psycopg.connect(address, autocommit=True) as connection:
                for one in sql.split(";"):
                    connection.execute(one.encode())
        return done

    return run


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
            conftest = importlib.import_module("tests.conftest")
            conftest._execute = spoilt(conftest._execute, bug.sql)  # type: ignore[attr-defined]
