"""Money back on request: asked with a reason, agreed by somebody else, sent the way it came, never too much."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from billing.rules import NotRefundableError, OwnRequestError, RefundReasonError, RequestAnsweredError
from billing.service import lines
from billing.service import refunds as requests
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id
from notices import service as notices
from payments import flows
from payments.models import Refund
from payments.rules import Piece
from payments.rules.counter import CardReferenceError, CardUsedError, NotAbnormalError, NotCashBackError
from payments.service import counter, refunds, returns, rounds
from people.rules import Actor
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, MOTHER, Bill, House
from tests.payments.desk import card, cash, opened, sound, staff, takes


async def paid(house: House, actor: Actor | None = None, openid: str = MOTHER) -> tuple[Bill, UUID]:
    """A bill of two lines, paid by phone and booked by the hospital."""
    bill = await house.bill()
    attempt = await house.press(actor or house.mother, bill, openid)
    assert await house.bridge(attempt, openid) == "ok"
    await house.until_state(attempt, "paid")
    await house.settle()
    return bill, attempt


async def charges(house: House, visit: UUID) -> list[Any]:
    """The lines that were paid for, the smallest first."""
    async with house.db.begin() as tx:
        return sorted((c for c in await lines.lines_of(tx, visit) if c.self_fen), key=lambda c: c.self_fen)


async def ask(house: House, actor: Actor, visit: UUID, ids: list[UUID], reason: str = "这项没有做") -> Any:
    """Ask for these lines."""
    async with house.db.begin() as tx:
        return await requests.ask(tx, actor, visit, ids, reason)


async def answer(house: House, actor: Actor, request: Any, *, agreed: bool = True, says: str = "") -> Any:
    """Agree, or refuse."""
    async with house.db.begin() as tx:
        return await requests.answer(tx, actor, request.id, agreed=agreed, says=says)


async def shown(house: House, visit: UUID) -> list[str]:
    """How the visit's requests stand, newest first."""
    async with house.db.begin() as tx:
        return [a.shown for a in await requests.of_visit(tx, visit)]


async def returned(house: House, wanted: int) -> None:
    """Wait until this many refunds have arrived."""

    async def back() -> bool:
        await flows.refund_due(house.db, house.pay)
        async with house.db.begin() as tx:
            done = (await tx.session.scalars(select(Refund).where(Refund.state == "done"))).all()
        return len(done) == wanted

    await until(back)


async def test_one_line_goes_back(house: House) -> None:
    """Asked by the patient, agreed by finance: the line's money returns to her WeChat, bill, feed and HIS say so."""
    bill, attempt = await paid(house)
    finance = await staff(house, "f.finance")
    small = (await charges(house, bill.visit))[0]
    request = await ask(house, house.mother, bill.visit, [small.id])
    assert (request.amount_fen, await shown(house, bill.visit)) == (small.self_fen, ["requested"])
    assert house.taken == bill.owed
    await answer(house, finance, request)
    assert await shown(house, bill.visit) == ["going"]
    await returned(house, 1)
    assert house.taken == bill.owed - small.self_fen
    assert await shown(house, bill.visit) == ["back"]
    assert (await house.attempt(attempt)).refunded_fen == small.self_fen
    await house.settle()
    [booked] = house.town.his.books.refunds.values()
    assert [(c["charge_no"], c["self_fen"]) for c in booked["charges"]] == [(small.number, small.self_fen)]
    async with house.db.begin() as tx:
        rows = [r for r in await notices.since(tx, bill.visit, 0) if r.kind == "bill.line"]
    about = [
        (r.payload["line"]["state"], r.payload["line"]["refund"])
        for r in rows
        if r.payload["line"]["id"] == str(small.id)
    ]
    assert about[-3:] == [("settled", "requested"), ("settled", "approved"), ("refunded", "approved")]
    assert house.town.his.books.complaints == []
    await sound(house)


async def test_the_whole_payment_goes_back(house: House) -> None:
    """All lines of a payment by the desk's request: all of it returns, and not a fen more."""
    bill, _ = await paid(house)
    finance = await staff(house, "f.finance")
    request = await ask(house, house.counter, bill.visit, [c.id for c in await charges(house, bill.visit)])
    assert request.amount_fen == bill.owed
    await answer(house, finance, request)
    await returned(house, len(await charges(house, bill.visit)))
    assert house.taken == 0
    assert {c.state for c in await charges(house, bill.visit)} == {"refunded"}
    await house.settle()
    await sound(house)


async def test_refused_with_a_reason(house: House) -> None:
    """Nothing moves; the patient reads why, and may ask again."""
    bill, _ = await paid(house)
    finance = await staff(house, "f.finance")
    small = (await charges(house, bill.visit))[0]
    request = await ask(house, house.mother, bill.visit, [small.id])
    with pytest.raises(RefundReasonError):
        await answer(house, finance, request, agreed=False, says="  ")
    await answer(house, finance, request, agreed=False, says="化验室有记录，已经做过")
    assert await shown(house, bill.visit) == ["refused"]
    with pytest.raises(RequestAnsweredError):
        await answer(house, finance, request)
    assert await house.count(Refund) == 0
    again = await ask(house, house.mother, bill.visit, [small.id], "再看一下")
    await answer(house, finance, again)
    await returned(house, 1)
    assert await shown(house, bill.visit) == ["back", "refused"]
    await sound(house)


async def test_who_may_ask_and_who_may_answer(house: House) -> None:
    """A relative who merely pays may not ask, the cashier may not answer, nobody answers their own; a stranger: 404."""
    bill, _ = await paid(house, house.daughter, DAUGHTER)
    small = (await charges(house, bill.visit))[0]
    finance, guide = await staff(house, "f.finance"), await staff(house, "g.guide")
    with pytest.raises((ForbiddenError, NotFoundError)):
        await ask(house, house.daughter, bill.visit, [small.id])
    for actor in (guide, finance):
        with pytest.raises(ForbiddenError):
            await ask(house, actor, bill.visit, [small.id])
    with pytest.raises(RefundReasonError):
        await ask(house, house.mother, bill.visit, [small.id], " ")
    request = await ask(house, house.counter, bill.visit, [small.id])
    for actor in (house.counter, guide, house.mother):
        with pytest.raises((ForbiddenError, NotFoundError)):
            await answer(house, actor, request)
    with pytest.raises(NotFoundError):
        await answer(house, Actor(finance.kind, finance.id, new_id(), finance.role), request)
    own = Actor(house.counter.kind, house.counter.id, house.counter.hospital_id, finance.role)
    with pytest.raises(OwnRequestError):
        await answer(house, own, request)
    with pytest.raises(DBAPIError, match="not_oneself"):
        async with house.db.begin() as tx:
            await tx.session.execute(
                text("UPDATE refund_request SET state = 'approved', answered_at = now(), answered_by = :who"),
                {"who": house.counter.id},
            )
    assert await shown(house, bill.visit) == ["requested"]


async def test_twenty_at_once_ask_for_the_same(house: House) -> None:
    """Twenty presses behind one barrier, each for all lines: one request; twenty answers: one refund a line."""
    bill, attempt = await paid(house)
    finance = await staff(house, "f.finance")
    ids = [c.id for c in await charges(house, bill.visit)]
    barrier = asyncio.Barrier(20)

    async def asks(n: int) -> Any:
        await barrier.wait()
        return await ask(house, house.mother if n % 2 else house.counter, bill.visit, ids)

    made = await asyncio.gather(*(asks(n) for n in range(20)), return_exceptions=True)
    won = [m for m in made if not isinstance(m, BaseException)]
    assert len(won) == 1
    assert all(isinstance(m, NotRefundableError) for m in made if isinstance(m, BaseException))

    async def answers() -> Any:
        await barrier.wait()
        return await answer(house, finance, won[0])

    told = await asyncio.gather(*(answers() for _ in range(20)), return_exceptions=True)
    assert sum(not isinstance(t, BaseException) for t in told) == 1
    await returned(house, len(ids))
    assert (await house.attempt(attempt)).refunded_fen == bill.owed
    assert house.taken == 0
    await sound(house)


async def test_only_what_is_paid_here(house: House) -> None:
    """Owed, foreign, made up, or asked for already: refused, and nothing is written."""
    bill = await house.bill()
    owed = await charges(house, bill.visit)
    for ids in ([owed[0].id], [new_id()], []):
        with pytest.raises(NotRefundableError):
            await ask(house, house.mother, bill.visit, ids)
    assert await shown(house, bill.visit) == []
    with pytest.raises(NotFoundError):
        await ask(house, house.mother, new_id(), [owed[0].id])


async def test_the_hospital_takes_it_back_first(house: House) -> None:
    """While the request waits the HIS reverses the line: the money goes back once, and the request needs no answer."""
    bill, _ = await paid(house)
    finance = await staff(house, "f.finance")
    small = (await charges(house, bill.visit))[0]
    request = await ask(house, house.mother, bill.visit, [small.id])
    taken_back = {"charge_no": small.number, "at": house.clock().isoformat()}
    house.town.his.books.record("charge.reversed", bill.encounter, taken_back)

    async def heard() -> bool:
        return await house.count(Refund) == 1

    await until(heard)
    with pytest.raises(RequestAnsweredError):
        await answer(house, finance, request)
    await returned(house, 1)
    assert await shown(house, bill.visit) == ["back"]
    assert house.taken == bill.owed - small.self_fen
    await sound(house)


async def test_cash_goes_back_at_the_counter(house: House) -> None:
    """Agreed: no provider is asked; the cashier hands it out in an open shift, and the drawer says so."""
    bill = await house.bill()
    await opened(house, house.counter)
    attempt = await takes(house, house.counter, bill, cash(bill, 10_000))
    await house.settle()
    finance = await staff(house, "f.finance")
    request = await ask(house, house.mother, bill.visit, [c.id for c in await charges(house, bill.visit)])
    await answer(house, finance, request)
    assert await flows.refund_due(house.db, house.pay) == 0
    async with house.db.begin() as tx:
        waiting = [r.id for r, _ in await refunds.at_counter(tx, house.hospital)]
    for refund in waiting:
        async with house.db.begin() as tx:
            await counter.give_back(tx, house.counter, refund)
        with pytest.raises(NotCashBackError):
            async with house.db.begin() as tx:
                await counter.give_back(tx, house.counter, refund)
    assert await shown(house, bill.visit) == ["back"]
    assert "cash_counter" not in await house.ledger()
    assert (await house.attempt(attempt)).refunded_fen == bill.owed
    await house.settle()
    assert house.town.his.books.complaints == []
    await sound(house)


async def test_a_card_goes_back_by_its_own_slip(house: House) -> None:
    """The bank's terminal gives it back: its slip's number is asked for, and a used one refused."""
    bill = await house.bill()
    await opened(house, house.counter)
    await takes(house, house.counter, bill, card(bill, "A100200"))
    finance = await staff(house, "f.finance")
    small = (await charges(house, bill.visit))[0]
    await answer(house, finance, await ask(house, house.counter, bill.visit, [small.id]))
    async with house.db.begin() as tx:
        [(refund, _)] = await refunds.at_counter(tx, house.hospital)
    for slip, error in (("", CardReferenceError), ("A100200", CardUsedError)):
        with pytest.raises(error):
            async with house.db.begin() as tx:
                await counter.give_back(tx, house.counter, refund.id, slip)
    async with house.db.begin() as tx:
        await counter.give_back(tx, house.counter, refund.id, "A100201")
    assert (await house.ledger())["bank_card"] == bill.owed - small.self_fen
    await sound(house)


async def test_a_shared_bill_goes_back_to_both(house: House) -> None:
    """One paid in cash, one by phone: the whole bill back, each by their own way."""
    bill = await house.bill()
    await opened(house, house.counter)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(400)], bill.owed)
    took = await takes(house, house.counter, bill, cash(bill, 400, amount=400, share=1))
    hers = await house.press(house.daughter, bill, DAUGHTER, amount=bill.owed - 400)
    assert await house.bridge(hers, DAUGHTER) == "ok"
    await house.until_state(hers, "paid")
    await house.settle()
    finance = await staff(house, "f.finance")
    request = await ask(house, house.mother, bill.visit, [c.id for c in await charges(house, bill.visit)])
    await answer(house, finance, request)
    async with house.db.begin() as tx:
        waiting = [r.id for r, _ in await refunds.at_counter(tx, house.hospital)]
    for refund in waiting:
        async with house.db.begin() as tx:
            await counter.give_back(tx, house.counter, refund)

    async def back() -> bool:
        await flows.refund_due(house.db, house.pay)
        return await shown(house, bill.visit) == ["back"]

    await until(back)
    made = [await house.attempt(a) for a in (took, hers)]
    assert [(a.refunded_fen, a.amount_fen) for a in made] == [(400, 400), (bill.owed - 400, bill.owed - 400)]
    assert house.taken == 0
    await sound(house)


async def test_wechat_cannot_and_finance_pays_by_hand(house: House) -> None:
    """ABNORMAL: it waits for a person; finance writes down its own payment; the bill, the books and the HIS know."""
    bill, _ = await paid(house)
    finance = await staff(house, "f.finance")
    small = (await charges(house, bill.visit))[0]
    await house.behave({"on": "refunding", "do": "abnormal"})
    await answer(house, finance, await ask(house, house.mother, bill.visit, [small.id]))

    async def stuck() -> bool:
        await flows.refund_due(house.db, house.pay)
        async with house.db.begin() as tx:
            return len(await refunds.troubles(tx, house.hospital)) == 1

    await until(stuck)
    async with house.db.begin() as tx:
        [(refund, _)] = await refunds.troubles(tx, house.hospital)
    assert await shown(house, bill.visit) == ["going"]
    for actor, number, error in (
        (house.counter, "BANK-778899", ForbiddenError),
        (finance, " ", CardReferenceError),
        (Actor(finance.kind, finance.id, new_id(), finance.role), "BANK-778899", NotFoundError),
    ):
        with pytest.raises(error):
            async with house.db.begin() as tx:
                await returns.by_hand(tx, actor, refund.id, number)
    async with house.db.begin() as tx:
        done = await returns.by_hand(tx, finance, refund.id, "BANK-778899")
    assert (done.state, done.by_hand, done.by_hand_by) == ("done", "BANK-778899", finance.id)
    with pytest.raises(NotAbnormalError):
        async with house.db.begin() as tx:
            await returns.by_hand(tx, finance, refund.id, "BANK-778899")
    assert await shown(house, bill.visit) == ["back"]
    ledger = await house.ledger()
    assert (ledger["cash_wechat"], ledger["paid_by_hand"]) == (bill.owed, -small.self_fen)
    await house.settle()
    assert len(house.town.his.books.refunds) == 1
    await sound(house)
