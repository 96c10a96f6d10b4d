"""What a rehearsal plays at the window and before it is done, played in the small: it works, and a failure is said."""

import asyncio
import random
from collections.abc import Awaitable
from typing import Any

from payments import flows
from sandbox.his.catalogue import load
from sandbox.rehearsal.first import First
from sandbox.rehearsal.hall import Account, Hall
from sandbox.rehearsal.insurer import Insurer
from sandbox.rehearsal.money import Purse
from sandbox.rehearsal.phones import Phone
from sandbox.rehearsal.ways import FIRST, Ways
from sandbox.rehearsal.window import Window
from tests.payments.conftest import MOTHER, Bill, House
from tests.payments.desk import opened, sound
from tests.payments.test_captures import SCANNER, terminal
from tests.payments.test_insurance import center, held, of_visit
from visits.flows import deliver_calls


class Played:
    """A rehearsal's window, phone and purse in a house that is open anyway; its sweeps go on meanwhile."""

    def __init__(self, house: House, bill: Bill, scanner: Any) -> None:
        self.house, rng = house, random.Random(4)
        client = house.phone(house.mother)
        client.headers.pop("Cookie")
        machine = {"id": SCANNER, "kind": "scanner", "secret": scanner.secret, "place": "一楼收费处 1 号窗口"}
        login = {"hospital": "HF01", "login": "c.cash", "pin": "003895"}
        pay = house.town.ports.url("wechat_pay")
        self.purse = Purse(pay, MOTHER, house.town.his, rng)
        self.hall = Hall(client, self.purse, [login], None, [machine], rng, "7")
        insurer = Insurer(self.purse.outside, house.town.ports.url("insurance"), pay, rng)
        self.window = Window(self.hall, insurer, rng)
        self.ways = Ways(FIRST, rng)
        self.first = First(self.purse, house.town.his, self.ways, rng)
        card = load().patients["P0000001"]
        phone = Phone(client, "", card, rng)
        phone.headers = {"Authorization": f"Bearer {house.tokens[house.mother.id]}"}
        number = next(p.id_number for p in house.town.insurance.books.people.values() if p.openid == MOTHER)
        self.account = Account(card.no, number, str(bill.visit), phone, insured=True)

    async def meanwhile(self, doing: Awaitable[Any], seconds: float = 0) -> Any:
        """Do it while the worker's sweeps go on, and so much time passes between them."""
        done = asyncio.ensure_future(doing)
        while not done.done():
            self.house.clock.move(seconds=seconds)
            await flows.sweep(self.house.db, self.house.pay)
            await flows.insurance_due(self.house.db, center(self.house))
            await flows.refund_due(self.house.db, self.house.pay)
            await deliver_calls(self.house.db, self.house.world.ports.his)
            await asyncio.wait([done], timeout=0.1)
        return done.result()


async def played(house: House, *items: str) -> tuple[Played, Bill]:
    """A bill, a cashier with her drawer, and a certified terminal."""
    bill = await house.bill(*items)
    one = Played(house, bill, await terminal(house))
    await opened(house, house.counter)
    for cashier in one.hall.cashiers:
        await cashier.log_in()
    return one, bill


async def test_the_insurance_at_the_window(house: House) -> None:
    """Begun, a forged reading refused and read again, agreed to, paid; stopped by her, nobody holds anything."""
    one, bill = await played(house)
    assert await one.meanwhile(one.window.settle(one.account, stop=True)) is False
    assert (held(house), [p.state for p in await of_visit(house, bill)]) == (0, ["revoked"])
    one.window.rng.seed(2)
    assert await one.meanwhile(one.window.settle(one.account, stop=False)) is True
    [part] = await of_visit(house, bill)
    assert (part.state, held(house)) == ("paid", part.total_fen - (part.cash_fen or 0))
    assert one.window.refused >= 1
    assert one.window.insurer.told == []
    await sound(house)
    await one.purse.close()


async def test_paid_before_it_is_done(house: House) -> None:
    """One is done, one cancelled and its money back; a house that keeps it, or says it was not paid, is found out."""
    one, _ = await played(house, "CONS2")
    for _ in FIRST:
        assert await one.meanwhile(one.first.play([one.account]), 3) == []
    assert dict(one.ways.played) == {"first_done": 1, "first_back": 1}
    await house.settle()
    books = house.town.his.books
    assert (
        sum(s["total_fen"] for s in books.settlements.values()) - sum(r["total_fen"] for r in books.refunds.values())
        == house.taken
    )
    await sound(house)
    await one.purse.close()
