"""The books of a day compared: what is right is 0, what is wrong is found on whichever side it is, and named."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from billing.service import paying
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from payments import flows
from payments.flows import counter as windows
from payments.flows.reconciling import reconcile_due
from payments.models import BookRow, BookRun
from payments.ports import BillRow, TradeBill
from payments.rules import Piece
from payments.rules.reconciling import NoReasonError, NotOverError, Side, SideState
from payments.service import reconciling, worklist
from payments.service.books import rows_of_bill
from payments.service.codes import Wanted
from people.rules import Actor, ActorKind, Role
from sandbox.his import cashbook
from tests.payments.books import Books, open_books
from tests.payments.conftest import DAUGHTER, SON, House
from tests.payments.desk import card, cash, opened, shown_code, takes
from tests.payments.test_shares import cut, pays


@pytest.fixture
async def books(house: House) -> Books:
    """The house at noon."""
    return await open_books(house)


async def test_a_clean_day_is_0(books: Books) -> None:
    """Paid in two bills, a line taken back, late money that went back: all sides agree, nothing is on the worklist."""
    bill, _ = await books.paid()
    await books.taken_back(bill)
    await books.paid("ECG12")
    await books.late()
    outcome = await books.morning_after()
    assert (outcome.diff_fen, outcome.open, outcome.lacking) == (0, 0, ())
    assert await books.worklist() == []
    async with books.house.db.begin() as tx:
        (day,) = await reconciling.days(tx, books.house.hospital)
    assert day.sides == {Side.PROVIDER: SideState.THERE, Side.HIS: SideState.THERE}
    provider = day.totals["provider"]
    assert provider["paid"] - provider["back"] == books.house.taken > 0
    assert day.totals["here"] == day.totals["ledger"] == provider
    assert day.totals["his"]["paid"] - day.totals["his"]["back"] == books.house.taken
    assert provider["count"] == 5


async def test_the_counter_s_money_is_compared_too(books: Books) -> None:
    """Cash, a bank card and a shown code, the card's line handed back: 0; a bill without the code's line: found."""
    house = books.house
    await opened(house, house.counter)
    await takes(house, house.counter, bill := await house.bill(), card(bill, "0912-77"))
    await house.settle()
    await books.taken_back(bill, counter=house.counter)
    await takes(house, house.counter, bill := await house.bill("ECG12"), cash(bill))
    wanted = Wanted((bill := await house.bill("URINE")).visit, str(new_id()), bill.owed)
    await windows.charge(house.db, house.pay, house.counter, wanted, await shown_code(house), house.till, "W01")
    await house.settle()
    outcome = await books.morning_after()
    assert await books.short() == []
    assert (outcome.diff_fen, outcome.lacking) == (0, ())
    await house.behave({"on": "rows", "do": "missing"})
    assert (await books.compared()).diff_fen == bill.owed
    assert await books.short() == [("payment", "missing_at_provider", bill.owed, None, "no_row")]


async def test_a_day_with_nothing(books: Books) -> None:
    """Nobody paid: WeChat has no bill at all, and that is no difference."""
    outcome = await books.morning_after()
    assert (outcome.diff_fen, outcome.lacking) == (0, ())


@pytest.mark.parametrize("kind", ["payment", "refund"])
async def test_the_bill_lacks_a_line(books: Books, kind: str) -> None:
    """WeChat's bill has not got what we booked: missing at the provider, with the whole amount."""
    bill, attempt = await books.paid()
    if kind == "refund":
        await books.taken_back(bill)
        # The bill of refunds alone: what is missing is the first line.
        (order,) = books.house.town.pay.books.orders.values()
        (refund,) = books.house.town.pay.books.refunds.values()
        books.house.town.pay.books.refunds.clear()
        await books.house.behave()
        expected = ("refund", "missing_at_provider", refund.amount, None, "no_row")
        assert order.total == bill.owed
    else:
        await books.house.behave({"on": "rows", "do": "missing"})
        expected = ("payment", "missing_at_provider", bill.owed, None, "no_row")
    outcome = await books.morning_after()
    assert await books.short() == [expected]
    assert outcome.diff_fen == expected[2]
    (line,) = await books.worklist()
    assert line.visit_id == bill.visit
    assert line.payment == (await books.house.attempt(attempt)).out_trade_no


async def test_the_bill_has_a_line_too_many(books: Books) -> None:
    """WeChat took money under a number that is none of ours: missing here."""
    bill, _ = await books.paid()
    await books.house.behave({"on": "rows", "do": "extra"})
    outcome = await books.morning_after()
    assert await books.short() == [("payment", "missing_here", None, bill.owed, "no_number")]
    assert outcome.diff_fen == bill.owed


async def test_the_bill_has_another_amount(books: Books) -> None:
    """One fen more in WeChat's bill."""
    bill, _ = await books.paid()
    await books.house.behave({"on": "rows", "do": "differing"})
    outcome = await books.morning_after()
    assert await books.short() == [("payment", "amount_differs", bill.owed, bill.owed + 1, "amounts")]
    assert outcome.diff_fen == 1


async def test_a_refund_of_another_amount(books: Books) -> None:
    """WeChat gave back one fen more than we asked for."""
    bill, _ = await books.paid()
    await books.taken_back(bill)
    (refund,) = books.house.town.pay.books.refunds.values()
    ours = refund.amount
    refund.amount += 1
    await books.morning_after()
    assert await books.short() == [("refund", "amount_differs", ours, ours + 1, "amounts")]


async def test_a_refund_nobody_asked_for(books: Books) -> None:
    """Somebody gave money back by hand on the merchant's page: missing here."""
    bill, _ = await books.paid()
    await books.taken_back(bill)
    (refund,) = books.house.town.pay.books.refunds.values()
    key = next(iter(books.house.town.pay.books.refunds))
    books.house.town.pay.books.refunds[key[0], "MANUAL1"] = replace(refund, out_refund_no="MANUAL1", amount=50)
    await books.morning_after()
    assert await books.short() == [("refund", "missing_here", None, 50, "no_number")]


async def test_money_we_never_heard_of(books: Books) -> None:
    """No notice came and we have not asked yet: the bill shows it, and the worklist says that we do not know it yet."""
    await books.house.behave({"on": "notify", "do": "drop", "times": None})
    bill = await books.house.bill()
    attempt = await books.house.press(books.house.mother, bill)
    await books.house.bridge(attempt)
    await books.morning_after()
    assert await books.short() == [("payment", "missing_here", None, bill.owed, "not_known_yet")]
    await flows.sweep(books.house.db, books.house.pay)
    await books.house.settle()
    outcome = await books.compared()
    assert (outcome.diff_fen, await books.short()) == (0, [])
    (line,) = await books.worklist()
    assert (line.state, line.closed_by, line.closed_reason) == ("closed", None, worklist.VANISHED)


async def test_late_money_that_nobody_has_seen(books: Books) -> None:
    """Closed here, and yet paid there: said so."""
    await books.house.behave({"on": "notify", "do": "drop", "times": None})
    bill = await books.house.bill()
    attempt = await books.house.press(books.house.mother, bill)
    await flows.close(books.house.db, books.house.pay, attempt)
    (order,) = books.house.town.pay.books.orders.values()
    order.state = "NOTPAY"
    await books.house.town.pay.notifier.stop()
    books.house.town.pay.take(order, "oHF-demo-mother-000000000001")
    await books.morning_after()
    assert await books.short() == [("payment", "missing_here", None, bill.owed, "closed_here")]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("row_missing", ("missing_at_his", "owed", None, "said_done")),
        ("row_differing", ("his_differs", "owed", "owed+1", "amounts")),
        ("row_extra", ("extra_at_his", None, 1234, "no_number")),
    ],
)
async def test_the_hospital_booked_something_else(books: Books, fault: str, expected: tuple[Any, ...]) -> None:
    """The hospital's list lacks a line, has another amount, or one too many."""
    bill, _ = await books.paid()
    books.his_is(fault)
    amounts = {"owed": bill.owed, "owed+1": bill.owed + 1}
    await books.morning_after()
    kind, here, there, cause = expected
    assert await books.short() == [("settlement", kind, amounts.get(here, here), amounts.get(there, there), cause)]


async def test_a_refund_the_hospital_did_not_book(books: Books) -> None:
    """The hospital's list lacks the refund."""
    bill, _ = await books.paid()
    await books.taken_back(bill)
    (refund,) = books.house.town.pay.books.refunds.values()
    books.house.town.his.books.refunds.clear()
    await books.morning_after()
    assert await books.short() == [("refund", "missing_at_his", refund.amount, None, "said_done")]


async def test_the_hospital_has_not_answered_or_refused(books: Books) -> None:
    """Paid, and the hospital did not take it: on its way while it is silent, its own reason once it has refused."""
    bill = await books.house.bill()
    attempt = await books.house.press(books.house.mother, bill)
    await books.house.bridge(attempt)
    await books.house.until_state(attempt, "paid")
    await books.morning_after()
    assert await books.short() == [("settlement", "missing_at_his", bill.owed, None, "on_its_way")]
    charge = next(iter(books.house.town.his.books.encounters[bill.encounter].charges))
    books.house.town.his.books.settled[charge] = "SOMEBODY"  # taken at the window meanwhile
    await books.house.settle()
    await books.compared()
    assert await books.short() == [("settlement", "missing_at_his", bill.owed, None, "refused:already_settled")]


async def test_the_ledger_says_something_else(books: Books) -> None:
    """A posting was changed behind our back."""
    bill, _ = await books.paid()
    async with books.house.db.begin() as tx:
        await tx.session.execute(text("ALTER TABLE ledger_entry DISABLE TRIGGER USER"))
        await tx.session.execute(
            text("UPDATE ledger_entry SET amount_fen = amount_fen - 7 WHERE account = 'cash_wechat'")
        )
    await books.morning_after()
    assert await books.short() == [("payment", "ledger_differs", bill.owed, bill.owed - 7, "ledger")]


# ------------------------------------------------------------------------------------------------ across midnight


async def test_a_payment_booked_after_midnight(books: Books) -> None:
    """Paid at 23:59, booked by the hospital at 00:01: one item of the day of the money, and both days are 0."""
    books.at(23, 58)
    bill = await books.house.bill()
    attempt = await books.house.press(books.house.mother, bill)
    await books.house.bridge(attempt)
    await books.house.until_state(attempt, "paid")
    books.at(0, 1, days=1)
    await books.house.settle()
    assert (await books.morning_after()).diff_fen == 0
    books.at(10, 10, days=2)
    assert (await books.compared(books.day + timedelta(days=1))).diff_fen == 0
    async with books.house.db.begin() as tx:
        later, first = await reconciling.days(tx, books.house.hospital)
    assert first.totals["his"] == first.totals["provider"] == {"paid": bill.owed, "back": 0, "count": 1}
    assert later.totals == {}


async def test_a_refund_taken_after_midnight(books: Books) -> None:
    """Asked for at 23:59, taken by WeChat at 00:01: it waits for the bill of the next day and never is a difference."""
    bill, _ = await books.paid()
    books.at(23, 58)
    await books.house.behave({"on": "refund", "do": "error_before", "times": 1})
    enc = books.house.town.his.books.encounters[bill.encounter]
    data = {"charge_no": next(iter(enc.charges)), "reason": "退药", "at": books.house.clock().isoformat()}
    books.house.town.his.books.record("charge.reversed", bill.encounter, data)
    while books.house.town.his.books.outbox:
        await asyncio.sleep(0.01)
    await flows.refund_due(books.house.db, books.house.pay)
    books.at(0, 1, days=1)
    await books.gone_back(bill.visit)
    await books.house.settle()
    outcome = await books.morning_after()
    assert (outcome.diff_fen, outcome.open) == (0, 0)
    async with books.house.db.begin() as tx:
        (first,) = await reconciling.days(tx, books.house.hospital)
    assert first.waiting == 1
    books.at(10, 10, days=2)
    assert (await books.compared(books.day + timedelta(days=1))).diff_fen == 0
    async with books.house.db.begin() as tx:
        later, first = await reconciling.days(tx, books.house.hospital)
    assert (first.waiting, later.waiting) == (0, 0)
    assert later.totals["here"]["back"] == later.totals["provider"]["back"] == later.totals["his"]["back"] > 0
    assert first.totals["here"]["back"] == 0


async def test_what_the_hospital_books_days_later_closes_by_itself(books: Books) -> None:
    """The hospital's system was down for two days: the difference closes when its list of the third day has it."""
    bill = await books.house.bill()
    attempt = await books.house.press(books.house.mother, bill)
    await books.house.bridge(attempt)
    await books.house.until_state(attempt, "paid")
    assert (await books.morning_after()).diff_fen == bill.owed
    books.at(15, days=2)
    await books.house.settle()
    books.at(10, 10, days=3)
    later = await books.compared(books.day + timedelta(days=2))
    assert later.diff_fen == 0
    assert await books.short() == []


# ---------------------------------------------------------------------------------------------------- the worklist


async def test_the_same_difference_is_the_same_line(books: Books) -> None:
    """Compared three times, twice at once: one line; gone, it closes itself; back again, it is open again."""
    await books.paid()
    await books.house.behave({"on": "rows", "do": "missing", "times": 3})
    await books.morning_after()
    await asyncio.gather(books.compared(), books.compared())
    (line,) = await books.worklist()
    assert line.seen_at > line.found_at
    assert (await books.compared()).diff_fen == 0
    (closed,) = await books.worklist()
    assert (closed.id, closed.state, closed.closed_by) == (line.id, "closed", None)
    await books.house.behave({"on": "rows", "do": "missing"})
    await books.compared()
    (again,) = await books.worklist()
    assert (again.id, again.state, again.closed_reason) == (line.id, "open", None)


async def test_closed_with_a_reason_it_stays_closed(books: Books) -> None:
    """Finance explains a difference: it stays closed while it is the same, and opens when the amount changes."""
    await books.paid()
    await books.house.behave({"on": "rows", "do": "differing", "times": 2})
    await books.morning_after()
    (line,) = await books.worklist()
    async with books.house.db.begin() as tx:
        await worklist.close(tx, books.finance, line.id, "  微信少算\n一分  ")
        await worklist.close(tx, books.finance, line.id, "又一次")
    assert (await books.compared()).open == 0
    (kept,) = await books.worklist()
    assert (kept.state, kept.closed_by, kept.closed_reason) == ("closed", books.finance.id, "微信少算 一分")
    async with books.house.db.begin() as tx:
        assert await worklist.open_fen(tx) == 0
    (order,) = books.house.town.pay.books.orders.values()
    order.total += 5
    assert (await books.compared()).open == 1
    (back,) = await books.worklist()
    assert (back.state, back.amount_fen, back.closed_by) == ("open", 5, None)


async def test_only_finance_closes_and_only_at_home(books: Books) -> None:
    """The counter may not, another hospital's finance finds nothing, and nobody closes without a reason."""
    await books.paid()
    await books.house.behave({"on": "rows", "do": "missing"})
    await books.morning_after()
    (line,) = await books.worklist()
    stranger = Actor(ActorKind.STAFF, new_id(), new_id(), Role.FINANCE)
    for actor, error in ((books.house.counter, ForbiddenError), (books.house.mother, ForbiddenError)):
        with pytest.raises(error):
            async with books.house.db.begin() as tx:
                await worklist.close(tx, actor, line.id, "没问题")
    with pytest.raises(NotFoundError):
        async with books.house.db.begin() as tx:
            await worklist.close(tx, stranger, line.id, "没问题")
    with pytest.raises(NoReasonError):
        async with books.house.db.begin() as tx:
            await worklist.close(tx, books.finance, line.id, "  \n ")
    assert len(await books.short()) == 1


# ------------------------------------------------------------------------------------------------- what is not there


async def test_a_silent_hospital_hides_nothing_and_excuses_nothing(books: Books) -> None:
    """The hospital's list cannot be had: its differences stay as they are, WeChat's are still found."""
    bill, _ = await books.paid()
    books.his_is("row_missing")
    await books.morning_after()
    assert [kind for _, kind, *_ in await books.short()] == ["missing_at_his"]
    books.house.town.his.behaviour.be("down", times=None)
    await books.house.behave({"on": "rows", "do": "differing"})
    outcome = await books.compared()
    assert [(side, state) for _, side, state, _ in outcome.lacking] == [(Side.HIS, SideState.TROUBLE)]
    async with books.house.db.begin() as tx:
        (day,) = await reconciling.days(tx, books.house.hospital)
    assert day.sides[Side.HIS] == SideState.KEPT  # what it said in the morning still counts, and is said to be old
    assert {kind for _, kind, *_ in await books.short()} == {"missing_at_his", "amount_differs"}
    assert outcome.diff_fen == bill.owed + 1
    books.house.town.his.behaviour.good()
    assert (await books.compared()).diff_fen == 0


async def test_a_hospital_without_a_list(books: Books) -> None:
    """It cannot answer: two sides are compared, and the day says whose books are missing."""
    await books.paid()
    books.house.town.his.behaviour.be("no_list", times=None)
    outcome = await books.morning_after()
    assert outcome.diff_fen == 0
    assert [(code, side, state) for code, side, state, _ in outcome.lacking] == [("HF01", Side.HIS, SideState.ABSENT)]


async def test_today_so_far(books: Books) -> None:
    """In the afternoon WeChat has no bill yet: the hospital's list is compared, and the day is not called right."""
    await books.paid()
    outcome = await books.compared()
    assert (outcome.diff_fen, [state for _, _, state, _ in outcome.lacking]) == (0, [SideState.WAITS])
    async with books.house.db.begin() as tx:
        (day,) = await reconciling.days(tx, books.house.hospital)
    assert day.sides[Side.PROVIDER] == SideState.WAITS
    with pytest.raises(NotOverError):
        await books.compared(books.day + timedelta(days=1))


async def test_a_bill_that_does_not_hold_is_not_believed(books: Books) -> None:
    """WeChat's answer is spoilt on the way: trouble, nothing of it is kept, and it is tried again."""
    await books.paid()
    await books.house.behave({"on": "bill", "do": "bad_signature"})
    outcome = await books.morning_after()
    assert [(side, state) for _, side, state, _ in outcome.lacking] == [(Side.PROVIDER, SideState.TROUBLE)]
    assert await books.short() == []
    async with books.house.db.begin() as tx:
        kept = (await tx.session.scalars(select(BookRow.side).distinct())).all()
        run = await tx.get(BookRun, books.day)
        assert run is not None
        assert run.next_at is not None
    assert list(kept) == ["his"]
    books.house.clock.move(minutes=15)
    assert await due(books) == 1
    assert await due(books) == 0


# ---------------------------------------------------------------------------------------------------------- by itself


async def due(books: Books) -> int:
    """The nightly sweep."""
    return await reconcile_due(books.house.db, books.house.pay, books.house.world.ports.his)


async def test_every_morning_by_itself(books: Books) -> None:
    """Not before five past ten, then once; also when it was compared by hand while the day lasted."""
    await books.paid()
    await books.compared()
    books.at(10, 4, days=1)
    assert await due(books) == 0
    books.at(10, 6, days=1)
    assert await due(books) == 1
    assert await due(books) == 0
    async with books.house.db.begin() as tx:
        (day,) = await reconciling.days(tx, books.house.hospital)
    assert day.sides[Side.PROVIDER] == SideState.THERE
    books.at(10, 6, days=2)
    assert await due(books) == 1, "the day after"


async def test_a_list_of_the_day_so_far_is_no_list_of_the_day(books: Books) -> None:
    """Compared at noon, paid afterwards, and in the morning the hospital is silent: nothing seems to be missing there.

    Its list of noon is not taken for the day's. It is asked again by itself until it answers; then all agree.
    """
    await books.compared()
    await books.paid()
    books.house.town.his.behaviour.be("down", times=None)
    books.at(10, 6, days=1)
    assert await due(books) == 1
    async with books.house.db.begin() as tx:
        (day,) = await reconciling.days(tx, books.house.hospital)
    assert (day.sides[Side.HIS], day.sides[Side.PROVIDER]) == (SideState.TROUBLE, SideState.THERE)
    assert await books.short() == []
    books.house.town.his.behaviour.good()
    books.house.clock.move(minutes=31)
    assert await due(books) == 1
    async with books.house.db.begin() as tx:
        (day,) = await reconciling.days(tx, books.house.hospital)
    assert (day.sides[Side.HIS], day.diff_fen, day.totals["his"]["count"]) == (SideState.THERE, 0, 1)
    assert await due(books) == 0


async def test_days_that_were_missed_are_made_up_for(books: Books) -> None:
    """The house was switched off for three days: each is compared, none before the first payment."""
    await books.paid()
    books.at(11, days=3)
    assert await due(books) == 3
    async with books.house.db.begin() as tx:
        days = [d.day for d in await reconciling.days(tx, books.house.hospital)]
    assert days == [books.day + timedelta(days=n) for n in (2, 1, 0)]


async def test_nothing_of_the_payers_is_kept(books: Books) -> None:
    """Rows of the provider's bill are kept without who paid."""
    await books.paid()
    await books.morning_after()
    async with books.house.db.begin() as tx:
        every = (await tx.session.execute(text("SELECT row_to_json(book_row)::text FROM book_row"))).scalars().all()
    assert every
    assert not any("oHF-demo" in row for row in every)


async def test_numbers_of_the_worklist_lead_to_the_payment(books: Books) -> None:
    """Each line names our number, the provider's, and the visit."""
    _, attempt = await books.paid()
    books.his_is("row_missing")
    await books.morning_after()
    (line,) = await books.worklist()
    mine = await books.house.attempt(attempt)
    async with books.house.db.begin() as tx:
        settlement = (await paying.round_by_id(tx, mine.round_id)).number
    assert (line.number, line.reference, line.visit_id) == (settlement, mine.transaction_id, mine.visit_id)


async def test_booked_twice_under_one_number(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hospital's list says the same settlement twice: its amount is twice ours, one line on the worklist."""
    bill, _ = await books.paid()
    once = cashbook.listed
    monkeypatch.setattr(cashbook, "listed", lambda his, day: once(his, day) * 2)
    await books.morning_after()
    assert await books.short() == [("settlement", "his_differs", bill.owed, 2 * bill.owed, "amounts")]


# ------------------------------------------------------------------------------------------- several payers, reversals


async def test_two_payments_are_one_settlement(books: Books) -> None:
    """Daughter and son share a bill: two lines of WeChat's, one of the hospital's; missing, it names both."""
    house = books.house
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400, house.daughter.id), Piece(bill.owed - 400, house.son.id))
    first = await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    second = await pays(house, house.son, SON, bill, 2, bill.owed - 400)
    await house.settle()
    books.his_is("row_missing")
    await books.morning_after()
    assert await books.short() == [("settlement", "missing_at_his", bill.owed, None, "said_done")]
    (line,) = await books.worklist()
    paid = [(await house.attempt(one)).transaction_id for one in (first, second)]
    assert line.reference == ",".join(str(number) for number in paid)
    assert (await books.compared()).diff_fen == 0
    async with house.db.begin() as tx:
        (day,) = await reconciling.days(tx, house.hospital)
    assert day.totals["provider"] == day.totals["here"] == {"paid": bill.owed, "back": 0, "count": 2}
    assert day.totals["his"] == {"paid": bill.owed, "back": 0, "count": 1}


async def test_a_shared_bill_that_was_given_up(books: Books) -> None:
    """One share was paid, then the sharing is given up: the money came and went, the hospital was told nothing."""
    house = books.house
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400, house.daughter.id))
    await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    await books.gone_back(bill.visit)
    assert (await books.morning_after()).diff_fen == 0
    async with house.db.begin() as tx:
        (day,) = await reconciling.days(tx, house.hospital)
    assert day.totals["provider"] == day.totals["ledger"] == {"paid": 400, "back": 400, "count": 2}
    assert "his" not in day.totals


def test_a_reversed_code_payment_cancels_out() -> None:
    """WeChat's bill has two lines of it, the second without a refund's number: together they are nothing."""
    at = datetime(2026, 11, 22, 4, tzinfo=UTC)
    paid = BillRow("HF1", "4200", "SUCCESS", 1200, at, "o")
    back = BillRow("HF1", "4200", "REVOKED", 0, at, "o", None, 1200)
    rows = rows_of_bill(TradeBill(date(2026, 11, 22), (paid, back), 1200, 1200))
    assert [(row.about, row.number, row.amount_fen) for row in rows] == [
        ("payment", "HF1", 1200),
        ("payment", "HF1", -1200),
    ]
