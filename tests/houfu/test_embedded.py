"""The database that comes along: it starts by itself, survives being killed, and is stopped by whoever leaves last."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, text

from houfu.embedded import MAX_SOCKET_DIR, EmbeddedPostgres, EmbeddedPostgresError

pytestmark = pytest.mark.slow  # each starts servers of its own


def dsn(server: EmbeddedPostgres) -> str:
    """The address as libpq wants it."""
    return server.url().replace("+psycopg", "", 1)


def wait_gone(pid: int) -> None:
    """Wait until a process has left the machine."""
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_starts_speaks_and_stops(server_home: Path) -> None:
    """A fresh folder becomes a server in UTC, reached by the returned address; stopping ends its process."""
    server = EmbeddedPostgres(server_home / "pg", settings={"work_mem": "5MB"})
    engine = create_engine(server.start())
    with engine.connect() as connection:
        names = ["TimeZone", "fsync", "work_mem", "listen_addresses", "server_encoding", "random_page_cost"]
        answers = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]
    engine.dispose()
    assert answers == ["UTC", "on", "5MB", "", "UTF8", "1.1"]
    pid = server.pid
    assert pid is not None
    assert server.stop() is True
    assert server.pid is None
    wait_gone(pid)


def test_start_twice_is_one_server(server_home: Path) -> None:
    """Starting again, in the same object or in another, attaches to the server that runs."""
    first = EmbeddedPostgres(server_home / "pg")
    address = first.start()
    pid = first.pid
    second = EmbeddedPostgres(server_home / "pg")
    assert first.start() == second.start() == address
    assert first.pid == second.pid == pid


def test_last_one_to_leave_stops_it(server_home: Path) -> None:
    """While a second user holds the server, the first one's leaving does not end it."""
    first, second = EmbeddedPostgres(server_home / "pg"), EmbeddedPostgres(server_home / "pg")
    first.start()
    second.start()
    assert first.stop() is False
    with psycopg.connect(dsn(second)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert second.stop() is True
    assert second.pid is None


def test_owner_killed_next_start_attaches_and_stops(server_home: Path) -> None:
    """The process that started the server is killed by -9: the server lives on, the next user finds and ends it."""
    script = (
        "import sys, time; from pathlib import Path; from houfu.embedded import EmbeddedPostgres as E\n"
        "e = E(Path(sys.argv[1])); e.start(); print(e.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, server_home / "pg"], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    server = EmbeddedPostgres(server_home / "pg")
    server.start()
    assert server.pid == pid
    assert server.stop() is True
    wait_gone(pid)


def test_server_killed_keeps_what_was_committed(server_home: Path) -> None:
    """kill -9 of the postmaster: the next start recovers, committed rows are there, the open transaction is not."""
    server = EmbeddedPostgres(server_home / "pg")
    server.start()
    with psycopg.connect(dsn(server)) as connection:
        connection.execute("CREATE TABLE book (fen int)")
        connection.execute("INSERT INTO book VALUES (7760)")
    open_one = psycopg.connect(dsn(server))
    open_one.execute("INSERT INTO book VALUES (1)")
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    server.start()
    open_one.close()
    assert server.pid not in {None, killed}
    with psycopg.connect(dsn(server)) as connection:
        assert connection.execute("SELECT fen FROM book").fetchall() == [(7760,)]


def test_pid_file_of_another_program_is_no_server(server_home: Path) -> None:
    """After a reboot the recorded process number belongs to another program: the server starts all the same."""
    server = EmbeddedPostgres(server_home / "pg")
    server.start()
    pid_file = server.cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert server.pid is None
    server.start()
    assert server.pid not in {None, os.getpid()}


def test_half_made_cluster_is_made_anew(server_home: Path) -> None:
    """A start that was killed while making the data folder leaves nothing that the next start would trust."""
    rubbish = server_home / "pg" / "cluster.new"
    rubbish.mkdir(parents=True)
    (rubbish / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(server_home / "pg")
    server.start()
    assert not rubbish.exists()
    assert server.pid is not None


def test_data_of_another_version_is_refused(server_home: Path) -> None:
    """A folder made by another PostgreSQL is left as it is, and the error says what to do."""
    cluster = server_home / "pg" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 9.*pg_dump"):
        EmbeddedPostgres(server_home / "pg").start()
    assert sorted(path.name for path in cluster.iterdir()) == ["PG_VERSION"]


def test_wrong_setting_shows_the_servers_own_words(server_home: Path) -> None:
    """A setting the server does not know ends the start at once with the line of its log that says so."""
    server = EmbeddedPostgres(server_home / "pg", settings={"no_such_thing": "1"})
    with pytest.raises(EmbeddedPostgresError, match="no_such_thing"):
        server.start()
    assert server.pid is None


def test_long_and_odd_folder_names(server_home: Path) -> None:
    """A deep folder with a blank and a quote in its name works, though a socket in it would be too long."""
    server = EmbeddedPostgres(server_home / ("it's deep " + "x" * 100) / "pg")
    try:
        address = server.start()
        socket_dir = address.split("host=")[1].split("&")[0]
        assert len(socket_dir) <= MAX_SOCKET_DIR
        assert Path(socket_dir).stat().st_mode & 0o077 == 0
    finally:
        server.stop(force=True)
    assert not Path(socket_dir).exists()


def test_copies_of_a_template(server_home: Path) -> None:
    """A database is made once, also as a copy; dropping it closes connections that are still open."""
    server = EmbeddedPostgres(server_home / "pg")
    server.start()
    with psycopg.connect(dsn(server)) as connection:
        connection.execute("CREATE TABLE book (fen int)")
    address = server.ensure_database("copy", template="houfu")
    assert server.ensure_database("copy") == address
    with psycopg.connect(address.replace("+psycopg", "", 1)) as connection:
        assert connection.execute("SELECT count(*) FROM book").fetchone() == (0,)
        connection.commit()
        server.drop_database("copy")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
