"""Power cuts while people pay: whatever dies in the middle of which payment, each line is paid once and told once."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from api.deps import COOKIE
from billing.models import ChargeItem
from houfu import demo, migrate, wiring
from houfu.audit import audit
from houfu.embedded import EmbeddedPostgres
from kernel.ids import new_id
from kernel.settings import load
from payments import flows
from people.service import sessions
from sandbox import town as towns
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.keys import SandboxKeys
from tests.adapters.conftest import until, world_keys  # noqa: F401  fixtures
from tests.hatchery import Hatchery
from tests.intake.test_kill import Machine
from tests.payments.conftest import DAUGHTER, MOTHER, SON, WECHAT, House, ShiftedClock, _house
from tests.ports import free_port
from tests.proof.office import DUE
from visits.events import VisitMarked
from visits.flows import deliver_calls
from visits.models import Visit

BLOWS = ("server", "database", "server")
PATIENTS = {
    "P0000001": MOTHER,
    "P0000002": "oHF-demo-expectant-000000005",
    "P0000007": "oHF-demo-rare-a-000000000013",
}
OVER = ("paid", "settled", "share_paid", "closed", "failed", "returning", "returned")
Json = dict[str, Any]


@dataclass
class Load:
    """The load, and what was seen of it."""

    house: House
    over: asyncio.Event = field(default_factory=asyncio.Event)  # nothing new is ordered
    begun: int = 0  # payments the server knew
    failed: int = 0  # calls that got no answer

    @property
    def owed(self) -> set[str]:
        """Charges done that the hospital has not booked as paid."""
        books = self.house.town.his.books
        done = {no for e in books.encounters.values() for no in e.executed}
        return done - set(books.settled)

    async def doctor(self, encounter: str) -> None:
        """Orders, has it done, until it is over."""
        clinic = self.house.town.his.clinic
        while not self.over.is_set():
            clinic.confirm(clinic.order(encounter, "URINE"))
            await asyncio.sleep(0.7)

    async def phone(self, token: str, openid: str, visit: str, seed: int) -> None:
        """Pays whatever is to be paid, now and then changes its mind, until all is paid and booked."""
        rng = random.Random(seed)
        headers = {"User-Agent": WECHAT, "Cookie": f"{COOKIE}={token}", "Sec-Fetch-Site": "same-origin"}
        async with httpx.AsyncClient(base_url=self.house.url, trust_env=False, headers=headers, timeout=8) as client:
            while self.owed or not self.over.is_set():
                payment = await self.pressed(client, visit)
                if payment is not None:
                    await self.paid(client, payment, openid, rng)
                await asyncio.sleep(rng.uniform(0.05, 0.3))

    async def said(self, client: httpx.AsyncClient, method: str, path: str, **more: Any) -> tuple[int, Json]:
        """One request, said again under the same key until somebody answers."""
        while True:
            try:
                answer = await client.request(method, path, **more)
            except httpx.HTTPError:
                self.failed += 1
                await asyncio.sleep(0.2)
                continue
            if answer.status_code < 500:
                found: Json = answer.json()
                return answer.status_code, found
            self.failed += 1
            await asyncio.sleep(0.2)

    async def pressed(self, client: httpx.AsyncClient, visit: str) -> Json | None:
        """Presses the button for whatever it costs; None: there is nothing to pay, or somebody else is paying."""
        key, fen = str(new_id()), 1
        for _ in range(5):
            status, told = await self.said(
                client, "POST", f"/api/visits/{visit}/payments", json={"amount_fen": fen},
                headers={"Idempotency-Key": key},
            )  # fmt: skip
            if status == 201:
                self.begun += 1
                return told
            assert status == 409, (status, told)
            if told["code"] != "amount_changed":
                return None
            [amount] = re.findall(r"[\d,]+\.\d\d", told["detail"])
            fen = int(amount.replace(",", "").replace(".", ""))
        return None

    async def paid(self, client: httpx.AsyncClient, payment: Json, openid: str, rng: random.Random) -> None:
        """Confirms in WeChat, once the order is there, and waits until it is over; or gives up before or after that."""
        mood, asked = rng.random(), False
        for _ in range(200):
            if payment["state"] in OVER:
                return
            if payment["client_params"] and not asked:
                asked = True
                if mood > 0.15:
                    await self.house.control("/control/pay", {"openid": openid, "params": payment["client_params"]})
                if mood < 0.3:
                    await self.said(client, "POST", f"/api/payments/{payment['id']}/cancel")
            _, payment = await self.said(client, "GET", f"/api/payments/{payment['id']}")
            await asyncio.sleep(0.1)


@asynccontextmanager
async def opened(
    postgres: EmbeddedPostgres, folder: Path, keys: SandboxKeys, hatchery: Hatchery
) -> AsyncIterator[tuple[House, Machine]]:
    """The town in this process, the house in one that can be killed."""
    clock, ports = ShiftedClock(), towns.listen()
    ready = load({}, data_dir=folder, database_url=postgres.url(), port=free_port(), log_level="error")
    settings = demo.settings_for(ready, towns.client_settings(keys, ports))
    world = wiring.build(settings, clock=clock)
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    document["his"]["base_url"] = ports.url("his")
    his_keys = await demo.open_hospital(world, document)
    town = towns.build(keys, ports, settings.base_url, his_keys, scale=0.02)
    town.pay.now = town.pay.notifier._now = clock
    machine = Machine(settings, postgres, hatchery)
    house = await _house(world, town, settings.base_url, clock)
    async with towns.running(town):
        try:
            await machine.up()
            yield house, machine
        finally:
            machine.down()
            await town.pay.notifier.stop()
            await world.db.close()


Phone = tuple[str, str, str]  # who is logged in, their openid, whose bill they pay


async def arrived(house: House) -> tuple[list[str], list[Phone]]:
    """Three patients have come and pay afterwards, one of them with her family: encounters, and everybody's phones."""
    clinic, patients = house.town.his.clinic, house.town.his.catalogue.patients
    encounters = []
    for number in PATIENTS:
        house.town.his.books.account_used[number] = patients[number].account_fen
        encounters.append(clinic.register(patients[number], "CARD"))

    async def there() -> bool:
        return await house.count(Visit) == len(encounters)

    await until(there, 15)
    phones: list[Phone] = []
    async with house.db.begin() as tx:
        for openid in PATIENTS.values():
            person = await sessions.by_wechat(tx, openid, house.town.keys.wechat.appid)
            assert person is not None
            visit = (await tx.session.scalars(select(Visit).where(Visit.patient_id == person.id))).one()
            visit.mode = "DEFERRED"
            await tx.emit(VisitMarked(visit.id))
            phones.append(((await sessions.begin(tx, person)).token, openid, str(visit.id)))
    family = [(house.daughter, DAUGHTER), (house.son, SON)]
    phones += [(house.tokens[actor.id], openid, phones[0][2]) for actor, openid in family]
    return encounters, phones


async def until_quiet(house: House) -> None:
    """The server is gone; time passes and all sweeps run until nothing is due."""
    for _ in range(60):
        async with house.db.begin() as tx:
            due = (await tx.session.execute(text(DUE))).scalar()
        if due is None:
            return
        house.clock.shift += max(due - house.clock(), timedelta())
        await flows.sweep(house.db, house.pay)
        await flows.release_idle(house.db)
        await flows.refund_due(house.db, house.pay)
        await deliver_calls(house.db, house.world.ports.his)
    raise AssertionError("it never becomes quiet")


async def judged(house: House, load_: Load) -> None:
    """Every book says the same, each line is paid once and told once."""
    books, his = house.town.pay.books, house.town.his.books
    async with house.db.begin() as tx:
        assert [f"{f.check.name} {f.row} {f.figures}" for f in await audit(tx)] == []
        charges = list(await tx.session.scalars(select(ChargeItem)))
    assert {c.state for c in charges} == {"settled"}
    ledger = await house.ledger()
    assert ledger["cash_wechat"] == house.taken == sum(c.self_fen for c in charges)
    assert {"suspense", "patient"} & set(ledger) == set()
    told = [line["charge_no"] for s in his.settlements.values() for line in s["charges"]]
    assert sorted(told) == sorted(c.number for c in charges)
    assert (his.complaints, his.refunds) == ([], {})
    assert sum(s["total_fen"] for s in his.settlements.values()) == house.taken
    assert {o.state for o in books.orders.values()} <= {"SUCCESS", "CLOSED", "REFUND"}
    assert load_.failed > len(BLOWS), "nobody noticed the blows"
    assert len(his.settlements) > len(BLOWS)


@pytest.mark.slow
async def test_kill_9_while_people_pay(
    server_home: Path,
    tmp_path: Path,
    world_keys: SandboxKeys,  # noqa: F811
    hatchery: Hatchery,
) -> None:
    """Five phones pay three growing bills, notices are lost and doubled; the server dies twice, the database once.

    What was confirmed in WeChat is paid once or comes back; what was not is not; the hospital hears of each line once.
    """
    with EmbeddedPostgres(server_home / "pg") as postgres:
        migrate.upgrade(postgres.url())
        async with opened(postgres, tmp_path, world_keys, hatchery) as (house, machine):
            encounters, who = await arrived(house)
            await house.behave(
                {"on": "notify", "do": "drop", "times": None, "probability": 0.3, "seed": 1},
                {"on": "notify", "do": "duplicate", "times": None, "probability": 0.3, "seed": 2},
                {"on": "create", "do": "error_after", "times": None, "probability": 0.1, "seed": 3},
            )
            load_ = Load(house)
            tasks = [asyncio.create_task(load_.phone(*one, seed)) for seed, one in enumerate(who)]
            tasks += [asyncio.create_task(load_.doctor(encounter)) for encounter in encounters]
            for blow in BLOWS:
                await asyncio.sleep(1)
                await (machine.kill_server() if blow == "server" else machine.kill_database())
            await asyncio.sleep(1)
            load_.over.set()
            async with asyncio.timeout(30):
                await asyncio.gather(*tasks)
            await house.town.pay.notifier.stop()
            machine.down()
            await until_quiet(house)
            await judged(house, load_)
