"""An appointment in the way: she asks for another time, the hospital says yes, no, late or twice, and until it does the
old window holds. The hospital's system is the sandbox's, at the other end of the real outbox and the real door."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from adapters.his import HisAccess, HisClient
from guide import service as guide
from guide.service import moving
from kernel.clock import wall_clock
from kernel.errors import NotFoundError
from kernel.ids import new_id
from people.rules import OWNER, Actor, ActorKind, Depth, View
from sandbox.his.server import His, create_app
from sandbox.his.wire import Key
from tests.intake.conftest import Hall
from visits import flows
from visits.models import HisCall
from visits.rules import OrderGoneError
from visits.service import calls, encounters, moves, orders, reading
from words.guide_order import MISSES_APPOINTMENT

OUT = Key("out-1", "outbound-secret")


@dataclass
class Desk:
    """A hospital and its system; she is there, with an ECG booked and blood to be drawn."""

    hall: Hall
    his: His
    client: HisClient
    visit: UUID
    ecg: UUID
    her: Actor

    async def of(self, hospital_id: UUID) -> HisClient:
        return self.client

    async def hear(self, times: int = 1) -> None:
        """What the hospital's system has to say is said, perhaps more than once."""
        said = list(self.his.books.outbox.values())
        self.his.books.outbox.clear()
        for _ in range(times):
            assert not [a for a in await self.hall.say(*said) if a.status == "rejected"]

    async def deliver(self, after: float = 0) -> int:
        self.hall.clock.move(timedelta(seconds=after))
        return await flows.deliver_calls(self.hall.db, self)

    async def press(self, who: Actor | None = None) -> None:
        async with self.hall.db.begin() as tx:
            await moving.ask(tx, who or self.her, self.visit, self.ecg)

    async def step(self, view: View = OWNER) -> dict[str, Any]:
        """The ECG as this view reads it."""
        async with self.hall.db.begin() as tx:
            return next(s for s in await guide.steps_of(tx, self.visit, view) if str(s["id"]) == str(self.ecg))

    async def window(self) -> tuple[float, float]:
        """Its window, in minutes from now on the hospital's clock."""
        async with self.hall.db.begin() as tx:
            order = await orders.order_by_id(tx, self.ecg)
            assert order is not None
            assert order.window_from is not None
            assert order.window_until is not None
            return tuple(
                (at - self.hall.clock.time).total_seconds() / 60 for at in (order.window_from, order.window_until)
            )  # type: ignore[return-value]


@pytest.fixture
async def desk(hall: Hall) -> AsyncIterator[Desk]:
    """It is nine; the ECG was booked for half past eight, ten minutes long."""
    his = His("http://127.0.0.1:9", Key("in-1", "s"), [OUT], now=lambda: hall.clock.time, signing_now=wall_clock)
    web = httpx.ASGITransport(create_app(his, send=False))
    async with HisClient(
        HisAccess("http://his.test", OUT.id, OUT.secret), wall_clock, transport=web, answer_seconds=1
    ) as client:
        no = his.clinic.register(his.catalogue.by_key["mother"], "CARD")
        begins = hall.clock.time - timedelta(minutes=30)
        booked = (begins.isoformat(), (begins + timedelta(minutes=10)).isoformat())
        number = his.clinic.order(no, "ECG12", appointment=booked)
        his.clinic.order(no, "BLOODBASIC")
        made = Desk(
            hall, his, client, UUID(int=0), orders.order_id(hall.hospital, number), Actor(ActorKind.PERSON, UUID(int=0))
        )
        await made.hear()
        async with hall.db.begin() as tx:
            encounter = await tx.get(encounters.Encounter, encounters.encounter_id(hall.hospital, no))
            assert encounter is not None
            visit = await reading.visit_of(tx, encounter.visit_id)
            assert visit is not None
            made.visit, made.her = visit.id, Actor(ActorKind.PERSON, visit.patient_id)
        await made.deliver()
        yield made
    await his.close()


async def asked(desk: Desk) -> list[HisCall]:
    """Questions in the outbox."""
    async with desk.hall.db.begin() as tx:
        return list(await tx.session.scalars(select(HisCall).where(HisCall.kind == "move")))


async def test_yes(desk: Desk) -> None:
    """She presses twice: one question. Answered, the old window holds until the new one is said; said twice, it is one.
    Nobody else presses for her, and who follows reads nothing of it."""
    step = await desk.step()
    assert (step["because"], step["move"]) == (MISSES_APPOINTMENT, "ask")
    for stranger in (Actor(ActorKind.PERSON, new_id()), Actor(ActorKind.LINK, new_id())):
        with pytest.raises(NotFoundError):
            await desk.press(stranger)
    assert await asked(desk) == []
    await desk.press()
    await desk.press()
    (call,) = await asked(desk)
    assert call.data["order_no"]
    assert (await desk.step())["move"] == "asked"
    assert await desk.window() == (-30, -20)
    await desk.deliver()
    assert ((await desk.step())["move"], await desk.window()) == ("agreed", (-30, -20))
    await desk.hear(times=2)
    begins, until = await desk.window()
    assert 0 <= begins < 15
    assert until - begins == 10
    step = await desk.step()
    assert (step["move"], step["because"] == MISSES_APPOINTMENT) == (None, False)
    assert desk.his.books.complaints == []
    watcher = await desk.step(View(Depth.RESULTS, frozenset(), pays=False, owner=False))
    assert (watcher["move"], watcher["window"], watcher["because"]) == (None, None, None)


async def test_no(desk: Desk) -> None:
    """No other time is free: she reads so, the window stands, the desk has no trouble of it, it is not asked again."""
    desk.his.behaviour.be("refuse_move")
    await desk.press()
    await desk.deliver()
    await desk.hear()
    assert ((await desk.step())["move"], await desk.window()) == ("refused", (-30, -20))
    await desk.press()
    await desk.deliver()
    (call,) = await asked(desk)
    assert (call.state, call.trouble) == ("refused", "full")
    async with desk.hall.db.begin() as tx:
        assert await calls.refused(tx, desk.hall.hospital) == []


async def test_late(desk: Desk) -> None:
    """It does it and its answer is lost: asked until it answers, under one key, and moved once."""
    desk.his.behaviour.be("500_after", kinds=["move"])
    await desk.press()
    assert await desk.deliver() == 0
    assert (await desk.step())["move"] == "asked"
    await desk.hear()  # the event overtakes the answer: the new window counts
    assert (await desk.step())["move"] is None
    new = await desk.window()
    await desk.deliver(after=60)
    (call,) = await asked(desk)
    assert call.state == "done"
    assert desk.his.books.outbox == {}
    assert [round(a - b) for a, b in zip(new, await desk.window(), strict=True)] == [1, 1]


async def test_what_cannot_be_moved(desk: Desk) -> None:
    """No appointment, reported already, given up: refused, and nothing is said to the hospital."""
    async with desk.hall.db.begin() as tx:
        order = await orders.order_by_id(tx, desk.ecg)
        assert order is not None
        await orders.check_in(tx, order, tx.now)
    assert (await desk.step())["move"] is None
    with pytest.raises(moves.NotMovableError):
        await desk.press()
    async with desk.hall.db.begin() as tx:
        await orders.abandon(tx, desk.her, desk.ecg)
    with pytest.raises(OrderGoneError):
        await desk.press()
    assert await asked(desk) == []


async def test_what_is_in_the_way(desk: Desk) -> None:
    """Booked for later today with hours to wait: it may be asked. Soon enough, or another day: nothing is offered."""
    number = next(iter(desk.his.books.encounters.values())).orders
    ecg = next(data for data in number.values() if data.get("appointment"))
    no = next(iter(desk.his.books.encounters))
    for hours, expected in ((3.0, "ask"), (0.2, None), (26.0, None)):
        begins = desk.hall.clock.time + timedelta(hours=hours)
        window = {"from": begins.isoformat(), "until": (begins + timedelta(minutes=10)).isoformat()}
        moved = ecg | {"appointment": window | {"at": desk.hall.clock.time.isoformat()}}
        desk.his.books.record("order.placed", no, moved)
        await desk.hear()
        assert ((await desk.step())["move"], hours) == (expected, hours)
