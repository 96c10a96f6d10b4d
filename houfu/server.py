"""Serves the application on one port, and lets go of everybody at once when asked to stop."""

import asyncio
import gc
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import HANDLED_SIGNALS

from houfu import migrate
from houfu.embedded import EmbeddedPostgres
from kernel.settings import Settings, SettingsError


class Server(uvicorn.Server):
    """uvicorn that ends the streams first; otherwise it would wait for phones that never hang up by themselves."""

    def __init__(self, app: FastAPI, config: uvicorn.Config, when_up: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._when_up = when_up
        self._hub = app.state.world.hub
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, and say so."""
        await super().startup(sockets)
        if self.started and self._when_up is not None:
            self._when_up()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or Ctrl-C: a clean end with exit code 0; a second one does not wait for phones."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hub.close)
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear signals while serving, and once told to stop until the very end: a third one tears nothing apart."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sig: signal.signal(sig, self.handle_exit) for sig in HANDLED_SIGNALS}
        try:
            yield
        finally:
            if not self.should_exit:
                for sig, handler in before.items():
                    signal.signal(sig, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close; what the application opened is closed in order even when nobody is waited for."""
        await super().shutdown(sockets)
        if self.force_exit and isinstance(self.lifespan, LifespanOn) and not self.lifespan.shutdown_event.is_set():
            await self.lifespan.shutdown()


def server(app: FastAPI, settings: Settings, when_up: Callable[[], None] | None = None) -> Server:
    """One process, uvloop and httptools; what a proxy on this machine says about the client is believed.

    Args:
        when_up: called when the port is open.
    """
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=4096,  # a phone says who it is, and nothing after that
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=True,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=30,
        backlog=2048,
    )
    return Server(app, config, when_up)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run the process's main work on uvloop."""
    gc.enable()
    # What is loaded by now stays for good; looking through it again and again would hold up every phone.
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@contextmanager
def database(settings: Settings, *, upgrade: bool) -> Iterator[Settings]:
    """Settings with a database address: the one that comes along is started, and stopped at the end if it is nobody's.

    Args:
        upgrade: bring the tables up to date first; the database that comes along always is.

    Raises:
        houfu.embedded.EmbeddedPostgresError: it does not start.
        SettingsError: it holds what was sealed, and the key file is gone: a new one would open none of it.
    """
    if settings.database_url is not None:
        if upgrade:
            migrate.upgrade(settings.database_url)
        _need_keys(settings, settings.database_url)
        yield settings
        return
    with EmbeddedPostgres(settings.data_dir / "postgres") as own:
        url = own.url()
        if migrate.current(url) != migrate.head():
            migrate.upgrade(url)
        _need_keys(settings, url)
        yield settings.model_copy(update={"database_url": url})


def _need_keys(settings: Settings, url: str) -> None:
    if not settings.keys.exists() and migrate.holds_sealed(url):
        raise SettingsError(
            f"{settings.keys} is missing, and the database holds what was sealed with it. Put it back from the backup"
            " (or name it in HOUFU_KEY_FILE) before anything is started: a new key file opens none of it."
        )


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
