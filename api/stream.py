"""One phone listening to one visit: the line itself, written as long as it takes the words, closed when it does not."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Hashable
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kernel.crypto import PositionWriter
from people.rules import Actor, View

WAITING = 64
KEEP_ALIVE = b":\n\n"
RELOAD = b"event: reload\ndata:\n\n"
HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Stream:
    """The state of one stream.

    Attributes:
        seq: the last number that was written or is hidden from this viewer.
        held: while above 0 nothing is written; rows are fetched afterwards.
        ending: nothing more is to be written.
    """

    __slots__ = (
        "_pump", "_queue", "_said", "_send", "_task", "actor", "age", "ending", "face", "held", "patient", "seq",
        "slot", "subject", "tokens", "view", "was_slow",
    )  # fmt: skip

    def __init__(
        self, actor: Actor, subject: UUID, patient: UUID, view: View, face: Hashable, after: int, tokens: PositionWriter
    ) -> None:
        self.actor, self.subject, self.patient, self.view, self.face = actor, subject, patient, view, face
        self.seq, self.tokens = after, tokens
        self.held = self.slot = self.age = 0
        self.ending = self.was_slow = self._said = False
        self._send: Send | None = None
        self._task: asyncio.Task[Any] | None = None
        self._queue: deque[bytes] = deque()
        self._pump: asyncio.Task[None] | None = None

    async def run(self, receive: Receive, send: Send, retry: int, begun: Callable[[], None]) -> None:
        """Hold the line until the phone hangs up or ``end`` is called.

        Args:
            retry: ms the phone waits before it comes back.
            begun: called when the head is out and writing may begin.
        """
        task = self._task = asyncio.current_task()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEAD})
            await send({"type": "http.response.body", "body": b"retry: %d\n\n" % retry, "more_body": True})
            self._send = send
            begun()
            while (await receive())["type"] != "http.disconnect":
                pass
            self._send = None
        except asyncio.CancelledError:
            # Ours, made by ``end``: a task that waits for one thing only costs less than one that waits for two.
            if not self.ending or task is None or task.uncancel() > 0:
                raise
        finally:
            self.ending = True
            stuck = self._pump is not None
            if self._pump is not None:
                self._pump.cancel()
        if self._send is not None and not stuck:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def write(self, data: bytes) -> None:
        """Write now if the socket takes it, queue at most 64 messages if not, then give up: the phone resumes."""
        if self.ending or self._send is None:
            return
        self._said = True
        if self._pump is not None:
            if len(self._queue) >= WAITING:
                self.was_slow = True
                self.end()
            else:
                self._queue.append(data)
            return
        work = self._send({"type": "http.response.body", "body": data, "more_body": True})
        try:
            rest = step(work)
        except OSError:
            self.end()
            return
        if rest is not None:
            self._pump = asyncio.get_running_loop().create_task(self._drain(rest))

    def keep_alive(self) -> None:
        """Write a comment, unless something was written since the last time."""
        if not self._said:
            self.write(KEEP_ALIVE)
        self._said = False

    async def _drain(self, rest: "Rest") -> None:
        try:
            await rest
            while self._queue and self._send is not None:
                data = self._queue.popleft()
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except OSError:
            self.end()
        finally:
            self._pump = None

    def end(self, last: bytes | None = None) -> None:
        """End the stream, after a last message if there is one."""
        if self.ending:
            return
        if last is not None:
            self.write(last)
        self.ending = True
        if self._task is not None:
            self._task.cancel()


class Rest:
    """A coroutine that was begun outside a task and is finished inside one."""

    def __init__(self, work: Coroutine[Any, Any, None], waiting_for: Any) -> None:
        self._work, self._waiting_for = work, waiting_for

    def __await__(self) -> Generator[Any, Any, None]:
        waiting_for = self._waiting_for
        try:
            while True:
                try:
                    got = yield waiting_for
                except BaseException as error:
                    waiting_for = self._work.throw(error)
                else:
                    waiting_for = self._work.send(got)
        except StopIteration:
            return


def step(work: Any) -> Rest | None:
    """Run a coroutine as far as it goes at once; what is left of it, or None when it is done."""
    try:
        waiting_for = work.send(None)
    except StopIteration:
        return None
    return Rest(work, waiting_for)


class StreamResponse(Response):
    """What the route returns; the transaction is over before this runs, so no connection is held while streaming."""

    media_type = "text/event-stream"

    def __init__(self, serve: Any, status_code: int = 200) -> None:
        super().__init__(status_code=status_code)
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        await self._serve(receive, send)
