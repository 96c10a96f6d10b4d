"""What the tests of the family share: a mother the hospital knows, her daughter, and strangers."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from family_pay.service import bonds
from kernel.clock import ManualClock
from kernel.crypto import Vault
from kernel.db import Database, Handler, connect
from kernel.events import Event
from people.events import PhoneChanged
from people.models import Staff
from people.rules import Actor, ActorKind, Role, Subject
from people.service import hospitals, patients
from people.service.hospitals import Hospital
from people.service.patients import PatientFact
from visits.events import VisitEnded, VisitReopened, VisitSettled

DEMO = Path(__file__).resolve().parents[2] / "sandbox" / "hospital" / "demo.json"


@pytest.fixture
def clock() -> ManualClock:
    """Nine in the morning in China, on a Wednesday."""
    return ManualClock(datetime(2026, 3, 4, 1, 0, tzinfo=UTC))


@pytest.fixture
def rung() -> list[object]:
    """What was announced after commits."""
    return []


@pytest.fixture
async def db(database_url: str, clock: ManualClock, rung: list[object]) -> AsyncIterator[Database]:
    """A fresh database of this test alone, with family_pay's subscribers."""
    subscribers: dict[type[Event], list[Handler]] = {
        VisitEnded: [bonds.visit_moved],
        VisitReopened: [bonds.visit_moved],
        VisitSettled: [bonds.visit_settled],
        PhoneChanged: [bonds.phone_changed],
    }
    database = Database(
        connect(database_url, pool_size=20), Vault({1: b"m" * 32}, b"i" * 32), clock, subscribers, announce=rung.extend
    )
    yield database
    await database.close()


@pytest.fixture
async def hospital(db: Database) -> Hospital:
    """The demo's hospital without its staff."""
    document = json.loads(DEMO.read_text("utf-8"))
    document["staff"] = document["slots"] = []
    async with db.begin() as tx:
        return await hospitals.load(tx, document)


Meet = Callable[[str, str, str], Awaitable[Actor]]


@pytest.fixture
def meet(db: Database, hospital: Hospital) -> Meet:
    """Somebody the hospital knows: (number, name, phone) → who acts."""

    async def somebody(number: str, name: str, phone: str) -> Actor:
        async with db.begin() as tx:
            person = await patients.known(tx, hospital.id, PatientFact(number, name, None, phone))
        return Actor(ActorKind.PERSON, person.id)

    return somebody


@pytest.fixture
async def mother(meet: Meet) -> Actor:
    """The patient."""
    return await meet("P1", "朱桂芳", "19900000001")


@pytest.fixture
async def daughter(meet: Meet) -> Actor:
    """Her daughter, in another city."""
    return await meet("P2", "陈敏", "19900000002")


@pytest.fixture
def visit(mother: Actor, hospital: Hospital) -> Subject:
    """A visit of the mother's that is going on."""
    return Subject(mother.id, hospital.id, uuid4(), ended=False, settled=False)


Employ = Callable[[Role], Awaitable[Actor]]


@pytest.fixture
def employ(db: Database, hospital: Hospital) -> Employ:
    """Somebody new on the hospital's staff: role → who acts."""

    async def somebody(role: Role) -> Actor:
        async with db.begin() as tx:
            row = tx.add(
                Staff(id=uuid4(), hospital_id=hospital.id, login=uuid4().hex, name="王芳", role=role, pin_hash=b"")
            )
        return Actor(ActorKind.STAFF, row.id, hospital.id, role)

    return somebody
