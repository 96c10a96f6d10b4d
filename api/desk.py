"""A desk's line: it says ``refresh`` when the department's list has changed, and nothing about anybody.

Every commit anywhere rings; what changed is asked once, at most twice a second, so a busy hospital costs a desk no
more than a quiet one, and a quiet one nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.types import Message, Receive, Send

from api.hub import Hub
from api.stream import HEAD, KEEP_ALIVE

PAUSE = 0.5
QUIET = 15.0
OLDEST = 900
REFRESH = b"event: refresh\ndata:\n\n"

Mark = Callable[[], Awaitable[str | None]]
"""What the list looks like now, in short; None when the caller may no longer know."""


class DeskLine:
    """One desk listening.

    Args:
        drawn: the mark of the list as the page has it; a different one now refreshes at once.
    """

    def __init__(self, hub: Hub, mark: Mark, drawn: str) -> None:
        self._hub, self._mark, self._drawn = hub, mark, drawn

    async def serve(self, receive: Receive, send: Send) -> None:
        """Hold the line until the desk goes away, its session ends, or the process does."""
        bell = self._hub.bell()
        bell.set()
        await send({"type": "http.response.start", "status": 200, "headers": HEAD})
        await send(_body(b"retry: 1500\n\n"))
        watcher = asyncio.create_task(self._watch(bell, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({watcher, gone}, timeout=OLDEST, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.no_bell(bell)
            for task in (watcher, gone):
                task.cancel()
            results = await asyncio.gather(watcher, gone, return_exceptions=True)
        if isinstance(results[1], asyncio.CancelledError):
            with suppress(OSError):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, bell: asyncio.Event, send: Send) -> None:
        while not self._hub.closing:
            try:
                async with asyncio.timeout(QUIET):
                    await bell.wait()
            except TimeoutError:
                await send(_body(KEEP_ALIVE))
                continue
            bell.clear()
            now = await self._mark()
            if now is None:
                return
            if now != self._drawn:
                self._drawn = now
                await send(_body(REFRESH))
            await asyncio.sleep(PAUSE)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
