"""Telling the hospital's own system: in order within a visit, once in effect, whatever it does meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from adapters.his import HisAccess, HisClient
from kernel.clock import wall_clock
from people.service import hospitals
from sandbox.his.server import His, create_app
from sandbox.his.wire import Key
from tests.visits.ward import Ward, visit_row
from visits import flows
from visits.service import calls, encounters
from visits.service.encounters import EncounterFact, Visit

OUT = Key("out-1", "outbound-secret")


@dataclass
class Line:
    """The ward, the hospital's system, and the line between them."""

    ward: Ward
    his: His
    client: HisClient
    asked: int = 0

    async def of(self, hospital_id: UUID) -> HisClient:
        """The client of the one hospital."""
        assert hospital_id == self.ward.hospital
        self.asked += 1
        return self.client

    async def deliver(self, after: float = 0) -> int:
        """Let seconds pass, then deliver what is due."""
        self.ward.clock.move(timedelta(seconds=after))
        return await flows.deliver_calls(self.ward.world.db, self)

    async def decide(self, *what: tuple[str, str], visit: UUID | None = None, **data: Any) -> None:
        """Queue decisions (kind, key), each in a transaction of its own."""
        for kind, key in what:
            async with self.ward.world.db.begin() as tx:
                found = await tx.get(Visit, visit) if visit else await visit_row(tx, self.ward)
                assert found is not None
                await calls.tell(tx, found, kind, key, data)  # type: ignore[arg-type]

    async def waiting(self) -> list[str]:
        """Keys the HIS has not answered."""
        async with self.ward.world.db.begin() as tx:
            return [call.key for call in await calls.pending(tx, self.ward.hospital)]

    async def troubles(self) -> dict[str, str | None]:
        """Why each of them waits, by key."""
        async with self.ward.world.db.begin() as tx:
            return {call.key: call.trouble for call in await calls.pending(tx, self.ward.hospital)}

    @property
    def said(self) -> list[str]:
        """Keys in the order in which the HIS first did them."""
        return list(self.his.books.commands)


@pytest.fixture
async def line(ward: Ward, serving: Any) -> AsyncIterator[Line]:
    """The HIS knows the ward's encounter under its own number; what opening the ward queued has been answered."""
    his = His("http://127.0.0.1:9", Key("in-1", "inbound-secret"), [OUT])
    number = his.clinic.register(his.catalogue.by_key["mother"], "CARD")
    async with ward.world.db.begin() as tx:
        encounter = await tx.get(encounters.Encounter, encounters.encounter_id(ward.hospital, "E1"))
        assert encounter is not None
        encounter.number = number
    async with (
        serving(create_app(his, send=False)) as url,
        HisClient(HisAccess(url, OUT.id, OUT.secret), wall_clock, answer_seconds=2) as client,
    ):
        made = Line(ward, his, client)
        await made.deliver()
        assert await made.waiting() == []
        his.books.commands.clear()
        his.books.complaints.clear()
        yield made
    await his.close()


STORY = (("mark", "mark:a"), ("unmark", "unmark:a"), ("mark", "mark:b"))


async def test_everything_due_of_a_visit_travels_in_one_request_in_order(line: Line) -> None:
    """Mark, unmark, mark again within a second: one request, done in that order, nothing left waiting."""
    await line.decide(*STORY)
    before = line.asked
    assert await line.deliver() == 3
    assert line.asked == before + 1
    assert line.said == ["mark:a", "unmark:a", "mark:b"]
    assert await line.waiting() == []


async def test_what_comes_between_two_rounds_travels_together(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """One decision is delivered; two that come while the deliverer waits for company share the next request."""
    await line.decide(STORY[0])
    before, sleep, pauses = line.asked, asyncio.sleep, 0

    async def company(seconds: float, *given: Any) -> None:
        nonlocal pauses
        if seconds != 7:  # somebody else's
            await sleep(seconds, *given)
            return
        pauses += 1
        if pauses == 1:
            await line.decide(STORY[1])
            await line.decide(STORY[2])

    monkeypatch.setattr(asyncio, "sleep", company)
    assert await flows.deliver_calls(line.ward.world.db, line, breath=7) == 3
    assert (pauses, line.asked - before, line.said) == (2, 2, ["mark:a", "unmark:a", "mark:b"])


async def test_a_backlog_waits_for_no_company(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one claim takes: the next round begins at once, and only the last one waits."""
    monkeypatch.setattr(flows, "CLAIMED_AT_ONCE", 2)
    await line.decide(*STORY)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def counted(seconds: float, *given: Any) -> None:
        pauses.extend([seconds] if seconds == 7 else [])
        await sleep(0 if seconds == 7 else seconds, *given)

    monkeypatch.setattr(asyncio, "sleep", counted)
    assert await flows.deliver_calls(line.ward.world.db, line, breath=7) == 3
    assert pauses == [7]


@pytest.mark.parametrize("fault", ["down", "silent", "slow", "late", "500_after", "garbage", "other_key"])
async def test_trouble_at_the_hospital_changes_nothing_but_the_delay(line: Line, fault: str) -> None:
    """Down, slow, or doing it and not saying so: all wait, come again together, and count once."""
    await line.decide(*STORY)
    line.his.behaviour.be(fault, seconds=3)
    assert await line.deliver() == 0
    assert await line.waiting() == ["mark:a", "unmark:a", "mark:b"]
    assert await line.deliver(after=10) == 3
    assert line.said == ["mark:a", "unmark:a", "mark:b"]
    assert line.his.books.complaints == []
    assert await line.waiting() == []
    assert await line.deliver(after=600) == 0


async def test_what_is_said_again_is_said_of_the_same_encounters(line: Line) -> None:
    """Done, not answered, and a second department begins meanwhile: the same again; the new one has its own mark."""
    await line.decide(*STORY[:2])
    line.his.behaviour.be("500_after")
    assert await line.deliver() == 0
    no = line.his.clinic.register(line.his.catalogue.by_key["mother"], "ENDO")
    async with line.ward.world.db.begin() as tx:
        fact = EncounterFact(no, line.ward.actors["mother"].id, "AMB", "ENDO", None, "normal", None, tx.now, 1)
        visit = await encounters.start(tx, await hospitals.by_id(tx, line.ward.hospital), fact)
        assert visit.id == line.ward.visit
    await line.deliver(after=10)
    await line.deliver(after=10)
    assert await line.waiting() == []
    assert line.his.books.complaints == []
    first = [line.his.books.commands[key][0]["encounters"] for key in ("mark:a", "unmark:a")]
    assert [len(one) for one in first] == [1, 1]
    own = [
        command["encounters"] for command, _ in line.his.books.commands.values() if command["key"].endswith(f":{no}")
    ]
    assert own == [[*first[0], no]]


async def test_nobody_overtakes_what_is_being_said(line: Line) -> None:
    """A process has taken the mark and is waiting for the answer when the unmark is decided: it waits its turn."""
    await line.decide(STORY[0])
    async with line.ward.world.db.begin() as tx:
        assert [call.key for call in await calls.claim(tx, 10)] == ["mark:a"]
    await line.decide(STORY[1])
    assert await line.deliver(after=1) == 0
    assert line.said == []
    assert await line.deliver(after=10) == 2  # the first process never came back
    assert line.said == ["mark:a", "unmark:a"]


async def test_two_processes_claim_one_after_the_other(line: Line) -> None:
    """While one process claims, another finds nothing to do, and takes nothing out of turn."""
    await line.decide(*STORY)
    async with line.ward.world.db.begin() as first, line.ward.world.db.begin() as second:
        assert len(await calls.claim(first, 1)) == 1
        assert await calls.claim(second, 10) == []


async def test_what_the_hospital_cannot_digest_holds_up_no_neighbour(line: Line) -> None:
    """One visit's command has no right form and the whole request is refused; next time it travels alone."""
    no = line.his.clinic.register(line.his.catalogue.by_key["mother"], "CARD")
    async with line.ward.world.db.begin() as tx:
        patient = line.ward.actors["neighbour"].id
        fact = EncounterFact(no, patient, "AMB", "CARD", None, "normal", None, tx.now, 1)
        hospital = await hospitals.by_id(tx, line.ward.hospital)
        other = (await encounters.start(tx, hospital, fact)).id
    await line.decide(("post", "post:bad"), charges="none")
    await line.decide(("mark", "mark:good"), visit=other)
    assert await line.deliver() == 0
    answered = await line.deliver(after=10)
    assert (answered, await line.troubles()) == (1, {"post:bad": "his: commands answered 422"})
    assert line.said == ["mark:good"]


async def test_the_hospital_may_ask_for_time(ward: Ward, serving: Any) -> None:
    """It answers the first of two and says "later" to the second: one is done, the other comes again."""
    heard: list[list[str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        keys = [command["key"] for command in json.loads((await receive())["body"])]
        heard.append(keys)
        items = [{"key": key, "outcome": "later" if n and len(heard) == 1 else "done"} for n, key in enumerate(keys)]
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
        await send(start)
        await send({"type": "http.response.body", "body": json.dumps({"items": items}).encode()})

    async with serving(app) as url, HisClient(HisAccess(url, OUT.id, OUT.secret), wall_clock) as client:
        line = Line(ward, None, client)  # type: ignore[arg-type]
        waiting = await line.waiting()
        assert len(waiting) >= 2
        assert await line.deliver() == 1
        assert await line.waiting() == waiting[1:]
        assert await line.deliver(after=10) == len(waiting) - 1
        assert heard == [waiting, waiting[1:]]
