"""The made-up outside world on real loopback ports, and a clock a test can move."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn

from sandbox import keys
from sandbox.quiet import QuietServer
from tests.adapters.pay_stand import Stand, a_stand


class MovableClock:
    """Real time plus whatever the test added."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def move(self, **by: float) -> None:
        """Let time pass."""
        self.shift += timedelta(**by)


class Server:
    """A loopback server that outlives a test; which app answers is decided by whoever borrows it."""

    def __init__(self) -> None:
        self.app: Any = None
        self.listener = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio leaves Nagle on: 40 ms a call
        self.listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._answer, log_level="error", lifespan="off", ws="none", interface="asgi3", timeout_graceful_shutdown=1
        )
        self._server = QuietServer(config)
        self._task = asyncio.create_task(self._server._serve([self.listener]))

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    async def started(self) -> None:
        """Wait until it listens."""
        await until(lambda: self._server.started)

    async def stop(self) -> None:
        """Stop for good."""
        self._server.leave()
        await self._task


class Servers:
    """A few servers, lent one by one: starting and stopping one for every test would take most of the time."""

    def __init__(self) -> None:
        self._free: list[Server] = []
        self._all: list[Server] = []

    @asynccontextmanager
    async def serving(self, app: Any) -> AsyncIterator[str]:
        """Serve an app (its lifespan is not run) on some loopback port; yields the address."""
        if not self._free:
            server = Server()
            await server.started()
            self._all.append(server)
            self._free.append(server)
        server = self._free.pop()
        server.app = app
        try:
            yield f"http://127.0.0.1:{server.listener.getsockname()[1]}"
        finally:
            self._free.append(server)

    async def stop(self) -> None:
        """Stop them all."""
        await asyncio.gather(*(server.stop() for server in self._all))


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    """The servers of this folder's tests."""
    made = Servers()
    yield made
    await made.stop()


@pytest.fixture(scope="session")
def world_keys() -> keys.SandboxKeys:
    """One set of keys for all tests of this folder."""
    return keys.fresh()


@pytest.fixture
def clock() -> MovableClock:
    """The world's clock."""
    return MovableClock()


@pytest.fixture
def serving(servers: Servers) -> Callable[[Any], Any]:
    """``async with serving(app) as base_url``."""
    return servers.serving


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float = 15.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Awaitable[None]]:
    """``await until(lambda: …)``."""
    return until


@pytest.fixture
async def stand(world_keys: keys.SandboxKeys, clock: MovableClock, serving: Any) -> AsyncIterator[Stand]:
    """A merchant, its client and the sandbox's WeChat Pay."""
    async with a_stand(world_keys, clock, serving) as made:
        yield made
