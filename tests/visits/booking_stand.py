"""A hospital with an appointment desk, Houfu in front of it in the same process, and a family that books."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from adapters.his import HisAccess, HisClient
from api.world import Ports, World
from family_pay.rules import Offer, Relation
from family_pay.service import confirming, invitations
from houfu import wiring
from intake.rules import Answer, Item, read
from kernel import settings
from kernel.clock import ManualClock, wall_clock
from kernel.ids import derive
from people.rules import Actor, ActorKind, Role
from people.service import hospitals, patients, sessions
from people.service.patients import PatientFact
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.his.server import His, create_app
from sandbox.his.wire import Key
from visits.flows import booking as flows
from visits.service import bookings
from visits.service.bookings import Booking, Wish

OUT = Key("out-1", "outbound-secret")
MORNING = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)  # a Monday, 09:00 in the hospital
TODAY = date(2026, 11, 23)
STAFF = ("d.card", "d.card2", "d.ent", "g.guide")
PEOPLE = {
    "mother": PatientFact("P0000001", "朱桂芳", "999901195503089023", "19900000001", sex="F"),
    "daughter": PatientFact("P0000002", "陈敏", "999901198310219040", "19900000002", sex="F"),
    "neighbour": PatientFact("P0000009", "刘芸", "999901197605309065", "19900000004", sex="F"),
    "boy": PatientFact("P0000010", "某童", None, None, date(2015, 1, 1)),
}


@dataclass
class Desk:
    """What a test walks through."""

    world: World
    clock: ManualClock
    his: His
    client: HisClient
    hospital: UUID
    actors: dict[str, Actor] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    async def of(self, hospital_id: UUID) -> HisClient:
        """The client of the one hospital."""
        assert hospital_id == self.hospital
        return self.client

    def slot(self, hour: int = 14, minute: int = 0, days: int = 0, doctor: str = "d.card") -> str:
        """The id of a half hour in CARD."""
        day = TODAY + timedelta(days=days)
        return f"{doctor}-{day:%Y%m%d}{hour:02d}{minute:02d}"

    async def wish(self, slot: str, who: str = "mother", key: str | None = None, **other: Any) -> Wish:
        """What a page would ask of this half hour, with the fee it showed."""
        day = datetime.strptime(slot[-12:-4], "%Y%m%d").replace(tzinfo=UTC).date()
        self.world.slots.forget(self.hospital, "CARD", day)
        found = await self.world.slots.one(self.hospital, "CARD", day, slot)
        async with self.world.db.begin() as tx:
            fee = await bookings.fee(tx, await hospitals.by_id(tx, self.hospital), self.actors[who].id, found)
        return Wish(key or uuid4().hex, self.hospital, self.actors[who].id, found, other.get("shown", fee))

    async def book(self, slot: str, who: str = "mother", by: str | None = None, **other: Any) -> Booking:
        """Book, as a page does."""
        wish = await self.wish(slot, who, **other)
        identity = await flows.book(self.world.db, self, self.world.slots, self.actors[by or who], wish)
        return await self.look(identity)

    async def cancel(self, booking: Booking, by: str = "mother") -> Booking:
        """Cancel, as a page does."""
        await flows.cancel(self.world.db, self, self.world.slots, self.actors[by], booking.id)
        return await self.look(booking.id)

    async def look(self, identity: UUID) -> Booking:
        """As it stands."""
        async with self.world.db.begin() as tx:
            found = await tx.get(Booking, identity)
            assert found is not None
            return found

    async def pass_time(self, **by: float) -> None:
        """Let time pass, then look after what waits."""
        self.clock.move(timedelta(**by))
        await flows.look_after(self.world.db, self, self.world.slots)

    async def hear(self) -> list[Answer]:
        """Everything the hospital has said since becomes facts; everything must have been understood."""
        items: list[Item] = []
        for raw in self.his.books.pending(500):
            item = read(raw)
            assert isinstance(item, Item), item
            items.append(item)
        async with self.world.db.begin() as tx:
            known = await hospitals.snapshot(tx, self.hospital)
        answers = await self.world.intake.take(known, items) if items else []
        self.his.books.acknowledge([i.id for i in items], [a.json() for a in answers])
        assert {a.status for a in answers} <= {"accepted", "duplicate"}, answers
        return answers

    async def settings(self, **changed: Any) -> None:
        """The hospital decides otherwise."""
        async with self.world.db.begin() as tx:
            row = await hospitals.by_id(tx, self.hospital)
            row.settings = row.settings | changed

    @property
    def places(self) -> dict[str, int]:
        """What the hospital's own books have taken, by slot."""
        return {slot: count for slot, count in self.his.books.booked.items() if count}


@asynccontextmanager
async def open_desk(database_url: str, folder: Path) -> AsyncIterator[Desk]:
    """The assembled house on a clock that stands still, in front of the sandbox's appointment desk."""
    clock = ManualClock(MORNING)
    his = His(
        "http://127.0.0.1:9", Key("in-1", "inbound-secret"), [OUT], now=lambda: clock.time, signing_now=wall_clock
    )
    chosen = settings.load({}, database_url=database_url, key_file=folder / "keys", public_url="https://houfu.test")
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    document["staff"] = [s for s in document["staff"] if s["login"] in STAFF]
    document["slots"] = [s for s in document["slots"] if s["department"] == "CARD"]
    transport = httpx.ASGITransport(create_app(his, send=False))
    async with HisClient(
        HisAccess("http://his.test", OUT.id, OUT.secret), wall_clock, transport=transport, answer_seconds=0.3
    ) as client:
        desk = Desk(None, clock, his, client, UUID(int=0))  # type: ignore[arg-type]  # laid in the next line
        desk.world = wiring.build(chosen, clock=clock, ports=Ports(his=desk))
        async with wiring.running(desk.world):
            async with desk.world.db.begin() as tx:
                desk.hospital = (await hospitals.load(tx, document)).id
                for name, fact in PEOPLE.items():
                    person = await patients.known(tx, desk.hospital, fact)
                    await tx.session.flush()
                    desk.actors[name] = Actor(ActorKind.PERSON, person.id)
                    desk.tokens[name] = (await sessions.begin(tx, person)).token
                for login, role, department in (("g.guide", Role.GUIDE, None), ("d.ent", Role.DOCTOR, "ENT")):
                    staff = derive(desk.hospital, "staff", login)
                    desk.actors[login] = Actor(ActorKind.STAFF, staff, desk.hospital, role, department)
                    desk.tokens[login] = (await sessions.begin_staff(tx, staff)).token
            await _let_in(desk)
            yield desk
    await his.close()


async def _let_in(desk: Desk) -> None:
    """The mother lets her daughter sign ahead and book, and her neighbour follow her visits."""
    mother = desk.actors["mother"]
    for who, offer in (
        ("daughter", Offer(Relation.DAUGHTER, pays=True, signs=True, books=True)),
        ("neighbour", Offer(Relation.FRIEND, pays=True)),
    ):
        async with desk.world.db.begin() as tx:
            made = await invitations.invite(tx, mother, mother.id, offer)
            await tx.session.flush()
            await invitations.accept(tx, desk.actors[who], made.token)
            await confirming.answer(tx, mother, made.id, agreed=True)
