"""How an office is furnished and opened: the hospital's file, a mother's visit, done and owed; no chance in it."""

import json
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from sqlalchemy import select, text

from api.world import Ports
from billing.models import ChargeItem
from houfu import demo, wiring
from intake.flows import Intake
from intake.rules import Item, read
from kernel import ids
from kernel.clock import ManualClock
from kernel.crypto import Vault
from kernel.db import connect
from kernel.ids import new_id
from kernel.settings import load
from payments.flows import booking
from payments.rules import Till
from people.models import Grant, Staff
from people.rules import Actor, ActorKind, GrantKind, Role
from people.service import hospitals, sessions
from sandbox import town as towns
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.insurance import books as centre_books
from sandbox.insurance import refunds as centre_refunds
from sandbox.keys import SandboxKeys
from sandbox.wechat_pay import books as wechat_books
from sandbox.wechat_pay import wire as wechat_wire
from tests.proof.lines import HisLine
from tests.proof.office import DAUGHTER, MOTHER, SON, Numbers, Office, OneConnection
from tests.visits.ward import NoHis
from visits.events import VisitMarked
from visits.flows import deliver_calls
from visits.models import Visit

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@contextmanager
def countable() -> Iterator[Numbers]:
    """While in the block nothing is random."""
    numbers = Numbers()
    chance = SimpleNamespace(
        choice=numbers.choice, randbelow=numbers.below, token_hex=numbers.hex, compare_digest=secrets.compare_digest,
        token_urlsafe=numbers.hex,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "uuid", SimpleNamespace(uuid4=numbers.uuid4, uuid5=uuid.uuid5))
        for module in (ids, wechat_wire, wechat_books, centre_books, centre_refunds):
            patch.setattr(module, "secrets", chance)
        patch.setattr(booking, "_SIDE_BY_SIDE", 1)  # one connection
        yield numbers


class _NoPorts(towns.Ports):
    def __init__(self) -> None:
        super().__init__({})

    def url(self, name: str) -> str:
        """Nobody listens."""
        return f"http://{name}.test"


async def furnish(database_url: str, folder: Path, keys: SandboxKeys, items: Sequence[str]) -> towns.Town:
    """Write the hospital and the mother's visit, all of it done and owed, into an empty database.

    Args:
        items: what was ordered; those of a second department follow a ``|``, ``~`` is not done yet.
    """
    clock = ManualClock(NOON)
    ready = load({}, database_url=database_url.replace("+psycopg", ""), data_dir=folder)
    client = towns.client_settings(keys, _NoPorts())
    world = wiring.build(demo.settings_for(ready, client), clock=clock, ports=Ports(his=NoHis()))
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    his_keys = await demo.open_hospital(world, document)
    town = towns.build(keys, _NoPorts(), "http://houfu.test", his_keys, now=lambda: clock.time)
    card = town.his.catalogue.patients["P0000001"]
    # Her personal account is empty, so that every line leaves something to pay.
    town.his.books.account_used["P0000001"] = card.account_fen
    encounter = ""
    for item in items:
        department = {"|": "CARD"}.get(item, "CARD")
        if item == "|" or not encounter:
            encounter = town.his.clinic.register(card, department)
        if item != "|":
            order = town.his.clinic.order(encounter, item.removeprefix("~"))
            if not item.startswith("~"):
                town.his.clinic.confirm(order)
    async with world.db.begin() as tx:
        hospital = (await hospitals.everyone(tx))[0].id
    async with world.db.begin() as tx:
        known = await hospitals.snapshot(tx, hospital)
    said = [one for raw in town.his.books.outbox.values() if isinstance(one := read(raw), Item)]
    answers = await Intake(world.db).take(known, said)
    assert {a.status for a in answers} == {"accepted"}, answers
    async with world.db.begin() as tx:
        visit = (await tx.session.scalars(select(Visit))).one()
        visit.mode = "DEFERRED"
        await tx.emit(VisitMarked(visit.id))
        await tx.session.execute(text('DELETE FROM "grant"'))
        for openid, relation in ((DAUGHTER, "daughter"), (SON, "son")):
            person = await sessions.by_wechat(tx, openid, town.keys.wechat.appid)
            assert person is not None
            tx.add(_grant(visit.patient_id, person.id, relation, tx.now))
    his = HisLine(town.his, _nothing)
    while await deliver_calls(world.db, his):
        clock.move(timedelta(seconds=2))
    await world.db.close()
    await town.his.close()
    return town


async def _nothing(where: str, faults: Sequence[str] = ()) -> str:
    return ""


def _grant(patient: UUID, person: UUID, relation: str, now: datetime) -> Grant:
    return Grant(
        id=new_id(), patient_id=patient, person_id=person, kind=GrantKind.PAY, relation=relation, depth=0, opened=[],
        bond=new_id(), state="active", created_at=now,
    )  # fmt: skip


@asynccontextmanager
async def opened(database_url: str, vault: Vault, town: towns.Town) -> AsyncIterator[Office]:
    """The office on a database that ``furnish`` has written; nothing of what happens is kept in it."""
    engine, clock = connect(database_url, pool_size=1), ManualClock(NOON + timedelta(minutes=10))
    with countable() as numbers:
        async with engine.connect() as connection:
            db = OneConnection(connection, vault, clock)
            await connection.begin()
            async with db.begin() as tx:
                visit = (await tx.session.scalars(select(Visit))).one()
                found = [
                    await sessions.by_wechat(tx, openid, town.keys.wechat.appid) for openid in (MOTHER, DAUGHTER, SON)
                ]
                mother, daughter, son = (Actor(ActorKind.PERSON, person.id) for person in found if person is not None)
                cash = (await tx.session.scalars(select(Staff).where(Staff.login == "c.cash"))).one()
                money = (await tx.session.scalars(select(Staff).where(Staff.role == Role.FINANCE).limit(1))).one()
                lines = (await tx.session.scalars(select(ChargeItem))).all()
            counter = Actor(ActorKind.STAFF, cash.id, cash.hospital_id, Role.COUNTER)
            finance = Actor(ActorKind.STAFF, money.id, money.hospital_id, Role.FINANCE)
            till = Till(town.keys.wechat_pay.mchid, town.keys.wechat.appid)
            owed = sum(c.self_fen for c in lines if c.state == "billable")
            yield Office(db, clock, town, till, visit.id, mother, daughter, son, counter, finance, owed, numbers)
            await connection.rollback()
    await engine.dispose()
