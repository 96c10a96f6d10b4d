"""A running Houfu on loopback, in this process, on a database of its own, and phones that listen to it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from api.deps import COOKIE
from api.world import World
from houfu import wiring
from houfu.app import create_app
from kernel.db import Tx
from kernel.ids import new_id
from kernel.settings import Settings, load
from notices import service as notices
from people.models import Hospital, Person
from people.rules import Actor, ActorKind, Audience
from people.service import sessions
from sandbox.quiet import QuietServer
from visits.models import Visit


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The app on a free loopback port, really through uvicorn and httptools."""
    listening = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio leaves Nagle on: 40 ms a call
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=4096,
        ws_per_message_deflate=False,
        log_level="critical",
        timeout_graceful_shutdown=30,
    )
    server = QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        app.state.world.hub.close()
        server.leave()
        await task
        listening.close()


@dataclass
class Message:
    """One server-sent event."""

    id: str | None
    event: str
    data: str


@dataclass
class Phone:
    """Listens to one stream and keeps what came; ``last`` is where it would resume."""

    client: httpx.AsyncClient
    url: str
    token: str
    got: list[Message] = field(default_factory=list)
    last: str | None = None
    status: int = 0
    task: asyncio.Task[None] | None = None
    ended: bool = False

    async def listen(self) -> "Phone":
        """Connect, and return when the answer's head is here."""
        head = asyncio.Event()
        self.ended = False
        self.task = asyncio.create_task(self._read(head))
        await asyncio.wait_for(head.wait(), 20)
        return self

    async def _read(self, head: asyncio.Event) -> None:
        headers = {"Cookie": f"{COOKIE}={self.token}"} | ({"Last-Event-ID": self.last} if self.last else {})
        try:
            async with self.client.stream("GET", self.url, headers=headers, timeout=None) as answer:
                self.status = answer.status_code
                now = Message(None, "message", "")
                lines = answer.aiter_lines()
                async for line in lines:
                    head.set()
                    if line.startswith("id: "):
                        now.id = line[4:]
                    elif line.startswith("event: "):
                        now.event = line[7:]
                    elif line.startswith("data:"):
                        now.data += line[5:].strip()
                    elif not line:
                        self._take(now)
                        now = Message(None, "message", "")
        except httpx.HTTPError:
            pass
        finally:
            self.ended = True
            head.set()

    def _take(self, message: Message) -> None:
        if message.id is not None:
            self.last = message.id
        if message.id is not None or message.event != "message":
            self.got.append(message)

    async def until(self, enough: Callable[["Phone"], bool], seconds: float = 15) -> None:
        """Wait for something to have come."""
        async with asyncio.timeout(seconds):
            while not enough(self):
                await asyncio.sleep(0.01)

    async def hang_up(self) -> None:
        """Lose the network."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    @property
    def texts(self) -> list[str]:
        """The data of all messages, in order."""
        return [m.data for m in self.got]


@dataclass
class House:
    """One running process of Houfu and what tests do with it."""

    world: World
    url: str
    client: httpx.AsyncClient
    hospital: UUID
    phones: list[Phone] = field(default_factory=list)

    async def person(self) -> tuple[Actor, str]:
        """Somebody new, logged in."""
        async with self.world.db.begin() as tx:
            person = await a_person(tx)
            entered = await sessions.begin(tx, person)
        return Actor(ActorKind.PERSON, person.id), entered.token

    async def visit(self, patient: UUID) -> UUID:
        """A day at the hospital, begun."""
        async with self.world.db.begin() as tx:
            return await a_visit(tx, self.hospital, patient)

    async def say(
        self, visit: UUID, *texts: str, audience: Audience = Audience.STEPS, category: str | None = None
    ) -> None:
        """Rows of the visit's feed, in one transaction."""
        async with self.world.db.begin() as tx:
            for text in texts:
                await notices.append(tx, visit, "note", {"text": text}, audience=audience, category=category)

    async def phone(self, token: str, visit: UUID, query: str = "", *, listen: bool = True) -> Phone:
        """A phone on the visit's stream."""
        phone = Phone(self.client, f"{self.url}/api/visits/{visit}/stream{query}", token)
        self.phones.append(phone)
        return await phone.listen() if listen else phone

    async def begun(self, count: int) -> None:
        """Wait until so many streams are open."""
        async with asyncio.timeout(15):
            while self.world.hub.open != count:
                await asyncio.sleep(0.01)


async def a_person(tx: Tx) -> Person:
    """A row of people."""
    from people.service.patients import new_person

    person = tx.add(new_person(tx, "测试"))
    await tx.session.flush()
    return person


async def a_hospital(tx: Tx) -> UUID:
    """A row of hospitals."""
    row = Hospital(
        id=new_id(),
        code="T01",
        name="试",
        city="试",
        phone="1",
        address="试",
        his_url="http://127.0.0.1:9",
        settings={},
    )
    tx.add(row)
    await tx.session.flush()
    return row.id


async def a_visit(tx: Tx, hospital: UUID, patient: UUID) -> UUID:
    """A row of visits with its feed."""
    visit = Visit(
        id=new_id(), hospital_id=hospital, patient_id=patient, day=tx.now.date(), number="1", mode="UPFRONT",
        mode_reason=None, state="open", opened_at=tx.now, ended_at=None, due_at=None, settled_at=None,
    )  # fmt: skip
    tx.add(visit)
    await notices.open_feed(tx, visit.id, "visit", patient)
    return visit.id


@asynccontextmanager
async def a_house(settings: Settings, *, work: bool = False, hospital: UUID | None = None) -> AsyncIterator[House]:
    """Start one process's worth of Houfu; stops with the block."""
    world = wiring.build(settings)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with (
        serving(create_app(world, work=work)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, limits=limits) as client,
    ):
        if hospital is None:
            async with world.db.begin() as tx:
                hospital = await a_hospital(tx)
        house = House(world, url, client, hospital)
        try:
            yield house
        finally:
            await hang_up(house.phones)


async def hang_up(phones: Sequence[Phone]) -> None:
    """Everybody."""
    for phone in phones:
        await phone.hang_up()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a process on this test's database, with keys of its own."""
    return load({}, database_url=database_url.replace("+psycopg", ""), data_dir=tmp_path)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    """One running process."""
    async with a_house(settings) as made:
        yield made
