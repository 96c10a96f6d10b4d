"""What is paid before it is done: chosen, paid by the same attempts, never owed; against the books of both sides."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from billing.models import ChargeItem
from billing.rules import NothingPayableError
from billing.service import answers, lines
from kernel.db import Tx
from kernel.errors import HoufuError, NotFoundError
from payments import flows, rules
from payments.models import Attempt, Refund
from payments.rules import Piece
from payments.service import kiosks, refunds, rounds
from people.models import Grant, Terminal
from people.rules import Actor, Depth, View
from people.service import terminals
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, MOTHER, PAGE, Bill, House
from tests.payments.desk import cash, opened, shown_code, sound, takes
from tests.payments.test_pages import read
from visits.models import Visit
from visits.rules import ModeChange
from visits.service import encounters, orders

WATCHER = View(Depth.BILL, frozenset(), pays=False, owner=False)


class First:
    """A visit that is paid first: urine and a consultation are ordered, nothing is done."""

    def __init__(self, house: House, bill: Bill, ids: dict[str, UUID], fen: dict[str, int]) -> None:
        self.house, self.bill, self.visit, self.ids, self.fen = house, bill, bill.visit, ids, fen
        self.urine, self.talk = bill.orders

    def lines(self, *wanted: str) -> frozenset[UUID]:
        """The lines of these orders; of all without any."""
        return frozenset(self.ids[o] for o in wanted or self.bill.orders)

    async def press(self, *wanted: str, who: Actor | None = None, openid: str = MOTHER, **over: Any) -> UUID:
        """Choose these and press the button."""
        fen = over.pop("fen", sum(self.fen[o] for o in wanted or self.bill.orders))
        wish = replace(self.house.wish(fen, openid), lines=self.lines(*wanted), **over)
        return await flows.press(
            self.house.db, self.house.pay, who or self.house.mother, self.visit, wish, self.house.till
        )

    async def pays(self, *wanted: str) -> UUID:
        """Chosen, pressed, confirmed in WeChat, booked by the hospital."""
        attempt = await self.press(*wanted)
        assert await self.house.bridge(attempt) == "ok"
        await self.house.until_state(attempt, "paid")
        await self.house.settle()
        assert (await self.house.attempt(attempt)).state == "settled"
        return attempt

    async def state(self, order: str) -> str:
        """Of the order's line."""
        async with self.house.db.begin() as tx:
            line = await tx.get(ChargeItem, self.ids[order])
            assert line is not None
            return str(line.state)

    async def heard(self) -> None:
        """Everything the hospital said has arrived."""
        await until(lambda: not self.house.town.his.books.outbox)

    async def bill_seen(self, view: View) -> dict[str, Any]:
        """The bill before these eyes."""
        async with self.house.db.begin() as tx:
            row = await tx.get(Visit, self.visit)
            assert row is not None
            return await lines.bill_of(tx, row, view)

    async def back(self) -> None:
        """Refunds that are due reach their payers."""
        await flows.refund_due(self.house.db, self.house.pay)

        async def done() -> bool:
            async with self.house.db.begin() as tx:
                return all(r.done_at for r in await refunds.of_visit(tx, self.visit))

        await until(done)

    async def right(self) -> None:
        """Every invariant holds, and our money is what WeChat holds."""
        await sound(self.house)
        assert self.house.town.his.books.complaints == []


async def first(house: House, *, deferred: str = "") -> First:
    """Two things are ordered in a visit that is paid first (or, ``deferred``: afterwards)."""
    clinic = house.town.his.clinic
    encounter = clinic.register(house.town.his.catalogue.patients["P0000001"], "CARD")
    placed = [clinic.order(encounter, item) for item in ("URINE", "CONS2")]
    await until(house._heard)
    async with house.db.begin() as tx:
        visit = (await tx.session.scalars(select(Visit).where(Visit.patient_id == house.mother.id))).one()
        if not deferred:
            await encounters.unmark(tx, visit, ModeChange.WITHDRAWN)
        assert visit.mode == (deferred or "UPFRONT")
        by_number = {c.number: c for c in await lines.lines_of(tx, visit.id)}
    found = {no: by_number[next(iter(charges(house, encounter, no)))] for no in placed}
    fen = {no: c.self_fen for no, c in found.items()}
    return First(
        house, Bill(visit.id, encounter, placed, sum(fen.values())), {no: c.id for no, c in found.items()}, fen
    )


def charges(house: House, encounter: str, order: str) -> list[str]:
    """The charge numbers of an order."""
    books = house.town.his.books
    return books.charges_of(books.encounters[encounter], order)


async def test_paid_and_then_done(house: House) -> None:
    """Chosen and paid alone: a liability until the department has done it, then revenue; the other is untouched."""
    one = await first(house)
    sums = (await one.bill_seen(rules_owner()))["sums"]
    assert (sums["first_fen"], sums["payable_fen"], sums["paid_fen"]) == (one.bill.owed, 0, 0)
    await one.pays(one.urine)
    fen = one.fen[one.urine]
    assert [s["total_fen"] for s in house.town.his.books.settlements.values()] == [fen]
    assert (await one.state(one.urine), await one.state(one.talk)) == ("prepaid", "planned")
    assert await house.ledger() == {"cash_wechat": fen, "prepaid": -fen}
    seen = await one.bill_seen(rules_owner())
    assert (seen["sums"]["prepaid_fen"], seen["sums"]["first_fen"]) == (fen, one.fen[one.talk])
    assert seen["sums"]["self_fen"] == seen["sums"]["done_fen"] == 0
    assert await house.owed(one.visit) == 0
    await one.right()
    house.town.his.clinic.confirm(one.urine)
    await one.heard()
    assert await one.state(one.urine) == "settled"
    ledger = await house.ledger()
    assert (ledger["cash_wechat"], ledger.get("patient", 0), ledger.get("prepaid", 0)) == (fen, 0, 0)
    assert ledger["revenue"] < 0
    assert (await one.bill_seen(rules_owner()))["sums"]["paid_fen"] == fen
    await one.right()


def rules_owner() -> View:
    """The patient's own eyes."""
    return View(Depth.ALL, None, pays=True, owner=True)


@pytest.mark.parametrize("how", ["abandons", "leaves", "cancelled", "reversed"])
async def test_paid_and_then_not_wanted(house: House, how: str) -> None:
    """Given up, left, cancelled or reversed before it is done: off the bill at once, and all of it comes back."""
    one = await first(house)
    await one.pays(one.urine)
    clinic = house.town.his.clinic
    if how == "abandons":
        async with house.db.begin() as tx:
            await orders.abandon(tx, house.mother, orders.order_id(house.hospital, one.urine))
    elif how == "leaves":
        async with house.db.begin() as tx:
            await answers.leave_now(tx, house.mother, one.visit)
    elif how == "cancelled":
        clinic.cancel(one.urine, "开错了")
    else:
        [charge] = charges(house, one.bill.encounter, one.urine)
        taken_back = {"charge_no": charge, "at": house.clock().isoformat()}
        house.town.his.books.record("charge.reversed", one.bill.encounter, taken_back)
    await one.heard()
    assert await one.state(one.urine) == ("reversed" if how == "reversed" else "aborted")
    fen = one.fen[one.urine]
    assert await house.ledger() == {"cash_wechat": fen, "suspense": -fen}
    await one.back()
    assert await one.state(one.urine) == "refunded"
    assert (await house.ledger(), house.taken) == ({}, 0)
    await house.settle()
    await one.heard()
    assert [r["total_fen"] for r in house.town.his.books.refunds.values()] == [fen]
    assert (await one.bill_seen(rules_owner()))["sums"]["prepaid_fen"] == 0
    await one.right()


@pytest.mark.parametrize("back", [False, True], ids=["on its way", "arrived"])
async def test_done_although_it_was_given_up(house: House, back: bool) -> None:
    """The department's word crosses her giving up: its money goes back all the same, and it is payable as done."""
    one = await first(house)
    await one.pays(one.urine)
    async with house.db.begin() as tx:
        await orders.abandon(tx, house.mother, orders.order_id(house.hospital, one.urine))
    if back:
        await one.back()
    house.town.his.clinic.confirm(one.urine)
    await one.heard()
    assert await one.state(one.urine) == "billable"
    await one.back()
    assert (await one.state(one.urine), house.taken) == ("billable", 0)
    fen = one.fen[one.urine]
    assert (await house.ledger())["patient"] == fen
    await house.settle()
    assert (await one.bill_seen(rules_owner()))["sums"]["first_fen"] == fen + (
        one.fen[one.talk] if await one.state(one.talk) == "planned" else 0
    )
    await one.pays(one.urine)
    assert (await one.state(one.urine), house.taken) == ("settled", fen)
    await one.right()


async def test_let_in_without_paying(house: House) -> None:
    """The department did not wait: it is payable as done, by itself, and in no total of what is paid afterwards."""
    one = await first(house)
    house.town.his.clinic.confirm(one.urine)
    await one.heard()
    assert (await one.state(one.urine), await house.owed(one.visit)) == ("billable", 0)
    fen = one.fen[one.urine]
    assert (await house.ledger())["patient"] == fen
    await one.pays(one.urine)
    ledger = await house.ledger()
    assert (await one.state(one.urine), ledger.get("patient", 0), ledger.get("prepaid", 0)) == ("settled", 0, 0)
    await one.right()


async def test_done_while_it_is_being_paid(house: House) -> None:
    """Between press and money the department does it: owed for a moment, then paid; given up, it stays payable."""
    one = await first(house)
    attempt = await one.press(one.urine)
    assert await one.state(one.urine) == "prepaying"
    house.town.his.clinic.confirm(one.urine)
    await one.heard()
    assert await one.state(one.urine) == "covered"
    await one.right()
    await flows.close(house.db, house.pay, attempt)
    assert await one.state(one.urine) == "billable"
    await one.pays(one.urine)
    assert await one.state(one.urine) == "settled"
    await one.right()


@pytest.mark.parametrize("paid", [True, False])
async def test_paid_at_the_window_meanwhile(house: House, paid: bool) -> None:
    """She pays at the hospital's window while her phone is still open: that counts; the phone's money comes back."""
    one = await first(house)
    attempt = await one.press(one.urine)
    house.town.his.clinic.pay_at_window(one.bill.encounter, one.urine)
    await one.heard()
    assert await one.state(one.urine) == "prepaying"
    if paid:
        assert await house.bridge(attempt) == "ok"
        await house.until_state(attempt, "settled")  # there is nothing the hospital would have to book
    else:
        await flows.close(house.db, house.pay, attempt)
    assert await one.state(one.urine) == "settled_elsewhere"
    if paid:
        assert (await house.ledger())["suspense"] == -one.fen[one.urine]
        await one.back()
    await house.settle()
    assert (house.taken, house.town.his.books.settlements, await house.count(Refund)) == (0, {}, int(paid))
    with pytest.raises(NothingPayableError):
        await one.press(one.urine)
    house.town.his.clinic.confirm(one.urine)
    await one.heard()
    assert await one.state(one.urine) == "settled_elsewhere"
    await one.right()


async def test_given_up_while_it_is_being_paid(house: House) -> None:
    """Its order is given up between press and money: nothing is booked, and the money comes straight back."""
    one = await first(house)
    attempt = await one.press()
    async with house.db.begin() as tx:
        await orders.abandon(tx, house.mother, orders.order_id(house.hospital, one.urine))
    assert await one.state(one.urine) == "prepaying"
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    assert (await one.state(one.urine), await one.state(one.talk)) == ("aborted", "prepaid")
    await one.back()
    assert house.taken == one.fen[one.talk]
    await house.settle()
    await one.heard()
    assert [s["total_fen"] for s in house.town.his.books.settlements.values()] == [one.fen[one.talk]]
    assert house.town.his.books.refunds == {}
    await one.right()


async def test_two_things_one_after_the_other(house: House) -> None:
    """Each with a settlement of its own; the second waits kindly while the first is being paid by somebody else."""
    one = await first(house)
    attempt = await one.press(one.urine)
    async with house.db.begin() as tx:
        await tx.session.execute(update(Grant).where(Grant.person_id == house.daughter.id).values(depth=Depth.BILL))
    with pytest.raises(rules.AttemptInProgressError) as told:
        await one.press(one.talk, who=house.daughter, openid=DAUGHTER)
    assert told.value.params == {"who": "妈妈"}
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    second = await one.press(one.talk, who=house.daughter, openid=DAUGHTER)
    await house.bridge(second, DAUGHTER)
    await house.until_state(second, "paid")
    await house.settle()
    assert len(house.town.his.books.settlements) == 2
    assert (await one.state(one.urine), await one.state(one.talk)) == ("prepaid", "prepaid")
    assert house.taken == one.bill.owed
    await one.right()


async def test_several_pay_it_together(house: House) -> None:
    """Shares of chosen lines: a share's money is no receivable less, but owed to who paid; given up, it comes back."""
    one = await first(house)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, one.visit, [Piece(100)], one.bill.owed, one.lines())
    with pytest.raises(rules.OtherRoundError):
        await one.press(one.urine)
    wish = replace(house.wish(100), share=1)
    attempt = await flows.press(house.db, house.pay, house.mother, one.visit, wish, house.till)
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    assert await house.ledger() == {"cash_wechat": 100, "prepaid": -100}
    await one.right()
    await flows.give_up(house.db, house.pay, house.mother, one.visit)
    assert await one.state(one.urine) == "planned"
    await one.back()
    assert await house.ledger() == {}
    await one.right()


async def test_beside_a_bill_that_is_paid_afterwards(house: House) -> None:
    """One excluded line of a post-pay visit: paid before it is done, the rest on account; neither total has both."""
    one = await first(house, deferred="DEFERRED")
    [charge] = charges(house, one.bill.encounter, one.urine)
    house.town.his.clinic.exclude(one.bill.encounter, "OTHER", charge)
    house.town.his.clinic.confirm(one.talk)
    await one.heard()
    assert await house.owed(one.visit) == one.fen[one.talk]
    own = await one.bill_seen(rules_owner())
    assert own["sums"]["first_fen"] == one.fen[one.urine]
    assert [line["pay_first"] for line in own["lines"] if line["id"] == str(one.ids[one.urine])] == [True]
    before = await one.bill_seen(WATCHER)
    await one.pays(one.urine)
    # Who looks on and does not pay cannot tell that anything is paid first: not by a line, not by a sum.
    assert await one.bill_seen(WATCHER) == before
    assert [line["pay_first"] for line in before["lines"]] == [False, False]
    assert (before["sums"]["first_fen"], before["sums"]["prepaid_fen"]) == (0, 0)
    assert await house.owed(one.visit) == one.fen[one.talk]
    rest = await house.press(house.daughter, replace(one.bill, owed=one.fen[one.talk]), DAUGHTER)
    await house.bridge(rest, DAUGHTER)
    await house.until_state(rest, "paid")
    await house.settle()
    assert (await one.state(one.urine), await one.state(one.talk)) == ("prepaid", "settled")
    await one.right()


async def test_only_who_sees_the_line_may_choose_it(house: House) -> None:
    """A payer who is told totals only, and a made-up line: both as if there were no such line; nothing begins."""
    one = await first(house)
    with pytest.raises(NotFoundError):
        await one.press(one.urine, who=house.daughter, openid=DAUGHTER)
    wish = replace(house.wish(100), lines=frozenset({house.hospital}))
    with pytest.raises(NotFoundError):
        await flows.press(house.db, house.pay, house.mother, one.visit, wish, house.till)
    with pytest.raises(rules.AmountChangedError):
        await one.press(one.urine, fen=one.fen[one.urine] - 1)
    with pytest.raises(NothingPayableError):  # without choosing there is nothing: no line is taken unasked
        await house.press(house.mother, replace(one.bill, owed=one.bill.owed))
    assert await house.count(Attempt) == 0
    assert await one.state(one.urine) == "planned"


async def test_twenty_presses_at_once(house: House) -> None:
    """One payment; the other nineteen are told that somebody is paying, or are the same one."""
    one = await first(house)
    await asyncio.sleep(0)

    async def press() -> UUID | HoufuError:
        try:
            return await one.press(one.urine)
        except HoufuError as error:
            return error

    await asyncio.gather(*(press() for _ in range(20)))
    live = [a for a in await house.attempts(one.visit) if a.state == "offered"]
    assert len(live) <= 1
    last = live[0].id if live else await one.press(one.urine)
    await house.bridge(last)
    await house.until_state(last, "paid")
    with pytest.raises(rules.AlreadyPaidError):
        await one.press(one.urine)
    await house.settle()
    assert (house.payments, house.taken) == (1, one.fen[one.urine])
    await one.right()


async def test_at_the_counter(house: House) -> None:
    """Cash and a shown code take it like a phone; a refund of cash waits at the counter."""
    one = await first(house)
    await opened(house, house.counter)
    held = replace(cash(one.bill, amount=one.fen[one.urine]), lines=one.lines(one.urine))
    await takes(house, house.counter, one.bill, held)
    assert await one.state(one.urine) == "prepaid"
    assert await house.ledger() == {"cash_counter": one.fen[one.urine], "prepaid": -one.fen[one.urine]}
    await house.settle()
    await one.right()


async def test_the_database_keeps_them_apart(house: House) -> None:
    """Nothing is owed that was not done, and nothing done counts as paid for later; in the tables, too."""
    one = await first(house)
    for wrong in ("state = 'prepaid', executed_at = now()", "state = 'settled'", "state = 'prepaying'"):
        with pytest.raises(IntegrityError):
            async with house.db.begin() as tx:
                await tx.session.execute(text(f"UPDATE charge_item SET {wrong} WHERE state = 'planned'"))
    assert await one.state(one.urine) == "planned"


async def test_on_the_pages(house: House) -> None:
    """The bill says 先付再做; one thing is chosen, its sheet shows just that; afterwards the bill says it is paid."""
    one = await first(house)
    mother, daughter = house.phone(house.mother), house.phone(house.daughter)
    bill = await read(mother, f"/visits/{one.visit}/bill")
    assert bill.count("先付再做</span>") == 2
    assert f"/visits/{one.visit}/first" in bill
    choice = await read(mother, f"/visits/{one.visit}/first")
    assert choice.count('name="line"') == 2
    line, fen = one.ids[one.urine], one.fen[one.urine]
    sheet = await read(mother, f"/visits/{one.visit}/pay?line={line}")
    assert f'name="amount_fen" value="{fen}"' in sheet
    assert sheet.count('name="line"') == 1
    form = {"_idem": "key-of-the-browser", "amount_fen": str(fen), "line": str(line)}
    answer = await mother.post(f"/visits/{one.visit}/pay", data=form, headers=PAGE)
    attempt = UUID(answer.headers["location"].split("/")[2])
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    await house.settle()
    assert "付过，还没做" in await read(mother, f"/visits/{one.visit}/bill")
    assert "付过的会退" not in await read(mother, f"/visits/{one.visit}/pay?line={line}", 409)
    # Who is told totals only finds no list, no such line, and no sum.
    for path in (f"/visits/{one.visit}/first", f"/visits/{one.visit}/pay?line={one.ids[one.talk]}"):
        assert (await daughter.get(path, headers=PAGE)).status_code in (404, 409)
    assert "先付再做</span>" not in await read(daughter, f"/visits/{one.visit}/bill")
    got = (await daughter.get(f"/api/visits/{one.visit}")).json()
    assert (got["sums"]["first_fen"], got["sums"]["prepaid_fen"], got["lines"]) == (0, 0, [])


async def test_at_the_window_and_the_kiosk(house: House) -> None:
    """The window chooses items and takes a code; the kiosk shows how many and how much, and takes all of them."""
    one = await first(house)
    counter = house.phone(house.counter)
    page = await read(counter, f"/desk/pay/{one.visit}?line={one.ids[one.urine]}")
    assert f'name="amount_fen" value="{one.fen[one.urine]}"' in page
    form = {"_idem": "key-of-the-window", "amount_fen": str(one.fen[one.urine]), "line": str(one.ids[one.urine])}
    form["said"] = await shown_code(house)
    assert (await counter.post(f"/desk/pay/{one.visit}/code", data=form, headers=PAGE)).status_code == 303
    assert (await one.state(one.urine), await one.state(one.talk)) == ("prepaid", "planned")
    async with house.db.begin() as tx:
        kiosk = (await tx.session.scalars(select(Terminal).where(Terminal.kind == "kiosk"))).first()
        assert kiosk is not None
        actor = terminals.actor_of(kiosk)
        turn = await kiosks.begin(tx, actor, await number_of(tx, one.visit))
        due = await kiosks.due(tx, actor, turn)
    assert (due.fen, due.count, due.lines) == (one.fen[one.talk], 1, one.lines(one.talk))
    await one.right()


async def number_of(tx: Tx, visit: UUID) -> str:
    """The visit's number, as somebody types it."""
    row = await tx.get(Visit, visit)
    assert row is not None
    return str(row.number)
