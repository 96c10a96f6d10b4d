"""The whole demo town on loopback with the production lines: a mother with a done bill, her daughter, a counter."""

import asyncio
import contextlib
import functools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from sqlalchemy import delete, func, select

from api.deps import COOKIE
from api.world import World
from billing.models import LedgerEntry, LedgerTransaction
from billing.service import lines, paying
from houfu import demo, wiring
from houfu.app import create_app
from houfu.embedded import EmbeddedPostgres
from kernel.db import Tx
from kernel.ids import new_id
from kernel.outside import Breaker, Guard
from kernel.settings import load
from notices import service as notices
from payments import flows
from payments.models import Attempt, NoticeSeen, Refund
from payments.ports import CashChannel, CashPay
from payments.rules import Till
from payments.service import attempts
from payments.service.pressing import Press
from people.models import Grant, Hospital, Staff
from people.rules import Actor, ActorKind, GrantKind, Role
from people.service import hospitals, sessions
from sandbox import insurance
from sandbox import town as towns
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.his.server import create_app as his_app
from sandbox.his.wire import Key
from sandbox.keys import SandboxKeys
from sandbox.quiet import QuietServer
from tests.adapters.conftest import until, world_keys  # noqa: F401  fixtures
from tests.conftest import fresh_database
from tests.databases import Databases
from visits.events import VisitMarked
from visits.flows import deliver_calls
from visits.models import Visit

MOTHER, DAUGHTER, SON = "oHF-demo-mother-000000000001", "oHF-demo-daughter-0000000002", "oHF-demo-son-000000000000003"
WECHAT = "Mozilla/5.0 (iPhone) MicroMessenger/8.0.50"
PAGE = {"Accept": "text/html"}


class ShiftedClock:
    """Real time plus what the test added, for us and for WeChat Pay alike."""

    def __init__(self) -> None:
        self.shift = timedelta()

    async def now(self, session: Any) -> datetime:
        """``kernel.clock.Clock``."""
        return self()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def move(self, **by: float) -> None:
        """Let time pass."""
        self.shift += timedelta(**by)


@dataclass
class Bill:
    """One visit of the mother at the sandbox's hospital: its encounter, orders and charge numbers."""

    visit: UUID
    encounter: str
    orders: list[str]
    owed: int


@dataclass
class House:
    """A running Houfu, the town around it, and what tests do with both."""

    world: World
    town: towns.Town
    url: str
    clock: ShiftedClock
    hospital: UUID
    mother: Actor
    daughter: Actor
    son: Actor
    counter: Actor
    tokens: dict[UUID, str]
    clients: list[httpx.AsyncClient] = field(default_factory=list)
    excused: frozenset[str] = frozenset()
    """What the auditor may find: some tests let the insurance pay a phone's settlement without WeChat's order."""

    @property
    def db(self) -> Any:
        return self.world.db

    @property
    def pay(self) -> CashPay:
        assert self.world.ports.pay is not None
        return self.world.ports.pay

    @property
    def till(self) -> Till:
        keys = self.town.keys
        return Till(keys.wechat_pay.mchid, keys.wechat.appid)

    def phone(self, actor: Actor, agent: str = WECHAT) -> httpx.AsyncClient:
        """A browser in which this person is logged in."""
        client = httpx.AsyncClient(
            base_url=self.url,
            trust_env=False,
            headers={
                "User-Agent": agent,
                "Cookie": f"{COOKIE}={self.tokens[actor.id]}",
                "Sec-Fetch-Site": "same-origin",
            },
        )
        self.clients.append(client)
        return client

    def faceless(self) -> None:
        """This hospital charges no faces."""
        self.pay.face = None  # type: ignore[misc]  # ours may be changed

    # ------------------------------------------------------------------------------------------------- the bill

    async def bill(self, *items: str) -> Bill:
        """The mother is seen, has these orders done, and owes for them afterwards."""
        clinic = self.town.his.clinic
        card = self.town.his.catalogue.patients["P0000001"]
        encounter = clinic.register(card, "CARD")
        orders = [clinic.order(encounter, item) for item in items or ("CONS2", "URINE")]
        for order in orders:
            clinic.confirm(order)
        await until(self._heard)
        async with self.db.begin() as tx:
            visit = (await tx.session.scalars(select(Visit).where(Visit.patient_id == self.mother.id))).one()
            if visit.mode != "DEFERRED":
                visit.mode = "DEFERRED"
                await tx.emit(VisitMarked(visit.id))
        return Bill(visit.id, encounter, orders, await self.owed(visit.id))

    async def _heard(self) -> bool:
        async with self.db.begin() as tx:
            known = int(await tx.session.scalar(select(func.count()).select_from(lines.ChargeItem)) or 0)
            done = await tx.session.scalar(
                select(func.count()).select_from(lines.ChargeItem).where(lines.ChargeItem.executed_at.is_not(None))
            )
        enc = self.town.his.books.encounters.values()
        return known == sum(len(e.charges) for e in enc) and done == sum(len(e.executed) for e in enc)

    async def owed(self, visit: UUID) -> int:
        """What a payment beginning now would take."""
        async with self.db.begin() as tx:
            row = await tx.get(Visit, visit)
            assert row is not None
            return await paying.due_now(tx, row)

    async def states(self, visit: UUID) -> set[str]:
        """States of all lines."""
        async with self.db.begin() as tx:
            return {str(c.state) for c in await lines.lines_of(tx, visit)}

    # ------------------------------------------------------------------------------------------------- payments

    def wish(self, amount: int, openid: str | None = MOTHER, channel: CashChannel = CashChannel.JSAPI) -> Press:
        """What a page would ask."""
        return Press(channel, str(new_id()), amount, "10.0.0.8", openid)

    async def press(self, actor: Actor, bill: Bill, openid: str | None = MOTHER, **options: Any) -> UUID:
        """Press the button."""
        wish = self.wish(options.pop("amount", bill.owed), openid, **options)
        return await flows.press(self.db, self.pay, actor, bill.visit, wish, self.till)

    async def attempt(self, attempt_id: UUID) -> Attempt:
        """As it stands."""
        async with self.db.begin() as tx:
            return await attempts.by_id(tx, attempt_id)

    async def attempts(self, visit: UUID) -> list[Attempt]:
        """All of a visit."""
        async with self.db.begin() as tx:
            return list(await attempts.of_visit(tx, visit))

    async def params(self, attempt_id: UUID) -> dict[str, str]:
        """What the page hands to the bridge."""
        async with self.db.begin() as tx:
            ready = attempts.prepared_of(tx, await attempts.by_id(tx, attempt_id))
            assert ready is not None
            return dict(ready.client_params)

    async def bridge(self, attempt_id: UUID, openid: str = MOTHER) -> str:
        """The payer confirms in WeChat."""
        params = await self.params(attempt_id)
        answer = await self.control("/control/pay", {"openid": openid, "params": params})
        return str(answer["err_msg"]).partition(":")[2]

    async def control(self, path: str, body: Any) -> Any:
        """The sandbox's puppeteer."""
        async with httpx.AsyncClient(base_url=self.town.ports.url("wechat_pay"), trust_env=False) as client:
            return (await client.post(path, json=body)).json()

    async def behave(self, *rules: dict[str, Any]) -> None:
        """Tell WeChat Pay how to misbehave."""
        await self.control("/control/behave", list(rules))

    async def until_state(self, attempt_id: UUID, state: str) -> None:
        """Wait for the attempt."""

        async def there() -> bool:
            return (await self.attempt(attempt_id)).state == state

        await until(there)

    async def settle(self) -> int:
        """Tell the HIS what waits to be told; posts wait a moment for company, so a few seconds pass."""
        answered = 0
        for _ in range(3):
            self.clock.move(seconds=2)
            answered += await deliver_calls(self.db, self.world.ports.his)
        return answered

    # --------------------------------------------------------------------------------------------------- oracles

    @property
    def taken(self) -> int:
        """Fen WeChat Pay holds for us: payments less refunds."""
        books = self.town.pay.books
        paid = sum(o.total for o in books.orders.values() if o.state in ("SUCCESS", "REFUND"))
        return paid - sum(r.amount for r in books.refunds.values() if r.status == "SUCCESS")

    @property
    def payments(self) -> int:
        """How many orders WeChat Pay has taken money for."""
        return sum(o.state in ("SUCCESS", "REFUND") for o in self.town.pay.books.orders.values())

    async def ledger(self) -> dict[str, int]:
        """Balances; the whole adds up to zero, each transaction too."""
        async with self.db.begin() as tx:
            found = await tx.session.execute(
                select(LedgerEntry.account, func.sum(LedgerEntry.amount_fen)).group_by(LedgerEntry.account)
            )
            balances = {str(account): int(total) for account, total in found}
            crooked = await tx.session.execute(
                select(LedgerEntry.transaction_id)
                .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
                .group_by(LedgerEntry.transaction_id)
                .having(func.sum(LedgerEntry.amount_fen) != 0)
            )
            assert crooked.all() == []
        assert sum(balances.values()) == 0
        return {k: v for k, v in balances.items() if v}

    async def balanced(self) -> None:
        """Our cash is what WeChat Pay holds, nothing hangs in suspense, nobody's books are crooked."""
        ledger = await self.ledger()
        assert ledger.get("cash_wechat", 0) == self.taken
        assert ledger.get("suspense", 0) == 0

    async def count(self, model: Any) -> int:
        """Rows of a table."""
        async with self.db.begin() as tx:
            return int(await tx.session.scalar(select(func.count()).select_from(model)) or 0)

    async def said(self, visit: UUID) -> list[str]:
        """States of the payment rows of the feed, in order."""
        async with self.db.begin() as tx:
            rows = await notices.since(tx, visit, 0)
        return [row.payload["payment"]["state"] for row in rows if row.kind == "payment"]

    async def snapshot(self) -> tuple[Any, ...]:
        """Everything a notice could change, to show that it did not."""
        async with self.db.begin() as tx:
            rows = (await tx.session.scalars(select(Attempt).order_by(Attempt.id))).all()
            state = [(a.id, a.state, a.transaction_id, a.refunded_fen) for a in rows]
            charges = (await tx.session.scalars(select(lines.ChargeItem).order_by(lines.ChargeItem.id))).all()
            billed = [(c.id, c.state, c.round_id) for c in charges]
        return state, billed, await self.ledger(), await self.count(Refund), await self.count(NoticeSeen)


@pytest.fixture
def clock() -> ShiftedClock:
    """The clock of this test."""
    return ShiftedClock()


@dataclass(frozen=True)
class Yesterday:
    """A database in which the hospital is open and its people are known already, and the keys that go with it."""

    template: str
    folder: Path


@pytest.fixture(scope="session")
async def yesterday(
    postgres: EmbeddedPostgres,
    template_database: str,
    world_keys: SandboxKeys,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Yesterday]:
    """The demo's hospital, opened once for all houses."""
    folder = tmp_path_factory.mktemp("yesterday")
    with fresh_database(postgres, template_database) as url, contextlib.closing(_Sockets()) as sockets:
        ready = load({}, database_url=url.replace("+psycopg", ""), data_dir=folder)
        world = wiring.build(demo.settings_for(ready, towns.client_settings(world_keys, sockets.ports)))
        await demo.open_hospital(world, json.loads(HOSPITAL_FILE.read_text("utf-8")))
        await world.db.close()
        yield Yesterday(url.partition("@/")[2].partition("?")[0], folder)


class _Sockets:
    def __init__(self) -> None:
        self.ports = towns.listen()

    def close(self) -> None:
        for one in self.ports.sockets.values():
            one.close()


@pytest.fixture
async def house(
    databases: Databases,
    yesterday: Yesterday,
    world_keys: SandboxKeys,  # noqa: F811
    clock: ShiftedClock,
) -> AsyncIterator[House]:
    """Everything running; jobs and sweeps are run by the test."""
    with databases.lent(yesterday.template) as url:
        async with _running(url, yesterday.folder, world_keys, clock) as made:
            yield made


@contextlib.asynccontextmanager
async def _running(
    database_url: str,
    folder: Path,
    world_keys: SandboxKeys,  # noqa: F811
    clock: ShiftedClock,
) -> AsyncIterator[House]:
    listening = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio leaves Nagle on: 40 ms a call
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    ready = load({}, database_url=database_url.replace("+psycopg", ""), data_dir=folder, port=port)
    ports = towns.listen()
    world = wiring.build(demo.settings_for(ready, towns.client_settings(world_keys, ports)), clock=clock)
    world.ports.pay.line._guard = Guard("wechat_pay", deadline=3)  # type: ignore[union-attr]  # nobody waits here
    patient = Breaker(failures=1000)
    world.ports.mix._guard = Guard("wechat_mix", deadline=3, breaker=patient)  # type: ignore[union-attr]
    his_keys = await _moved(world, ports.url("his"))
    town = towns.build(world_keys, ports, f"http://127.0.0.1:{port}", his_keys, scale=0.001)
    town.pay.now = town.pay.notifier._now = clock
    # Her personal account is empty, so that every line leaves something to pay.
    town.his.books.account_used["P0000001"] = town.his.catalogue.patients["P0000001"].account_fen
    async with AsyncExitStack() as stack:
        for name in set(towns.NAMES) - {"his", "wechat_pay", "insurance"}:
            stack.callback(ports.sockets[name].close)
        await stack.enter_async_context(_served(world, listening))
        apps: dict[str, Any] = {
            "his": his_app(town.his),
            "wechat_pay": town.register(),
            "insurance": insurance.build(town.insurance),
        }
        for name, app in apps.items():
            await stack.enter_async_context(towns.serving(app, ports.sockets[name]))
        made = await _house(world, town, f"http://127.0.0.1:{port}", clock)
        yield made
        await town.pay.notifier.stop()
        for client in made.clients:
            await client.aclose()


@functools.cache
def _his() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(HOSPITAL_FILE.read_text("utf-8"))["his"]
    return found


async def _moved(world: World, address: str) -> tuple[Key, list[Key]]:
    """Yesterday's hospital, whose own system has another address today; its keys."""
    his = _his()
    inbound, outbound = his["inbound_keys"][0]["id"], his["outbound_key"]["id"]
    async with world.db.begin() as tx:
        hospital = (await tx.session.scalars(select(Hospital))).one()
        hospital.his_url = address
        secrets = await hospitals.keys_of(tx, hospital.id)
    return Key(inbound, secrets[inbound]), [Key(outbound, secrets[outbound])]


class _served:
    def __init__(self, world: World, listening: socket.socket) -> None:
        self.app, self.listening = create_app(world), listening
        config = uvicorn.Config(
            self.app, http="httptools", ws="websockets-sansio", log_config=None, timeout_graceful_shutdown=2
        )
        self.server = QuietServer(config)

    async def __aenter__(self) -> QuietServer:
        self.task = asyncio.create_task(self.server.serve(sockets=[self.listening]))
        while not self.server.started:
            if self.task.done():
                self.task.result()
            await asyncio.sleep(0.01)
        return self.server

    async def __aexit__(self, *_: object) -> None:
        self.app.state.world.hub.close()
        self.server.leave()
        await self.task
        self.listening.close()


async def _house(world: World, town: towns.Town, url: str, clock: ShiftedClock) -> House:
    tokens: dict[UUID, str] = {}

    async def known(tx: Tx, openid: str) -> Actor:
        person = await sessions.by_wechat(tx, openid, town.keys.wechat.appid)
        assert person is not None
        tokens[person.id] = (await sessions.begin(tx, person)).token
        return Actor(ActorKind.PERSON, person.id)

    async with world.db.begin() as tx:
        mother, daughter, son = [await known(tx, openid) for openid in (MOTHER, DAUGHTER, SON)]
        cash = (await tx.session.scalars(select(Staff).where(Staff.login == "c.cash"))).one()
        tokens[cash.id] = (await sessions.begin_staff(tx, cash.id)).token
        await tx.session.execute(delete(Grant))  # these relatives pay, and see nothing but amount and hospital
        for relative, relation in ((daughter, "daughter"), (son, "son")):
            tx.add(_grant(mother.id, relative.id, relation, tx.now))
    counter = Actor(ActorKind.STAFF, cash.id, cash.hospital_id, Role.COUNTER)
    return House(world, town, url, clock, cash.hospital_id, mother, daughter, son, counter, tokens)


def _grant(patient: UUID, person: UUID, relation: str, now: datetime) -> Grant:
    return Grant(
        id=new_id(),
        patient_id=patient,
        person_id=person,
        kind=GrantKind.PAY,
        relation=relation,
        depth=0,
        opened=[],
        bond=new_id(),
        state="active",
        created_at=now,
    )
