"""A day in the demo's hospital, made by use cases: a mother's visit with orders and charges, her family, the desks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from api.world import Ports, World
from billing.service import lines
from billing.service.lines import ChargeFact
from family_pay.rules import Offer, Relation
from family_pay.service import confirming, invitations
from houfu import wiring
from kernel import settings
from kernel.clock import ManualClock
from kernel.db import Tx
from kernel.ids import derive
from people.rules import Actor, ActorKind, Depth
from people.service import grants, hospitals, patients, sessions
from people.service.hospitals import Hospital
from people.service.patients import PatientFact
from visits.service import encounters, orders, reading
from visits.service.encounters import EncounterFact
from visits.service.orders import OrderFact

BASE = "https://houfu.test"
NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)  # 11:00 in the hospital
STAFF = ("k.blood", "k.ecg", "g.guide", "d.card", "c.cash")
PEOPLE = {
    "mother": PatientFact("P1", "朱桂芳", "999901195503089023", "19900000001", sex="F"),
    "daughter": PatientFact("P2", "陈敏", "999901198310219040", "19900000002", sex="F"),
    "neighbour": PatientFact("P3", "刘芸", "999901197605309065", "19900000004", sex="F"),
    "stranger": PatientFact("P4", "马建国", "999901197902269119", "19900000009", sex="M"),
}
# name → (department, kind, preparation, price in fen)
ORDERS = {
    "blood": ("BLOOD", "lab", ("fasting",), 12_600),
    "ecg": ("ECG", "imaging", (), 2_200),
    "gyn": ("GYNE", "procedure", (), 5_000),
}


class NoHis:
    """No hospital's system is asked here."""

    async def of(self, hospital_id: UUID) -> Any:
        """Nobody answers."""
        raise LookupError(hospital_id)


@dataclass
class Ward:
    """What a test walks through."""

    world: World
    clock: ManualClock
    hospital: UUID
    visit: UUID
    actors: dict[str, Actor] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    orders: dict[str, UUID] = field(default_factory=dict)
    charges: dict[str, UUID] = field(default_factory=dict)
    day: int = 1

    async def perform(self, name: str) -> None:
        """The department says that it was done."""
        async with self.world.db.begin() as tx:
            order = await orders.order_by_id(tx, self.orders[name])
            assert order is not None
            await orders.perform(tx, order, by="某护士", where="4号窗口", at=tx.now, covers_all=True)

    async def state(self, name: str) -> str:
        """Where an order stands."""
        async with self.world.db.begin() as tx:
            order = await orders.order_by_id(tx, self.orders[name])
            assert order is not None
            return order.state


@asynccontextmanager
async def open_ward(database_url: str, folder: Path, document: dict[str, Any]) -> AsyncIterator[Ward]:
    """The assembled house on a clock that stands still, with one post-pay visit going on."""
    clock = ManualClock(NOON)
    chosen = settings.load({}, database_url=database_url, key_file=folder / "keys", public_url=BASE)
    world = wiring.build(chosen, clock=clock, ports=Ports(his=NoHis()))
    document["staff"] = [s for s in document["staff"] if s["login"] in STAFF]
    document["slots"] = []
    async with wiring.running(world):
        async with world.db.begin() as tx:
            hospital = await hospitals.load(tx, document)
            ward = Ward(world, clock, hospital.id, UUID(int=0))
            await _people(tx, ward)
        async with world.db.begin() as tx:
            await _bonds(tx, ward)
        async with world.db.begin() as tx:
            await _visit(tx, ward, await hospitals.by_id(tx, ward.hospital))
        yield ward


async def next_day(ward: Ward) -> None:
    """Another day at the same hour: the mother comes again, with the same orders, whoever she had let in."""
    ward.day += 1
    ward.clock.time = NOON + timedelta(days=ward.day - 1)
    async with ward.world.db.begin() as tx:
        if not await grants.of_relative(tx, ward.actors["daughter"].id):
            await _bonds(tx, ward)
    async with ward.world.db.begin() as tx:
        await _visit(tx, ward, await hospitals.by_id(tx, ward.hospital))
        person = await patients.by_id(tx, ward.actors["mother"].id)
        ward.tokens["mother"] = (await sessions.begin(tx, person)).token
        ward.tokens["g.guide"] = (await sessions.begin_staff(tx, ward.actors["g.guide"].id)).token


async def _people(tx: Tx, ward: Ward) -> None:
    for name, fact in PEOPLE.items():
        person = await patients.known(tx, ward.hospital, fact)
        await tx.session.flush()
        ward.actors[name] = Actor(ActorKind.PERSON, person.id)
        ward.tokens[name] = (await sessions.begin(tx, person)).token
    for login in STAFF:
        entered = await sessions.begin_staff(tx, derive(ward.hospital, "staff", login))
        ward.tokens[login] = entered.token
        actor = await sessions.caller_of(tx, entered.token)
        assert actor is not None
        ward.actors[login] = actor


async def _bonds(tx: Tx, ward: Ward) -> None:
    mother = ward.actors["mother"]
    for who, offer in (
        ("daughter", Offer(Relation.DAUGHTER, pays=True, depth=Depth.BILL)),
        ("neighbour", Offer(Relation.FRIEND, depth=Depth.STEPS)),
    ):
        made = await invitations.invite(tx, mother, mother.id, offer, agrees=True)
        await tx.session.flush()
        await invitations.accept(tx, ward.actors[who], made.token)
        await confirming.answer(tx, mother, made.id, agreed=True)


async def _visit(tx: Tx, ward: Ward, hospital: Hospital) -> None:
    mother = ward.actors["mother"].id
    encounter_no = f"E{ward.day}"
    started = EncounterFact(encounter_no, mother, "AMB", "CARD", "周明远", "normal", "employee", tx.now, 1)
    visit = await encounters.start(tx, hospital, started)
    visit.mode = "DEFERRED"
    ward.visit = visit.id
    for n, (name, (department, kind, preparation, fen)) in enumerate(ORDERS.items(), 1):
        category = "gynaecology" if name == "gyn" else None
        number = n if ward.day == 1 else f"{ward.day}-{n}"
        encounter = encounters.encounter_id(hospital.id, encounter_no)
        told = (None, preparation, None, category, "周明远", tx.now, n)
        fact = OrderFact(f"O{number}", encounter, kind, f"{name}项目", department, *told)
        order = await orders.place(tx, hospital, visit, fact)
        fund = fen // 2
        charge = ChargeFact(f"C{number}", order.id, "X", f"{name}费", "1", fen, fen, fund, 0, fen - fund, "A", tx.now)
        await lines.record(tx, hospital, visit, charge)
        ward.orders[name], ward.charges[name] = order.id, lines.charge_id(hospital.id, f"C{number}")


async def visit_row(tx: Tx, ward: Ward) -> encounters.Visit:
    """The visit's row."""
    found = await reading.visit_of(tx, ward.visit)
    assert found is not None
    return found
