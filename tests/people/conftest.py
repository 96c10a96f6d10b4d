"""What the tests of people share: a database with all tables, keys, a clock moved by hand, the demo's hospital."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kernel.clock import ManualClock
from kernel.crypto import Vault
from kernel.db import Database, connect
from people.service import hospitals

DEMO = Path(__file__).resolve().parents[2] / "sandbox" / "hospital" / "demo.json"


@pytest.fixture
def clock() -> ManualClock:
    """Nine in the morning in China, on a Wednesday."""
    return ManualClock(datetime(2026, 3, 4, 1, 0, tzinfo=UTC))


@pytest.fixture
def rung() -> list[object]:
    """What was announced after commits."""
    return []


@pytest.fixture
async def db(database_url: str, clock: ManualClock, rung: list[object]) -> AsyncIterator[Database]:
    """A fresh database of this test alone."""
    database = Database(
        connect(database_url, pool_size=20), Vault({1: b"m" * 32}, b"i" * 32), clock, announce=rung.extend
    )
    yield database
    await database.close()


@pytest.fixture
def document() -> dict[str, Any]:
    """The demo hospital's file, to be changed at will."""
    loaded: dict[str, Any] = json.loads(DEMO.read_text("utf-8"))
    return loaded


@pytest.fixture
async def hospital(db: Database, document: dict[str, Any]) -> hospitals.Hospital:
    """The demo's hospital, loaded; only three members of staff, since hashing PINs takes time."""
    document["staff"] = [s for s in document["staff"] if s["login"] in {"d.card", "k.blood", "c.cash"}]
    document["slots"] = [s for s in document["slots"] if s["doctor"] == "d.card"]
    async with db.begin() as tx:
        return await hospitals.load(tx, document)
