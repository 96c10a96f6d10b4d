"""The ward for tests of visits."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.his.catalogue import HOSPITAL_FILE
from tests.adapters.conftest import Servers
from tests.visits.booking_stand import Desk, open_desk
from tests.visits.ward import Ward, open_ward


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """One post-pay visit going on."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    """The loopback servers of this folder's tests."""
    made = Servers()
    yield made
    await made.stop()


@pytest.fixture
def serving(servers: Servers) -> Callable[[Any], Any]:
    """``async with serving(app) as base_url``."""
    return servers.serving


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """The hospital's appointment desk on a Monday morning."""
    async with open_desk(database_url, tmp_path) as opened:
        yield opened
