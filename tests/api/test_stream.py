"""Phones listening: nothing lost, nothing twice, nothing for the wrong eyes, and nobody is kept waiting at the end."""

import asyncio
import json
import time
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from api import line
from api.hub import STREAMS_PER_VIEWER
from api.stream import KEEP_ALIVE
from kernel.ids import new_id
from kernel.settings import Settings
from notices import service as notices
from notices.models import Presence
from people.events import SessionsEnded, ViewsChanged
from people.models import Grant
from people.rules import Audience, Depth, GrantKind, GrantState
from tests.api.conftest import House, a_house


def texts(phone: object) -> list[str]:
    """What a phone was told, in order."""
    return [json.loads(m)["data"]["text"] for m in phone.texts if m]  # type: ignore[attr-defined]


async def grant(house: House, patient: object, relative: object, depth: Depth) -> object:
    """Let a relative watch."""
    async with house.world.db.begin() as tx:
        row = Grant(
            id=new_id(), patient_id=patient.id, person_id=relative.id, kind=GrantKind.WATCH, relation="child",  # type: ignore[attr-defined]
            depth=int(depth), opened=[], visit_id=None, until=None,
            bond=new_id(), state=GrantState.ACTIVE, created_at=tx.now,
        )  # fmt: skip
        tx.add(row)
        return row.id


async def present(house: House) -> list[tuple[UUID, UUID]]:
    """Who is known to have what before their eyes."""
    async with house.world.db.begin() as tx:
        return [(row.person_id, row.subject) for row in await tx.session.scalars(select(Presence))]


async def test_rows_arrive_as_they_are_written(house: House) -> None:
    """A patient opens her page; three facts follow in two transactions; her phone shows them in order, each once."""
    mother, session = await house.person()
    visit = await house.visit(mother.id)
    await house.say(visit, "before")
    phone = await house.phone(session, visit)
    await house.begun(1)
    await house.say(visit, "one")
    await house.say(visit, "two", "three")
    await phone.until(lambda p: len(p.got) >= 3)
    assert texts(phone) == ["one", "two", "three"]
    assert len({m.id for m in phone.got}) == 3
    assert all(m.id is not None and len(m.id) == 22 for m in phone.got)


async def test_who_watches_what_came_is_written_down(house: House) -> None:
    """An open page on which nothing came says nothing of her; once a row came, the house knows that she has seen it."""
    mother, session = await house.person()
    visit = await house.visit(mother.id)
    phone = await house.phone(session, visit)
    await house.begun(1)
    await asyncio.sleep(0.1)
    assert await present(house) == []
    await house.say(visit, "one")
    await phone.until(lambda p: len(p.got) >= 1)
    async with asyncio.timeout(10):
        while not await present(house):
            await asyncio.sleep(0.1)
    assert await present(house) == [(mother.id, visit)]
    assert house.world.hub.told() == set(), "it is said once"


async def test_resuming_misses_nothing(house: House) -> None:
    """The page knows where it stands, the line drops again and again while facts are written: each comes once."""
    mother, session = await house.person()
    visit = await house.visit(mother.id)
    phone = await house.phone(session, visit, f"?after={house.world.hub.token(mother, visit, 0)}", listen=False)
    wanted = [f"fact {n}" for n in range(60)]

    async def write() -> None:
        for text in wanted:
            await house.say(visit, text)

    writing = asyncio.create_task(write())
    for _ in range(6):
        await phone.listen()
        await asyncio.sleep(0.05)
        await phone.hang_up()
    await writing
    await phone.listen()
    await phone.until(lambda p: len(p.got) >= len(wanted))
    await asyncio.sleep(0.1)
    assert texts(phone) == wanted


async def test_two_processes_ring_each_other(settings: Settings) -> None:
    """Facts are written by two processes in turn; phones at both show all of them, in order, once."""
    async with a_house(settings) as one, a_house(settings, hospital=one.hospital) as other:
        mother, session = await one.person()
        visit = await one.visit(mother.id)
        phones = [await one.phone(session, visit), await other.phone(session, visit)]
        await one.begun(1)
        await other.begun(1)
        wanted = [f"fact {n}" for n in range(40)]
        for n, text in enumerate(wanted):
            await (one, other)[n % 2].say(visit, text)
        for phone in phones:
            await phone.until(lambda p: len(p.got) >= len(wanted))
            assert texts(phone) == wanted


async def test_a_lost_ring_is_healed(settings: Settings) -> None:
    """Another process writes but its call to us is lost: the next look at the feed brings the row."""
    async with a_house(settings) as one, a_house(settings, hospital=one.hospital) as other:
        mother, session = await one.person()
        visit = await one.visit(mother.id)
        phone = await one.phone(session, visit)
        await one.begun(1)
        other.world.db.announce = None
        await other.say(visit, "unheard")
        await asyncio.sleep(0.2)
        assert texts(phone) == []
        await one.world.hub.heal()
        await phone.until(lambda p: len(p.got) == 1)
        assert texts(phone) == ["unheard"]


async def test_a_foreign_or_forged_position_reads_nothing(house: House) -> None:
    """A position made for somebody else, for another visit, or by hand: told to draw the page again, shown no row."""
    mother, session = await house.person()
    father, _ = await house.person()
    visit, another = await house.visit(mother.id), await house.visit(father.id)
    await house.say(visit, "hers")
    hub = house.world.hub
    for token in (hub.token(father, visit, 0), hub.token(mother, another, 0), "A" * 22, hub.token(mother, visit, 99)):
        phone = await house.phone(session, visit, f"?after={token}")
        await phone.until(lambda p: p.ended)
        assert [(m.event, m.data) for m in phone.got] == [("reload", "")]


async def test_strangers_are_told_there_is_no_such_visit(house: House) -> None:
    """A stranger's question about a real visit is answered like one about no visit at all; nobody logged in: 401."""
    mother, _ = await house.person()
    _, stranger = await house.person()
    visit = await house.visit(mother.id)
    cookie = {"Cookie": f"__Host-houfu={stranger}"}
    real = await house.client.get(f"/api/visits/{visit}/stream", headers=cookie)
    absent = await house.client.get(f"/api/visits/{new_id()}/stream", headers=cookie)
    nobody = await house.client.get(f"/api/visits/{visit}/stream")
    assert (real.status_code, absent.status_code, nobody.status_code) == (404, 404, 401)
    assert real.content == absent.content
    assert house.world.hub.open == 0


async def test_each_sees_what_is_theirs(house: House) -> None:
    """Mother sees all; her daughter, who may see steps only, gets the bytes of steps and no trace of the rest."""
    mother, hers = await house.person()
    daughter, theirs = await house.person()
    visit = await house.visit(mother.id)
    await grant(house, mother, daughter, Depth.STEPS)
    phones = [await house.phone(hers, visit), await house.phone(theirs, visit)]
    await house.begun(2)
    await house.say(visit, "step")
    await house.say(visit, "money", audience=Audience.BILL)
    await house.say(visit, "secret step", category="gynaecology")
    await house.say(visit, "step again")
    for phone, count in zip(phones, (4, 2), strict=True):
        await phone.until(lambda p, count=count: len(p.got) >= count)  # type: ignore[misc]
    assert texts(phones[0]) == ["step", "money", "secret step", "step again"]
    assert texts(phones[1]) == ["step", "step again"]
    assert {m.id for m in phones[0].got}.isdisjoint(m.id for m in phones[1].got)


async def test_a_view_that_ends_shows_nothing_more(house: House) -> None:
    """Mother withdraws the grant; what is committed with that or later never reaches the daughter."""
    mother, hers = await house.person()
    daughter, theirs = await house.person()
    visit = await house.visit(mother.id)
    given = await grant(house, mother, daughter, Depth.BILL)
    phones = [await house.phone(hers, visit), await house.phone(theirs, visit)]
    await house.begun(2)
    async with house.world.db.begin() as tx:
        row = await tx.get(Grant, given)
        assert row is not None
        row.state, row.ended_at = GrantState.WITHDRAWN, tx.now
        await notices.append(tx, visit, "note", {"text": "after"}, audience=Audience.STEPS)
        tx.ring(ViewsChanged(mother.id))
    await phones[1].until(lambda p: p.ended)
    assert [(m.event, m.data) for m in phones[1].got] == [("reload", "")]
    await phones[0].until(lambda p: len(p.got) == 1)
    assert texts(phones[0]) == ["after"]
    assert house.world.hub.open == 1


@pytest.mark.parametrize("what", ["grant", "session"])
async def test_what_ends_while_a_line_is_opening_shuts_it(
    house: House, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Between the look at her right and the opened line mother withdraws it, or her session ends: nothing is shown."""
    mother, _ = await house.person()
    daughter, theirs = await house.person()
    visit = await house.visit(mother.id)
    given, hub = await grant(house, mother, daughter, Depth.BILL), house.world.hub
    looked, on, serve = asyncio.Event(), asyncio.Event(), hub.serve

    async def late(*parts: Any) -> None:
        looked.set()
        await on.wait()
        await serve(*parts)

    monkeypatch.setattr(hub, "serve", late)
    phone = await house.phone(theirs, visit, listen=False)
    opening = asyncio.create_task(phone.listen())
    await looked.wait()
    async with house.world.db.begin() as tx:
        if what == "grant":
            row = await tx.get(Grant, given)
            assert row is not None
            row.state, row.ended_at = GrantState.WITHDRAWN, tx.now
        tx.ring(ViewsChanged(mother.id) if what == "grant" else SessionsEnded(daughter.viewer))
    on.set()
    await opening
    await phone.until(lambda p: p.ended, 5)
    await house.say(visit, "after")
    assert [(m.event, m.data) for m in phone.got] == ([("reload", "")] if what == "grant" else [])
    assert hub.open == 0


async def test_one_viewer_has_six_streams(house: House) -> None:
    """A seventh page of the same person waits; when one is closed there is room again."""
    mother, session = await house.person()
    visit = await house.visit(mother.id)
    phones = [await house.phone(session, visit) for _ in range(STREAMS_PER_VIEWER)]
    await house.begun(STREAMS_PER_VIEWER)
    answer = await house.client.get(f"/api/visits/{visit}/stream", headers={"Cookie": f"__Host-houfu={session}"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "5"
    await phones[0].hang_up()
    await house.begun(STREAMS_PER_VIEWER - 1)
    again = await house.phone(session, visit)
    assert again.status == 200


async def test_streams_hold_no_connection(house: House) -> None:
    """Thirty phones listen while the pool holds ten connections; none of them is taken."""
    for _ in range(5):
        mother, session = await house.person()
        visit = await house.visit(mother.id)
        for _ in range(STREAMS_PER_VIEWER):
            await house.phone(session, visit)
    await house.begun(30)
    assert house.world.db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert (await house.client.get("/readyz")).status_code == 200


async def test_everything_closes_at_once(settings: Settings) -> None:
    """The process is asked to stop with two hundred phones on the line: all are let go at once."""
    async with a_house(settings) as house:
        people = [await house.person() for _ in range(34)]
        for actor, session in people:
            visit = await house.visit(actor.id)
            for _ in range(STREAMS_PER_VIEWER):
                await house.phone(session, visit)
        phones = house.phones[:200]
        began = time.monotonic()
    assert time.monotonic() - began < 15  # half of the patience the server has with those who do not let go
    assert all(p.ended for p in phones)


@pytest.mark.parametrize("desk", [True, False])
async def test_a_desk_looks_though_nothing_rang(house: House, monkeypatch: pytest.MonkeyPatch, desk: bool) -> None:
    """Another process heard what a desk waits for, so nothing rang: told all the same; a line about people is not."""
    monkeypatch.setattr(line, "QUIET", 0.02)
    monkeypatch.setattr(line, "PAUSE", 0.01)
    marks, sent = ["as drawn"], list[bytes]()

    async def mark() -> str:
        return marks[-1]

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()

    listens = line.Line(house.world.hub, mark, "as drawn", about=None if desk else (new_id(),))
    serving = asyncio.create_task(listens.serve(receive, send))
    while sent.count(KEEP_ALIVE) < 2:  # it has looked, and it is quiet
        await asyncio.sleep(0.01)
    assert line.REFRESH not in sent
    marks.append("answered")
    quiet = sent.count(KEEP_ALIVE)
    while sent.count(KEEP_ALIVE) < quiet + 2:
        await asyncio.sleep(0.01)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert sent.count(line.REFRESH) == desk


async def test_a_slow_reader_is_let_go_and_resumes(house: House) -> None:
    """A phone stops reading; memory for it stays bounded, others are served, and it resumes where it stopped."""
    mother, session = await house.person()
    visit = await house.visit(mother.id)
    host, port = house.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    request = f"GET /api/visits/{visit}/stream HTTP/1.1\r\nHost: {host}\r\nCookie: __Host-houfu={session}\r\n\r\n"
    writer.write(request.encode())
    await house.begun(1)
    quick = await house.phone(session, visit)
    await house.begun(2)
    big = "x" * 100_000
    for n in range(140):
        await house.say(visit, f"{n} {big}")
    await house.begun(1)
    assert house.world.hub.slow == 1
    await quick.until(lambda p: len(p.got) == 140)
    writer.close()
    del reader
