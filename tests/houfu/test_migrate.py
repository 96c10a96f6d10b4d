"""Bringing the tables up to date: once, whoever asks and however many ask together."""

import os
import subprocess
import sys
from urllib.parse import quote

import psycopg

from houfu import migrate
from houfu.embedded import EmbeddedPostgres


def test_processes_that_start_together_take_turns(empty_database_url: str) -> None:
    """Three processes migrate the same empty database in the same moment: all succeed, the tables are made once."""
    assert migrate.current(empty_database_url) is None
    script = "import sys; from houfu import migrate; migrate.upgrade(sys.argv[1])"
    command = [sys.executable, "-c", script, empty_database_url]
    together = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(each.communicate()[1], each.returncode) for each in together] == [("", 0)] * 3
    assert migrate.current(empty_database_url) == migrate.head()


def test_addresses_with_odd_characters(postgres: EmbeddedPostgres) -> None:
    """A per cent sign in the address (a password has one easily) does not confuse the migration."""
    name = f"test_{os.getpid()}_odd % name"
    postgres.ensure_database(name)
    try:
        url = postgres.url(quote(name))
        migrate.upgrade(url)
        assert migrate.current(url) == migrate.head()
        with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
            assert connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone() == (True,)
    finally:
        postgres.drop_database(name)
