"""A mini-program listening by WebSocket: the same feed by the same rules as a browser's, and let go as surely."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api import live, stream
from api.hub import STREAMS_PER_VIEWER
from api.live import as_message
from api.stream import KEEP_ALIVE, RELOAD
from kernel.crypto import digest
from kernel.ids import new_id
from kernel.settings import Settings
from people.events import ViewsChanged
from people.models import Grant, Session
from people.rules import Audience, Depth, GrantKind, GrantState
from people.service import sessions
from tests.api.conftest import House, a_house

Json = dict[str, Any]


def at(house: House, visit: object, query: str = "") -> str:
    """The address of a visit's line."""
    return f"{house.url.replace('http', 'ws', 1)}/api/visits/{visit}/live{query}"


@asynccontextmanager
async def line(address: str, hello: Json | None = None, **headers: str) -> AsyncIterator[ClientConnection]:
    """A phone's WebSocket; ``hello`` is its first message."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with connect(address, additional_headers=given, proxy=None, close_timeout=1) as socket:
        if hello is not None:
            await socket.send(json.dumps(hello))
        yield socket


async def hear(socket: ClientConnection, count: int) -> list[Json]:
    """The next messages."""
    async with asyncio.timeout(10):
        return [json.loads(await socket.recv()) for _ in range(count)]


async def ending(socket: ClientConnection) -> tuple[list[Json], int]:
    """What comes until the line ends, and the code it ends with."""
    got: list[Json] = []
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionClosed):
            while True:
                got.append(json.loads(await socket.recv()))
    return got, socket.close_code or 0


def texts(got: list[Json]) -> list[str]:
    """What rows say."""
    return [m["data"]["data"]["text"] for m in got if "data" in m]


async def grant(house: House, patient: UUID, relative: UUID, depth: Depth) -> UUID:
    """Let a relative watch."""
    async with house.world.db.begin() as tx:
        row = Grant(
            id=new_id(), patient_id=patient, person_id=relative, kind=GrantKind.WATCH, relation="child",
            depth=int(depth), opened=[], visit_id=None, until=None,
            bond=new_id(), state=GrantState.ACTIVE, created_at=tx.now,
        )  # fmt: skip
        tx.add(row)
        return row.id


async def test_both_ways_say_the_same(house: House) -> None:
    """One phone listens by WebSocket, one as browsers do: the same positions and the same rows, byte for byte."""
    mother, token = await house.person()
    visit = await house.visit(mother.id)
    browser = await house.phone(token, visit)
    async with line(at(house, visit), {"token": token}) as socket:
        await house.begun(2)
        await house.say(visit, "one")
        await house.say(visit, "二 <&>\n\"'")
        hello, *rows = await hear(socket, 3)
        await browser.until(lambda p: len(p.got) == 2)
    assert hello.keys() == {"event", "retry"}
    assert [(r["id"], r["data"]) for r in rows] == [(m.id, json.loads(m.data)) for m in browser.got]
    assert as_message(KEEP_ALIVE) == '{"event":"beat"}'
    assert as_message(RELOAD) == '{"event":"reload"}'


async def test_resuming_misses_nothing(house: House) -> None:
    """The line drops while facts are written; the phone comes back with its last position, whichever way it came by."""
    mother, token = await house.person()
    visit = await house.visit(mother.id)
    after: str | None = house.world.hub.token(mother, visit, 0)
    heard: list[str] = []
    wanted = [f"fact {n}" for n in range(20)]

    async def write() -> None:
        for text in wanted:
            await house.say(visit, text)

    writing = asyncio.create_task(write())
    while len(heard) < len(wanted):
        async with line(at(house, visit), {"token": token, "after": after}) as socket:
            await hear(socket, 1)
            for _ in range(4):
                (row,) = await hear(socket, 1)
                after, heard = row["id"], [*heard, *texts([row])]
    await writing
    assert heard == wanted
    browser = await house.phone(token, visit, f"?after={house.world.hub.token(mother, visit, 18)}")
    await browser.until(lambda p: len(p.got) == 2)
    async with line(at(house, visit, f"?after={browser.got[0].id}"), Authorization=f"Bearer {token}") as socket:
        assert texts(await hear(socket, 2)) == ["fact 19"]


async def test_who_is_let_in(house: House) -> None:
    """A session in the header, in the first message, or as a cookie of our own page; others are not."""
    mother, hers = await house.person()
    _, stranger = await house.person()
    visit = await house.visit(mother.id)
    origin = house.url
    for way in (
        line(at(house, visit), Authorization=f"Bearer {hers}"),
        line(at(house, visit), {"token": hers}, Origin="https://servicewechat.com"),
        line(at(house, visit), Cookie=f"__Host-houfu={hers}", Origin=origin),
    ):
        async with way as socket:
            assert (await hear(socket, 1))[0]["event"] == "hello"
    for way, code, reason in (
        (line(at(house, visit), {"token": "made up"}), 4401, "unauthenticated"),
        (line(at(house, visit), Cookie=f"__Host-houfu={hers}", hello={}), 4401, "unauthenticated"),
        (line(at(house, visit), {"token": stranger}), 4404, "not_found"),
        (line(at(house, new_id()), {"token": hers}), 4404, "not_found"),
        (line(at(house, visit), {"token": ["x"]}), 1008, "hello"),
    ):
        async with way as socket:
            got, ended = await ending(socket)
            assert (got, ended, socket.close_reason) == ([], code, reason)
    with pytest.raises(InvalidStatus) as refused:
        await connect(at(house, visit), additional_headers={"Origin": "https://evil.example"}, proxy=None)
    assert refused.value.response.status_code == 403
    assert house.world.hub.open == 0


async def test_a_foreign_position_reads_nothing(house: House) -> None:
    """A position of somebody else, or by hand: told to ask for the whole again, shown no row."""
    mother, token = await house.person()
    father, _ = await house.person()
    visit = await house.visit(mother.id)
    await house.say(visit, "hers")
    for after in (house.world.hub.token(father, visit, 0), "A" * 22):
        async with line(at(house, visit), {"token": token, "after": after}) as socket:
            assert await ending(socket) == ([{"event": "reload"}], 1000)


async def test_silence_and_chatter_are_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not say who they are is let go; who talks on and on, or says too much at once, too."""
    mother, token = await house.person()
    visit = await house.visit(mother.id)
    monkeypatch.setattr(live, "FIRST_WORD", 0.1)
    async with line(at(house, visit)) as socket:
        assert await ending(socket) == ([], 4408)
    monkeypatch.setattr(live, "FIRST_WORD", 5)
    async with line(at(house, visit)) as socket:
        await socket.send(b"\x00")
        assert await ending(socket) == ([], 1008)
    async with line(at(house, visit), {"token": token}) as socket:
        await hear(socket, 1)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(live.WORDS + 1):
                await socket.send("{}")
        assert await ending(socket) == ([], 1008)
    async with line(at(house, visit), {"token": "x" * 5000}) as socket:
        assert await ending(socket) == ([], 1009)
    await house.begun(0)


async def test_each_sees_what_is_theirs_and_a_withdrawn_grant_ends_it(house: House) -> None:
    """A daughter who may see steps gets no trace of the rest; withdrawn, her line ends within a second."""
    mother, _ = await house.person()
    daughter, theirs = await house.person()
    visit = await house.visit(mother.id)
    given = await grant(house, mother.id, daughter.id, Depth.STEPS)
    async with line(at(house, visit), {"token": theirs}) as socket:
        await house.begun(1)
        await house.say(visit, "step")
        await house.say(visit, "money", audience=Audience.BILL)
        await house.say(visit, "secret", category="gynaecology")
        await house.say(visit, "step again")
        assert texts(await hear(socket, 3)) == ["step", "step again"]
        began = time.monotonic()
        async with house.world.db.begin() as tx:
            row = await tx.get(Grant, given)
            assert row is not None
            row.state, row.ended_at = GrantState.WITHDRAWN, tx.now
            tx.ring(ViewsChanged(mother.id))
        await house.say(visit, "after")
        assert await ending(socket) == ([{"event": "reload"}], 1000)
        assert time.monotonic() - began < 1


async def test_a_session_that_ends_ends_its_lines_in_every_process(settings: Settings) -> None:
    """She logs out on one phone, or all her sessions are ended: her open lines end within a second, wherever held."""
    async with a_house(settings) as one, a_house(settings, hospital=one.hospital) as other:
        mother, token = await one.person()
        father, his = await one.person()
        visit, another = await one.visit(mother.id), await one.visit(father.id)
        async with (
            line(at(one, visit), {"token": token}) as here,
            line(at(other, visit), {"token": token}) as there,
            line(at(one, another), {"token": his}) as his_own,
        ):
            browser = await other.phone(token, visit)
            await one.begun(2)
            await other.begun(2)
            began = time.monotonic()
            await one.client.delete("/api/session", headers={"Authorization": f"Bearer {token}"})
            for socket in (here, there):
                assert (await ending(socket))[1] == 1000
            await browser.until(lambda p: p.ended)
            assert time.monotonic() - began < 1
            async with line(at(one, visit), {"token": token}) as again:
                assert await ending(again) == ([], 4401)
            assert one.world.hub.open == 1
            async with one.world.db.begin() as tx:
                await sessions.end_all(tx, father.id)
            assert (await ending(his_own))[1] == 1000


async def test_a_session_runs_out(house: House) -> None:
    """Her thirty days are over: neither a call nor a line is answered, whichever way the token comes."""
    mother, token = await house.person()
    visit = await house.visit(mother.id)
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await house.client.get("/api/visits", headers=bearer)).status_code == 200
    async with house.world.db.begin() as tx:
        row = await tx.get(Session, digest(token))
        assert row is not None
        row.expires_at = tx.now
    for path in ("/api/visits", "/api/session", f"/api/visits/{visit}", f"/visits/{visit}/pass/live.png"):
        assert (await house.client.get(path, headers=bearer)).status_code == 401
    async with line(at(house, visit), Authorization=bearer["Authorization"]) as socket:
        assert await ending(socket) == ([], 4401)


async def test_one_viewer_has_six_lines_of_either_kind(house: House) -> None:
    """A seventh waits, whichever way it comes."""
    mother, token = await house.person()
    visit = await house.visit(mother.id)
    for _ in range(STREAMS_PER_VIEWER - 1):
        await house.phone(token, visit)
    async with line(at(house, visit), {"token": token}) as socket:
        await house.begun(STREAMS_PER_VIEWER)
        async with line(at(house, visit), {"token": token}) as seventh:
            assert await ending(seventh) == ([], 4429)
        assert (await hear(socket, 1))[0]["event"] == "hello"


async def test_a_slow_reader_is_let_go_and_resumes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone stops reading: what waits for it is bounded, the line is cut; coming back again, it misses nothing."""
    monkeypatch.setattr(stream, "WAITING", 8)
    mother, token = await house.person()
    visit = await house.visit(mother.id)
    after = house.world.hub.token(mother, visit, 0)
    async with connect(at(house, visit), proxy=None, max_queue=1, close_timeout=1) as socket:
        await socket.send(json.dumps({"token": token}))
        await house.begun(1)
        big = "x" * 200_000
        for n in range(40):
            await house.say(visit, f"{n} {big}")
        await house.begun(0)
        assert house.world.hub.slow == 1
    got: list[Json] = []
    while len(got) < 40:
        async with line(at(house, visit), {"token": token, "after": got[-1]["id"] if got else after}) as socket:
            with contextlib.suppress(ConnectionClosed):
                await hear(socket, 1)
                while len(got) < 40:
                    got += await hear(socket, 1)
    assert [text.split()[0] for text in texts(got)] == [str(n) for n in range(40)]


async def test_a_database_that_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can be looked up: the phone is told to come back later, and nothing of ours is said."""

    async def away(*_: object) -> None:
        raise PoolTimeout

    mother, token = await house.person()
    visit = await house.visit(mother.id)
    monkeypatch.setattr(live, "caller_by", away)
    async with line(at(house, visit), {"token": token}) as socket:
        got, code = await ending(socket)
        assert (got, code, socket.close_reason) == ([], 1013, "unavailable")


async def test_news_of_visits(house: House) -> None:
    """A program waits for news: told at once that it has not drawn anything yet, then when a visit begins."""
    mother, token = await house.person()
    async with line(f"{house.url.replace('http', 'ws', 1)}/api/news/live", {"token": token}) as socket:
        assert [m["event"] for m in await hear(socket, 2)] == ["hello", "reload"]
        await house.visit(mother.id)
        async with house.world.db.begin() as tx:
            tx.ring(ViewsChanged(mother.id))
        assert await hear(socket, 1) == [{"event": "reload"}]


async def test_everything_closes_at_once(settings: Settings) -> None:
    """The process is asked to stop: every line is told to come back, and nobody is waited for."""
    async with a_house(settings) as house:
        mother, token = await house.person()
        visit = await house.visit(mother.id)
        ends = []
        sockets = [await connect(at(house, visit), proxy=None, close_timeout=1) for _ in range(5)]
        for socket in sockets:
            await socket.send(json.dumps({"token": token}))
            ends.append(asyncio.create_task(ending(socket)))
        await house.begun(5)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    assert [code for _, code in await asyncio.gather(*ends)] == [1012] * 5
    for socket in sockets:
        await socket.close()
