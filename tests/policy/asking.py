"""Asks the whole application, in this process, one thing after another, and takes back whatever each of them did."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from starlette.types import Message

from api.pace import Pace
from kernel.db import Database, Tx
from pwa.answer import PERSON
from tests.policy.setting import Setting

# Counts of this very transaction, by which even one changed row of any table shows.
_WRITTEN = text("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_all_tables")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``close`` is the code a WebSocket was closed with."""

    status: int
    body: bytes
    location: str = ""
    close: int = 0


@dataclass
class House:
    """The application over one connection, on which nothing is ever committed."""

    app: FastAPI
    setting: Setting
    connection: AsyncConnection
    kept: int = 0
    """Transactions of the last request that were kept."""
    written: int = 0
    """Rows these have changed, where that ``counts``."""
    counts: bool = False
    _inner: Any = field(default=None, repr=False)

    async def ask(
        self, who: str, method: str, path: str, *, json_: Any = None, form: Any = None, headers: Any = ()
    ) -> Answer:
        """One request of one of the setting's people; what it wrote is gone afterwards."""
        try:
            return await self._asked(who, method, path, json_, form, headers)
        finally:
            if self.kept:
                await self._inner.rollback()
                self._inner = await self.connection.begin_nested()

    async def wrote(
        self, who: str, method: str, path: str, *, json_: Any = None, form: Any = None, headers: Any = ()
    ) -> int:
        """How many rows the same request leaves changed; a transaction it takes back itself does not count."""
        self.counts, self.written = True, 0
        try:
            await self.ask(who, method, path, json_=json_, form=form, headers=headers)
        finally:
            self.counts = False
        return self.written

    async def rows(self) -> int:
        """How many rows were touched since the beginning, kept or not; 0 where nobody counts."""
        return int((await self.connection.execute(_WRITTEN)).scalar_one() or 0) if self.counts else 0

    async def _asked(self, who: str, method: str, path: str, json_: Any, form: Any, headers: Any) -> Answer:
        self.kept = 0
        self.setting.world.extras["pace"] = Pace()
        body, kind = b"", ""
        if json_ is not None:
            body, kind = json.dumps(json_).encode(), "application/json"
        elif form is not None:
            body, kind = urlencode(form, doseq=True).encode(), "application/x-www-form-urlencoded"
        given = [(b"host", b"houfu.test"), (b"accept", b"application/json"), *headers]
        if who in self.setting.tokens:
            given.append((b"authorization", f"Bearer {self.setting.tokens[who]}".encode()))
        given.append((b"cookie", f"{PERSON}={self.setting.ids['patient_id']}".encode()))  # who may, looks after her
        if body:
            given += [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        plain, _, query = path.partition("?")
        scope = {
            "type": "websocket" if method == "WS" else "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
            "method": method, "scheme": "wss" if method == "WS" else "https", "path": plain, "raw_path": plain.encode(),
            "query_string": query.encode(), "root_path": "", "headers": given, "client": ("10.0.0.8", 5000),
            "server": ("houfu.test", 443), "subprotocols": [],
        }  # fmt: skip
        return await _Exchange(self.app, scope, body).run()


class _EnoughError(Exception):
    """A stream has begun: whoever asks was let in, and listens no further."""


class _Exchange:
    """One request or WebSocket."""

    def __init__(self, app: FastAPI, scope: dict[str, Any], body: bytes) -> None:
        self.app, self.scope = app, scope
        self.inbox: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        if scope["type"] == "websocket":  # whoever has no header to say who they are has a first word
            self.inbox = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "{}"}]
        self.status, self.body, self.location, self.close = 0, b"", "", 0

    async def run(self) -> Answer:
        """Until the application has done with it."""
        with suppress(_EnoughError):
            await self.app(self.scope, self._receive, self._send)
        return Answer(self.status, self.body, self.location, self.close)

    async def _receive(self) -> Message:
        if self.inbox:
            return self.inbox.pop(0)
        gone = "websocket.disconnect" if self.scope["type"] == "websocket" else "http.disconnect"
        return {"type": gone, "code": 1001}

    async def _send(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start":
                self.status = message["status"]
                found = [v for k, v in message["headers"] if k.lower() == b"location"]
                self.location = found[0].decode() if found else ""
                if any(v.startswith(b"text/event-stream") for _, v in message["headers"]) and self.status == 200:
                    raise _EnoughError
            case "http.response.body":
                self.body += message.get("body", b"")
            case "websocket.accept":
                self.status = 200
            case "websocket.send":
                raise _EnoughError
            case "websocket.close":
                self.close = message.get("code", 1000)


@asynccontextmanager
async def asking(app: FastAPI, setting: Setting) -> AsyncIterator[House]:
    """All the application's transactions become savepoints of one that is rolled back."""
    db: Database = setting.world.db
    async with db.engine.connect() as connection:
        outer = await connection.begin()
        house = House(app, setting, connection)
        house._inner = await connection.begin_nested()
        begin = db.begin

        @asynccontextmanager
        async def inside() -> AsyncIterator[Tx]:
            before = await house.rows()

            async def keep() -> None:
                nonlocal before
                house.kept += 1
                now = await house.rows()
                house.written, before = house.written + now - before, now

            session = AsyncSession(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
            async with session:
                async with session.begin():
                    tx = Tx(session, await db.clock.now(session), db)
                    let_go = tx.let_go

                    async def noted() -> None:
                        await let_go()
                        await keep()

                    tx.let_go = noted  # type: ignore[method-assign]
                    yield tx
                    await tx.flush()
                await keep()
                if tx.rung and db.announce is not None:
                    db.announce(tx.rung)

        db.begin = inside  # type: ignore[method-assign]
        try:
            yield house
        finally:
            db.begin = begin  # type: ignore[method-assign]
            await outer.rollback()
