"""A hospital, a mother, her daughter far away, a child: everything a letter needs, on real PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

import consent.models
from consent import flows
from consent.events import ContractSigned, ContractWithdrawn
from consent.rules import SigningChannel, read_strokes
from consent.service import eligibility, reading
from consent.service.signing import Signature
from kernel.clock import ManualClock
from kernel.crypto import Vault
from kernel.db import Database, Handler, Tx, connect
from kernel.events import Event
from kernel.ids import new_id
from people.models import Grant, Hospital, Staff
from people.rules import Actor, ActorKind, GrantKind, Role
from people.service import patients
from tests.adapters.conftest import servers, serving, world_keys  # noqa: F401  fixtures

NOW = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
PHONE = reading.Device(SigningChannel.OFFICIAL_ACCOUNT, "a phone")
DRAWN = [
    [[20.0, 40.5, 0, 0.2], [60.3, 44.0, 40, 0.5], [110.0, 90.0, 90, 0.6]],
    [[120.0, 30.0, 300, 0.4], [122.0, 88.0, 380, 0.7], [180.0, 60.0, 450, 0.3]],
]


class KeptJobs:
    """What was enqueued by transactions that committed or not; enough to see that it was."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    async def enqueue(self, connection: psycopg.AsyncConnection[Any], name: str, arguments: Mapping[str, Any]) -> None:
        """Remember."""
        self.all.append((name, dict(arguments)))


@dataclass
class House:
    """Everything at hand."""

    db: Database
    clock: ManualClock
    jobs: KeptJobs
    hospital: UUID
    mother: UUID
    daughter: UUID
    child: UUID
    doctor: UUID
    counter: UUID
    events: list[Any] = field(default_factory=list)

    def person(self, who: UUID) -> Actor:
        """Somebody logged in."""
        return Actor(ActorKind.PERSON, who)

    def staff(self, who: UUID, role: Role, hospital: UUID | None = None) -> Actor:
        """Staff logged in."""
        return Actor(ActorKind.STAFF, who, hospital or self.hospital, role)

    async def credit(self, who: UUID, *, serious: bool = False) -> None:
        """The platform has spoken."""
        async with self.db.begin() as tx:
            await eligibility.keep_answer(tx, who, serious=serious, reference="R1")

    async def grant(self, patient: UUID, person: UUID, kind: GrantKind, relation: str) -> None:
        """A live standing grant."""
        async with self.db.begin() as tx:
            tx.add(
                Grant(
                    id=new_id(),
                    patient_id=patient,
                    person_id=person,
                    kind=kind,
                    relation=relation,
                    depth=0,
                    opened=[],
                    bond=new_id(),
                    state="active",
                    created_at=tx.now,
                )
            )

    async def open(self, actor: Actor, patient: UUID, device: reading.Device = PHONE, **options: Any) -> UUID:
        """Open a reading."""
        given = {"insurance_status": "normal", "credit_asked_here": True, **options}
        async with self.db.begin() as tx:
            return (await reading.open_reading(tx, actor, self.hospital, patient, device, **given)).id

    async def left(self, reading_id: UUID) -> int:
        """Seconds left by the server's clock."""
        async with self.db.begin() as tx:
            row = await tx.get(consent.models.Reading, reading_id)
            assert row is not None
            return reading.left(row, tx.now)

    async def serve(self, reading_id: UUID) -> None:
        """Let exactly the reading time pass."""
        self.clock.move(timedelta(seconds=await self.left(reading_id)))

    async def pen(self, actor: Actor, reading_id: UUID) -> str:
        """The signing page's nonce."""
        return await flows.ask_pen(self.db, actor, reading_id, PHONE)

    async def sign(self, actor: Actor, reading_id: UUID, signature: Signature, **options: Any) -> UUID:
        """Post the signature."""
        given = {"insurance_status": "normal", "credit_asked_here": True, **options}
        return await flows.sign(self.db, actor, reading_id, signature, PHONE, **given)

    async def signed(self, who: UUID, patient: UUID | None = None, **fields: Any) -> UUID:
        """The whole way: open, read, sign."""
        actor = self.person(who)
        reading_id = await self.open(actor, patient or who)
        await self.serve(reading_id)
        return await self.sign(actor, reading_id, drawn(await self.pen(actor, reading_id), **fields))

    async def count(self, model: Any) -> int:
        """Rows of a table."""
        from sqlalchemy import func, select

        async with self.db.begin() as tx:
            return int(await tx.session.scalar(select(func.count()).select_from(model)) or 0)

    async def refusals(self) -> list[str]:
        """Codes of the refusals kept as evidence, oldest first."""
        from sqlalchemy import select

        from consent.service import evidence

        async with self.db.begin() as tx:
            rows = await tx.session.scalars(
                select(consent.models.Evidence)
                .where(consent.models.Evidence.kind == "refused")
                .order_by(consent.models.Evidence.seq)
            )
            return [evidence.body_of(tx, row)["code"] for row in rows]


def drawn(nonce: str, **fields: Any) -> Signature:
    """A signature by finger."""
    return Signature(nonce, read_strokes(DRAWN, 320, 160), **fields)


async def _person(tx: Tx, hospital: UUID, number: str, name: str, id_number: str, phone: str, birth: date) -> UUID:
    fact = patients.PatientFact(number, name, id_number, phone, birth, "F")
    return (await patients.known(tx, hospital, fact)).id


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """A fresh hospital."""
    async with a_house(database_url) as made:
        yield made


@asynccontextmanager
async def a_house(database_url: str) -> AsyncIterator[House]:
    """The hospital, in an empty database."""
    engine: AsyncEngine = connect(database_url)
    clock, jobs, events = ManualClock(NOW), KeptJobs(), list[Any]()

    async def hear(tx: Tx, event: Any) -> None:
        events.append(event)

    subscribers: dict[type[Event], list[Handler]] = {ContractSigned: [hear], ContractWithdrawn: [hear]}
    db = Database(engine, Vault({1: b"m" * 32}, b"i" * 32), clock, subscribers, jobs)
    async with db.begin() as tx:
        hospital = tx.add(
            Hospital(
                id=new_id(),
                code="HF01",
                name="滨海市第一人民医院",
                city="滨海市",
                phone="0990-5550100",
                address="海棠路1号",
                his_url="http://127.0.0.1:1",
                settings={},
            )
        )
        await tx.session.flush()
        staff = [
            tx.add(
                Staff(
                    id=new_id(),
                    hospital_id=hospital.id,
                    login=role,
                    name=f"示例{role}",
                    role=role,
                    pin_hash=b"",
                    failures=0,
                    active=True,
                )
            )
            for role in (Role.DOCTOR, Role.COUNTER)
        ]
        place = hospital.id
        mother = await _person(tx, place, "P1", "示例甲", "999901195503089023", "19900000011", date(1955, 3, 8))
        daughter = await _person(tx, place, "P2", "示例乙", "999901198310219040", "19900000012", date(1983, 10, 21))
        child = await _person(tx, place, "P3", "示例丙", "", "19900000013", date(2018, 5, 1))
    yield House(db, clock, jobs, place, mother, daughter, child, staff[0].id, staff[1].id, events)
    await db.close()
