"""A line that only says when a page is no longer true: a desk's list, somebody's first page; nothing about anybody.

What rings is a commit (anywhere, or about certain people); what changed is asked once, at most twice a second, so a
busy hospital costs a line no more than a quiet one, and a quiet one nothing (a desk asks every quarter of a minute).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from uuid import UUID

from starlette.types import Message, Receive, Send

from api.hub import Hub
from api.stream import HEAD, KEEP_ALIVE, StreamResponse

PAUSE = 0.5
QUIET = 15.0
OLDEST = 900
REFRESH = b"event: refresh\ndata:\n\n"

Mark = Callable[[], Awaitable[str | None]]
"""What the page looks like now, in short; None when the caller may no longer know."""


class Line:
    """One page listening.

    Args:
        drawn: the mark of the page as it was drawn; a different one now is said at once.
        word: what is said: ``refresh`` (ask for the list again) or ``reload`` (for the whole page).
        about: people whose changes ring; None: every commit.
    """

    def __init__(
        self, hub: Hub, mark: Mark, drawn: str, word: bytes = REFRESH, about: Collection[UUID] | None = None
    ) -> None:
        self._hub, self._mark, self._drawn, self._word, self._about = hub, mark, drawn, word, about

    async def serve(self, receive: Receive, send: Send) -> None:
        """Hold the line until the page goes away, its session ends, or the process does."""
        bell = self._hub.bell(self._about)
        bell.set()
        await send({"type": "http.response.start", "status": 200, "headers": HEAD})
        await send(_body(b"retry: 1500\n\n"))
        watcher = asyncio.create_task(self._watch(bell, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({watcher, gone}, timeout=OLDEST, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.no_bell(bell, self._about)
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
                if self._about is not None:
                    continue  # at a desk it is looked all the same: what another process heard may not have rung here
            bell.clear()
            now = await self._mark()
            if now is None:
                return
            if now != self._drawn:
                self._drawn = now
                await send(_body(self._word))
            await asyncio.sleep(PAUSE)


def serve_line(hub: Hub, viewer: str, line: Line) -> Callable[[Receive, Send], Awaitable[None]]:
    """What serves the line; it counts as one of this viewer's streams."""

    async def serve(receive: Receive, send: Send) -> None:
        hub.admit(viewer)
        try:
            await line.serve(receive, send)
        finally:
            hub.dismiss(viewer)

    return serve


def follow_line(hub: Hub, viewer: str, line: Line) -> StreamResponse:
    """The line as an answer."""
    return StreamResponse(serve_line(hub, viewer, line))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
