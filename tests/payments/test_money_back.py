"""Money that must not stay goes back by itself: late, or for a line taken back; never too much, never twice."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from kernel.db import Tx
from kernel.ids import new_id
from payments import flows, rules
from payments.models import Attempt, Refund
from payments.service import attempts, refunds
from tests.adapters.conftest import until
from tests.payments.conftest import MOTHER, Bill, House


async def refund_states(house: House, visit: UUID) -> list[tuple[str, int]]:
    """All refunds of a visit."""
    async with house.db.begin() as tx:
        return [(str(r.state), r.amount_fen) for r in await refunds.of_visit(tx, visit)]


async def paid(house: House, bill: Bill) -> UUID:
    """Paid and booked by the hospital."""
    attempt = await house.press(house.mother, bill)
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    await house.settle()
    assert (await house.attempt(attempt)).state == "settled"
    return attempt


async def until_done(house: House, visit: UUID, count: int = 1) -> None:
    """Wait for the provider's notices."""

    async def done() -> bool:
        return [s for s, _ in await refund_states(house, visit)] == ["done"] * count

    await until(done)


async def closed_then_paid(house: House) -> tuple[Bill, UUID]:
    """WeChat says closed, and yet takes the money: what must never happen, and is handled."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await flows.close(house.db, house.pay, attempt)
    assert (await house.attempt(attempt)).state == "closed"
    order = next(iter(house.town.pay.books.orders.values()))
    order.state = "NOTPAY"
    house.town.pay.take(order, MOTHER)
    return bill, attempt


async def test_late_money_goes_back(house: House) -> None:
    """Money for a closed attempt: into suspense, refunded automatically, said so, suspense empty again."""
    bill, attempt = await closed_then_paid(house)
    await house.until_state(attempt, "refunding")
    assert (await house.ledger())["suspense"] == -bill.owed
    assert await house.states(bill.visit) == {"billable"}
    assert await flows.refund_due(house.db, house.pay) == 1
    await until_done(house, bill.visit)
    assert (await house.attempt(attempt)).state == "refunded"
    assert await house.said(bill.visit) == ["offered", "offered", "closed", "refunding", "refunded"]
    assert house.taken == 0
    assert await house.owed(bill.visit) == bill.owed
    await house.balanced()


async def test_late_money_without_a_callback(house: House) -> None:
    """The last look, five minutes after closing, finds it."""
    await house.behave({"on": "notify", "do": "drop", "times": None})
    bill, attempt = await closed_then_paid(house)
    house.clock.move(minutes=5, seconds=1)
    assert await flows.sweep(house.db, house.pay) == 1
    assert (await house.attempt(attempt)).state == "refunding"
    await flows.refund_due(house.db, house.pay)
    await house.town.pay.notifier.quiet()
    house.clock.move(seconds=30)
    await flows.refund_due(house.db, house.pay)
    assert await refund_states(house, bill.visit) == [("done", bill.owed)]
    await house.balanced()


async def test_a_paid_line_the_hospital_takes_back(house: House) -> None:
    """The HIS reverses a line that was paid here: exactly its money goes back, the rest stays."""
    bill = await house.bill()
    attempt = await paid(house, bill)
    charge = next(iter(house.town.his.books.encounters[bill.encounter].charges))
    taken_back = {"charge_no": charge, "at": house.clock().isoformat()}
    house.town.his.books.record("charge.reversed", bill.encounter, taken_back)

    async def asked() -> bool:
        return await house.count(Refund) == 1

    await until(asked)
    [(_, back)] = await refund_states(house, bill.visit)
    assert 0 < back < bill.owed
    await flows.refund_due(house.db, house.pay)
    await until_done(house, bill.visit)
    assert (await house.attempt(attempt)).refunded_fen == back
    assert await house.states(bill.visit) == {"settled", "refunded"}
    assert house.taken == bill.owed - back
    await house.settle()
    assert [r["total_fen"] for r in house.town.his.books.refunds.values()] == [back]
    await house.balanced()


async def test_a_line_taken_back_while_being_paid(house: House) -> None:
    """Reversed between the press and the money: it is paid with the rest, and its part goes back at once."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    charge = next(iter(house.town.his.books.encounters[bill.encounter].charges))
    house.town.his.clinic.reverse(charge)
    await until(lambda: not house.town.his.books.outbox)
    assert await house.states(bill.visit) == {"covered"}
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    assert await house.count(Refund) == 1
    await flows.refund_due(house.db, house.pay)
    await until_done(house, bill.visit)
    assert 0 < house.taken < bill.owed
    await house.balanced()


@pytest.mark.parametrize("rule", [{"on": "refund", "do": "error_after"}, {"on": "refund", "do": "error_before"}])
async def test_a_refund_without_an_answer(house: House, rule: dict[str, Any]) -> None:
    """Asked again under the same number: the money goes back once."""
    bill, attempt = await closed_then_paid(house)
    await house.until_state(attempt, "refunding")
    await house.behave(rule)
    await flows.refund_due(house.db, house.pay)
    house.clock.move(seconds=30)
    await flows.refund_due(house.db, house.pay)
    await until_done(house, bill.visit)
    assert len(house.town.pay.books.refunds) == 1
    assert house.taken == 0
    await house.balanced()


async def test_a_refund_the_bank_does_not_take(house: House) -> None:
    """ABNORMAL: a person is called, nothing is asked again by itself, the money still stands in suspense."""
    bill, attempt = await closed_then_paid(house)
    await house.until_state(attempt, "refunding")
    await house.behave({"on": "refunding", "do": "abnormal"})
    await flows.refund_due(house.db, house.pay)

    async def abnormal() -> bool:
        return await refund_states(house, bill.visit) == [("abnormal", bill.owed)]

    await until(abnormal)
    house.clock.move(hours=2)
    assert await flows.refund_due(house.db, house.pay) == 0
    assert (await house.attempt(attempt)).state == "refunding"
    assert (await house.ledger())["suspense"] == -bill.owed


async def test_never_more_than_was_paid(house: House) -> None:
    """Ten refunds of two fifths at once: two fit, the others are refused, and the table itself refuses more."""
    bill = await house.bill()
    attempt = await paid(house, bill)
    part = bill.owed * 2 // 5

    async def one() -> bool:
        try:
            async with house.db.begin() as tx:
                await refunds.ask(tx, await attempts.by_id(tx, attempt), new_id(), part)
        except rules.OverRefundError:
            return False
        return True

    assert sorted(await asyncio.gather(*(one() for _ in range(10)))) == [False] * 8 + [True] * 2
    assert (await house.attempt(attempt)).refunded_fen == 2 * part

    async def force(tx: Tx) -> None:
        row = await tx.get(Attempt, attempt)
        assert row is not None
        row.refunded_fen = row.amount_fen + 1

    with pytest.raises(IntegrityError):
        async with house.db.begin() as tx:
            await force(tx)


async def test_the_same_line_goes_back_once(house: House) -> None:
    """Asked twice in the same moment: one refund."""
    bill = await house.bill()
    attempt = await paid(house, bill)
    charge = new_id()

    async def one() -> UUID | None:
        try:
            async with house.db.begin() as tx:
                return (await refunds.ask(tx, await attempts.locked(tx, attempt), charge, 1)).id
        except IntegrityError:
            return None

    found = await asyncio.gather(*(one() for _ in range(5)))
    assert len({f for f in found if f}) == 1
    assert (await house.attempt(attempt)).refunded_fen == 1
