"""A day at the hospital whose books are compared the morning after, for several files of tests."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from kernel.clock import CHINA, china_day
from payments import flows
from payments.flows.reconciling import reconcile
from payments.models import Difference
from payments.service import refunds, worklist
from payments.service.reconciling import Outcome
from people.models import Person, Staff
from people.rules import Actor, ActorKind, Role
from people.service import sessions
from tests.adapters.conftest import until
from tests.payments.conftest import MOTHER, Bill, House


@dataclass
class Books:
    """The house, with everybody's clock at noon of a day that has not begun yet."""

    house: House
    day: date
    finance: Actor
    insurance: Any = None  # our line to the insurance's books, where a test wants that side, too

    async def paid(self, *items: str) -> tuple[Bill, UUID]:
        """A bill, paid and booked by the hospital."""
        bill = await self.house.bill(*items)
        attempt = await self.house.press(self.house.mother, bill)
        await self.house.bridge(attempt)
        await self.house.until_state(attempt, "paid")
        await self.house.settle()
        assert (await self.house.attempt(attempt)).state == "settled"
        return bill, attempt

    async def taken_back(self, bill: Bill) -> str:
        """The hospital takes one paid line back: its money goes back, and the hospital is told. The refund's number."""
        books = self.house.town.his.books
        enc = books.encounters[bill.encounter]
        charge = next(no for no in enc.charges if no in books.settled)
        data = {"charge_no": charge, "reason": "退药", "at": books.now().isoformat()}
        books.record("charge.reversed", bill.encounter, data)
        await until(lambda: not books.outbox)
        await self.gone_back(bill.visit)
        await self.house.settle()
        async with self.house.db.begin() as tx:
            return (await refunds.of_visit(tx, bill.visit))[-1].out_refund_no

    async def gone_back(self, visit: UUID) -> None:
        """Refunds are asked for, and the provider says that they are done."""

        async def done() -> bool:
            self.house.clock.move(seconds=4)
            await flows.refund_due(self.house.db, self.house.pay)
            async with self.house.db.begin() as tx:
                return all(r.state == "done" for r in await refunds.of_visit(tx, visit))

        await until(done)

    async def late(self) -> UUID:
        """Money for a closed attempt comes, and goes back by itself."""
        bill = await self.house.bill()
        attempt = await self.house.press(self.house.mother, bill)
        await flows.close(self.house.db, self.house.pay, attempt)
        number = (await self.house.attempt(attempt)).out_trade_no
        order = next(o for o in self.house.town.pay.books.orders.values() if o.out_trade_no == number)
        order.state = "NOTPAY"
        self.house.town.pay.take(order, MOTHER)
        await self.house.until_state(attempt, "refunding")
        await self.gone_back(bill.visit)
        await self.house.until_state(attempt, "refunded")
        return attempt

    def at(self, hour: int, minute: int = 0, days: int = 0) -> None:
        """Set everybody's clock to a time in China, counted from the day."""
        there = datetime(self.day.year, self.day.month, self.day.day, hour, minute, tzinfo=CHINA)
        self.house.clock.shift = there + timedelta(days=days) - datetime.now(UTC)

    async def morning_after(self, days: int = 1) -> Outcome:
        """Ten past ten on a day after: the day is compared."""
        self.at(10, 10, days)
        return await self.compared()

    async def compared(self, day: date | None = None) -> Outcome:
        """Compare now."""
        his = self.house.world.ports.his
        return await reconcile(self.house.db, self.house.pay, his, day or self.day, insurance=self.insurance)

    async def worklist(self, day: date | None = None) -> list[Difference]:
        """The worklist of a day."""
        async with self.house.db.begin() as tx:
            return list(await worklist.lines(tx, self.house.hospital, day or self.day))

    async def short(self, day: date | None = None) -> list[tuple[Any, ...]]:
        """Open lines in short: (about, kind, here, there, cause)."""
        lines = [d for d in await self.worklist(day) if d.state == "open"]
        return [(d.about, d.kind, d.here_fen, d.there_fen, d.cause) for d in lines]

    async def phone(self, actor: Actor) -> httpx.AsyncClient:
        """A browser whose session begins now, on everybody's clock."""
        async with self.house.db.begin() as tx:
            if actor.kind is ActorKind.STAFF:
                token = (await sessions.begin_staff(tx, actor.id)).token
            else:
                person = await tx.get(Person, actor.id)
                assert person is not None
                token = (await sessions.begin(tx, person)).token
        self.house.tokens[actor.id] = token
        client = self.house.phone(actor, agent="Mozilla/5.0 (X11; Linux)")
        client.headers["Accept"] = "text/html"
        return client

    def his_is(self, fault: str, day: date | None = None) -> None:
        """Get the hospital's list of the day wrong once."""
        self.house.town.his.behaviour.be(fault, kinds=(str(day or self.day),))


async def open_books(house: House) -> Books:
    """Everybody's clock moves to tomorrow noon in China."""
    day = china_day(house.clock()) + timedelta(days=1)
    his = house.town.his
    his.now = his.books.now = house.clock
    async with house.db.begin() as tx:
        staff = (await tx.session.scalars(select(Staff).where(Staff.login == "f.finance"))).one()
    finance = Actor(ActorKind.STAFF, staff.id, staff.hospital_id, Role.FINANCE)
    made = Books(house, day, finance)
    made.at(12)
    return made
