"""In the same moment, on real connections: two sweepers, twenty refunds, a press against the insurance; one wins."""

import asyncio
from uuid import UUID

from sqlalchemy import select

from kernel.errors import HoufuError
from payments import flows, rules
from payments.models import InsurancePart, Refund
from payments.service import attempts, refunds
from tests.payments.conftest import DAUGHTER, MOTHER, House
from tests.payments.test_insurance import begun
from tests.payments.test_money_back import closed_then_paid, until_done
from tests.payments.test_shares import at_once, presses, sound


async def test_two_sweepers(house: House) -> None:
    """Both are due in the same moment: each attempt is given to one of them, and the money is booked once."""
    await house.behave({"on": "notify", "do": "drop", "times": None})
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await house.bridge(attempt)
    house.clock.move(seconds=20)
    looked = await asyncio.gather(*(flows.sweep(house.db, house.pay) for _ in range(6)))
    assert sorted(looked) == [0, 0, 0, 0, 0, 1]
    assert (await house.attempt(attempt)).state == "paid"
    told = await asyncio.gather(*(flows.look(house.db, house.pay, attempt) for _ in range(6)))
    assert told == [None] * 6
    assert (await house.ledger())["cash_wechat"] == bill.owed == house.taken
    await sound(house)


async def test_two_workers_return_money_once(house: House) -> None:
    """Six workers find the same refund due: one asks, the platform has one refund, the money goes back once."""
    bill, attempt = await closed_then_paid(house)
    await house.until_state(attempt, "refunding")
    asked = await asyncio.gather(*(flows.refund_due(house.db, house.pay) for _ in range(6)))
    assert sorted(asked) == [0, 0, 0, 0, 0, 1]
    await until_done(house, bill.visit)
    assert len(house.town.pay.books.refunds) == 1
    assert house.taken == 0
    await house.balanced()


async def test_twenty_refunds_of_the_whole(house: House) -> None:
    """Twenty times in one moment all of a payment is to go back: one refund, of what was paid."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")

    async def one() -> UUID:
        async with house.db.begin() as tx:
            return (await refunds.ask(tx, await attempts.locked(tx, attempt), None, bill.owed)).id

    found = await at_once(*[one] * 20)
    assert len(set(found)) == 1
    async with house.db.begin() as tx:
        assert [r.amount_fen for r in await tx.session.scalars(select(Refund))] == [bill.owed]
    assert (await house.attempt(attempt)).refunded_fen == bill.owed


async def test_the_insurance_or_the_button(house: House) -> None:
    """The mother chooses her insurance in the moment the daughter presses: one of them, and the other is told so."""
    bill = await house.bill()
    found = await at_once(
        lambda: begun(house, bill),
        lambda: presses(house, house.daughter, DAUGHTER, bill, None, bill.owed),
    )
    won = [f for f in found if not isinstance(f, HoufuError)]
    [lost] = [f for f in found if isinstance(f, HoufuError)]
    assert len(won) == 1
    assert isinstance(lost, rules.NotInsuredError | rules.RoundClosingError | rules.AttemptInProgressError), lost
    parts = await house.count(InsurancePart)
    assert (parts > 0) == isinstance(won[0], list)
    assert len(house.town.pay.books.orders) == (0 if parts else 1)
    await sound(house)


async def test_giving_up_twice_while_the_money_comes(house: House) -> None:
    """Mother and counter give up in the moment the notice comes: all of it is paid, or all of it goes back, once."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await at_once(
        lambda: house.bridge(attempt, MOTHER),
        lambda: flows.give_up(house.db, house.pay, house.mother, bill.visit),
        lambda: flows.give_up(house.db, house.pay, house.counter, bill.visit),
    )
    await house.town.pay.notifier.quiet()
    house.clock.move(minutes=1)
    await flows.sweep(house.db, house.pay)
    state = (await house.attempt(attempt)).state
    assert state in ("paid", "closed", "refunding"), state
    assert await house.states(bill.visit) == ({"settled"} if state == "paid" else {"billable"})
    await sound(house)
