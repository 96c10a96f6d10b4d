"""The same streams for programs without EventSource (a mini-program): one WebSocket in place of one answer.

A stream writes server-sent events to whatever sends them on. ``Wire`` stands in that place and says the same bytes as
messages of a WebSocket, so that nothing about what is shown, resumed, held back or ended is decided a second time.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import Response
from starlette.types import Message, Receive, Send
from starlette.websockets import WebSocketDisconnect

from api.deps import COOKIE, caller_by
from api.hub import ClosingError, TooManyStreamsError
from api.stream import KEEP_ALIVE, RELOAD
from api.world import World
from kernel.db import Tx
from kernel.errors import HoufuError, Kind, NotFoundError, UnauthenticatedError
from people.rules import Actor

log = structlog.get_logger()

FIRST_WORD = 5.0  # seconds a phone has to say who it is
WORDS = 200  # messages a phone may send on one line; it has nothing to say after the first
DONE, POLICY, RESTART, LATER = 1000, 1008, 1012, 1013
NOBODY, NOT_YOURS, NOT_FOUND, TOO_MANY, NO_WORD = 4401, 4403, 4404, 4429, 4408
_MINI_PROGRAMS = "https://servicewechat.com"  # where WeChat says its programs are from, if it says anything


class Hello(BaseModel):
    """The first message of a phone whose session is not in a header."""

    model_config = ConfigDict(extra="ignore")
    token: Annotated[str, Field(max_length=200)] = ""
    after: Annotated[str, Field(max_length=64)] | None = None


@dataclass(slots=True)
class Line:
    """One WebSocket that is open, and who is at its other end."""

    world: World
    socket: WebSocket
    token: str
    after: str | None

    async def who(self, tx: Tx) -> Actor:
        """Whose session it is.

        Raises:
            UnauthenticatedError: nobody's.
        """
        found = await caller_by(self.world, tx, self.token)
        if found is None:
            raise UnauthenticatedError
        return found


Serve = Callable[[Receive, Send], Awaitable[None]]
Open = Callable[[Line], Awaitable[Serve]]


async def talk(socket: WebSocket, open_: Open) -> None:
    """Hold one WebSocket: let it in, learn who it is, have ``open_`` begin a stream, and say why it ends."""
    world: World = socket.app.state.world
    own = _is_own(socket, world.settings.base_url)
    if not own and "origin" in socket.headers and socket.headers["origin"] != _MINI_PROGRAMS:
        await socket.send_denial_response(Response(status_code=403))
        return
    await socket.accept()
    wire = Wire(socket, lambda: world.hub.closing)
    try:
        hello = await _hello(socket, own)
        serve = await open_(Line(world, socket, hello.token, hello.after))
        await serve(wire.receive, wire.send)
    except HoufuError as error:
        await wire.close(_code(error), error.code)
    except TimeoutError:
        await wire.close(NO_WORD, "hello")
    except ValidationError:
        await wire.close(POLICY, "hello")
    except WebSocketDisconnect:
        pass
    except (DBAPIError, PoolTimeout) as error:
        log.error("database", error=type(error).__name__)
        await wire.close(LATER, "unavailable")


async def only_reload(receive: Receive, send: Send) -> None:
    """For a position that is none of the caller's: ask for the whole again."""
    await send({"type": "http.response.body", "body": RELOAD, "more_body": False})


async def _hello(socket: WebSocket, own: bool) -> Hello:
    """From a header if it is there, else from the first message; never from the address, which is written to logs."""
    after = socket.query_params.get("after")
    scheme, _, bearer = socket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer:
        return Hello(token=bearer.strip(), after=after)
    # A browser sends its cookie along whoever's page it is on; only our own pages may make use of it.
    cookie = socket.cookies.get(COOKIE) if own else None
    if cookie:
        return Hello(token=cookie, after=after)
    async with asyncio.timeout(FIRST_WORD):
        message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    found = Hello.model_validate_json(message.get("text") or "")
    return found if found.after is not None else found.model_copy(update={"after": after})


def _is_own(socket: WebSocket, base_url: str) -> bool:
    origin = socket.headers.get("origin")
    if origin is None:
        return False
    scheme = "https" if socket.url.scheme == "wss" else "http"
    base = urlsplit(base_url)
    return origin in {f"{scheme}://{socket.headers.get('host', '')}", f"{base.scheme}://{base.netloc}"}


def _code(error: HoufuError) -> int:
    match error:
        case UnauthenticatedError():
            return NOBODY
        case NotFoundError():
            return NOT_FOUND
        case TooManyStreamsError():
            return TOO_MANY
        case ClosingError():
            return RESTART
    return NOT_YOURS if error.kind is Kind.FORBIDDEN else LATER


class Wire:
    """What a stream takes for the ASGI of an HTTP answer, spoken over a WebSocket.

    Args:
        closing: whether the process is going down.
    """

    def __init__(self, socket: WebSocket, closing: Callable[[], bool]) -> None:
        self._socket, self._closing = socket, closing
        self._heard = 0

    async def receive(self) -> Message:
        """The phone hung up, or said something nobody asked for; too much of that ends the line."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return {"type": "http.disconnect"}
            self._heard += 1
            if self._heard > WORDS:
                await self.close(POLICY, "too many messages")
                return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """One piece of the answer, which is one event."""
        if message["type"] != "http.response.body":
            return
        if message["body"]:
            text = as_message(message["body"])
            await self._socket.send({"type": "websocket.send", "text": text})
        if not message.get("more_body", False):
            code, reason = (RESTART, "restart") if self._closing() else (DONE, "")
            await self.close(code, reason)

    async def close(self, code: int, reason: str) -> None:
        """Say why, if anybody is there to hear it."""
        try:
            await self._socket.send({"type": "websocket.close", "code": code, "reason": reason})
        except (RuntimeError, OSError):
            return


def as_message(event: bytes) -> str:
    """One server-sent event as one JSON object: ``{"id", "data"}``, or ``{"event": "hello" | "beat" | "reload"}``."""
    if event == KEEP_ALIVE:
        return '{"event":"beat"}'
    if event == RELOAD:
        return '{"event":"reload"}'
    if event.startswith(b"retry: "):
        return json.dumps({"event": "hello", "retry": int(event[7:])}, separators=(",", ":"))
    head, _, data = event.partition(b"\ndata: ")
    # The data are one line of JSON, drawn once for all phones of this kind; it is not read again for each.
    return f'{{"id":"{head[4:].decode()}","data":{data.rstrip().decode()}}}'
