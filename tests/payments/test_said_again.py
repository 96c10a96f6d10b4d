"""A settlement the hospital refused, said again after money went back: its books hold what was paid, and nothing else.

The oracles are the hospital's own books (what it booked less what it paid back) and the till's.
"""

from typing import Any

from billing.models import ChargeItem
from kernel.errors import NotFoundError
from payments.service import again
from tests.payments.conftest import MOTHER, Bill, House
from tests.payments.test_insurance import held, insured, swept
from tests.payments.test_insurance_refunds import ITEMS, back, each, reversed_, right
from tests.payments.test_shares import pays
from tests.payments.test_troubles import calls
from visits.ports import HisAnswer
from visits.service import calls as told


async def holds(house: House, bill: Bill) -> None:
    """The hospital has booked exactly the lines that are paid here, with exactly the cash the till holds."""
    his = house.town.his.books
    booked = sum(s["total_fen"] for s in his.settlements.values())
    gone = sum(r["total_fen"] for r in his.refunds.values())
    assert booked - gone == house.taken
    assert set(his.settled) == {c.number for c in await each(house, bill) if c.state == "settled"}
    assert his.complaints == []
    assert await calls(house, "refused") == []
    await house.balanced()
    await right(house)


def at_window(house: House, bill: Bill, charge: ChargeItem) -> None:
    """The hospital's system has a line as paid at its window, by mistake: it will not book it."""
    enc: Any = house.town.his.books.encounters[bill.encounter]
    enc.at_window[charge.number] = {"at": house.clock().isoformat(), "where": "窗口", "reference": "W1"}


async def say_again(house: House) -> None:
    """A person has mended the hospital's books, and presses for everything that was refused."""
    for enc in house.town.his.books.encounters.values():
        enc.at_window.clear()
    for key in await calls(house, "refused"):
        async with house.db.begin() as tx:
            await again.say(tx, house.hospital, key)
    await house.settle()


async def test_a_line_went_back_meanwhile(house: House) -> None:
    """Refused for one line; others are taken back before and after the refusal: what is left is booked, once."""
    bill = await house.bill(*ITEMS)
    attempt = await pays(house, house.mother, MOTHER, bill, None, bill.owed)
    wrong, first, second = [c for c in await each(house, bill) if c.self_fen][:3]
    at_window(house, bill, wrong)
    await reversed_(house, bill, first)  # before the hospital was told of anything
    await back(house, bill)
    assert (await house.attempt(attempt)).trouble in ("his:already_settled", "his:reversed")
    # There was nothing to pay back in the hospital's books, so that it would not do so is nobody's trouble.
    assert [key.partition(":")[0] for key in await calls(house, "refused")] == ["settle"]
    told_before = len(house.town.his.books.commands)
    await reversed_(house, bill, second)
    await back(house, bill)
    assert len(house.town.his.books.commands) == told_before
    house.town.his.books.complaints.clear()  # of the refund that crossed the refusal
    await say_again(house)
    [booked] = house.town.his.books.settlements.values()
    assert {line["charge_no"] for line in booked["charges"]} == {
        c.number for c in await each(house, bill) if c.id not in (first.id, second.id)
    }
    done = await house.attempt(attempt)
    assert (done.state, done.trouble) == ("settled", None)
    await holds(house, bill)


async def test_all_of_it_went_back_and_was_paid_anew(house: House) -> None:
    """The insurance's settlement went back whole before the refusal was looked into: the first is never booked.

    It is said again in the worst moment, when its lines are owed and the hospital would take it.
    """
    bill = await house.bill(*ITEMS)
    [part] = await insured(house, bill, account_used=False)
    attempt = await pays(house, house.mother, MOTHER, bill, None, part.cash_fen or 0)
    gone, wrong = [c for c in await each(house, bill) if c.self_fen][:2]
    at_window(house, bill, wrong)
    await house.settle()
    assert (await house.attempt(attempt)).trouble == "his:already_settled"
    await reversed_(house, bill, gone)
    await say_again(house)  # it is on its way back: nothing of it will stand
    assert house.town.his.books.settlements == {}
    await swept(house)
    await back(house, bill)
    assert (held(house), house.taken) == (0, 0)
    assert house.town.his.books.settlements == house.town.his.books.refunds == {}
    done = await house.attempt(attempt)
    assert (done.state, done.trouble) == ("settled", None)
    await holds(house, bill)
    await pays(house, house.mother, MOTHER, bill, None, await house.owed(bill.visit))
    await house.settle()
    assert len(house.town.his.books.settlements) == 1
    await holds(house, bill)


async def test_no_answer_then_late_after_the_refund(house: House) -> None:
    """It booked and said nothing; a line went back meanwhile; its word comes last, and twice: once in every book."""
    bill = await house.bill(*ITEMS)
    attempt = await pays(house, house.mother, MOTHER, bill, None, bill.owed)
    house.town.his.behaviour.be("500_after", times=None)
    await house.settle()
    assert len(house.town.his.books.settlements) == 1
    [key] = [key for key in await calls(house, "pending") if key.startswith("settle:")]
    gone = next(c for c in await each(house, bill) if c.self_fen)
    await reversed_(house, bill, gone)
    async with house.db.begin() as tx:
        await again.say(tx, house.hospital, key)  # it may have been booked, so only the same may be said
    await back(house, bill)
    house.town.his.behaviour.good()
    house.clock.move(minutes=6)
    async with house.db.begin() as tx:
        twice = [one for one in await told.claim(tx, 100) if one.key == key]
    house.clock.move(minutes=6)
    await house.settle()
    assert (await house.attempt(attempt)).state == "settled"
    async with house.db.begin() as tx:  # another worker's answer to the same, too late and otherwise
        await told.record_all(tx, [(one, HisAnswer("refused", "reversed"), None) for one in twice])
    assert (await house.attempt(attempt)).trouble is None
    assert len(house.town.his.books.refunds) == 1
    await holds(house, bill)


async def test_not_there_to_be_said_again(house: House) -> None:
    """Another hospital's key, or none's: nothing is found."""
    async with house.db.begin() as tx:
        for key in ("settle:0", "insured:0", "refund:HFR0"):
            try:
                await again.say(tx, house.hospital, key)
            except NotFoundError:
                continue
            raise AssertionError(key)
