"""A hospital whose system talks to us: the real door on real PostgreSQL, and a way to make its statements."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import func, select

from billing.models import LedgerEntry, LedgerTransaction, Round
from billing.rules import LIVE_ROUND
from billing.service import lines, turns
from houfu import tables
from intake.flows import Intake
from intake.rules import Answer, Item, read
from kernel.clock import ManualClock
from kernel.crypto import Vault
from kernel.db import Database, Tx, connect, one_of
from kernel.ids import new_id
from notices.rules import Row
from people.models import Hospital
from people.rules import OWNER
from people.service import hospitals
from visits.service import encounters, reading
from visits.service.orders import Order

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
Json = dict[str, Any]


class KeptJobs:
    """What was enqueued."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    async def enqueue(self, connection: psycopg.AsyncConnection[Any], name: str, arguments: Mapping[str, Any]) -> None:
        """Remember."""
        self.all.append((name, dict(arguments)))


def at(minutes: float = 0) -> str:
    """A moment of the day, as the HIS writes it."""
    return (NOW + timedelta(minutes=minutes)).isoformat()


@dataclass
class Teller:
    """Makes one encounter's statements; every number carries ``mark``, so that many tellers share one hospital."""

    mark: str
    sequence: int = 0

    def item(self, kind: str, data: Json, sequence: int | None = None, name: str | None = None) -> Json:
        """One statement, numbered on."""
        self.sequence = sequence if sequence is not None else self.sequence + 1
        return {
            "specversion": "1.0",
            "id": name or f"{self.mark}-{self.sequence}",
            "source": "/hospital/T01",
            "type": kind,
            "subject": f"E{self.mark}",
            "time": at(self.sequence),
            "sequence": self.sequence,
            "data": data,
        }

    def started(self, **changed: Any) -> Json:
        return self.item("encounter.started", self.start_data() | changed)

    def start_data(self) -> Json:
        return {
            "patient": {"no": f"P{self.mark}", "name": "某某"},
            "class": "AMB",
            "department": "CARD",
            "insurance": {"status": "normal"},
            "started_at": at(),
        }

    def placed(self, order: str = "O", **changed: Any) -> Json:
        return self.item("order.placed", self.order_data(order) | changed)

    def order_data(self, order: str = "O") -> Json:
        return {
            "order_no": f"{order}{self.mark}",
            "kind": "lab",
            "name": "血常规",
            "department": "LAB",
            "ordered_at": at(1),
        }

    def charged(self, charge: str = "C", order: str | None = "O", fen: int = 2000, **changed: Any) -> Json:
        return self.item("charge.created", self.charge_data(charge, order, fen) | changed)

    def charge_data(self, charge: str = "C", order: str | None = "O", fen: int = 2000) -> Json:
        fund, account = fen // 2, fen // 10
        return {
            "charge_no": f"{charge}{self.mark}",
            **({"order_no": f"{order}{self.mark}"} if order else {}),
            "item_code": "L010",
            "name": "血常规",
            "quantity": 1,
            "unit_price_fen": fen,
            "amount_fen": fen,
            "split": {"fund_fen": fund, "account_fen": account, "self_fen": fen - fund - account},
            "created_at": at(1),
        }

    def confirmed(self, order: str = "O", number: str = "X") -> Json:
        return self.item("execution.confirmed", self.execution_data(order, number))

    def execution_data(self, order: str = "O", number: str = "X") -> Json:
        return {
            "execution_no": f"{number}{self.mark}",
            "order_no": f"{order}{self.mark}",
            "department": "LAB",
            "at": at(5),
        }

    def cancelled(self, order: str = "O") -> Json:
        return self.item("order.cancelled", {"order_no": f"{order}{self.mark}", "at": at(6)})

    def reversed(self, charge: str = "C") -> Json:
        return self.item("charge.reversed", {"charge_no": f"{charge}{self.mark}", "at": at(7)})

    def settled(self, charge: str = "C", fen: int = 800) -> Json:
        data = {
            "charge_no": f"{charge}{self.mark}",
            "amount_fen": fen,
            "where": "1号窗口",
            "reference": "W1",
            "at": at(8),
        }
        return self.item("charge.settled", data)

    def finished(self) -> Json:
        return self.item("encounter.finished", {"finished_at": at(60)})

    def snapshot(self, **parts: Any) -> Json:
        """A picture of an order with one charge, done; parts may be replaced."""
        data = {
            "as_of": at(30),
            "encounter": self.start_data(),
            "orders": [self.order_data()],
            "charges": [self.charge_data()],
            "executions": [self.execution_data()],
            "results": [],
        }
        return self.item("visit.snapshot", data | parts)


@dataclass
class Hall:
    """The hospital, our door for it, and what can be looked at behind it."""

    db: Database
    clock: ManualClock
    intake: Intake
    hospital: UUID
    rows: list[Row] = field(default_factory=list)
    _known: hospitals.Snapshot | None = None

    async def say(self, *raw: Json) -> list[Answer]:
        """Statements in one batch."""
        read_ = [read(one) for one in raw]
        items = [one for one in read_ if isinstance(one, Item)]
        assert len(items) == len(raw), [one for one in read_ if isinstance(one, Answer)]
        return await self.intake.take(await self.opened(), items)

    async def opened(self) -> hospitals.Snapshot:
        """The hospital as the door knows it since the first time; it is kept a while there, too."""
        self._known = self._known or await self.known()
        return self._known

    async def known(self) -> hospitals.Snapshot:
        """The hospital as the door hands it on."""
        async with self.db.begin() as tx:
            return await hospitals.snapshot(tx, self.hospital)

    async def statuses(self, *raw: Json) -> list[str]:
        """What was answered, in order."""
        return [answer.status for answer in await self.say(*raw)]

    async def bill(self, mark: str) -> Json:
        """What became of a teller's visit: lines by charge number, sums, order states, the ledger per account."""
        return (await self.bills([mark]))[0]

    async def bills(self, marks: Sequence[str]) -> list[Json]:
        """What became of many visits; what they are made of is fetched in a few questions, however many they are."""
        async with self.db.begin() as tx:
            ids = [encounters.encounter_id(self.hospital, f"E{mark}") for mark in marks]
            visits = [met.visit_id for met in await tx.preload(encounters.Encounter, ids)]
            await reading.hold(tx, visits)
            await lines.preload(tx, visits)
            await _rounds(tx, visits)
            placed = await _orders(tx, visits)
            ledger = await _ledger(tx, visits)
            return [await self._bill(tx, mark, placed, ledger) for mark in marks]

    async def _bill(
        self, tx: Tx, mark: str, placed: Mapping[UUID, Sequence[Order]], ledger: Mapping[UUID, Mapping[str, int]]
    ) -> Json:
        encounter = await tx.get(encounters.Encounter, encounters.encounter_id(self.hospital, f"E{mark}"))
        assert encounter is not None, f"nobody knows E{mark}"
        visit = await reading.visit_of(tx, encounter.visit_id)
        assert visit is not None
        shown = await lines.bill_of(tx, visit, OWNER)
        number = {str(lines.charge_id(self.hospital, c.number)): c.number for c in await lines.lines_of(tx, visit.id)}
        keep = (
            "pile",
            "state",
            "amount_fen",
            "self_fen",
            "estimate",
            "executed_at",
            "executed_where",
            "can_dispute",
            "can_abandon",
        )
        return {
            "visit": visit.state,
            "doctor": encounter.doctor,
            "lines": {number[line["id"]].removesuffix(mark): {k: line[k] for k in keep} for line in shown["lines"]},
            "sums": shown["sums"],
            "orders": {o.number.removesuffix(mark): str(o.state) for o in placed.get(visit.id, ())},
            "ledger": {account: total for account, total in ledger.get(visit.id, {}).items() if total},
        }

    async def count(self, model: Any) -> int:
        """Rows of a table."""
        async with self.db.begin() as tx:
            return int(await tx.session.scalar(select(func.count()).select_from(model)) or 0)


async def _rounds(tx: Tx, visits: Sequence[UUID]) -> None:
    turns.nobody_pays(tx, visits)
    query = select(Round).where(one_of(Round.visit_id, visits), Round.state.in_(LIVE_ROUND))
    for live in await tx.session.scalars(query):
        turns.found(tx, live)


async def _orders(tx: Tx, visits: Sequence[UUID]) -> dict[UUID, list[Order]]:
    placed: dict[UUID, list[Order]] = defaultdict(list)
    query = select(Order).where(one_of(Order.visit_id, visits)).order_by(Order.rank)
    for order in await tx.session.scalars(query):
        tx.hold([order])
        placed[order.visit_id].append(order)
    return placed


async def _ledger(tx: Tx, visits: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    totals: dict[UUID, dict[str, int]] = defaultdict(dict)
    query = (
        select(LedgerTransaction.visit_id, LedgerEntry.account, func.sum(LedgerEntry.amount_fen))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(one_of(LedgerTransaction.visit_id, visits))
        .group_by(LedgerTransaction.visit_id, LedgerEntry.account)
    )
    for visit, account, total in await tx.session.execute(query):
        totals[visit][account] = int(total)
    return totals


@pytest.fixture
async def hall(database_url: str) -> AsyncIterator[Hall]:
    """A hospital with two departments and nobody in it."""
    clock, rows = ManualClock(NOW), list[Row]()

    def announce(rung: Any) -> None:
        rows.extend(one for one in rung if isinstance(one, Row))

    vault = Vault({1: b"m" * 32}, b"i" * 32)
    db = Database(connect(database_url), vault, clock, tables.SUBSCRIBERS, KeptJobs(), announce)
    async with db.begin() as tx:
        hospital = await a_hospital(tx)
    yield Hall(db, clock, Intake(db), hospital, rows)
    await db.close()


async def a_hospital(tx: Tx) -> UUID:
    """A hospital with a laboratory and a heart clinic."""
    row = tx.add(
        Hospital(
            id=new_id(),
            code="T01",
            name="试",
            city="试",
            phone="1",
            address="试",
            his_url="http://127.0.0.1:9",
            settings={},
        )
    )
    await tx.session.flush()
    return row.id


__all__ = ["NOW", "Hall", "KeptJobs", "Teller", "a_hospital", "at"]
