"""What every test may ask for: a real PostgreSQL, and a fresh database with all tables in it."""

import fcntl
import gc
import hashlib
import inspect
import os
import shutil
import ssl
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import gmalg
import psutil
import psycopg
import pytest
import structlog
import uvloop
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from playwright.sync_api import Browser
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from wechatpayv3.async_ import core

from houfu import migrate
from houfu.embedded import EmbeddedPostgres
from kernel import db
from people.service import hospitals
from people.service.pins import hash_pin
from pwa import build
from sandbox.wechat_pay import wire
from tests.databases import Databases, new_database
from tests.hatchery import Hatchery

gc.disable()  # what is loaded from here on stays, too; ``pytest_runtestloop`` turns it on again
ROOT = Path(__file__).resolve().parent.parent
ALONE = ("browser", "pictures")  # marks whose tests are asked for alone
# As in production: structlog's own pretty traces take two seconds each, more than a sweep has while a database is away.
PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], PLAIN])


@pytest.fixture(scope="session")
def _asyncio_loop_factory() -> Callable[[], uvloop.Loop]:
    """Tests run on the loop the house runs on; pytest-asyncio asks this fixture for it.

    Its public hook makes the loop a parameter, and a test without asyncio between two others would end what all share.
    """
    return uvloop.new_event_loop


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The server of ordinary tests; it does not survive a power cut, which makes it quick.

    Runs that overlap share it, the last one stops it, and its data stay for the next run. A test that kills servers
    makes its own in ``server_home``.
    """
    quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
    with EmbeddedPostgres(ROOT / ".cache" / "test-pg", settings=quick) as server:
        _drop_leftovers(server)
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: EmbeddedPostgres) -> str:
    """Address of the server's own empty database."""
    return postgres.url()


@pytest.fixture(scope="session")
def template_database(postgres: EmbeddedPostgres) -> str:
    """Name of a database brought to the newest revision by the real migrations, to be copied by each test."""
    content = hashlib.sha256()
    for file in sorted((ROOT / "migrations").rglob("*.py")):
        content.update(file.read_bytes())
    name = f"template_{content.hexdigest()[:16]}"
    with (ROOT / ".cache" / "test-template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if name not in _databases(postgres):
            unfinished = f"unfinished_{name}"
            postgres.drop_database(unfinished)
            migrate.upgrade(postgres.ensure_database(unfinished))
            _execute(postgres, f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    return name


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Iterator[Databases]:
    """All databases of this process."""
    made = Databases(postgres)
    yield made
    made.drop()


@pytest.fixture
def database_url(databases: Databases, template_database: str) -> Iterator[str]:
    """Address of a database of this test alone, with all tables, empty."""
    with databases.lent(template_database) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(databases: Databases, template_database: str) -> Iterator[str]:
    """Address of a database that the tests of one file share."""
    with databases.lent(template_database) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Address of a database of this test alone, without any table."""
    with fresh_database(postgres, None) as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def _once() -> Iterator[None]:
    """What is slow and always comes out the same is done once, not by every test.

    The certificate authorities of the world (read by every client, though it speaks plain loopback), the hashes of the
    PINs in a hospital's file (one that somebody enters is hashed and compared as ever), and reading the keys of the
    made-up world, which checks their primes or works out their other half. And the words of each SQL statement, which
    SQLAlchemy keeps for one engine, while every test has an engine of its own.
    """
    other_half = gmalg.SM2.generate_pk
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        patch.setattr(hospitals, "hash_pin", cache(hash_pin))
        patch.setattr(core, "load_private_key", cache(core.load_private_key))
        patch.setattr(wire, "load_pem_private_key", cache(load_pem_private_key))
        known = cache(lambda secret: other_half(gmalg.SM2(), secret))
        patch.setattr(gmalg.SM2, "generate_pk", lambda _, secret: known(secret))
        patch.setattr(db, "create_async_engine", _with_known_statements())
        patch.setattr(PGDialectAsync_psycopg, "__hash__", lambda one: hash(type(one)))
        patch.setattr(PGDialectAsync_psycopg, "__eq__", lambda one, other: type(one) is type(other))
        yield


def _with_known_statements() -> Callable[..., AsyncEngine]:
    """Engines of one dialect and server that share what they have compiled."""
    compiled: dict[Any, Any] = {}

    def made(*given: Any, **named: Any) -> AsyncEngine:
        engine = create_async_engine(*given, **named)
        engine.sync_engine._compiled_cache = compiled
        return engine

    return made


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one browser of all tests without asyncio: its driver may be started only once at a time in a thread."""
    from tests.pwa.browser import chromium  # with every page's samples, which others need not load

    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def hatchery() -> Iterator[Hatchery]:
    """Where processes of the house come from when they are to be quick; see there."""
    made = Hatchery(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid())))
    yield made
    made.close()


@pytest.fixture
def server_home() -> Iterator[Path]:
    """A folder for a PostgreSQL of this test alone; ``tmp_path`` will not do, the server's account may not enter it."""
    home = Path(tempfile.mkdtemp(prefix="houfu-test-"))
    yield home
    EmbeddedPostgres(home / "pg").stop(force=True)
    shutil.rmtree(home)


@contextmanager
def fresh_database(server: EmbeddedPostgres, template: str | None) -> Iterator[str]:
    """A new database that is dropped at the end."""
    name = new_database(server, template)
    yield server.url(name)
    server.drop_database(name)


def _databases(server: EmbeddedPostgres) -> list[str]:
    return [row[0] for row in _execute(server, "SELECT datname FROM pg_database")]


def _execute(server: EmbeddedPostgres, statement: str) -> list[tuple[str]]:
    address = server.url("postgres").replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def _drop_leftovers(server: EmbeddedPostgres) -> None:
    for name in _databases(server):
        if name.startswith("test_") and not psutil.pid_exists(int(name.split("_")[1])):
            server.drop_database(name)


def pytest_configure(config: pytest.Config) -> None:
    """Pages need their style sheets; ``make`` has built them, who calls pytest by hand may not. Once, before anybody
    serves them: a build begins by taking the old ones away.
    """
    if not hasattr(config, "workerinput") and not (build.STATIC / "assets.json").exists():
        build.main()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whoever asks for the browser's tests alone need not load the others: that is 150 files for each worker."""
    wanted = config.option.markexpr.partition(" ")[0]
    if wanted not in ALONE or collection_path.suffix != ".py":
        return None
    return not _marks(collection_path, wanted) or None


def pytest_itemcollected(item: pytest.Item) -> None:
    """A mark that came about otherwise would have its test left out above."""
    for wanted in ALONE:
        if item.get_closest_marker(wanted) and not _marks(item.path, wanted):
            raise pytest.UsageError(f"{item.nodeid}: write pytest.mark.{wanted} into its file")


@cache
def _marks(path: Path, name: str) -> bool:
    return f"pytest.mark.{name}" in path.read_text("utf-8")


def pytest_collection_finish() -> None:
    """What is loaded by now stays for good; looking through it again and again would slow every test down."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """All is loaded, also where others collect for us."""
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, then those of many tests, so that no worker ends long after the others; files that drive the
    browser plainly last.

    The plain driver of the browser keeps a loop running in its thread, and no test with asyncio may follow there.
    """
    long = {item.path for item in items if item.get_closest_marker("slow")}
    last = {item.path for item in items if _drives_the_browser(item)}
    many = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path in last, item.path not in long, -many[item.path], item.path))


def _drives_the_browser(item: pytest.Item) -> bool:
    plain = not inspect.iscoroutinefunction(getattr(item, "function", None))
    return plain and item.get_closest_marker("browser") is not None
