"""The ward for tests of visits."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.his.catalogue import HOSPITAL_FILE
from tests.visits.ward import Ward, open_ward


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """One post-pay visit going on."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened
