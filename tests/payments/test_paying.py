"""A bill becomes paid: once, whoever presses when, whatever gets lost on the way; against WeChat Pay's own books."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from houfu.pushes import House as Pushes
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from kernel.ids import new_id
from kernel.outside import Rejected, Throttled
from notices.ports import Tell
from notices.rules.messages import compose
from notices.rules.reach import Kind
from payments import flows, rules
from payments.models import Attempt, Refund
from payments.service import attempts, pressing, rounds
from people.models import Grant
from people.rules import Actor, ActorKind, Audience
from people.service import patients
from tests.consent.conftest import NOW
from tests.payments.conftest import DAUGHTER, MOTHER, House
from words import errors
from words.money import rmb


async def test_the_daughter_pays_and_the_hospital_books_it(house: House) -> None:
    """Pressed, confirmed in WeChat, told by callback, booked by the HIS: every book says the same, once."""
    bill = await house.bill()
    assert bill.owed > 0
    attempt = await house.press(house.daughter, bill, DAUGHTER)
    assert await house.states(bill.visit) == {"covered"}
    assert await house.bridge(attempt, DAUGHTER) == "ok"
    await house.until_state(attempt, "paid")
    assert await house.states(bill.visit) == {"settled"}
    assert await house.settle() >= 1
    done = await house.attempt(attempt)
    assert (done.state, done.relation, done.amount_fen) == ("settled", "daughter", bill.owed)
    assert [s["total_fen"] for s in house.town.his.books.settlements.values()] == [bill.owed]
    assert await house.said(bill.visit) == ["offered", "offered", "paid", "settled"]
    assert house.payments == 1
    assert (await house.ledger())["cash_wechat"] == house.taken == bill.owed
    await house.balanced()
    await _only_the_mother_is_told(house, bill.visit, attempt, bill.owed)


async def _only_the_mother_is_told(house: House, visit: UUID, attempt: UUID, fen: int) -> None:
    """Who paid needs no message about it; the mother's says who and how much, with a masked name."""
    tell = Tell(Kind.PAID, visit, house.mother.id, (str(attempt),))
    async with house.db.begin() as tx:
        said = await Pushes().still(tx, tell, house.mother.id)
        assert await Pushes().still(tx, tell, house.daughter.id) is None
        payer = (await patients.by_id(tx, house.daughter.id)).name_masked
        told = compose(Kind.PAID, said.slots, said.path, tx.now) if said else None
        assert {house.mother.id, house.daughter.id} <= set(await Pushes().readers(tx, tell, Audience.PAYERS, None))
    assert told is not None
    assert told.body == f"{payer}付了 {rmb(fen)}，您不用再付。"


async def test_both_press_at_once(house: House) -> None:
    """Twenty times mother and daughter press in the same moment: one order each time, the other is told kindly."""
    bill = await house.bill()
    for turn in range(20):
        start = asyncio.Barrier(2)

        async def one(actor: Actor, openid: str, start: asyncio.Barrier = start) -> UUID | HoufuError:
            await start.wait()
            try:
                return await house.press(actor, bill, openid)
            except HoufuError as error:
                return error

        found = await asyncio.gather(one(house.mother, MOTHER), one(house.daughter, DAUGHTER))
        won = [f for f in found if isinstance(f, UUID)]
        lost = [f for f in found if isinstance(f, HoufuError)]
        assert len(won) == len(lost) == 1, (turn, found)
        assert isinstance(lost[0], rules.AttemptInProgressError)
        mother_lost = found[0] is lost[0]
        assert lost[0].params == {"who": "您女儿" if mother_lost else "妈妈"}
        if turn < 19:
            await flows.close(house.db, house.pay, won[0])
    last = won[0]
    payer = DAUGHTER if (await house.attempt(last)).actor == house.daughter.viewer else MOTHER
    assert await house.bridge(last, payer) == "ok"
    await house.until_state(last, "paid")
    assert len(house.town.pay.books.orders) == 20
    assert house.payments == 1
    assert house.taken == bill.owed
    assert [a.state for a in await house.attempts(bill.visit)] == ["closed"] * 19 + ["paid"]
    await house.balanced()


async def test_the_second_is_told_that_it_is_paid(house: House) -> None:
    """After the daughter has paid, the mother's press takes nothing and says so; before and after the HIS booked it."""
    bill = await house.bill()
    attempt = await house.press(house.daughter, bill, DAUGHTER)
    await house.bridge(attempt, DAUGHTER)
    await house.until_state(attempt, "paid")
    for _ in range(2):
        with pytest.raises(rules.AlreadyPaidError) as told:
            await house.press(house.mother, bill)
        said = errors.sentence(told.value.code, told.value.kind, **told.value.params)
        assert said == "您女儿已经付好了，不用再付。您这边没有扣款。"
        await house.settle()
    assert house.payments == 1
    await house.balanced()


async def test_the_same_key_is_the_same_payment(house: House) -> None:
    """Pressed twice, or the answer was lost: one attempt, one order; the key for something else is refused."""
    bill = await house.bill()
    wish = house.wish(bill.owed)
    press = [flows.press(house.db, house.pay, house.mother, bill.visit, wish, house.till) for _ in range(4)]
    assert len(set(await asyncio.gather(*press))) == 1
    assert len(house.town.pay.books.orders) == 1
    other = pressing.Press(wish.channel, wish.idempotency_key, bill.owed + 1, wish.ip, wish.openid)
    with pytest.raises(rules.IdempotencyConflictError):
        await flows.press(house.db, house.pay, house.mother, bill.visit, other, house.till)
    assert await house.count(Attempt) == 1


async def test_a_callback_that_never_comes(house: House) -> None:
    """Every notice is lost: the sweeper asks on the documented schedule and finds the money."""
    await house.behave({"on": "notify", "do": "drop", "times": None})
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await house.bridge(attempt)
    assert await flows.sweep(house.db, house.pay) == 0  # not before its time
    house.clock.move(seconds=5)
    assert await flows.sweep(house.db, house.pay) == 1
    assert (await house.attempt(attempt)).state == "paid"
    assert await house.settle() >= 1
    assert (await house.attempt(attempt)).state == "settled"
    house.clock.move(minutes=30)
    assert await flows.sweep(house.db, house.pay) == 0
    await house.balanced()


async def test_paid_but_the_hospital_is_down(house: House) -> None:
    """The HIS does not answer: the money stands as paid, 结算中, nobody pays again; later it is booked once."""
    house.town.his.behaviour.be("down", times=None)
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    await house.settle()
    assert (await house.attempt(attempt)).state == "paid"
    assert house.town.his.books.settlements == {}
    assert await house.owed(bill.visit) == 0
    house.clock.move(minutes=6)
    async with house.db.begin() as tx:
        assert [a.id for a in await rounds.troubles(tx, house.hospital)] == [attempt]
    house.town.his.behaviour.good()
    house.clock.move(minutes=10)
    await house.settle()
    assert (await house.attempt(attempt)).state == "settled"
    assert len(house.town.his.books.settlements) == 1
    assert await house.count(Refund) == 0
    await house.balanced()


async def test_the_hospital_refuses_to_book(house: House) -> None:
    """The lines were paid at the window while the phone paid: the money stays, a person is called, nothing returns."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    house.town.his.behaviour.be("hold", times=None)
    house.town.his.clinic.pay_at_window(bill.encounter)
    await house.bridge(attempt)
    await house.until_state(attempt, "paid")
    await house.settle()
    stuck = await house.attempt(attempt)
    assert (stuck.state, stuck.trouble) == ("paid", "his:already_settled")
    assert await house.count(Refund) == 0
    assert (await house.ledger())["cash_wechat"] == bill.owed


@pytest.mark.parametrize("how", ["error_after", "hang_after"])
async def test_the_answer_is_lost_after_the_order_was_opened(house: House, how: str) -> None:
    """WeChat opened the order but we never heard: unknown, looked up, offered again under the same number, paid."""
    bill = await house.bill()
    await house.behave({"on": "create", "do": how, "seconds": 4})
    attempt = await house.press(house.mother, bill)
    assert (await house.attempt(attempt)).state == "unknown"
    assert await house.states(bill.visit) == {"covered"}
    house.clock.move(seconds=11)
    await flows.sweep(house.db, house.pay)
    assert (await house.attempt(attempt)).state == "offered"
    assert len(house.town.pay.books.orders) == 1
    assert await house.bridge(attempt) == "ok"
    await house.until_state(attempt, "paid")
    assert house.payments == 1
    await house.balanced()


async def test_an_order_that_never_reached_wechat(house: House) -> None:
    """500 and nothing done there: the number is unknown to WeChat, so it is opened again."""
    bill = await house.bill()
    await house.behave({"on": "create", "do": "error_before"})
    attempt = await house.press(house.mother, bill)
    assert (await house.attempt(attempt)).state == "unknown"
    assert house.town.pay.books.orders == {}
    await flows.look(house.db, house.pay, attempt)
    assert (await house.attempt(attempt)).state == "offered"
    assert len(house.town.pay.books.orders) == 1


async def test_a_definite_no(house: House) -> None:
    """WeChat refuses the payer: the lines are payable again at once, and somebody else can pay."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill, "oNobody")
    assert (await house.attempt(attempt)).state == "failed"
    assert await house.states(bill.visit) == {"billable"}
    again = await house.press(house.daughter, bill, DAUGHTER)
    assert (await house.attempt(again)).state == "offered"


@pytest.mark.parametrize("died", [False, True])
async def test_a_no_after_the_order_was_opened(house: House, died: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """WeChat opened the order and we did not hear, or died; asked again it says no: closed there before it is over."""
    bill = await house.bill()
    if died:

        async def gone(*_: object) -> bool:
            raise ConnectionError

        with monkeypatch.context() as patch:
            patch.setattr(attempts, "offered", gone)
            with pytest.raises(ConnectionError):
                await house.press(house.mother, bill)
    else:
        await house.behave({"on": "create", "do": "error_after"})
        await house.press(house.mother, bill)
    [attempt] = await house.attempts(bill.visit)
    assert attempt.state == ("created" if died else "unknown")

    async def no(*_: object) -> None:
        raise Rejected("NO_AUTH")

    monkeypatch.setattr(house.pay, "create", no)
    await house.behave({"on": "close", "do": "error_before"})
    await flows.look(house.db, house.pay, attempt.id)
    assert (await house.attempt(attempt.id)).state == "closing"  # it can still be paid there
    assert await house.states(bill.visit) == {"covered"}
    await flows.look(house.db, house.pay, attempt.id)
    assert (await house.attempt(attempt.id)).state == "closed"
    assert [o.state for o in house.town.pay.books.orders.values()] == ["CLOSED"]
    assert await house.states(bill.visit) == {"billable"}
    await house.balanced()


async def test_nothing_is_sent_the_second_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order may be open there, and now the line is down: it stays unknown, and its lines stay frozen."""
    bill = await house.bill()
    await house.behave({"on": "create", "do": "error_after"})
    attempt = await house.press(house.mother, bill)

    async def down(*_: object) -> None:
        raise Throttled("breaker open")

    monkeypatch.setattr(house.pay, "create", down)
    await flows.look(house.db, house.pay, attempt)
    assert (await house.attempt(attempt)).state == "unknown"
    assert await house.states(bill.visit) == {"covered"}


async def test_nobody_pays_and_the_time_is_over(house: House) -> None:
    """Fifteen minutes without a payment: closed there, then here, and the lines are payable again."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    params = await house.params(attempt)
    house.clock.move(minutes=15)
    assert await flows.sweep(house.db, house.pay) == 1
    assert (await house.attempt(attempt)).state == "closed"
    assert await house.states(bill.visit) == {"billable"}
    assert await house.owed(bill.visit) == bill.owed
    answer = await house.control("/control/pay", {"openid": MOTHER, "params": params})
    assert answer["reason"] == "ORDER_CLOSED"
    assert house.payments == 0
    assert await house.said(bill.visit) == ["offered", "offered", "closed"]


async def test_the_close_comes_too_late(house: House) -> None:
    """The payer confirmed while we closed: WeChat says paid, and paid it is, not lost and not returned."""
    await house.behave({"on": "notify", "do": "drop", "times": None})
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await house.bridge(attempt)
    await flows.close(house.db, house.pay, attempt)
    assert (await house.attempt(attempt)).state == "paid"
    await house.balanced()


async def test_closing_waits_for_an_answer(house: House) -> None:
    """WeChat does not answer the close: nothing is released until it does."""
    bill = await house.bill()
    attempt = await house.press(house.mother, bill)
    await house.behave({"on": "close", "do": "error_before"})
    await flows.close(house.db, house.pay, attempt)
    assert (await house.attempt(attempt)).state == "closing"
    assert await house.states(bill.visit) == {"covered"}
    house.clock.move(seconds=15)
    assert await flows.sweep(house.db, house.pay) == 1
    assert (await house.attempt(attempt)).state == "closed"


async def test_ones_own_older_attempt_makes_room(house: House) -> None:
    """The mother leaves the page, and presses again on another: the old order is closed there first."""
    bill = await house.bill()
    first = await house.press(house.mother, bill)
    second = await house.press(house.mother, bill)
    assert [(a.id, a.state) for a in await house.attempts(bill.visit)] == [(first, "closed"), (second, "offered")]
    states = sorted(o.state for o in house.town.pay.books.orders.values())
    assert states == ["CLOSED", "NOTPAY"]


async def test_another_amount_than_was_shown(house: House) -> None:
    """A line came while the sheet was open: told the new amount, and nothing was begun."""
    bill = await house.bill()
    with pytest.raises(rules.AmountChangedError) as told:
        await house.press(house.mother, bill, amount=bill.owed - 1)
    assert told.value.fen == bill.owed
    assert await house.count(Attempt) == 0
    assert await house.states(bill.visit) == {"billable"}


async def test_who_may_pay(house: House) -> None:
    """A stranger finds nothing, a relative pays only to her cap, the counter only by QR; nothing was begun."""
    bill = await house.bill()
    with pytest.raises(NotFoundError):
        await house.press(Actor(ActorKind.PERSON, new_id()), bill)
    with pytest.raises(ForbiddenError):
        await house.press(house.counter, bill)
    async with house.db.begin() as tx:
        who = Grant.person_id == house.daughter.id
        await tx.session.execute(update(Grant).where(who).values(cap_fen=bill.owed - 1))
    with pytest.raises(rules.OverCapError):
        await house.press(house.daughter, bill, DAUGHTER)
    with pytest.raises(rules.NotInWeChatError):
        await house.press(house.mother, bill, None)
    assert await house.count(Attempt) == 0
    assert await house.states(bill.visit) == {"billable"}


async def test_the_payer_must_be_the_one_who_pressed(house: House) -> None:
    """WeChat lets only the order's own payer confirm it."""
    bill = await house.bill()
    attempt = await house.press(house.daughter, bill, DAUGHTER)
    assert await house.bridge(attempt, MOTHER) == "fail"
    assert (await house.attempt(attempt)).state == "offered"
    assert house.payments == 0


async def test_what_comes_later_is_paid_later(house: House) -> None:
    """A line done while a payment runs goes to the next one; both are settled."""
    bill = await house.bill("CONS2")
    first = await house.press(house.mother, bill)
    later = await house.bill("URINE")
    assert later.visit == bill.visit
    await house.bridge(first)
    await house.until_state(first, "paid")
    await house.settle()
    assert await house.states(bill.visit) == {"settled", "billable"}
    rest = await house.owed(bill.visit)
    second = await house.press(house.mother, bill, amount=rest)
    await house.bridge(second)
    await house.until_state(second, "paid")
    await house.settle()
    assert await house.states(bill.visit) == {"settled"}
    assert house.taken == bill.owed + rest
    await house.balanced()


def test_the_schedule() -> None:
    """5, 15, 30, 60 s after the beginning, then every minute, and exactly when its time is over."""
    now, seen = NOW, []
    for looks in range(25):
        now = rules.next_look(looks, NOW, now)
        seen.append((now - NOW) // timedelta(seconds=1))
    assert seen[:6] == [5, 15, 30, 60, 120, 180]
    assert 900 in seen
    assert seen == sorted(seen)
