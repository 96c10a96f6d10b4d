"""A hospital's system in the process, on a clock that stands still, and a Houfu that can be made to misbehave."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.his import catalogue
from sandbox.his.books import Books
from sandbox.his.clinic import Clinic
from sandbox.his.generate import Clock
from tests.adapters.conftest import Servers


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
def clock() -> Clock:
    """Eight in the morning in China."""
    return Clock(datetime(2026, 11, 22, 0, 0, tzinfo=UTC))


@pytest.fixture
def clinic(clock: Clock) -> Clinic:
    """The demo hospital with empty books."""
    return Clinic(Books("HF01", clock), catalogue.load())
