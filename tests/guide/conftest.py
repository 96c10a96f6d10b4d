"""What the tests of the guide share: the demo's map, a database, a clock moved by hand, the demo's hospital."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guide.maps import reading
from guide.maps.network import Network, of_document
from kernel.clock import ManualClock
from kernel.crypto import Vault
from kernel.db import Database, connect
from people.service import hospitals
from sandbox import campus
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.intake.conftest import hall

__all__ = ["hall"]


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's IMDF archive."""
    file = tmp_path_factory.mktemp("map") / "campus.zip"
    file.write_bytes(campus.archive())
    return file


@pytest.fixture(scope="session")
def read_once(archive: Path) -> Network:
    """The demo's map; not to be changed."""
    return reading.read_map(archive)


@pytest.fixture
def network(read_once: Network) -> Network:
    """A copy of the demo's map, to be changed at will."""
    return of_document(read_once.document())


@pytest.fixture
def clock() -> ManualClock:
    """Nine in the morning in China, on a Wednesday."""
    return ManualClock(datetime(2026, 3, 4, 1, 0, tzinfo=UTC))


@pytest.fixture
async def db(database_url: str, clock: ManualClock) -> AsyncIterator[Database]:
    """A fresh database of this test alone."""
    database = Database(connect(database_url, pool_size=5), Vault({1: b"m" * 32}, b"i" * 32), clock)
    yield database
    await database.close()


@pytest.fixture
async def hospital(db: Database) -> hospitals.Hospital:
    """The demo's hospital without its people."""
    document = json.loads(HOSPITAL_FILE.read_text("utf-8")) | {"staff": [], "slots": []}
    async with db.begin() as tx:
        return await hospitals.load(tx, document)
